"""The commands of `python -m services.rekognition.collections`."""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from services.rekognition.aws.account import Account
from services.rekognition.budget.prices import dollars
from services.rekognition.collections.comparison import Comparison
from services.rekognition.enrollment.collection import CollectionFaces
from services.rekognition.request import Request
from services.rekognition.table.faces import FaceIndex, Reading
from services.runtime.errors import DomainError, InvalidRequest, Misconfigured
from services.runtime.storage.s3 import ObjectStore

_PAGE = 4096


class CollectionCommands:
    """One method a command: it prints rows, returns the exit status, and raises DomainErrors."""

    def __init__(self, account: Account, store: ObjectStore, args: argparse.Namespace) -> None:
        self._request = Request(account.calls, time.monotonic() + args.timeout)
        self._people = account.people
        self._store = store
        self._args = args

    async def create(self) -> int:
        """Create an empty collection; an existing one is an error, since its faces would be taken for new."""
        name = self._args.collection
        ignore = "ResourceAlreadyExistsException"
        response = await self._request.ask("CreateCollection", "FaceModelVersion", ignore=ignore, CollectionId=name)
        if not response:
            raise InvalidRequest(f"Collection {name!r} already exists.")
        self._print([{"collection": name, "face_model": response["FaceModelVersion"]}])
        return 0

    async def describe(self) -> int:
        """Print the number of faces and users, the face model's version and the creation time."""
        self._print([await self._description()])
        return 0

    async def list_collections(self) -> int:
        """Print all collections of the region."""
        pages = self._request.pages("ListCollections", "CollectionIds")
        self._print([row async for page in pages for row in _collections(page)])
        return 0

    async def faces(self) -> int:
        """Print all faces, or one person's; JSON is printed line by line as it is read."""
        all_rows = (_face(face) async for face in self._faces())
        rows = (row async for row in all_rows if self._args.person in (None, row["person_id"], row["user"]))
        if self._args.output == "json":
            async for row in rows:
                self._print([row])
        else:
            self._print([row async for row in rows])
        return 0

    async def delete(self) -> int:
        """Delete the collection for good; a person is asked to type its name."""
        description = await self._description()
        if not self._args.yes:
            _confirm(description)
        await self._request.ask("DeleteCollection", "StatusCode", CollectionId=self._args.collection)
        if self._people is not None:
            await asyncio.to_thread(self._people.remove_all, self._args.collection)
        self._print([description])
        return 0

    async def index(self) -> int:
        """Note in the table whose each face is. Safe to interrupt and repeat: it goes on after the last page noted."""
        if self._people is None:
            raise Misconfigured("Faces are noted in the recognizer's table: set MARQUEE_REKOGNITION_TABLE.")
        name = self._args.collection
        total, created = await CollectionFaces(name, self._request).describe()
        reading = await asyncio.to_thread(self._people.faces.reading, name, created)
        with _progress() as progress:
            task = progress.add_task("Indexing faces", total=total, completed=reading.read)
            while True:
                reading = await self._index_page(self._people.faces, reading, created)
                progress.update(task, completed=reading.read)
                if reading.is_complete:
                    break
        self._print([{"collection": name, "faces": reading.read}])
        return 0

    async def _index_page(self, faces: FaceIndex, reading: Reading, created: str) -> Reading:
        """Note the next page's faces, then that they are noted; return how far that is."""
        name = self._args.collection
        page: dict[str, Any] = {"NextToken": reading.next_page} if reading.next_page else {}
        response = await self._request.ask(
            "ListFaces",
            "Faces",
            ignore="InvalidPaginationTokenException",
            CollectionId=name,
            MaxResults=_PAGE,
            **page,
        )
        if not response:  # Rekognition has forgotten the page since the last run
            return Reading(time.time())
        await asyncio.to_thread(faces.add, name, [entry for face in response["Faces"] for entry in _owners(face)])
        read, next_page = reading.read + len(response["Faces"]), response.get("NextToken", "")
        reading = Reading(reading.started, next_page, read, is_complete=not next_page)
        await asyncio.to_thread(faces.save, name, created, reading)
        return reading

    async def compare(self) -> int:
        """Print the second picture's faces that are similar enough, the most similar first. Costs one CompareFaces."""
        if not 0 <= self._args.similarity <= 100:  # noqa: PLR2004 - per cent
            raise InvalidRequest(f"--similarity is {self._args.similarity:g}; it must be 0 to 100.")
        comparison = Comparison(self._request, self._args.source, self._args.target, self._store)
        try:
            response = await comparison.run(self._args.similarity)
        except DomainError:
            if self._request.usage.micro_usd:
                _report(f"Finding the picture at fault cost {dollars(self._request.usage.micro_usd)}.")
            raise
        for warning in comparison.warnings:
            _report(warning)
        matches = sorted(response["FaceMatches"], key=lambda match: -match["Similarity"])
        self._print([{"similarity": round(match["Similarity"], 2), **_box(match["Face"])} for match in matches])
        others = len(response.get("UnmatchedFaces", []))
        cost = dollars(self._request.usage.micro_usd)
        _report(f"Faces that match: {len(matches)}; that do not: {others}. Cost: {cost}.")
        return 0

    async def reconcile(self) -> int:
        """Print who is only in the collection and who is only in the listing; return 1 if there is anyone."""
        listing = _read(self._args.listing)
        people: Counter[str] = Counter()
        async for face in self._faces():
            people[_face(face)["person_id"]] += 1
        differences = _differences(people, listing)
        self._print(differences)
        _report(
            f"People in the collection: {len(people)}; in the listing: {len(listing)}; in only one: {len(differences)}."
        )
        return int(bool(differences))

    def _print(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Print a table for people, or a line of JSON per row for programs."""
        if self._args.output == "json":
            sys.stdout.write("".join(f"{json.dumps(row)}\n" for row in rows))
        elif rows:
            table = Table(*(name.replace("_", " ") for name in rows[0]))
            for row in rows:
                table.add_row(*(escape(str(value)) for value in row.values()))
            Console(soft_wrap=True).print(table, highlight=False)

    async def _description(self) -> dict[str, Any]:
        name = self._args.collection
        response = await self._request.ask("DescribeCollection", "FaceCount", CollectionId=name)
        return {
            "collection": name,
            "faces": response["FaceCount"],
            "users": response.get("UserCount", 0),
            "face_model": response["FaceModelVersion"],
            "created": response["CreationTimestamp"].isoformat(timespec="seconds"),
        }

    async def _faces(self) -> AsyncIterator[Mapping[str, Any]]:
        total = (await self._description())["faces"]
        pages = self._request.pages("ListFaces", "Faces", CollectionId=self._args.collection, MaxResults=_PAGE)
        with _progress() as progress:
            task = progress.add_task("Reading faces", total=total)
            async for page in pages:
                for face in page["Faces"]:
                    yield face
                progress.advance(task, len(page["Faces"]))


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)


def _owners(face: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield whose the face is, with its FaceId: a program may have given it a person_id, a user, or neither."""
    for person_id in {face.get("ExternalImageId", ""), face.get("UserId", "")} - {""}:
        yield person_id, face["FaceId"]


def _collections(page: Mapping[str, Any]) -> list[dict[str, str]]:
    names = page["CollectionIds"]
    models = page.get("FaceModelVersions", [""] * len(names))
    return [{"collection": name, "face_model": model} for name, model in zip(names, models, strict=True)]


def _face(face: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "face_id": face["FaceId"],
        "person_id": face.get("ExternalImageId", ""),
        "user": face.get("UserId", ""),
        "confidence": round(face.get("Confidence", 0), 2),
    }


def _box(face: Mapping[str, Any]) -> dict[str, float]:
    bounds = face.get("BoundingBox", {})
    return {side.lower(): round(bounds.get(side, 0), 4) for side in ("Left", "Top", "Width", "Height")}


def _confirm(description: Mapping[str, Any]) -> None:
    if not sys.stdin.isatty():
        raise InvalidRequest("Cannot ask for confirmation without a terminal: add --yes to delete.")
    name, faces, users = description["collection"], description["faces"], description["users"]
    question = f"Faces in {name}: {faces}; users: {users}. Type its name to delete it: "
    if Console(stderr=True).input(escape(question)) != name:
        raise InvalidRequest("The names differ: nothing was deleted.")


def _report(text: str) -> None:
    Console(stderr=True, soft_wrap=True).print(text, highlight=False, markup=False)


def _read(listing: Path) -> set[str]:
    """Return the person_ids of a file of JSON lines, or of standard input for "-". Raises OSError, ValueError."""
    text = sys.stdin.read() if str(listing) == "-" else listing.read_text()
    return set(_person_ids(text))


def _person_ids(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield _person_id(line, number)


def _person_id(line: str, number: int) -> str:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as exc:
        raise ValueError(f"Line {number} of the listing is not JSON: {exc}.") from exc
    person_id = entry.get("person_id") if isinstance(entry, dict) else entry
    if not isinstance(person_id, str) or not person_id:
        raise ValueError(f'Line {number} of the listing has no person_id: write "ID" or {{"person_id": "ID"}}.')
    return person_id


def _differences(people: Mapping[str, int], listing: Collection[str]) -> list[dict[str, Any]]:
    """Return who is in only one, by person_id; `people` has the number of faces of each, "" for no person_id."""
    only_in = {person_id: "collection" for person_id in people if person_id not in listing}
    only_in |= {person_id: "listing" for person_id in listing if person_id not in people}
    return [
        {"person_id": person_id, "only_in": where, "faces": people.get(person_id, 0)}
        for person_id, where in sorted(only_in.items())
    ]

"""What the command `services.rekognition.collections` does."""

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from services.rekognition.asking import Asking
from services.rekognition.aws import errors as aws_errors
from services.rekognition.aws.account import Account
from services.rekognition.collections import reconciling
from services.rekognition.collections.showing import show
from services.rekognition.picture import MAX_BYTES
from services.runtime.errors import ImageTooLarge, InvalidRequest
from services.runtime.storage.s3 import S3Url, is_s3

_PAGE = 4096


class CollectionCommands:
    """The commands, each of which returns the exit status and raises DomainErrors."""

    def __init__(self, account: Account, asked: argparse.Namespace) -> None:
        self._asking = Asking(account.calls, time.monotonic() + asked.timeout)
        self._people = account.people
        self._asked = asked

    async def create(self) -> int:
        """An empty collection; one that is there is an error, since its faces would be taken for fresh."""
        try:
            answer = await self._asking.send("CreateCollection", CollectionId=self._asked.collection)
        except ClientError as exc:
            if aws_errors.code_of(exc) != "ResourceAlreadyExistsException":
                raise aws_errors.explain(exc) from exc
            raise InvalidRequest(f"There is a collection {self._asked.collection!r} already.") from None
        show(self._asked.output, [{"collection": self._asked.collection, "face_model": answer["FaceModelVersion"]}])
        return 0

    async def describe(self) -> int:
        """Faces, users, the version of the face model, the age."""
        show(self._asked.output, [await self._described(self._asked.collection)])
        return 0

    async def list_collections(self) -> int:
        """All of the region."""
        pages = self._asking.pages("ListCollections", "CollectionIds")
        show(self._asked.output, [row async for page in pages for row in _named(page)])
        return 0

    async def faces(self) -> int:
        """All faces, or a person's; JSON comes line by line as it is read."""
        found = (_face(one) async for one in self._faces(self._asked.collection))
        rows = (one async for one in found if self._asked.person in (None, one["person_id"], one["user"]))
        if self._asked.output == "json":
            async for row in rows:
                show("json", [row])
        else:
            show("table", [row async for row in rows])
        return 0

    async def delete(self) -> int:
        """For good, so a person is asked to type the name."""
        told = await self._described(self._asked.collection)
        if not self._asked.yes:
            _confirm(self._asked.collection, told)
        await self._asking.ask("DeleteCollection", "StatusCode", CollectionId=self._asked.collection)
        if self._people is not None:
            await asyncio.to_thread(self._people.forget_all, self._asked.collection)
        show(self._asked.output, [told])
        return 0

    async def compare(self) -> int:
        """Each face of the other picture that is alike enough, the most alike first. Costs one CompareFaces."""
        if not 0 <= self._asked.similarity <= 100:  # noqa: PLR2004 - per cent
            raise InvalidRequest(f"--similarity is {self._asked.similarity:g}; it must be 0 to 100.")
        pictures = {"SourceImage": _image(self._asked.source), "TargetImage": _image(self._asked.target)}
        how = {"SimilarityThreshold": self._asked.similarity}
        answer = await self._asking.ask("CompareFaces", "FaceMatches", **pictures, **how)
        matches = sorted(answer["FaceMatches"], key=lambda match: -match["Similarity"])
        show(self._asked.output, [{"similarity": round(one["Similarity"], 2), **_box(one["Face"])} for one in matches])
        unlike = len(answer.get("UnmatchedFaces", []))
        _tell(f"{len(matches)} faces match, {unlike} do not. It cost ${self._asking.tab.micro_usd / 1e6:g}.")
        return 0

    async def reconcile(self) -> int:
        """Who is in the collection alone, and who in the listing alone; 1 where there is anybody."""
        listed = reconciling.read(self._asked.listing)
        kept: Counter[str] = Counter()
        async for face in self._faces(self._asked.collection):
            kept[_face(face)["person_id"]] += 1
        differences = reconciling.differences(kept, listed)
        show(self._asked.output, differences)
        _tell(f"{len(kept)} people in the collection, {len(listed)} in the listing, {len(differences)} in one alone.")
        return int(bool(differences))

    async def _described(self, name: str) -> dict[str, Any]:
        told = await self._asking.ask("DescribeCollection", "FaceCount", CollectionId=name)
        return {
            "collection": name,
            "faces": told["FaceCount"],
            "users": told.get("UserCount", 0),
            "face_model": told["FaceModelVersion"],
            "created": told["CreationTimestamp"].isoformat(timespec="seconds"),
        }

    async def _faces(self, name: str) -> AsyncIterator[Mapping[str, Any]]:
        total = (await self._described(name))["faces"]
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("Reading faces", total=total)
            async for page in self._asking.pages("ListFaces", "Faces", CollectionId=name, MaxResults=_PAGE):
                for face in page["Faces"]:
                    yield face
                progress.advance(task, len(page["Faces"]))


def _named(page: Mapping[str, Any]) -> list[dict[str, str]]:
    models = page.get("FaceModelVersions", [""] * len(page["CollectionIds"]))
    return [
        {"collection": name, "face_model": model} for name, model in zip(page["CollectionIds"], models, strict=True)
    ]


def _face(face: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "face_id": face["FaceId"],
        "person_id": face.get("ExternalImageId", ""),
        "user": face.get("UserId", ""),
        "confidence": round(face.get("Confidence", 0), 2),
    }


def _box(face: Mapping[str, Any]) -> dict[str, float]:
    told = face.get("BoundingBox", {})
    return {side.lower(): round(told.get(side, 0), 4) for side in ("Left", "Top", "Width", "Height")}


def _image(named: str) -> dict[str, Any]:
    if is_s3(named):
        url = S3Url.parse(named)
        return {"S3Object": {"Bucket": url.bucket, "Name": url.key}}
    content = Path(named).read_bytes()
    if len(content) > MAX_BYTES:
        raise ImageTooLarge(f"{named} has {len(content)} bytes; Rekognition takes 5 MB, and 15 MB from S3.")
    return {"Bytes": content}


def _confirm(name: str, told: Mapping[str, Any]) -> None:
    if not sys.stdin.isatty():
        raise InvalidRequest("Nobody can be asked here: add --yes to delete.")
    question = f"{name} has {told['faces']} faces and {told['users']} users. Type its name to delete it: "
    if Console(stderr=True).input(escape(question)) != name:
        raise InvalidRequest("That is another name: nothing was deleted.")


def _tell(what: str) -> None:
    Console(stderr=True, soft_wrap=True).print(what, highlight=False, markup=False)

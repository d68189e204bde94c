"""Name one face of each actor in a library of real photos, and count who else has a name by that.

usage: PYTHONPATH=. python bench/library/actors.py ../shared/data/actors [--draws 5]

Serves the demo's SVM model, whose people are others, behind a gateway and a library, adds the photos of faces.tsv and
the unlabelled ones, and names a face of each actor, which is drawn; then undoes it, and draws again. Whom a face shows
is known of those that faces.tsv has a box of. Prints Markdown rows: of those that were not drawn, how many are named by
the assign band and how many of the names are right, with the suggestions the same, and how many others have a name.
"""

import argparse
import asyncio
import csv
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import grpc
import numpy as np

from marquee.library.v1 import library_pb2, people_pb2
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.library.v1.people_pb2_grpc import PeopleServiceStub
from marquee.v1 import recognizer_pb2
from services.runtime.boxes import Corners
from tests.support.library import ended, library_server, measured_database, rows
from tests.support.library_grouping import looked
from tests.support.servers import LeafProcess, gateway

MODEL = "models/svm/demo.skops"
SAME = 0.3
"""Least IoU of a face with its label."""
SHOWN = "SELECT face_id::text, display_name FROM face WHERE display_name <> '' AND current"
SUGGESTED = """
SELECT DISTINCT ON (face_id) face_id::text, display_name
FROM opinion JOIN person USING (person_id) WHERE delete_time IS NULL AND opinion.source = 'neighbours'
ORDER BY face_id, band, opinion.score DESC
"""
COLUMNS = ("draw", "faces", "named", "right", "precision", "recall", "with suggestions: precision", "recall", "others")


class Served(NamedTuple):
    """A library."""

    url: str
    library: LibraryServiceStub
    people: PeopleServiceStub


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--draws", type=int, default=5)
    args = parser.parse_args()
    with measured_database() as (folder, url):
        asyncio.run(measure(folder, url, args.data, args.draws))


async def measure(folder: Path, url: str, data: Path, draws: int) -> None:
    """Serve the library, and measure."""
    svm = LeafProcess(Path(tempfile.mkdtemp(dir=folder)), module="services.svm", MARQUEE_SVM_MODEL=MODEL)
    try:
        await svm.serving()
        async with (
            gateway({"svm": svm.address}) as target,
            library_server(url, folder / "store", target) as address,
            grpc.aio.insecure_channel(address) as channel,
        ):
            served = Served(url, LibraryServiceStub(channel), PeopleServiceStub(channel))
            labels = await add_all(served, data)
            await report(served, labels, draws)
    finally:
        svm.close()


async def add_all(served: Served, data: Path) -> dict[str, str]:
    """Add the photos, and return whom the labelled faces show."""
    with (data / "faces.tsv").open() as lines:
        labels = list(csv.DictReader(lines, delimiter="\t"))
    photos = sorted({data / row["raw"] for row in labels} | set((data / "unlabelled").iterdir()))
    added = {}
    for path in photos:
        image = recognizer_pb2.Image(content=path.read_bytes())
        try:
            response = await served.library.AddImage(library_pb2.AddImageRequest(image=image))
        except grpc.aio.AioRpcError as exc:
            print(f"{path.name}: {exc.details()}")
            continue
        added[path] = response.picture.picture_id
    shown = {path: await ended(served.library, picture_id) for path, picture_id in added.items()}
    await looked(served.url)
    found = {}
    for row in labels:
        if (face := face_at(shown.get(data / row["raw"]), row)) is not None:
            found[face.face_id] = row["actor"]
    total = sum(len(one.faces) for one in shown.values())
    print(f"{len(shown)} photos with {total} faces; of {len(labels)} labelled faces {len(found)} were found.\n")
    return found


def face_at(picture: library_pb2.Picture | None, row: Mapping[str, str]) -> library_pb2.PictureFace | None:
    """Return the face that a row of faces.tsv is about."""
    if picture is None or not picture.width:
        return None
    left, top, width, height = (int(row[key]) for key in ("x", "y", "w", "h"))
    box = recognizer_pb2.BoundingBox(
        left=left / picture.width,
        top=top / picture.height,
        width=width / picture.width,
        height=height / picture.height,
    )
    fits = [(Corners.of(face.verdict.box).iou(Corners.of(box)), face) for face in picture.faces]
    best, face = max(fits, key=lambda one: one[0], default=(0.0, None))
    return face if best >= SAME else None


async def report(served: Served, labels: Mapping[str, str], draws: int) -> None:
    """Print a row for each draw."""
    print(f"| {' | '.join(COLUMNS)} |", f"|{'---:|' * len(COLUMNS)}", sep="\n")
    for draw in range(draws):
        chosen = drawn(labels, np.random.default_rng(draw))
        for face_id in chosen:
            request = people_pb2.CreatePersonRequest(display_name=labels[face_id], face_ids=[face_id])
            await served.people.CreatePerson(request)
        await looked(served.url)
        named = dict(await rows(served.url, SHOWN))
        suggested = dict(await rows(served.url, SUGGESTED)) | named
        rest = {face_id: actor for face_id, actor in labels.items() if face_id not in chosen}
        others = sum(face_id not in labels for face_id in named)
        right = sum(named.get(face_id) == actor for face_id, actor in rest.items())
        total = sum(face_id in named for face_id in rest)
        numbers = f"{len(rest)} | {total} | {right} | {' | '.join(shares(rest, named))}"
        print(f"| {draw} | {numbers} | {' | '.join(shares(rest, suggested))} | {others} |", flush=True)
        for one in (await served.people.SearchPeople(people_pb2.SearchPeopleRequest())).people:
            await served.people.DeletePerson(people_pb2.DeletePersonRequest(person_id=one.person_id))
        await looked(served.url)


def drawn(labels: Mapping[str, str], choice: np.random.Generator) -> list[str]:
    """Return a face of each actor."""
    return [
        str(choice.choice(sorted(face_id for face_id, actor in labels.items() if actor == one)))
        for one in sorted(set(labels.values()))
    ]


def shares(rest: Mapping[str, str], told: Mapping[object, object]) -> Iterable[str]:
    """Return precision and recall."""
    counts = Counter(told[face_id] == actor for face_id, actor in rest.items() if face_id in told)
    precision = f"{counts[True] / counts.total():.1%}" if counts else "none"
    return precision, f"{counts[True] / len(rest):.1%}"


if __name__ == "__main__":
    main()

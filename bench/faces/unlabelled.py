"""Count the faces found in photos whose faces were boxed by eye before any detector saw them.

usage: PYTHONPATH=. python bench/faces/unlabelled.py ../shared/data/actors [BEFORE]

BEFORE is another checkout to measure beside this one. Prints Markdown tables; takes a minute or two.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from finder import SMALLEST_FACE, Finder

from bench.svm_actors import pixels_of
from services.runtime.boxes import iou
from services.runtime.images.faces import Face

KINDS = ("photo", "hard", "drawn")
_LEAST_IOU = 0.3
"""Boxes drawn by eye are off by a tenth of a side, and detectors draw different parts of a head."""


@dataclass(frozen=True)
class BoxedFace:
    """A face boxed by eye, in fractions of its picture."""

    left: float
    top: float
    width: float
    height: float
    kind: str
    """photo, hard (nearly hidden, from behind, or too blurred), or drawn (also figures and dolls)."""


def boxed_faces() -> dict[str, list[BoxedFace]]:
    """Return the faces by their picture's name."""
    faces = defaultdict(list)
    with Path(__file__).with_name("unlabelled.tsv").open() as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            sides = (float(row[key]) for key in ("left", "top", "width", "height"))
            faces[row["picture"]].append(BoxedFace(*sides, row["kind"]))
    return faces


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("actors", type=Path)
    parser.add_argument("before", type=Path, nargs="?")
    args = parser.parse_args()
    print(f"| checkout | {' | '.join(f'{kind} faces' for kind in KINDS)} | boxes on no face |\n|---|---|---|---|---|")
    for checkout in (args.before, Path()) if args.before else (Path(),):
        with Finder(checkout) as finder:
            print_row(checkout.resolve().name, finder, args.actors / "unlabelled")


def print_row(name: str, finder: Finder, folder: Path) -> None:
    """Print how many faces of at least 2 % were found, by kind, and list those missed and the boxes on no face."""
    found, total = dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0)
    missed, extra = [], []
    for picture, faces in boxed_faces().items():
        pixels = pixels_of(folder / picture)
        height, width = pixels.shape[:2]
        boxes = [Face(*map(round, box)) for box in finder.find(pixels).boxes]
        drawn = [(face, in_pixels(face, width, height)) for face in faces]
        for face, box in drawn:
            if max(box.width, box.height) >= SMALLEST_FACE * max(width, height):
                hit = is_on(box, boxes)
                total[face.kind] += 1
                found[face.kind] += hit
                missed += [f"{picture} {face}"] if face.kind == "photo" and not hit else []
        extra += [f"{picture} {box}" for box in boxes if not is_on(box, [one for _, one in drawn])]
    print(f"| {name} | {' | '.join(f'{found[kind]} of {total[kind]}' for kind in KINDS)} | {len(extra)} |")
    for line in (*(f"missed: {one}" for one in missed), *(f"no face: {one}" for one in extra)):
        print(f"  {line}")


def in_pixels(face: BoxedFace, width: int, height: int) -> Face:
    """Return the box in pixels."""
    sides = (face.left * width, face.top * height, face.width * width, face.height * height)
    return Face(*map(round, sides))


def is_on(box: Face, others: Iterable[Face]) -> bool:
    """Return whether one of the boxes is around the same face."""
    return any(iou(box, other) >= _LEAST_IOU for other in others)


if __name__ == "__main__":
    main()

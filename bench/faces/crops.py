"""Count the faces found in 1,000 pictures that show none: parts of photos, and of scenes.

usage: PYTHONPATH=. python bench/faces/crops.py ../shared/data/actors [BEFORE] [--sheet FILE.png]

A part of a photo may touch no labelled face, no face boxed by eye, and nothing that dlib's HOG detector takes for one.
A face that all of them miss may still be there, so look at the hits: --sheet draws each. BEFORE is another checkout to
measure beside this one. Prints Markdown rows; takes about ten minutes.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import dlib
import numpy as np
from finder import Box, Finder, Pixels
from sklearn.datasets import load_sample_images
from unlabelled import boxed_faces, in_pixels

from bench.svm_actors import labelled_faces, pixels_of
from local.pictures import SCENES, scene
from services.runtime.boxes import intersection
from services.runtime.images.faces import Face, at_most, grey

PARTS = {"photos": 600, "scenes": 400}
LEAST = 64
"""Shortest side of a part, in pixels; the longest is half of its picture's longer side."""
_TRIES = 20
_CELL = 240


@dataclass(frozen=True)
class Hit:
    """A face found in a part of a picture."""

    name: str
    pixels: Pixels
    box: Box
    turned: bool


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("actors", type=Path)
    parser.add_argument("before", type=Path, nargs="?")
    parser.add_argument("--sheet", type=Path)
    args = parser.parse_args()
    pictures = {"photos": list(photos(args.actors)), "scenes": [(name, pixels, []) for name, pixels in scenes()]}
    crops = [crop for kind, count in PARTS.items() for crop in parts(pictures[kind], count)]
    print(f"| checkout | faces in {len(crops)} parts, turning off | turning on |\n|---|---|---|")
    for checkout in (args.before, Path()) if args.before else (Path(),):
        with Finder(checkout) as finder:
            hits = [hit for name, pixels in crops for hit in find(finder, name, pixels)]
        upright = sum(not hit.turned for hit in hits)
        print(f"| {checkout.resolve().name} | {upright} | {len(hits)} |", flush=True)
    for number, hit in enumerate(hits):
        print(f"  {number}: {hit.name} {hit.pixels.shape[1]}x{hit.pixels.shape[0]} {hit.box} turned: {hit.turned}")
    if args.sheet and hits:
        cv2.imwrite(str(args.sheet), sheet(hits)[:, :, ::-1])


def photos(actors: Path) -> Iterator[tuple[str, Pixels, list[Face]]]:
    """Yield each photo's name, pixels and known faces."""
    labelled, boxed, hog = labelled_faces(actors), boxed_faces(), dlib.get_frontal_face_detector()
    for path in sorted({face.photo for face in labelled} | {actors / "unlabelled" / name for name in boxed}):
        pixels = at_most(pixels_of(path), 1200)
        height, width = pixels.shape[:2]
        scale = width / pixels_of(path).shape[1]
        known = [face.box.scaled(scale, scale) for face in labelled if face.photo == path]
        known += [in_pixels(face, width, height) for face in boxed.get(path.name, [])]
        known += [Face(one.left(), one.top(), one.width(), one.height()) for one in hog(grey(pixels), 1)]
        yield path.name, pixels, known


def scenes() -> Iterator[tuple[str, Pixels]]:
    """Yield name and pixels of pictures that show nobody."""
    yield from ((name, np.asarray(scene(name))) for name in SCENES)
    samples = load_sample_images()
    yield from zip(samples.filenames, samples.images, strict=True)


def parts(pictures: list[tuple[str, Pixels, list[Face]]], count: int) -> Iterator[tuple[str, Pixels]]:
    """Yield so many random parts that touch no known face, from all pictures in turn."""
    random, found = np.random.default_rng(0), 0
    while found < count:
        for name, pixels, known in pictures:
            for _ in range(_TRIES):
                part = random_part(random, pixels)
                if found < count and not any(intersection(part, face.widened(0)) for face in known):
                    found += 1
                    yield name, part.crop(pixels)
                    break


def random_part(random: np.random.Generator, pixels: Pixels) -> Face:
    """Return a random rectangle within the picture."""
    most = max(LEAST, max(pixels.shape[:2]) // 2)
    height, width = (min(side, int(random.integers(LEAST, most + 1))) for side in pixels.shape[:2])
    left, top = (int(random.integers(0, pixels.shape[axis] - side + 1)) for axis, side in ((1, width), (0, height)))
    return Face(left, top, width, height)


def find(finder: Finder, name: str, pixels: Pixels) -> list[Hit]:
    """Return what is found in the part of a picture as it is, or else when it is turned."""
    boxes = finder.find(pixels, turn=False).boxes
    if boxes:
        return [Hit(name, pixels, box, turned=False) for box in boxes]
    return [Hit(name, pixels, box, turned=True) for box in finder.find(pixels).boxes]


def sheet(hits: list[Hit]) -> Pixels:
    """Return a picture of all hits, ten a row. The box of a hit in a turned part is where it is in the turned one."""
    cells = [cell(hit) for hit in hits]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % 10)
    return np.vstack([np.hstack(cells[row : row + 10]) for row in range(0, len(cells), 10)])


def cell(hit: Hit) -> Pixels:
    """Return the part with the box in it, padded to a square."""
    pixels = hit.pixels.copy()
    if not hit.turned:
        left, top, width, height = (round(value) for value in hit.box)
        cv2.rectangle(pixels, (left, top), (left + width, top + height), (255, 0, 0), 1)
    scale = _CELL / max(pixels.shape[:2])
    small = cv2.resize(pixels, None, fx=scale, fy=scale)[:_CELL, :_CELL]
    square = np.zeros((_CELL, _CELL, 3), np.uint8)
    square[: small.shape[0], : small.shape[1]] = small
    return square


if __name__ == "__main__":
    main()

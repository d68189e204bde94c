"""Count the labelled faces found in photos that are shrunk and pasted on larger canvases.

usage: PYTHONPATH=. python bench/faces/canvases.py ../shared/data/actors [BEFORE] [--smallest-face 0.006 --faces 24 ...]

BEFORE is another checkout to measure beside this one. Each of the 110 photos is scaled so that the longer side of its
labelled face has as many pixels as the row says, and what is within a face's width of that face is pasted at a random
place of a canvas of 4:3: grey for every third photo, noise or a scene for the others. Left out are faces below the
smallest face asked for. Prints Markdown rows; takes about three minutes for each checkout.
"""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from finder import SMALLEST_FACE, Finder, Pixels

from bench.svm_actors import LabelledFace, labelled_faces, pixels_of
from local.pictures import SCENES, scene
from services.runtime.boxes import share_of_smaller
from services.runtime.images.faces import Face, resized

FACES = (24, 32, 48, 96)
CANVASES = (640, 800, 1200, 1600, 2400, 4000)
BACKGROUNDS = ("grey", "noise", "scene")
_SAME = 0.5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("actors", type=Path)
    parser.add_argument("before", type=Path, nargs="?")
    parser.add_argument("--smallest-face", type=float, default=SMALLEST_FACE)
    parser.add_argument("--faces", type=int, nargs="+", default=FACES)
    parser.add_argument("--canvases", type=int, nargs="+", default=CANVASES)
    args = parser.parse_args()
    labelled = labelled_faces(args.actors)
    with ExitStack() as stack:
        checkouts = (args.before, Path()) if args.before else (Path(),)
        finders = {path.resolve().name: stack.enter_context(Finder(path)) for path in checkouts}
        print(f"| face | canvas | share | {' | '.join(finders)} |\n|{'---|' * (3 + len(finders))}")
        for side, width in pairs(args.faces, args.canvases, args.smallest_face):
            hits = count(labelled, side, width, list(finders.values()), args.smallest_face)
            cells = [f"{number} of {len(labelled)}" for number in hits]
            print(f"| {side} px | {width} px | {side / width:.1%} | {' | '.join(cells)} |", flush=True)


def pairs(faces: list[int], canvases: list[int], smallest_face: float) -> Iterator[tuple[int, int]]:
    """Yield the sizes of face and canvas that belong together: faces of at least `smallest_face`."""
    return ((face, canvas) for face in faces for canvas in canvases if face >= smallest_face * canvas)


def count(
    labelled: list[LabelledFace], side: int, width: int, finders: list[Finder], smallest_face: float
) -> list[int]:
    """Return how many of the labelled faces each finder finds."""
    hits = [0] * len(finders)
    for number, face in enumerate(labelled):
        picture, box = pasted(face, side, canvas(width, number), number)
        for index, finder in enumerate(finders):
            boxes = (Face(*map(round, one)) for one in finder.find(picture, smallest_face).boxes)
            hits[index] += any(share_of_smaller(box, one) > _SAME for one in boxes)
    return hits


def canvas(width: int, number: int) -> Pixels:
    """Return a background of this width, 4:3, for the photo of this number."""
    height, background = width * 3 // 4, BACKGROUNDS[number % len(BACKGROUNDS)]
    if background == "noise":
        return np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if background == "scene":
        pixels = np.asarray(scene(SCENES[number % len(SCENES)]))
        scale = max(width / pixels.shape[1], height / pixels.shape[0])
        return resized(pixels, scale * 1.01)[:height, :width].copy()
    return np.full((height, width, 3), 128, np.uint8)


def pasted(face: LabelledFace, side: int, background: Pixels, seed: int) -> tuple[Pixels, Face]:
    """Return the background with the face and its surroundings at a random place, and the face's box there."""
    pixels, box = pixels_of(face.photo), face.box
    around = box.widened(max(box.width, box.height))
    left, top = max(0, around.left), max(0, around.top)
    scale = side / max(box.width, box.height)
    small = resized(around.crop(pixels), scale)
    random = np.random.default_rng(seed)
    x, y = (int(random.integers(0, background.shape[axis] - small.shape[axis] + 1)) for axis in (1, 0))
    background[y : y + small.shape[0], x : x + small.shape[1]] = small
    return background, box.moved(-left, -top).scaled(scale, scale).moved(x, y)


if __name__ == "__main__":
    main()

"""Measure how good a picture must be to enroll or name a person, and how far a face may be from an enrolled one.

usage: PYTHONPATH=. python bench/svm_portraits.py ../shared/data/actors

Each face is shrunk, blurred and made noisy, found again with YuNet, measured and embedded. Prints Markdown tables.
Takes about three minutes.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from svm_actors import LabelledFace, labelled_faces, pixels_of

from services.runtime.boxes import iou
from services.runtime.errors import UnfitFace
from services.runtime.images.detector import FaceDetector
from services.runtime.images.faces import Detection, Face
from services.runtime.images.image import Pixels
from services.svm.faces import gate, quality
from services.svm.faces.finder import FaceFinder
from services.svm.recipes.embedding import Embedding

WIDTHS = (20, 28, 36, 48, 64, 80)
BLURS = (0.01, 0.015, 0.02, 0.03, 0.04)
"""Standard deviations of a Gaussian blur, in widths of the face."""
NOISES = (10, 20, 30, 40, 60)
"""Standard deviations of Gaussian noise in each colour of each pixel, of 255; faces are 240 pixels wide at most."""
DISTANCES = (0.45, 0.5, 0.55, 0.6)
NAMED = 0.55
"""Distance within which an enrolled person's name is given."""
PICTURES = (1, 2, 3, 5)
_DRAWS = 30
_MOST = 240
_SEEN = 0.3
Numbers = npt.NDArray[np.float64]
Spoil = Callable[[Pixels, Face], Pixels]


@dataclass(frozen=True)
class Look:
    """A labelled face as it is seen in a spoiled picture."""

    number: int
    is_fit: bool
    sharpness: float
    vector: Numbers


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    faces = labelled_faces(parser.parse_args().folder)
    looks = dict(all_looks(faces))
    print_looks(looks)
    print_strangers(faces, looks)
    vectors = np.array([look.vector for look in looks["as it is"]])
    print_galleries(np.array([face.actor for face in faces]), vectors)


def all_looks(faces: list[LabelledFace]) -> Iterator[tuple[str, list[Look]]]:
    """Yield each way to spoil pictures, and the faces that are seen then."""
    finder, embedding = FaceFinder(FaceDetector(0.1, turn=False)), Embedding()
    parts = [part_of(face) for face in faces]
    for name, spoil in spoils():
        seen = (look_at(number, spoil(*part), part, finder, embedding) for number, part in enumerate(parts))
        yield name, [look for look in seen if look]


def part_of(face: LabelledFace) -> tuple[Pixels, Face]:
    """Return the photo around the face, three faces wide, and the face in it."""
    pixels, around = pixels_of(face.photo), face.box.widened(face.box.width)
    part = np.ascontiguousarray(around.crop(pixels))
    box = face.box.moved(-max(0, around.left), -max(0, around.top))
    return shrink(part, box, _MOST) if box.width > _MOST else (part, box)


def spoils() -> Iterator[tuple[str, Spoil]]:
    """Yield ways to spoil a picture by name."""
    random = np.random.default_rng(0)

    def blur(pixels: Pixels, box: Face, amount: float) -> Pixels:
        return np.asarray(cv2.GaussianBlur(pixels, (0, 0), box.width * amount), np.uint8)

    def noise(pixels: Pixels, amount: float) -> Pixels:
        return np.clip(pixels + random.normal(0, amount, pixels.shape), 0, 255).astype(np.uint8)

    yield "as it is", lambda pixels, _: pixels
    for width in WIDTHS:
        yield f"{width} pixels wide", lambda pixels, box, width=width: shrink(pixels, box, min(width, box.width))[0]
    for amount in BLURS:
        yield f"blur {amount}", lambda pixels, box, amount=amount: blur(pixels, box, amount)
    for amount in NOISES:
        yield f"noise {amount}", lambda pixels, _, amount=amount: noise(pixels, amount)
    yield "64 pixels wide, noise 20", lambda pixels, box: noise(shrink(pixels, box, min(64, box.width))[0], 20)
    yield "blur 0.03, noise 20", lambda pixels, box: noise(blur(pixels, box, 0.03), 20)


def shrink(pixels: Pixels, box: Face, width: int) -> tuple[Pixels, Face]:
    """Return the photo and the box, shrunk until the face has this width."""
    scale = width / box.width
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return small, Face(round(box.left * scale), round(box.top * scale), width, round(box.height * scale))


def look_at(
    number: int, pixels: Pixels, part: tuple[Pixels, Face], finder: FaceFinder, embedding: Embedding
) -> Look | None:
    """Return what is seen of the face in its spoiled part of the photo; None if it is not found."""
    scale = pixels.shape[1] / part[0].shape[1]
    box, detection = part[1].scaled(scale, scale), finder.find(pixels)
    face = max(detection.faces, key=lambda one: iou(one.framed("haar"), box), default=None)
    if face is None or iou(face.framed("haar"), box) < _SEEN:
        return None
    vector = embedding.views(detection.pixels, face)[0]
    return Look(number, is_fit(detection, face), quality.measure(detection, face).sharpness, vector)


def is_fit(detection: Detection, face: Face) -> bool:
    """Return whether the face may be named."""
    try:
        gate.check_face(face, quality.measure(detection, face))
    except UnfitFace:
        return False
    return True


def print_looks(looks: dict[str, list[Look]]) -> None:
    """Print how far each way to spoil a picture moves embeddings, and which sharpness the service measures."""
    print("| face | found | sharpness: least | median | moved: median | 95 % | most | fit to be named |")
    print("|---|---|---|---|---|---|---|---|")
    clean = {look.number: look.vector for look in looks["as it is"]}
    for name, seen in looks.items():
        least, middle = np.percentile([look.sharpness for look in seen], [0, 50])
        moved = [float(np.linalg.norm(look.vector - clean[look.number])) for look in seen]
        fit = sum(look.is_fit for look in seen)
        print(f"| {name} | {len(seen)} | {least:.2f} | {middle:.2f} | {summary(moved)} | {fit} |")


def print_strangers(faces: list[LabelledFace], looks: dict[str, list[Look]]) -> None:
    """Print how many faces come near enough to an enrolled one of their own person or of somebody else, by the gate.

    Enrolled are the pictures as they are, but for those of a face's own group.
    """
    print(
        f"\n| within {NAMED} of somebody enrolled | strangers: without the gate | with it | known: without | with it |"
    )
    print("|---|---|---|---|---|")
    actors, groups = np.array([face.actor for face in faces]), np.array([face.group for face in faces])
    clean = np.array([look.vector for look in looks["as it is"]])
    for name, seen in looks.items():
        counts = np.zeros(4, int)
        for look in seen:
            near = np.linalg.norm(clean - look.vector, axis=1) <= NAMED
            own = actors == actors[look.number]
            strange, known = (near & ~own).any(), (near & own & (groups != groups[look.number])).any()
            counts += (strange, strange and look.is_fit, known, known and look.is_fit)
        print(f"| {name} | " + " | ".join(map(str, counts)) + " |")


def print_galleries(actors: npt.NDArray[np.str_], vectors: Numbers) -> None:
    """Print how many faces that are not enrolled come near enough to those of their own and of other people."""
    print("\n| pictures a person | " + " | ".join(f"own, others within {one}" for one in DISTANCES) + " |")
    print("|---|" + "---|" * len(DISTANCES))
    apart = np.linalg.norm(vectors[:, np.newaxis] - vectors, axis=2)
    for count in PICTURES:
        own, others = draw_distances(actors, apart, count)
        cells = (f"{np.mean(own <= one):.1%}, {np.mean(others <= one):.1%}" for one in DISTANCES)
        print(f"| {count} | " + " | ".join(cells) + " |")


def draw_distances(actors: npt.NDArray[np.str_], apart: Numbers, count: int) -> tuple[Numbers, Numbers]:
    """Enroll `count` random faces a person, thirty times; return the other faces' distances to own and other people."""
    random = np.random.default_rng(0)
    own, others = [], []
    for _ in range(_DRAWS):
        enrolled = {name: random.choice(np.flatnonzero(actors == name), count, replace=False) for name in set(actors)}
        left = np.setdiff1d(np.arange(len(actors)), np.concatenate(list(enrolled.values())))
        for name, chosen in sorted(enrolled.items()):
            nearest = apart[left][:, chosen].min(axis=1)
            own.append(nearest[actors[left] == name])
            others.append(nearest[actors[left] != name])
    return np.concatenate(own), np.concatenate(others)


def summary(distances: list[float]) -> str:
    """Return the median, the 95th percentile and the maximum, as table cells."""
    return " | ".join(f"{value:.2f}" for value in np.percentile(distances, [50, 95, 100]))


if __name__ == "__main__":
    main()

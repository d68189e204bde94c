"""Measure how good a picture must be to enroll a person, and how far a face may be from an enrolled one.

usage: PYTHONPATH=. python bench/svm_portraits.py ../shared/data/actors

Prints Markdown tables. Takes about a minute.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from svm_actors import LabelledFace, labelled_faces, pixels_of

from services.runtime.images.faces import Face
from services.runtime.images.image import Pixels
from services.svm.faces.quality import quality
from services.svm.recipes.embedding import Embedding

WIDTHS = (20, 28, 36, 48, 64, 80)
BLURS = (0.01, 0.015, 0.02, 0.03, 0.04)
"""Standard deviations of a Gaussian blur, in widths of the face."""
DISTANCES = (0.45, 0.5, 0.55, 0.6)
PICTURES = (1, 2, 3, 5)
_DRAWS = 30
Numbers = npt.NDArray[np.float64]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    faces = labelled_faces(parser.parse_args().folder)
    embedding = Embedding()
    vectors = np.array([embedding.views(pixels_of(face.photo), face.box)[0] for face in faces])
    print_sizes(faces, embedding, vectors)
    print_blurs(faces, embedding, vectors)
    print_galleries(np.array([face.actor for face in faces]), vectors)


def print_sizes(faces: list[LabelledFace], embedding: Embedding, vectors: Numbers) -> None:
    """Print how far shrinking a face moves its embedding."""
    print("| face's width in pixels | faces | moved: median | 95 % | most |\n|---|---|---|---|---|")
    for width in WIDTHS:
        distances = [
            np.linalg.norm(embedding.views(*shrink(pixels_of(face.photo), face.box, width))[0] - vector)
            for face, vector in zip(faces, vectors, strict=True)
            if face.box.width > width
        ]
        print(f"| {width} | {len(distances)} | {summary(distances)} |")


def shrink(pixels: Pixels, box: Face, width: int) -> tuple[Pixels, Face]:
    """Return the photo and the box, shrunk until the face has this width."""
    scale = width / box.width
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return small, Face(round(box.left * scale), round(box.top * scale), width, round(box.height * scale))


def print_blurs(faces: list[LabelledFace], embedding: Embedding, vectors: Numbers) -> None:
    """Print how far blurring a face moves its embedding, and which sharpness the service measures."""
    print("\n| blur in widths of the face | sharpness: 5 % | median | moved: median | 95 % | most |")
    print("|---|---|---|---|---|---|")
    for blur in (0.0, *BLURS):
        sharp, distances = [], []
        for face, vector in zip(faces, vectors, strict=True):
            pixels = pixels_of(face.photo)
            soft = np.asarray(cv2.GaussianBlur(pixels, (0, 0), face.box.width * blur), np.uint8) if blur else pixels
            sharp.append(quality(face.box.crop(soft)).sharpness)
            distances.append(np.linalg.norm(embedding.views(soft, face.box)[0] - vector))
        least, middle = np.percentile(sharp, [5, 50])
        print(f"| {blur} | {least:.2f} | {middle:.2f} | {summary(distances)} |")


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

"""Measure how far faces are from those of the person with their name: what NAME_TAKEN refuses, at which distance.

usage: PYTHONPATH=. python bench/svm_names.py DIR

DIR has faces.tsv, as bench/svm_actors.py reads it. Faces are found in the photos and embedded as enrollment does it.
Prints Markdown rows: of faces that are compared with 1, 2, 3 and 5 others of their person, in other groups, the shares
that a threshold refuses; and of other people's faces, likewise. Takes about a minute.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.svm_actors import LabelledFace, labelled_faces, pixels_of
from services.runtime.boxes import iou
from services.svm.faces.finder import FaceFinder
from services.svm.networks.dlib_resnet import DlibResNet
from services.svm.recipes.recipe import recipe_of

ENROLLED = (1, 2, 3, 5)
THRESHOLDS = (0.55, 0.6, 0.65, 0.7)
DRAWS = 200
SAME = 0.3
"""IoU of a face that is found and the labelled one, from which they are the same."""
Numbers = npt.NDArray[np.float64]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    faces, vectors = embedded(labelled_faces(parser.parse_args().folder))
    owners, groups = (
        np.unique(one, return_inverse=True)[1]
        for one in zip(*((face.actor, face.group) for face in faces), strict=True)
    )
    apart = distances(vectors)
    random = np.random.default_rng(0)
    print(f"| enrolled | faces | median | 95 % | most | {' | '.join(f'over {one}' for one in THRESHOLDS)} |")
    print("|---" * (5 + len(THRESHOLDS)) + "|")
    for count in ENROLLED:
        right = np.concatenate(list(nearest(apart, owners, groups, count, random)))
        wrong = np.concatenate(list(strangers(apart, owners, count, random)))
        print(row(count, "the person's", right))
        print(row(count, "others'", wrong))


def embedded(labelled: list[LabelledFace]) -> tuple[list[LabelledFace], Numbers]:
    """Return the faces that are found in their photos, and their vectors [faces, length]."""
    finder, recipe, found, vectors = FaceFinder(), recipe_of("embedding", DlibResNet()), [], []
    for one in labelled:
        detection = finder.find(pixels_of(one.photo))
        own = [face for face in detection.faces if iou(face.framed("haar"), one.box) > SAME]
        for face in own[:1]:
            found.append(one)
            vectors.append(recipe.views(detection.pixels, face).mean(axis=0))
    return found, np.array(vectors)


def distances(vectors: Numbers) -> Numbers:
    """Return [faces, faces]."""
    return np.asarray(np.linalg.norm(vectors[:, np.newaxis] - vectors, axis=2))


def nearest(
    apart: Numbers,
    owners: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    count: int,
    random: np.random.Generator,
) -> Iterator[Numbers]:
    """Yield for each face its distances to the nearest of so many others of its person, in other groups."""
    for face in range(len(apart)):
        own = np.flatnonzero((owners == owners[face]) & (groups != groups[face]))
        yield drawn(apart[face, own], count, random)


def strangers(
    apart: Numbers, owners: npt.NDArray[np.int64], count: int, random: np.random.Generator
) -> Iterator[Numbers]:
    """Yield for each face and each other person its distances to the nearest of so many of that person's."""
    for face in range(len(apart)):
        for person in set(owners.tolist()) - {owners[face]}:
            yield drawn(apart[face, owners == person], count, random)


def drawn(own: Numbers, count: int, random: np.random.Generator) -> Numbers:
    """Return the smallest of `count` of the distances, drawn again and again."""
    return np.array([random.choice(own, count, replace=False).min() for _ in range(DRAWS)])


def row(count: int, whose: str, measured: Numbers) -> str:
    """Return a row of the table."""
    shares = " | ".join(f"{(measured > threshold).mean():.1%}" for threshold in THRESHOLDS)
    middle, high = np.quantile(measured, (0.5, 0.95))
    return f"| {count} | {whose} | {middle:.2f} | {high:.2f} | {measured.max():.2f} | {shares} |"


if __name__ == "__main__":
    main()

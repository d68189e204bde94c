"""Measure how well the endpoint's similarities separate people.

usage: PYTHONPATH=. python bench/rekognition/search_similarity.py FACES

FACES holds faces.tsv as bench/svm_actors.py reads it. Faces are found and embedded as the endpoint does it; pairs of
near-duplicates (of one group) are left out.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

from local.rekognition.vision.similarity import similarity
from local.rekognition.vision.view import Embedding, Vision
from services.runtime.boxes import iou
from services.runtime.images.faces import Face
from services.runtime.images.image import Image


def main() -> None:
    """Compute the similarity of every pair and report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("faces", type=Path)
    folder = parser.parse_args().faces
    with (folder / "faces.tsv").open() as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    vision = Vision()
    embeddings = np.array([embedding_of(folder, row, vision) for row in rows])
    one, other = np.triu_indices(len(rows), 1)
    distances = np.linalg.norm(embeddings[one] - embeddings[other], axis=1)
    alike = np.array([similarity(float(distance)) for distance in distances])
    actors, groups = (np.array([row[key] for row in rows]) for key in ("actor", "group"))
    same, duplicate = actors[one] == actors[other], groups[one] == groups[other]
    report(alike[same & ~duplicate], alike[~same])


def embedding_of(folder: Path, row: dict[str, str], vision: Vision) -> Embedding:
    """Return the embedding, [128], of the face that covers most of the labelled place."""
    view = vision.view(Image((folder / row["raw"]).read_bytes()).upright())
    labelled = Face(*(round(int(row[key]) / view.scale) for key in ("x", "y", "w", "h")))
    return view.embedding(max(range(len(view.faces)), key=lambda index: iou(view.faces[index], labelled)))


def report(one_person: np.ndarray, two_people: np.ndarray) -> None:
    """Print, for each threshold, the share of pairs of one person and of two people that reach it."""
    print(f"{len(one_person)} pairs of one person, {len(two_people)} of two")
    for least in (50, 80, 90, 95, 99):
        kept, mistaken = (one_person >= least).mean(), (two_people >= least).mean()
        print(f"similarity {least} and more: one person {kept:.1%}, two people {mistaken:.2%}")


if __name__ == "__main__":
    main()

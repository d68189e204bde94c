"""The labelled faces that the svm_* benchmarks measure: DIR/faces.tsv and the pictures that it names."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.runtime.images.faces import Face
from services.runtime.images.image import Image, Pixels
from services.svm.recipes.recipe import RECIPES
from services.svm.train.dataset import TrainingSet
from services.svm.train.pictures import person_of


@dataclass(frozen=True)
class LabelledFace:
    """One face: its actor and group, its crop, and its box in the photo that the crop comes from."""

    actor: str
    group: str
    crop: Path
    photo: Path
    box: Face


def labelled_faces(folder: Path) -> list[LabelledFace]:
    """Return a face for each row of faces.tsv."""
    with (folder / "faces.tsv").open() as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    return [
        LabelledFace(
            row["actor"],
            row["group"],
            folder / row["crop"],
            folder / row["raw"],
            Face(*(int(row[key]) for key in ("x", "y", "w", "h"))),
        )
        for row in rows
    ]


def pixels_of(path: Path) -> Pixels:
    """Return the decoded picture."""
    return Image(path.read_bytes()).upright()


def whole(pixels: Pixels) -> Face:
    """Return a box around the whole crop."""
    return Face(0, 0, pixels.shape[1], pixels.shape[0])


def training_set_of(faces: list[LabelledFace], name: str) -> TrainingSet:
    """Return the recipe's features of the published crops, with the published groups."""
    recipe = RECIPES[name]()
    crops = [pixels_of(face.crop) for face in faces]
    actors = sorted({face.actor for face in faces})
    return TrainingSet(
        recipe=name,
        features=np.array([recipe.training_views(crop, whole(crop)) for crop in crops]),
        owners=np.array([actors.index(face.actor) for face in faces]),
        groups=np.unique([face.group for face in faces], return_inverse=True)[1],
        people=tuple(person_of(actor) for actor in actors),
    )

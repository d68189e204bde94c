"""The measured faces: reads DIR/faces.tsv and what it names, for the svm_* benchmarks."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.runtime.images.image import Image, Pixels
from services.svm.faces import Face
from services.svm.recipes.recipe import RECIPES
from services.svm.train.dataset import TrainingSet
from services.svm.train.pictures import person_of


@dataclass(frozen=True)
class Labelled:
    """One face: its own picture, and where it was in which photo."""

    actor: str
    group: str
    crop: Path
    photo: Path
    box: Face


def labelled(folder: Path) -> list[Labelled]:
    """Return the rows of faces.tsv."""
    with (folder / "faces.tsv").open() as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    return [
        Labelled(
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
    """Return a crop's face: all of it."""
    return Face(0, 0, pixels.shape[1], pixels.shape[0])


def training_set_of(faces: list[Labelled], name: str) -> TrainingSet:
    """Return the published crops as a recipe's features, with the published groups."""
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

"""The faces to train on, out of a folder per person."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.svm.gallery.people import Person
from services.svm.train.pictures import LONELY, MIN_FACES, Picture, person_of, too_few

_FEW = 5
"""Moments of a person below which measurements say little: there are as many folds."""
Columns = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TrainingSet:
    """What a classifier is fitted on."""

    recipe: str
    features: npt.NDArray[np.float64]
    """[faces, views, length]: first the views that are recognized, then those to train on only."""
    owners: Columns
    """[faces]: whose each is, as an index of `people`."""
    groups: Columns
    """[faces]: near-duplicates share a number; they belong on one side of every split."""
    people: tuple[Person, ...]
    sha256: str = ""

    def part(self, faces: Columns) -> "TrainingSet":
        """Return some of the faces."""
        return TrainingSet(
            self.recipe, self.features[faces], self.owners[faces], self.groups[faces], self.people, self.sha256
        )


def training_set(pictures: Sequence[Picture], recipe: str) -> TrainingSet:
    """Return the faces of the usable pictures. Raises TrainingError if there are not two people left."""
    usable = [picture for picture in pictures if picture.usable]
    folders = sorted({picture.folder for picture in usable})
    if len(folders) < 2:  # noqa: PLR2004 - a choice needs two
        found = [picture.folder for picture in pictures if picture.usable or picture.problem == LONELY]
        raise too_few({folder: found.count(folder) for folder in sorted({picture.folder for picture in pictures})})
    return TrainingSet(
        recipe=recipe,
        features=np.array([picture.features for picture in usable]),
        owners=np.array([folders.index(picture.folder) for picture in usable]),
        groups=_groups(usable),
        people=tuple(person_of(folder) for folder in folders),
        sha256=_sha256(usable),
    )


def warnings(pictures: Sequence[Picture]) -> list[str]:
    """Return what makes the measurements worth less than they seem."""
    alike = near_duplicate_folders(pictures)
    few = [f"{folder} ({count})" for folder, count in _moments(pictures).items() if MIN_FACES <= count < _FEW]
    return [
        *(f"all alike: {name}'s pictures are near-duplicates; measurements will look too good" for name in alike),
        *([f"few pictures: measurements of fewer than {_FEW} moments say little: {', '.join(few)}"] if few else []),
    ]


def near_duplicate_folders(pictures: Sequence[Picture]) -> list[str]:
    """Return the folders whose usable pictures are all near-duplicates of one: nothing honest can be measured there."""
    return [folder for folder, count in _moments(pictures).items() if count < MIN_FACES]


def _moments(pictures: Sequence[Picture]) -> dict[str, int]:
    """Return how many groups of usable pictures each folder has, sorted."""
    groups = {(picture.folder, picture.group) for picture in pictures if picture.usable}
    return dict(sorted(Counter(folder for folder, _ in groups).items()))


def _groups(usable: Sequence[Picture]) -> Columns:
    """Return the pictures' groups; if a person has but one, each picture is its own."""
    alone = near_duplicate_folders(usable)
    names = [(one.folder, one.group, str(one.path) if one.folder in alone else "") for one in usable]
    return np.unique(np.array(["\0".join(map(str, name)) for name in names]), return_inverse=True)[1]


def _sha256(usable: Sequence[Picture]) -> str:
    lines = sorted(f"{picture.folder}\0{picture.sha256}\n" for picture in usable)
    return hashlib.sha256("".join(lines).encode()).hexdigest()

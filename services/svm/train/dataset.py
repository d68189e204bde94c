"""The faces to train on, out of a folder per person."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.svm.gallery.people import Person
from services.svm.train.pictures import Picture, TrainingError, person_of

MIN_FACES = 2
"""Per person: cross-validation trains on some of them and tests on the others."""
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
    """Return the faces of the usable pictures. Raises TrainingError."""
    _check_readable(pictures)
    folders = sorted({picture.folder for picture in pictures})
    usable = [picture for picture in pictures if picture.usable]
    _check_counts(folders, [picture.folder for picture in usable])
    return TrainingSet(
        recipe=recipe,
        features=np.array([picture.features for picture in usable]),
        owners=np.array([folders.index(picture.folder) for picture in usable]),
        groups=_groups(usable),
        people=tuple(person_of(folder) for folder in folders),
        sha256=_sha256(usable),
    )


def near_duplicate_folders(pictures: Sequence[Picture]) -> list[str]:
    """Return the folders whose usable pictures are all near-duplicates of one: nothing honest can be measured there."""
    groups = {(picture.folder, picture.group) for picture in pictures if picture.usable}
    return sorted(folder for folder, count in Counter(folder for folder, _ in groups).items() if count < MIN_FACES)


def _groups(usable: Sequence[Picture]) -> Columns:
    """Return the pictures' groups; if a person has but one, each picture is its own."""
    alone = near_duplicate_folders(usable)
    names = [(one.folder, one.group, str(one.path) if one.folder in alone else "") for one in usable]
    return np.unique(np.array(["\0".join(map(str, name)) for name in names]), return_inverse=True)[1]


def _check_readable(pictures: Sequence[Picture]) -> None:
    lines = [f"  {picture.path}: {picture.unreadable}" for picture in pictures if picture.unreadable]
    if lines:
        raise TrainingError("\n".join(["These files cannot be read. Repair or remove them:", *lines]))


def _check_counts(folders: Sequence[str], usable: Sequence[str]) -> None:
    few = [f"{folder} ({usable.count(folder)})" for folder in folders if usable.count(folder) < MIN_FACES]
    if few:
        raise TrainingError(
            f"Each person needs {MIN_FACES} or more usable pictures with exactly one face. Too few: {', '.join(few)}."
        )


def _sha256(usable: Sequence[Picture]) -> str:
    lines = sorted(f"{picture.folder}\0{picture.sha256}\n" for picture in usable)
    return hashlib.sha256("".join(lines).encode()).hexdigest()

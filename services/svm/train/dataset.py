"""The faces to train on, out of a folder per person."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from services.svm.people import Person, person_of
from services.svm.train.samples import Sample

LEAST_FACES = 2
"""Of each person: cross-validation trains on some of them and looks at the others."""
Columns = npt.NDArray[np.int64]


class TrainingError(Exception):
    """Nothing can be trained on this; the message says what to change."""


@dataclass(frozen=True)
class TrainingSet:
    """What a classifier is fitted on."""

    recipe: str
    features: npt.NDArray[np.float64]
    """[faces, views, length]: the views that are asked when recognizing first, then those to train on only."""
    owners: Columns
    """[faces]: whose each is, as an index of `people`."""
    groups: Columns
    """[faces]: near-duplicates share a number; they belong on one side of every split."""
    people: tuple[Person, ...]
    sha256: str = ""

    def part(self, which: Columns) -> "TrainingSet":
        """Some of the faces."""
        return TrainingSet(
            self.recipe, self.features[which], self.owners[which], self.groups[which], self.people, self.sha256
        )


def pictures(folder: Path) -> list[Sample]:
    """The files below FOLDER/PERSON, hidden ones left out, not looked into yet. Raises TrainingError."""
    if not folder.is_dir():
        raise TrainingError(f"{folder} is not a folder.")
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not _hidden(path.relative_to(folder)))
    samples = [Sample(path, path.relative_to(folder).parts[0]) for path in found if path.parent != folder]
    _check_folders(folder, {sample.folder for sample in samples})
    return samples


def training_set(samples: Sequence[Sample], recipe: str) -> TrainingSet:
    """The faces of the samples that can be used. Raises TrainingError."""
    _check_readable(samples)
    folders = sorted({sample.folder for sample in samples})
    used = [sample for sample in samples if sample.usable]
    _check_counts(folders, [sample.folder for sample in used])
    return TrainingSet(
        recipe=recipe,
        features=np.array([sample.features for sample in used]),
        owners=np.array([folders.index(sample.folder) for sample in used]),
        groups=_groups(used),
        people=tuple(person_of(folder) for folder in folders),
        sha256=_sha256(used),
    )


def alike_only(samples: Sequence[Sample]) -> list[str]:
    """The folders whose usable pictures are all near-duplicates of one: nothing honest can be measured on them."""
    groups = {(sample.folder, sample.group) for sample in samples if sample.usable}
    return sorted(folder for folder, count in Counter(folder for folder, _ in groups).items() if count < LEAST_FACES)


def _groups(used: Sequence[Sample]) -> Columns:
    """The samples' groups; where a person has but one, each picture is its own."""
    alone = alike_only(used)
    names = [(s.folder, s.group, str(s.path) if s.folder in alone else "") for s in used]
    return np.unique(np.array(["\0".join(map(str, name)) for name in names]), return_inverse=True)[1]


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _check_folders(folder: Path, names: set[str]) -> None:
    if not names:
        raise TrainingError(f"{folder} has no pictures. Put each person's into a folder: {folder}/Ada_Lovelace/1.jpg.")
    if len(names) == 1:
        raise TrainingError(f"{folder} has pictures of one person, {min(names)}. A classifier needs two or more.")
    by_id: dict[str, str] = {}
    for name in sorted(names):
        person_id = person_of(name).person_id
        if not person_id:
            raise TrainingError(f"The folder name {name!r} has no letter or digit to name a person with.")
        if person_id in by_id:
            raise TrainingError(f"The folders {by_id[person_id]!r} and {name!r} are the same person, {person_id}.")
        by_id[person_id] = name


def _check_readable(samples: Sequence[Sample]) -> None:
    lines = [f"  {sample.path}: {sample.unreadable}" for sample in samples if sample.unreadable]
    if lines:
        raise TrainingError("\n".join(["These files cannot be read. Repair or remove them:", *lines]))


def _check_counts(folders: Sequence[str], used: Sequence[str]) -> None:
    few = [f"{folder} ({used.count(folder)})" for folder in folders if used.count(folder) < LEAST_FACES]
    if few:
        raise TrainingError(
            f"Each person needs {LEAST_FACES} or more usable pictures with exactly one face. Too few: {', '.join(few)}."
        )


def _sha256(used: Sequence[Sample]) -> str:
    lines = sorted(f"{sample.folder}\0{sample.sha256}\n" for sample in used)
    return hashlib.sha256("".join(lines).encode()).hexdigest()

"""The faces to train on, out of a folder per person."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from services.runtime.errors import InvalidImage
from services.runtime.images import Image, Pixels
from services.svm import wavelet
from services.svm.faces import Face
from services.svm.people import Person, person_of

LEAST_FACES = 2
"""Of each person: cross-validation trains on some of them and looks at the others."""

NO_FACE = "no face"
Finder = Callable[[Pixels], list[Face]]


class TrainingError(Exception):
    """Nothing can be trained on this; the message says what to change."""


@dataclass(frozen=True)
class Sample:
    """A picture of the training folder."""

    path: Path
    folder: str
    """The person's."""
    sha256: str = ""
    features: tuple[npt.NDArray[np.float64], ...] = ()
    """Of its one face, and of that face mirrored where asked for; empty where the picture cannot be used."""
    problem: str = ""
    """Why it cannot: "no face", "2 faces"."""
    unreadable: str = ""
    """Why it is no picture."""


@dataclass(frozen=True)
class TrainingSet:
    """What a classifier is fitted on."""

    features: npt.NDArray[np.float64]
    """[faces, length]; a mirrored face counts as one more."""
    columns: npt.NDArray[np.int64]
    """Whose each face is, as an index of `people`."""
    groups: npt.NDArray[np.int64]
    """Which picture each face is from: those of one belong on one side of every split."""
    people: tuple[Person, ...]
    sha256: str


def pictures(folder: Path) -> list[Sample]:
    """The files below FOLDER/PERSON, hidden ones left out, not looked into yet. Raises TrainingError."""
    if not folder.is_dir():
        raise TrainingError(f"{folder} is not a folder.")
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not _hidden(path.relative_to(folder)))
    samples = [Sample(path, path.relative_to(folder).parts[0]) for path in found if path.parent != folder]
    _check_folders(folder, {sample.folder for sample in samples})
    return samples


def look(sample: Sample, find: Finder, *, mirror: bool = False) -> Sample:
    """The sample with the features of its one face, or with what is wrong with it."""
    try:
        content = sample.path.read_bytes()
        pixels = Image(content).upright()
    except OSError as exc:
        return Sample(sample.path, sample.folder, unreadable=exc.strerror or str(exc))
    except InvalidImage as exc:
        return Sample(sample.path, sample.folder, unreadable=exc.message)
    faces = find(pixels)
    sha256 = hashlib.sha256(content).hexdigest()
    if len(faces) != 1:
        return Sample(sample.path, sample.folder, sha256, problem=f"{len(faces)} faces" if faces else NO_FACE)
    crop = faces[0].crop(pixels)
    crops = (crop, np.ascontiguousarray(crop[:, ::-1])) if mirror else (crop,)
    return Sample(sample.path, sample.folder, sha256, tuple(wavelet.features(each) for each in crops))


def training_set(samples: Sequence[Sample]) -> TrainingSet:
    """The faces of samples that were looked at. Raises TrainingError."""
    _check_readable(samples)
    folders = sorted({sample.folder for sample in samples})
    used = [sample for sample in samples if sample.features]
    _check_counts(folders, [sample.folder for sample in used])
    sizes = [len(sample.features) for sample in used]
    return TrainingSet(
        features=np.array([features for sample in used for features in sample.features]),
        columns=np.repeat([folders.index(sample.folder) for sample in used], sizes),
        groups=np.repeat(np.arange(len(used)), sizes),
        people=tuple(person_of(folder) for folder in folders),
        sha256=_sha256(used),
    )


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
            f"Each person needs {LEAST_FACES} or more pictures with exactly one face. Too few: {', '.join(few)}."
        )


def _sha256(used: Sequence[Sample]) -> str:
    lines = sorted(f"{sample.folder}\0{sample.sha256}\n" for sample in used)
    return hashlib.sha256("".join(lines).encode()).hexdigest()

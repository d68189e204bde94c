"""Labelled pictures in folders, to train a classifier on and to measure it with."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unicodedata import normalize

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from services.keras.preprocess import Pixels, to_pixels
from services.runtime.errors import DomainError
from services.runtime.images.folder import LeftOut, labelled_pictures, lines, printable
from services.runtime.images.image import Image

FEW = 20
"""Pictures, or groups of them, of a label below which a model is worth nothing."""
_LONELY = "the only picture or group of its label; two are needed, one for measuring"
_SHOWN_COPIES = 5
Track = Callable[[list[Path]], Iterable[Path]]
Part = Callable[[Image], Pillow.Image]


class DataProblem(Exception):
    """The data cannot be trained on; the text says what and why."""


@dataclass(frozen=True)
class Dataset:
    """Pictures with their labels, in memory: 150 KB each."""

    labels: tuple[str, ...]
    """In class order."""
    pixels: Pixels
    """uint8 [N, 224, 224, 3]."""
    classes: npt.NDArray[np.int64]
    """[N], indices into `labels`."""
    groups: tuple[str, ...]
    """[N]; pictures of one group stay together."""
    sha256: str
    """Hash of all labels and files, whatever the files' names."""
    left_out: tuple[LeftOut, ...] = ()
    """What lies in the folder and is not trained on."""
    warnings: tuple[str, ...] = ()
    """What makes the model worse than its measurements say."""


@dataclass(frozen=True)
class _Picture:
    """A picture that can be read."""

    path: Path
    """Relative to the training folder."""
    label: str
    pixels: Pixels
    """uint8 [1, 224, 224, 3]."""
    sha256: str
    """Of the file."""
    digest: str
    """Of the pixels."""

    @property
    def group(self) -> str:
        """What holds the pictures that belong together: a folder, or the pixels alone."""
        return str(self.path.parent) if len(self.path.parts) > 2 else self.digest  # noqa: PLR2004 - LABEL/GROUP/FILE


def read_dataset(
    folder: Path, track: Track = iter, labels: Sequence[str] = (), part: Part = Image.as_stored
) -> Dataset:
    """Read FOLDER/LABEL/*.jpg and FOLDER/LABEL/GROUP/*.jpg (also .png and .webp).

    Pictures in one GROUP folder belong together (shots of one scene, variations of one photo); elsewhere
    only identical pictures do. `track` iterates over the paths, so that a caller can show progress. `labels` are
    the folders to read, in class order; by default all, sorted. `part` returns the part of a picture to train on, by
    default all of it, or raises a DomainError. Left out is what cannot be trained on: other files, broken pictures,
    pictures without such a part or under two labels, and, by default, labels with one picture. Raises DataProblem,
    before any picture is decoded if that can be known.
    """
    if not folder.is_dir():
        raise DataProblem(f"{folder} is not a folder.")
    found, left_out = labelled_pictures(folder)
    paths = _chosen(folder, _by_label(found), labels, left_out)
    left_out = [one for one in left_out if not labels or normalize("NFC", one.path.parts[0]) in paths]
    for label in _lonely({label: len(files) for label, files in paths.items()}, labels, left_out):
        left_out += [LeftOut(path.relative_to(folder), _LONELY) for path in paths.pop(label)]
    pictures = list(_read(folder, paths, part, track, left_out))
    pictures = _without_ambiguous(pictures, left_out)
    return _dataset(pictures, tuple(paths), labels, left_out)


def hold_out(dataset: Dataset, share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Return which pictures to hold out for measuring, [N]: `share` of each label's groups, at least one."""
    random = np.random.default_rng(seed)
    held_out: set[tuple[int, str]] = set()
    pairs = list(zip(dataset.classes.tolist(), dataset.groups, strict=True))
    for index in range(len(dataset.labels)):
        groups = sorted({group for class_, group in pairs if class_ == index})
        count = max(1, round(share * len(groups)))
        held_out.update((index, str(group)) for group in random.permutation(groups)[:count])
    return np.array([pair in held_out for pair in pairs])


def _by_label(found: Mapping[str, list[Path]]) -> dict[str, list[Path]]:
    """Return the pictures by label: the folder's name, composed (NFC) as macOS does not write it."""
    names: dict[str, str] = {}
    for name in found:
        other = names.setdefault(normalize("NFC", name).casefold(), name)
        if other != name:
            raise DataProblem(f"The folders {other!a} and {name!a} are one label: merge them, or rename one.")
    return {normalize("NFC", name): paths for name, paths in found.items()}


def _chosen(
    folder: Path, paths: dict[str, list[Path]], labels: Sequence[str], left_out: Iterable[LeftOut]
) -> dict[str, list[Path]]:
    """Return the labels to train, in class order. Raises DataProblem, with what is left out if that leaves too few."""
    for label in labels:
        if normalize("NFC", label) not in paths:
            raise DataProblem(f"{folder} has no folder {label!r} with pictures.")
    chosen = {label: paths[label] for label in map(partial(normalize, "NFC"), labels)} if labels else paths
    if labels and (len(chosen) < 2 or len(chosen) < len(labels)):  # noqa: PLR2004 - a choice needs two
        raise DataProblem(f"Two or more different labels are needed, not {', '.join(labels)}.")
    if len(chosen) < 2:  # noqa: PLR2004 - a choice needs two
        present = f"only {min(paths)}" if paths else "none"
        problem = f"{folder} needs a folder with pictures for each of two or more labels; there is {present}."
        raise DataProblem("\n".join([problem, *lines(left_out)]))
    return chosen


def _lonely(counts: Mapping[str, int], labels: Sequence[str], left_out: Iterable[LeftOut]) -> list[str]:
    """Return the labels with fewer than two different pictures or groups.

    Raises DataProblem, with everything that is left out, if one of them was asked for or if fewer than two are left.
    """
    lonely = [label for label, count in counts.items() if count < 2]  # noqa: PLR2004 - one to learn, one to measure
    if lonely and (labels or len(counts) - len(lonely) < 2):  # noqa: PLR2004 - a choice needs two
        problems = [f"{label}: two different pictures or groups are needed, one for measuring." for label in lonely]
        raise DataProblem("\n".join([*problems, *lines(left_out)]))
    return lonely


def _read(
    folder: Path, paths: Mapping[str, list[Path]], part: Part, track: Track, left_out: list[LeftOut]
) -> Iterator[_Picture]:
    owners = {path: label for label, files in paths.items() for path in files}
    for path in track(list(owners)):
        relative = path.relative_to(folder)
        try:
            content = path.read_bytes()
            pixels = to_pixels(part(Image(content)))
        except OSError as exc:
            left_out.append(LeftOut(relative, exc.strerror or str(exc)))
        except DomainError as exc:
            left_out.append(LeftOut(relative, exc.message))
        else:
            digest = hashlib.sha256(pixels.tobytes()).hexdigest()
            yield _Picture(relative, owners[path], pixels, hashlib.sha256(content).hexdigest(), digest)


def _without_ambiguous(pictures: Sequence[_Picture], left_out: list[LeftOut]) -> list[_Picture]:
    """Leave out pictures that lie under several labels: nothing says which is right."""
    places: dict[str, dict[str, Path]] = {}
    for one in pictures:
        places.setdefault(one.digest, {}).setdefault(one.label, one.path)
    for one in pictures:
        others = [path for label, path in places[one.digest].items() if label != one.label]
        left_out += [LeftOut(one.path, f"the same picture as {printable(str(path))}") for path in others[:1]]
    return [one for one in pictures if len(places[one.digest]) == 1]


def _dataset(
    pictures: Sequence[_Picture], labels: tuple[str, ...], chosen: Sequence[str], left_out: list[LeftOut]
) -> Dataset:
    groups = _groups(pictures)
    members = {label: {groups[one.group] for one in pictures if one.label == label} for label in labels}
    counts = {label: len(own) for label, own in members.items()}
    for lonely in _lonely(counts, chosen, left_out):
        del counts[lonely]
        left_out += [LeftOut(one.path, _LONELY) for one in pictures if one.label == lonely]
    labels, pictures = tuple(counts), [one for one in pictures if one.label in counts]
    return Dataset(
        labels=labels,
        pixels=np.concatenate([one.pixels for one in pictures]),
        classes=np.array([labels.index(one.label) for one in pictures]),
        groups=tuple(groups[one.group] for one in pictures),
        sha256=_hash(pictures),
        left_out=tuple(left_out),
        warnings=(*_few(counts), *_copies(pictures)),
    )


def _groups(pictures: Iterable[_Picture]) -> dict[str, str]:
    """Return each group's name; groups that share a picture are one."""
    names: dict[str, str] = {}

    def name(key: str) -> str:
        while (other := names.setdefault(key, key)) != key:
            key = other
        return key

    for one in pictures:
        names[name(one.group)] = name(one.digest)
    return {key: name(key) for key in names}


def _few(counts: Mapping[str, int]) -> Iterator[str]:
    for label, count in counts.items():
        if count < FEW:
            yield (
                f"{label} has {count} different pictures or groups: a model trained on fewer than {FEW} is worth "
                "nothing, whatever was measured."
            )


def _copies(pictures: Iterable[_Picture]) -> Iterator[str]:
    firsts: dict[str, _Picture] = {}
    copies = [one for one in pictures if firsts.setdefault(one.digest, one) is not one]
    if copies:
        names = ", ".join(f"{one.path} of {firsts[one.digest].path}" for one in copies[:_SHOWN_COPIES])
        more = f" and {len(copies) - _SHOWN_COPIES} more" if len(copies) > _SHOWN_COPIES else ""
        yield f"Copies are kept on one side of the hold-out: {printable(names)}{more}."


def _hash(pictures: Iterable[_Picture]) -> str:
    files = sorted(f"{one.label} {one.sha256}" for one in pictures)
    return hashlib.sha256("\n".join(files).encode()).hexdigest()

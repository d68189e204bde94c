"""Labelled pictures in folders, to train a classifier on and to measure it with."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from services.keras.preprocess import Pixels, to_pixels

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
_SHOWN_PROBLEMS = 10


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


def read_dataset(
    folder: Path, track: Callable[[list[Path]], Iterable[Path]] = iter, labels: Sequence[str] = ()
) -> Dataset:
    """Read FOLDER/LABEL/*.jpg and FOLDER/LABEL/GROUP/*.jpg (also .png and .webp).

    Pictures in one GROUP folder belong together (shots of one scene, variations of one photo); elsewhere
    only identical files do. `track` iterates over the paths, so that a caller can show progress. `labels` are
    the folders to read, in class order; by default all, sorted. Raises DataProblem.
    """
    labels = _checked(folder, labels) if labels else _labels(folder)
    paths = [path for label in labels for path in _pictures(folder / label)]
    pixels, digests, problems = [], [], []
    for path in track(paths):
        try:
            pixels.append(_load(path))
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as exc:
            problems.append(f"{path}: {exc}")
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    if problems:
        raise DataProblem(_summary(problems))
    owners = [path.relative_to(folder).parts[0] for path in paths]
    return Dataset(
        labels=labels,
        pixels=np.concatenate(pixels),
        classes=np.array([labels.index(owner) for owner in owners]),
        groups=tuple(_group(folder, path, digest) for path, digest in zip(paths, digests, strict=True)),
        sha256=_hash(zip(owners, digests, strict=True)),
    )


def hold_out(dataset: Dataset, share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Return which pictures to hold out for measuring, [N]: `share` of each label's groups, at least one.

    Raises DataProblem if a label has only one group.
    """
    random = np.random.default_rng(seed)
    held_out: set[tuple[int, str]] = set()
    pairs = list(zip(dataset.classes.tolist(), dataset.groups, strict=True))
    for index, label in enumerate(dataset.labels):
        groups = sorted({group for class_, group in pairs if class_ == index})
        if len(groups) == 1:
            raise DataProblem(f"{label}: two different pictures or groups are needed, one of them for measuring.")
        count = max(1, round(share * len(groups)))
        held_out.update((index, str(group)) for group in random.permutation(groups)[:count])
    return np.array([pair in held_out for pair in pairs])


def _checked(folder: Path, labels: Sequence[str]) -> tuple[str, ...]:
    for label in labels:
        if label in {"", ".", ".."} or "/" in label or not any(_pictures(folder / label)):
            raise DataProblem(f"{folder} has no folder {label!r} with pictures.")
    if len(labels) < 2 or len(set(labels)) < len(labels):  # noqa: PLR2004 - a choice needs two
        raise DataProblem(f"Two or more different labels are needed, not {', '.join(labels)}.")
    return tuple(labels)


def _labels(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        raise DataProblem(f"{folder} is not a folder.")
    labels = tuple(sorted(child.name for child in folder.iterdir() if child.is_dir() and any(_pictures(child))))
    if len(labels) < 2:  # noqa: PLR2004 - a choice needs two
        present = f"only {labels[0]}" if labels else "none"
        raise DataProblem(f"{folder} needs a folder with pictures for each of two or more labels; there is {present}.")
    return labels


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def _load(path: Path) -> Pixels:
    with Image.open(path) as picture:
        return to_pixels(picture)


def _group(folder: Path, path: Path, digest: str) -> str:
    subfolders = path.relative_to(folder).parts[1:-1]
    return "/".join(subfolders) or digest


def _hash(files: Iterable[tuple[str, str]]) -> str:
    return hashlib.sha256("\n".join(f"{label} {digest}" for label, digest in sorted(files)).encode()).hexdigest()


def _summary(problems: list[str]) -> str:
    shown = problems[:_SHOWN_PROBLEMS]
    more = len(problems) - len(shown)
    return "\n".join(["These pictures cannot be read:", *shown, *([f"… and {more} more"] if more else [])])

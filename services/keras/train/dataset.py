"""Labelled pictures in folders: what a classifier is trained on and measured with."""

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
    """The pictures cannot be trained on; the text says which and why."""


@dataclass(frozen=True)
class Dataset:
    """Pictures with their labels, all in memory: 150 KB each."""

    labels: tuple[str, ...]
    """In class order."""
    pixels: Pixels
    """uint8 [N, 224, 224, 3]."""
    classes: npt.NDArray[np.int64]
    """[N], positions in `labels`."""
    groups: tuple[str, ...]
    """[N]; pictures of one group are never parted."""
    sha256: str
    """Of all labels and files, whatever the files are called."""


def read_dataset(
    folder: Path, track: Callable[[list[Path]], Iterable[Path]] = iter, labels: Sequence[str] = ()
) -> Dataset:
    """Reads FOLDER/LABEL/*.jpg and FOLDER/LABEL/GROUP/*.jpg (also .png and .webp).

    Pictures in one GROUP folder belong together (shots of one scene, variations of one photo); elsewhere
    only identical files do. `track` goes over the paths, so that a caller can show progress. `labels` are
    the folders to take, in class order; without them it is all, sorted.
    Raises DataProblem.
    """
    labels = _asked(folder, labels) if labels else _labels(folder)
    paths = [path for label in labels for path in _pictures(folder / label)]
    pixels, digests, problems = [], [], []
    for path in track(paths):
        try:
            pixels.append(_load(path))
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as exc:
            problems.append(f"{path}: {exc}")
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    if problems:
        raise DataProblem(_list(problems))
    owners = [path.relative_to(folder).parts[0] for path in paths]
    return Dataset(
        labels=labels,
        pixels=np.concatenate(pixels),
        classes=np.array([labels.index(owner) for owner in owners]),
        groups=tuple(_group(folder, path, digest) for path, digest in zip(paths, digests, strict=True)),
        sha256=_hash(zip(owners, digests, strict=True)),
    )


def hold_out(dataset: Dataset, share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Which pictures are kept for measuring, [N]: of each label `share` of its groups, one at least.

    Raises DataProblem where a label has a single group.
    """
    random = np.random.default_rng(seed)
    held: set[tuple[int, str]] = set()
    for position, label in enumerate(dataset.labels):
        groups = sorted({group for group, own in zip(dataset.groups, dataset.classes, strict=True) if own == position})
        if len(groups) == 1:
            raise DataProblem(f"{label}: two different pictures or groups are needed, one of them to measure with.")
        count = max(1, round(share * len(groups)))
        held.update((position, str(group)) for group in random.permutation(groups)[:count])
    return np.array([pair in held for pair in zip(dataset.classes.tolist(), dataset.groups, strict=True)])


def _asked(folder: Path, labels: Sequence[str]) -> tuple[str, ...]:
    for label in labels:
        if label in {"", ".", ".."} or "/" in label or not any(_pictures(folder / label)):
            raise DataProblem(f"{folder} has no folder {label!r} with pictures.")
    if len(labels) < 2 or len(set(labels)) < len(labels):  # noqa: PLR2004 - a choice needs two
        raise DataProblem(f"Two or more different labels are needed, not {', '.join(labels)}.")
    return tuple(labels)


def _labels(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        raise DataProblem(f"{folder} is no folder.")
    labels = tuple(sorted(child.name for child in folder.iterdir() if child.is_dir() and any(_pictures(child))))
    if len(labels) < 2:  # noqa: PLR2004 - a choice needs two
        found = f"only {labels[0]}" if labels else "none"
        raise DataProblem(f"{folder} needs a folder with pictures for each of two or more labels; there is {found}.")
    return labels


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def _load(path: Path) -> Pixels:
    with Image.open(path) as picture:
        return to_pixels(picture)


def _group(folder: Path, path: Path, digest: str) -> str:
    within = path.relative_to(folder).parts[1:-1]
    return "/".join(within) or digest


def _hash(files: Iterable[tuple[str, str]]) -> str:
    return hashlib.sha256("\n".join(f"{label} {digest}" for label, digest in sorted(files)).encode()).hexdigest()


def _list(problems: list[str]) -> str:
    shown = problems[:_SHOWN_PROBLEMS]
    more = len(problems) - len(shown)
    return "\n".join(["These pictures cannot be read:", *shown, *([f"… and {more} more"] if more else [])])

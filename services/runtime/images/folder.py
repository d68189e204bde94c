"""Folders of labelled pictures, as people and their systems fill them: FOLDER/LABEL/….

For trainers. Nothing is decoded here: a file that begins as a JPEG, PNG or WebP is taken for a picture.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import NamedTuple, TypeAlias

from services.runtime.errors import DomainError
from services.runtime.images import formats
from services.runtime.requests import check_size

HIDDEN = "hidden, or a file of the system's"
_SYSTEM = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "$recycle.bin", "lost+found"}
_SHOWN = 10
_Identity: TypeAlias = tuple[int, int]
"""Device and inode of a folder, the same by every path."""


class LeftOut(NamedTuple):
    """Something below the folder that is not trained on."""

    path: Path
    """Relative to the folder."""
    reason: str

    @property
    def name(self) -> str:
        """The path in printable characters."""
        return printable(str(self.path))


def labelled_pictures(folder: Path) -> tuple[dict[str, list[Path]], list[LeftOut]]:
    """Return the pictures of each folder in the folder, by its name, and all else below it, both sorted.

    Links are followed. Only folders with pictures are in the dict. Raises OSError if the folder cannot be listed.
    """
    pictures: dict[str, list[Path]] = {}
    left_out = []
    above = frozenset({_identity(folder.stat())})
    for child in sorted(folder.iterdir()):
        problem = _label_problem(child)
        entries = [(child, problem)] if problem else list(_walk(child, above))
        left_out += [LeftOut(path.relative_to(folder), reason) for path, reason in entries if reason]
        if paths := [path for path, reason in entries if not reason]:
            pictures[child.name] = paths
        elif not entries:
            left_out.append(LeftOut(Path(child.name), "an empty folder"))
    return pictures, left_out


def lines(left_out: Iterable[LeftOut]) -> Iterator[str]:
    """Yield a line of text for everything left out, at most ten for one reason."""
    counts: Counter[str] = Counter()
    for one in left_out:
        counts[one.reason] += 1
        if counts[one.reason] <= _SHOWN:
            yield f"left out, {one.reason.rstrip('.')}: {one.name}"
    for reason, count in counts.items():
        if count > _SHOWN:
            yield f"left out, {reason.rstrip('.')}: {count - _SHOWN} more"


def printable(text: str) -> str:
    """Return the text with escapes for bytes that are not UTF-8 and for characters that have no form."""
    whole = os.fsencode(text).decode(errors="backslashreplace")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in whole)


def _label_problem(child: Path) -> str:
    if _is_hidden(child.name):
        return HIDDEN
    if not child.is_dir():
        return "not in the folder of a label"
    if not child.name.isprintable():  # bytes that are not UTF-8 are not printable either
        return "a folder whose name is not plain text: rename it"
    return ""


def _walk(path: Path, above: frozenset[_Identity]) -> Iterator[tuple[Path, str]]:
    """Yield each file, or whatever else there is, with the reason why it is left out; empty for a picture."""
    if _is_hidden(path.name):
        yield path, HIDDEN
        return
    try:
        stat = path.stat()
        if not S_ISDIR(stat.st_mode):
            yield path, _file_problem(path, stat)
        elif _identity(stat) in above:
            yield path, "a link to a folder that it lies in"
        else:
            for child in sorted(path.iterdir()):
                yield from _walk(child, above | {_identity(stat)})
    except OSError as exc:
        yield path, exc.strerror or str(exc)


def _identity(stat: os.stat_result) -> _Identity:
    return stat.st_dev, stat.st_ino


def _file_problem(path: Path, stat: os.stat_result) -> str:
    if not S_ISREG(stat.st_mode):
        return "not a file"
    with path.open("rb") as file:
        head = file.read(formats.HEAD)
    if head and not formats.is_readable(head):
        return formats.refusal(head)
    try:
        check_size(stat.st_size)
    except DomainError as exc:
        return exc.message
    return ""


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _SYSTEM

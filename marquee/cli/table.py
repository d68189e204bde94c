"""Tables as aligned columns, and lines in styles. Rich takes longer for each than a call does."""

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import TextIO, TypeAlias

from rich.cells import cell_len, chop_cells

_FILE_WIDTH = 240
_GAP = 2
_LEAST_WIDTH = 6
"""Of columns beside those that stay whole."""
_CODES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33}


@dataclass(frozen=True, slots=True)
class Text:
    """Text of one line in a style."""

    content: str
    style: str = ""
    """Empty, or of bold, dim, red, green and yellow, with a blank between several."""


Cell: TypeAlias = str | Text | Sequence[Text]
"""Text of one or several lines; those of a sequence have a style each."""


class Table:
    """A table without rules.

    Columns whose header starts with > are right-aligned; those with ! hold what is copied, and are wrapped last.
    """

    def __init__(self, *headers: str) -> None:
        self._is_right = [header.startswith(">") for header in headers]
        self._is_whole = [header.startswith("!") for header in headers]
        self._rows = [[[Text(header.lstrip(">!"), "dim")] for header in headers]]

    def add_row(self, *cells: Cell) -> None:
        """Add a row of as many cells as there are headers."""
        self._rows.append([_lines(cell) for cell in cells])

    def print(self, indent: int = 0) -> None:
        """Print the table to standard output, that many blanks from the left.

        Where it is wider than the terminal, or than COLUMNS, the widest columns are wrapped.
        """
        columns = list(zip(*self._rows, strict=True))
        contents = [max(cell_len(line.content) for cell in column for line in cell) for column in columns]
        # shutil's answer for COLUMNS=0 is the file's width, too
        room = shutil.get_terminal_size((_FILE_WIDTH, 0)).columns - indent - _GAP * (len(columns) - 1)
        widths = _fit_around(contents, self._is_whole, room)
        for row in self._rows:
            wrapped = [list(_wrap(cell, width)) for cell, width in zip(row, widths, strict=True)]
            for parts in zip_longest(*wrapped, fillvalue=Text("")):
                print_line(Text(" " * indent), *self._padded(parts, widths))

    def _padded(self, parts: Sequence[Text], widths: Sequence[int]) -> Iterator[Text]:
        blanks = 0
        for part, width, is_right in zip(parts, widths, self._is_right, strict=True):
            room = width - cell_len(part.content)
            if part.content:
                yield Text(" " * (blanks + (room if is_right else 0)))
                yield part
                blanks = 0 if is_right else room
            else:
                blanks += width
            blanks += _GAP


def print_line(*parts: str | Text, file: TextIO | None = None) -> None:
    """Print the parts as one line, to standard output unless a file is given; the terminal wraps it."""
    stream = file or sys.stdout
    is_plain = not _shows_styles(stream)
    texts = (part if isinstance(part, Text) else Text(part) for part in parts)
    stream.write("".join(text.content if is_plain else _styled(text) for text in texts) + "\n")


def _lines(cell: Cell) -> list[Text]:
    match cell:
        case str():
            return [Text(line) for line in cell.split("\n")]
        case Text():
            return [cell]
        case _:
            return list(cell)


def _fit_around(widths: Sequence[int], are_whole: Sequence[bool], room: int) -> list[int]:
    """Return the widths, cut until all fit: first those that are not to stay whole, if enough of them is left."""
    whole = sum(width for width, is_whole in zip(widths, are_whole, strict=True) if is_whole)
    others = [width for width, is_whole in zip(widths, are_whole, strict=True) if not is_whole]
    if room - whole < _LEAST_WIDTH * len(others):
        return _fit(widths, room)
    cut = iter(_fit(others, room - whole))
    return [width if is_whole else next(cut) for width, is_whole in zip(widths, are_whole, strict=True)]


def _fit(widths: Sequence[int], room: int) -> list[int]:
    """Return the widths, the largest of them cut alike until all fit."""
    if sum(widths) <= room:
        return list(widths)
    cuts = ([min(width, most) for width in widths] for most in range(max(widths), 0, -1))
    return next((cut for cut in cuts if sum(cut) <= room), [min(width, 1) for width in widths])


def _wrap(lines: Sequence[Text], width: int) -> Iterator[Text]:
    for line in lines:
        content = line.content
        if cell_len(content) <= width:
            yield line
        elif content.isascii():
            yield from (Text(part, line.style) for part in textwrap.wrap(content, width, break_on_hyphens=False))
        else:  # textwrap counts characters, of which some are wide, and others take no room
            yield from (Text(part, line.style) for part in _wrap_cells(content, max(width, 2)))


def _wrap_cells(content: str, width: int) -> Iterator[str]:
    """Yield lines of words; one that is wider than a line is parted anywhere."""
    line = ""
    for word in content.split():
        joined = f"{line} {word}" if line else word
        if cell_len(joined) <= width:
            line = joined
            continue
        *full, line = [*([line] if line else []), *chop_cells(word, width)]
        yield from full
    yield line


def _styled(text: Text) -> str:
    codes = ";".join(str(_CODES[name]) for name in text.style.split())
    return f"\x1b[{codes}m{text.content}\x1b[0m" if codes and text.content else text.content


@lru_cache(maxsize=2)
def is_terminal(stream: TextIO) -> bool:
    """Return whether the stream is a terminal that can show more than text.

    Found out once: each time a stream is asked, all other threads may go first.
    """
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


@lru_cache(maxsize=2)
def _shows_styles(stream: TextIO) -> bool:
    """Return whether to style text, by the environment's conventions: see no-color.org and force-color.org."""
    return not os.environ.get("NO_COLOR") and (bool(os.environ.get("FORCE_COLOR")) or is_terminal(stream))

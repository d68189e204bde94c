"""The strip below a picture: what its numbers stand for, and what has no place in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from marquee.draw.fonts import Writing, width_of
from marquee.draw.layout.geometry import Rectangle
from marquee.draw.style import text_color

MAX_ENTRIES = 300
_MAX_REMARKS = 40
BACKGROUND = "#ffffff"
_LETTERS = "#1b1f24"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a number stands for."""

    number: str
    text: str
    color: str
    """Ground of the number, #rrggbb."""


@dataclass(frozen=True, slots=True)
class Legend:
    """A strip as wide as the picture."""

    area: Rectangle
    grounds: Sequence[tuple[Rectangle, str]]
    """Of numbers, with their colors."""
    writings: Sequence[Writing]


def legend_of(entries: Sequence[Entry], remarks: Sequence[str], size: tuple[int, int], font_size: int) -> Legend:
    """Return the strip below a picture of that size: the entries in columns, then the remarks."""
    padding, row = 0.8 * font_size, 1.8 * font_size
    room = size[0] - 2 * padding
    badge = max((width_of(entry.number, font_size) for entry in entries), default=0.0) + padding
    wide = max((width_of(entry.text, font_size) for entry in entries), default=0.0) + badge + 2.5 * font_size
    columns = max(1, int(room // wide))
    rows = -(-len(entries) // columns)
    grounds: list[tuple[Rectangle, str]] = []
    writings: list[Writing] = []
    for index, entry in enumerate(entries):
        left, top = padding + index // rows * room / columns, size[1] + padding + index % rows * row
        ground = Rectangle(left, top + 0.15 * font_size, badge, 1.5 * font_size)
        y = top + row / 2
        grounds.append((ground, entry.color))
        writings.append(Writing(entry.number, left + badge / 2, y, font_size, text_color(entry.color)))
        text = _fitting(entry.text, room / columns - badge - font_size, font_size)
        writings.append(_beginning(text, ground.right + 0.5 * font_size, y, font_size))
    lines = list(_wrapped(remarks, room, font_size))
    top = size[1] + padding + rows * row
    writings += [_beginning(line, padding, top + (index + 0.5) * row, font_size) for index, line in enumerate(lines)]
    height = round(2 * padding + (rows + len(lines)) * row)
    return Legend(Rectangle(0, size[1], size[0], height), grounds, writings)


def _beginning(text: str, left: float, y: float, font_size: int) -> Writing:
    return Writing(text, left + width_of(text, font_size) / 2, y, font_size, _LETTERS)


def _fitting(text: str, width: float, font_size: int) -> str:
    """Return the text, shortened until it is not wider."""
    short = text
    while len(short) > 1 and width_of(short, font_size) > width:
        text = text[:-1]
        short = f"{text.rstrip()}…"
    return short


def _wrapped(remarks: Sequence[str], width: float, font_size: int) -> Iterator[str]:
    """Yield lines of at most that width."""
    more = [f"and {len(remarks) - _MAX_REMARKS} more"] if len(remarks) > _MAX_REMARKS else []
    line = ""
    for remark in (*remarks[:_MAX_REMARKS], *more):
        part = _fitting(remark, width - font_size, font_size)  # and a comma
        if line and width_of(f"{line}, {part},", font_size) > width:
            yield f"{line},"
            line = part
        else:
            line = f"{line}, {part}" if line else part
    if line:
        yield line

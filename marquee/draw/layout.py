"""Layout of boxes and names, in pixels of the upright picture."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from PIL import ImageFont

from marquee.draw.style import LabelPosition, Style
from marquee.draw.text import clean
from marquee.enums import VerdictState
from marquee.results import Box, Verdict
from marquee.rows import name_of

_FONT_FILES = ("DejaVuSans-Bold.ttf", "NotoSans-Bold.ttf", "Arial Bold.ttf", "arialbd.ttf")
FONT_FAMILY = "'DejaVu Sans', 'Noto Sans', Arial, sans-serif"
"""The same fonts for an SVG."""
_MIN_FONT_SIZE = 8
_MAX_CHARACTERS = 60
"""Of a name on a plate."""
_MAX_APART = 64
"""Plates from which the next one is kept apart: more hardly fit, and would take minutes for thousands of faces."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rectangle in the picture."""

    left: float
    top: float
    width: float
    height: float

    @property
    def bottom(self) -> float:
        """Lower edge."""
        return self.top + self.height

    def overlaps(self, other: "Rectangle") -> bool:
        """Return whether the two have pixels in common."""
        beside = self.left + self.width <= other.left or other.left + other.width <= self.left
        return not beside and self.top < other.bottom and other.top < self.bottom


@dataclass(frozen=True, slots=True)
class Caption:
    """A name on a plate."""

    text: str
    plate: Rectangle
    font_size: int


@dataclass(frozen=True, slots=True)
class Mark:
    """A face to draw."""

    box: Rectangle
    color: str
    caption: Caption | None


def lay_out(verdicts: Sequence[Verdict], size: tuple[int, int], style: Style) -> list[Mark]:
    """Return a mark for each verdict with a box in the picture. Plates stay in it and, if there is room, apart."""
    marks: list[Mark] = []
    for verdict in verdicts:
        if box := _pixels(verdict.box, size):
            others = [mark.caption.plate for mark in marks[-_MAX_APART:] if mark.caption]
            caption = _caption(caption_text(verdict), box, size, style.position, others)
            marks.append(Mark(box, style.color(verdict.state), caption))
    return marks


def caption_text(verdict: Verdict) -> str:
    """Return the text of a plate: "Eileen Collins 98%", "unknown"."""
    name = clean(name_of(verdict)) or verdict.state.replace("_", " ").lower()
    name = name if len(name) <= _MAX_CHARACTERS else f"{name[: _MAX_CHARACTERS - 1]}…"
    has_score = verdict.state is VerdictState.IDENTIFIED and math.isfinite(verdict.score)
    return f"{name} {verdict.score:.0%}" if has_score else name


def line_width(size: tuple[int, int]) -> int:
    """Return the line width of boxes."""
    return max(2, round(min(size) / 150))


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return a bold system font, else Pillow's own, which lacks most non-Latin letters."""
    for file in _FONT_FILES:
        try:
            return ImageFont.truetype(file, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def _pixels(box: Box | None, size: tuple[int, int]) -> Rectangle | None:
    """Return the part of the box that is in the picture; None without one, as for a box that is no box."""
    if box is None or not all(map(math.isfinite, (box.left, box.top, box.width, box.height))):
        return None
    left, right = (_clamp(edge, 1) * size[0] for edge in (box.left, box.left + box.width))
    top, bottom = (_clamp(edge, 1) * size[1] for edge in (box.top, box.top + box.height))
    return Rectangle(left, top, right - left, bottom - top) if left < right and top < bottom else None


def _caption(
    text: str, box: Rectangle, size: tuple[int, int], position: LabelPosition, others: Sequence[Rectangle]
) -> Caption | None:
    if position is LabelPosition.NONE:
        return None
    font_size = _font_size(text, size)
    padding = font_size * 0.35
    width, height = font(font_size).getlength(text) + 2 * padding, font_size + 2 * padding
    places = [Rectangle(_clamp(box.left, size[0] - width), top, width, height) for top in _tops(box, height, position)]
    free = (place for place in places if _fits(place, size) and not any(place.overlaps(other) for other in others))
    return Caption(text, next(free, _inside(places[0], size)), font_size)


def _font_size(text: str, size: tuple[int, int]) -> int:
    """Return a size that grows with the picture, reduced until the text fits."""
    default = max(12, round(min(size) / 28))
    room = size[0] / (font(default).getlength(text) + default)
    return max(_MIN_FONT_SIZE, int(default * min(1.0, room)))


def _tops(box: Rectangle, height: float, position: LabelPosition) -> Iterator[float]:
    """Yield upper edges of the plate: the requested one, then alternatives."""
    above, below, head, foot = box.top - height, box.bottom, box.top, box.bottom - height
    match position:
        case LabelPosition.BOTTOM:
            yield from (below, foot, above, head)
        case LabelPosition.INSIDE:
            yield from (foot, head)
        case _:
            yield from (above, head, below, foot)


def _fits(place: Rectangle, size: tuple[int, int]) -> bool:
    return place.top >= 0 and place.bottom <= size[1]


def _inside(place: Rectangle, size: tuple[int, int]) -> Rectangle:
    return Rectangle(place.left, _clamp(place.top, size[1] - place.height), place.width, place.height)


def _clamp(value: float, limit: float) -> float:
    return max(0.0, min(value, limit))

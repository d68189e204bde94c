"""Where boxes and names go. Pixels of the upright picture throughout."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from marquee.cli.draw.fonts import text_width
from marquee.cli.draw.style import LabelPosition, Style
from marquee.cli.draw.verdicts import name_of
from marquee.enums import VerdictState
from marquee.faces import Box
from marquee.results import Verdict

_LEAST_FONT = 8


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A part of the picture."""

    left: float
    top: float
    width: float
    height: float

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.top + self.height

    def overlaps(self, other: "Rectangle") -> bool:
        """Whether the two share a pixel."""
        beside = self.left + self.width <= other.left or other.left + other.width <= self.left
        return not beside and self.top < other.bottom and other.top < self.bottom


@dataclass(frozen=True, slots=True)
class Caption:
    """A name on its plate."""

    text: str
    plate: Rectangle
    font_size: int


@dataclass(frozen=True, slots=True)
class Mark:
    """A face to be drawn."""

    box: Rectangle
    color: str
    caption: Caption | None


def lay_out(verdicts: Sequence[Verdict], size: tuple[int, int], style: Style) -> list[Mark]:
    """A mark for each verdict with a box; plates stay in the picture and, where there is room, apart."""
    marks: list[Mark] = []
    for verdict in verdicts:
        if verdict.box is not None:
            taken = [mark.caption.plate for mark in marks if mark.caption]
            box = _pixels(verdict.box, size)
            caption = _caption(caption_text(verdict), box, size, style.position, taken)
            marks.append(Mark(box, style.color(verdict.state), caption))
    return marks


def caption_text(verdict: Verdict) -> str:
    """What a plate says: "Eileen Collins 98%", "unknown"."""
    name = name_of(verdict) or verdict.state.replace("_", " ").lower()
    return f"{name} {verdict.score:.0%}" if verdict.state is VerdictState.IDENTIFIED else name


def line_width(size: tuple[int, int]) -> int:
    """How thick a box is drawn."""
    return max(2, round(min(size) / 150))


def _pixels(box: Box, size: tuple[int, int]) -> Rectangle:
    width, height = size
    return Rectangle(box.left * width, box.top * height, box.width * width, box.height * height)


def _caption(
    text: str, box: Rectangle, size: tuple[int, int], position: LabelPosition, taken: Sequence[Rectangle]
) -> Caption | None:
    if position is LabelPosition.NONE:
        return None
    font_size = _font_size(text, size)
    padding = font_size * 0.35
    width, height = text_width(text, font_size) + 2 * padding, font_size + 2 * padding
    places = [
        Rectangle(_clamped(box.left, size[0] - width), top, width, height) for top in _tops(box, height, position)
    ]
    free = (place for place in places if _fits(place, size) and not any(place.overlaps(other) for other in taken))
    return Caption(text, next(free, _inside(places[0], size)), font_size)


def _font_size(text: str, size: tuple[int, int]) -> int:
    """Grows with the picture; shrinks until the text fits into its width."""
    wanted = max(12, round(min(size) / 28))
    room = size[0] / (text_width(text, wanted) + wanted)
    return max(_LEAST_FONT, int(wanted * min(1.0, room)))


def _tops(box: Rectangle, height: float, position: LabelPosition) -> Iterator[float]:
    """Upper edges of the plate, the wanted one first, then the next best."""
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
    return Rectangle(place.left, _clamped(place.top, size[1] - place.height), place.width, place.height)


def _clamped(value: float, most: float) -> float:
    return max(0.0, min(value, most))

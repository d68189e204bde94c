"""Places of names: beside their box, and on no face and no other name."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, product

from marquee.draw.fonts import Writing, width_of
from marquee.draw.layout.captions import Content, Item
from marquee.draw.layout.geometry import Line, Rectangle, Space
from marquee.draw.layout.legend import MAX_ENTRIES, Entry, Legend, legend_of
from marquee.draw.style import LabelPosition, Style, rim_of, text_color

_MIN_FONT_SIZE = 10
_MAX_FOR_SEARCH = 200
"""Boxes of a picture for which further places and smaller letters are tried."""
_MAX_EACH_SIZE = 24
"""Boxes of a picture up to which letters grow with their box; names of more are of one size."""
_DIRECTIONS = tuple((math.cos(turn * math.pi / 8), math.sin(turn * math.pi / 8)) for turn in range(16))
_DISTANCES = (0.7, 1.5, 2.5, 4.0)
"""Of a plate at the end of a line, in its heights."""
_GRID = 6
"""Steps from one side of a box to the other, where a number may stand on it."""
_MIN_SIDE_FOR_LEGEND = 100
_MIN_TEXTS = 2
"""Of an item: the third is shortened."""


@dataclass(frozen=True, slots=True)
class Plate:
    """A text beside its box."""

    text: str
    area: Rectangle
    font_size: int
    line: Line | None = None
    """To the box, where the plate is farther away."""
    is_number: bool = False
    """Of an entry in the legend."""
    is_bare: bool = False
    """Whether it is without a ground: a number on its own box, around which there is no room."""

    def writing(self, color: str) -> Writing:
        """Return the text on a ground of that color."""
        letters = "#ffffff" if self.is_bare else text_color(color)
        x, y = self.area.left + self.area.width / 2, self.area.top + self.area.height / 2
        return Writing(self.text, x, y, self.font_size, letters)


@dataclass(frozen=True, slots=True)
class Mark:
    """A box and its plate."""

    item: Item
    plate: Plate | None


@dataclass(frozen=True, slots=True)
class Layout:
    """All that is drawn into a picture."""

    marks: Sequence[Mark]
    """Those of labels first, so that faces are above them."""
    legend: Legend | None
    """Strip below the picture."""
    line_width: int


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Sizes in a picture, in pixels."""

    line: int
    low: int
    """Smallest letters that are legible when the whole picture is on a screen."""
    high: int

    def letters(self, item: Item, text: str) -> int:
        """Return the size of letters that goes with the box: the plate is hardly wider than it."""
        is_name = item.kind == "face" and item.entry
        share, high = (0.16, self.high) if is_name else (0.08, max(self.low, round(self.high / 2)))
        room = 1.6 * item.box.width / (width_of(text, 100) / 100 + 0.8)
        return min(max(round(min(share * item.box.height, room)), self.low), high)


def lay_out(content: Content, size: tuple[int, int], style: Style) -> Layout:
    """Return boxes, plates and a legend. No plate touches a face or another plate, unless the style puts it inside."""
    sizes = _sizes(size)
    if style.position is LabelPosition.NONE:
        return Layout([Mark(item, None) for item in content.items], None, sizes.line)
    best = min(_attempts(content, size, style), key=_Attempt.missing)
    has_legend = min(size) >= _MIN_SIDE_FOR_LEGEND
    entries, numbered, rest = best.numbered() if has_legend else ({}, {}, [])
    marks = [Mark(item, numbered.get(index) or best.plates.get(index)) for index, item in enumerate(content.items)]
    remarks = (*dict.fromkeys(rest), *content.remarks)
    legend = legend_of([*entries.values()], remarks, size, sizes.low) if has_legend and (entries or remarks) else None
    return Layout(marks, legend, sizes.line)


def _sizes(size: tuple[int, int]) -> _Sizes:
    low = max(_MIN_FONT_SIZE, round(max(size) / 110))
    return _Sizes(max(2, round(math.sqrt(size[0] * size[1]) / 300)), low, max(low, round(min(size) / 18)))


def _attempts(content: Content, size: tuple[int, int], style: Style) -> "Iterator[_Attempt]":
    """Yield attempts, each with smaller or fewer letters, until one leaves out nothing."""
    count = len(content.items)
    for level in (2,) if count > _MAX_FOR_SEARCH else (1, 2) if count > _MAX_EACH_SIZE else (0, 1, 2):
        attempt = _Attempt(content, size, style.position, level)
        yield attempt
        if attempt.missing() == 0:
            return


class _Attempt:
    """An attempt to place all plates: with letters sized by their box, with small ones, or without scores, too."""

    def __init__(self, content: Content, size: tuple[int, int], position: LabelPosition, level: int) -> None:
        self._items, self._sizes, self._position, self._level = content.items, _sizes(size), position, level
        self._space, self._written = Space(size), Space(size)
        self._own = {id(box): box.grown(self._sizes.line + 1) for box in content.faces}
        for box in self._own.values():
            self._space.take(box)
        self.plates: dict[int, Plate] = {}
        """By the index of their item."""
        for index in self._order():
            if plate := next(self._places(self._items[index]), None):
                self._take(index, plate)

    def missing(self) -> float:
        """Return how many plates there are not, and a little for each that is far away."""
        far = sum(plate.line is not None for plate in self.plates.values())
        left_out = sum(bool(item.entry) and index not in self.plates for index, item in enumerate(self._items))
        return left_out + far / 100

    def numbered(self) -> tuple[dict[str, Entry], dict[int, Plate], list[str]]:
        """Return entries of a legend, plates with their numbers by index of the item, and what has no number."""
        entries: dict[str, Entry] = {}
        plates: dict[int, Plate] = {}
        rest: list[str] = []
        for index, item in enumerate(self._items):
            if not item.entry or index in self.plates:
                continue
            key = item.entry if item.kind == "label" else f"{index}"
            entry = entries.get(key) or Entry(f"{len(entries) + 1}", item.entry, item.color)
            plate = self._number(item, entry.number) if key in entries or len(entries) < MAX_ENTRIES else None
            if plate is None:
                rest.append(item.entry)
                continue
            entries[key], plates[index] = entry, plate
            self._keep_free(plate)
        return entries, plates, rest

    def _order(self) -> list[int]:
        """Return indices of items: names before labels before what has no name, those with the least room first."""
        indices = [index for index, item in enumerate(self._items) if item.texts]
        return sorted(indices, key=lambda index: (not self._items[index].entry, *self._rank(self._items[index])))

    def _rank(self, item: Item) -> tuple[bool, int]:
        if len(self._items) > _MAX_FOR_SEARCH:
            return item.kind == "label", 0
        size = self._sizes.low
        free = sum(1 for area in self._beside(item, self._extent(item.texts[-1], size)) if self._is_free(area, item))
        return item.kind == "label", free

    def _take(self, index: int, plate: Plate) -> None:
        self.plates[index] = plate
        self._keep_free(plate)

    def _keep_free(self, plate: Plate) -> None:
        """Let nothing else be written on the plate and its line."""
        for area in (plate.area.grown(2), *(_parts(plate.line) if plate.line else ())):
            self._space.take(area)
            self._written.take(area)

    def _places(self, item: Item) -> Iterator[Plate]:
        """Yield plates that fit, best first: beside the box, then at the end of a line to it, then shortened."""
        *whole, short = item.texts if len(item.texts) > _MIN_TEXTS else (*item.texts, "")
        search = len(self._items) <= _MAX_FOR_SEARCH
        yield from self._near(item, whole)
        if search and item.kind == "face" and item.entry:
            yield from self._far(item, whole[-1])
        yield from self._near(item, [short] if short else [])

    def _near(self, item: Item, texts: Sequence[str]) -> Iterator[Plate]:
        """Yield plates beside the box: those away from other faces and names, which they might seem to be of, first."""
        low = self._sizes.low
        for text in texts if self._level < 2 or not item.entry else texts[-1:]:  # noqa: PLR2004 - the last
            preferred = self._sizes.letters(item, text) if self._level == 0 else low
            for size in dict.fromkeys((preferred, round((preferred + low) / 2), low)):
                fitting = (area for area in self._beside(item, self._extent(text, size)) if self._is_free(area, item))
                plates = [Plate(text, area, size) for area in fitting]
                yield from sorted(plates, key=lambda plate: not self._is_alone(plate.area, item))

    def _is_alone(self, area: Rectangle, item: Item) -> bool:
        return self._space.is_clear(area.grown(0.7 * area.height), self._own.get(id(item.box)))

    def _extent(self, text: str, size: int) -> tuple[float, float]:
        return width_of(text, size) + 0.8 * size, 1.5 * size

    def _is_free(self, area: Rectangle, item: Item) -> bool:
        own = self._own.get(id(item.box)) if self._position is LabelPosition.INSIDE else None
        return self._space.is_free(area, own)

    def _beside(self, item: Item, extent: tuple[float, float]) -> Iterator[Rectangle]:
        """Yield places at the box: on the side that is asked for, then on the others."""
        box, (width, height) = item.box, extent
        gap = self._sizes.line + 2
        above, below = box.top - gap - height, box.bottom + gap
        head, foot = box.top + gap, box.bottom - gap - height
        match self._position:
            case LabelPosition.BOTTOM:
                rows: Iterable[float] = (below, above)
            case LabelPosition.INSIDE:
                rows = (foot, head, above, below)
            case _:
                rows = (above, head, below, foot) if item.kind == "label" else (above, below)
        for top in rows:
            inset = gap if top in (head, foot) else -self._sizes.line / 2
            for left in (box.left + inset, box.left + (box.width - width) / 2, box.right - inset - width):
                yield Rectangle(min(max(left, 0.0), max(0.0, self._space.width - width)), top, width, height)
        for top in (box.top, box.top + (box.height - height) / 2, box.bottom - height):
            yield Rectangle(box.right + gap, top, width, height)
            yield Rectangle(box.left - gap - width, top, width, height)

    def _far(self, item: Item, text: str) -> Iterator[Plate]:
        """Yield plates at the end of a line to the box."""
        size = self._sizes.low
        box, (width, height) = item.box, self._extent(text, size)
        x, y = box.left + box.width / 2, box.top + box.height / 2
        for distance in _DISTANCES:
            for cos, sin in _DIRECTIONS:
                reach = distance * height
                middle_x = x + cos * (box.width / 2 + width / 2 + reach)
                middle_y = y + sin * (box.height / 2 + height / 2 + reach)
                area = Rectangle(middle_x - width / 2, middle_y - height / 2, width, height)
                end = area.nearest(x, y)
                line = Line(*end, *box.nearest(*end))
                own = self._own.get(id(box), box)
                if self._space.is_free(area) and self._space.is_free_line(line, own):
                    yield Plate(text, area, size, line)

    def _number(self, item: Item, number: str) -> Plate | None:
        """Return a number at the box, else at the end of a line, else on the box; None without any room."""
        size = self._sizes.low
        width, height = self._extent(number, size)
        search = len(self._items) <= _MAX_FOR_SEARCH
        places = chain(self._beside(item, (width, height)), self._along(item.box, width, height) if search else ())
        free = sorted(
            (area for area in places if self._is_free(area, item)), key=lambda area: not self._is_alone(area, item)
        )
        if free:
            return Plate(number, free[0], size, is_number=True)
        if search and item.kind == "face" and (plate := next(self._far(item, number), None)):
            return replace(plate, is_number=True)
        return self._number_on(item, number)

    def _number_on(self, item: Item, number: str) -> Plate | None:
        """Return a number without a ground, on its box alone; else of a face, on others' boxes as well."""
        low, own = self._sizes.low, self._own.get(id(item.box))
        sizes = dict.fromkeys((min(self._sizes.letters(item, number), 2 * low), low))
        places = [(area, size) for size in sizes for area in self._on(item.box, number, size)]
        free = (place for place in places if self._written.is_free(place[0]))
        clear = (place for place in places if self._space.is_free(place[0], own))
        for area, size in clear if item.kind == "label" else chain(clear, free):
            return Plate(number, area, size, is_number=True, is_bare=True)
        return None

    def _on(self, box: Rectangle, number: str, size: int) -> Iterator[Rectangle]:
        """Yield places on the box for letters without a ground."""
        inner = box.grown(-2 * self._sizes.line)
        width, height = width_of(number, size) + 2 * rim_of(size), 1.2 * size
        steps = _GRID if len(self._items) <= _MAX_FOR_SEARCH else 1
        for row, column in product(range(steps + 1), repeat=2):
            left = inner.left + (inner.width - width) * column / steps
            top = inner.top + (inner.height - height) * row / steps
            yield Rectangle(
                min(max(left, 0.0), max(0.0, self._space.width - width)),
                min(max(top, 0.0), max(0.0, self._space.height - height)),
                width,
                height,
            )

    def _along(self, box: Rectangle, width: float, height: float) -> Iterator[Rectangle]:
        """Yield places along all sides of the box."""
        gap = self._sizes.line + 2
        for step in range(9):
            left, top = box.left + (box.width - width) * step / 8, box.top + (box.height - height) * step / 8
            yield Rectangle(left, box.top - gap - height, width, height)
            yield Rectangle(left, box.bottom + gap, width, height)
            yield Rectangle(box.left - gap - width, top, width, height)
            yield Rectangle(box.right + gap, top, width, height)


def _parts(line: Line) -> Iterator[Rectangle]:
    """Yield small rectangles along the line."""
    count = max(1, round(math.hypot(line.x2 - line.x1, line.y2 - line.y1) / 6))
    for step in range(1, count):
        x, y = (one + (other - one) * step / count for one, other in ((line.x1, line.x2), (line.y1, line.y2)))
        yield Rectangle(x - 1, y - 1, 2, 2)

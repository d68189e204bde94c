"""Rectangles in pixels of the upright picture, and which of them are taken."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from marquee.results import Box

_CELLS = 32
"""Columns and rows of the grid: few enough for rectangles as large as the picture, and enough for crowds."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A part of the picture."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Lower edge."""
        return self.top + self.height

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom."""
        return self.left, self.top, self.right, self.bottom

    def overlaps(self, other: "Rectangle") -> bool:
        """Return whether the two have pixels in common."""
        beside = self.right <= other.left or other.right <= self.left
        return not beside and self.top < other.bottom and other.top < self.bottom

    def grown(self, margin: float) -> "Rectangle":
        """Return the rectangle with a margin on all sides."""
        return Rectangle(self.left - margin, self.top - margin, self.width + 2 * margin, self.height + 2 * margin)

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """Return the point in the rectangle that is nearest to another."""
        return min(max(x, self.left), self.right), min(max(y, self.top), self.bottom)


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line."""

    x1: float
    y1: float
    x2: float
    y2: float

    def crosses(self, area: Rectangle) -> bool:
        """Return whether a part of the line is within the rectangle, by Liang and Barsky's clipping."""
        begin, end = 0.0, 1.0
        for start, length, low, high in (
            (self.x1, self.x2 - self.x1, area.left, area.right),
            (self.y1, self.y2 - self.y1, area.top, area.bottom),
        ):
            if length == 0:
                if not low < start < high:
                    return False
                continue
            one, other = sorted(((low - start) / length, (high - start) / length))
            begin, end = max(begin, one), min(end, other)
        return begin < end


def pixels_of(box: Box | None, size: tuple[int, int]) -> Rectangle | None:
    """Return the part of the box that is in the picture; None without one, as for a box that is no box."""
    if box is None or not all(map(math.isfinite, (box.left, box.top, box.width, box.height))):
        return None
    left, right = (min(max(edge, 0.0), 1.0) * size[0] for edge in (box.left, box.left + box.width))
    top, bottom = (min(max(edge, 0.0), 1.0) * size[1] for edge in (box.top, box.top + box.height))
    return Rectangle(left, top, right - left, bottom - top) if left < right and top < bottom else None


class Space:
    """The picture, and the rectangles in it that are taken."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.width, self.height = size
        self._cells: dict[tuple[int, int], list[Rectangle]] = {}

    def take(self, area: Rectangle) -> None:
        """Take the rectangle from then on."""
        for cell in self._cells_of(area):
            self._cells.setdefault(cell, []).append(area)

    def is_free(self, area: Rectangle, own: Rectangle | None = None) -> bool:
        """Return whether the rectangle is in the picture and touches none that is taken, but perhaps its own box."""
        if area.left < 0 or area.top < 0 or area.right > self.width or area.bottom > self.height:
            return False
        return self.is_clear(area, own)

    def is_clear(self, area: Rectangle, own: Rectangle | None = None) -> bool:
        """Return whether the rectangle, in the picture or not, touches none that is taken, but perhaps its own box."""
        return not any(other is not own and area.overlaps(other) for other in self._near(area))

    def is_free_line(self, line: Line, own: Rectangle) -> bool:
        """Return whether the line crosses nothing that is taken but its own box."""
        (left, right), (top, bottom) = sorted((line.x1, line.x2)), sorted((line.y1, line.y2))
        area = Rectangle(left, top, right - left, bottom - top)
        return not any(other is not own and line.crosses(other) for other in self._near(area))

    def _near(self, area: Rectangle) -> Iterator[Rectangle]:
        for cell in self._cells_of(area):
            yield from self._cells.get(cell, ())

    def _cells_of(self, area: Rectangle) -> Iterator[tuple[int, int]]:
        columns = range(self._cell(area.left, self.width), self._cell(area.right, self.width) + 1)
        rows = range(self._cell(area.top, self.height), self._cell(area.bottom, self.height) + 1)
        return ((column, row) for column in columns for row in rows)

    @staticmethod
    def _cell(value: float, side: int) -> int:
        return min(max(int(value * _CELLS / side), 0), _CELLS - 1)

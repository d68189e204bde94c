"""Arithmetic of boxes, in pixels or in fractions of a picture. Pure."""

from typing import NamedTuple, Protocol

MIN_OVERLAP = 0.3
"""Minimum IoU of two boxes around one face. Detectors frame faces differently: around one face, a Haar box and a dlib
box measure 0.5 to 0.7; boxes of neighbours measure 0."""
ROUNDING = 1e-3
"""How far fractions may be past the picture, since others round them."""


class Box(Protocol):
    """A rectangle: marquee.v1.BoundingBox, or a detector's face."""

    @property
    def left(self) -> float:
        """Left edge."""

    @property
    def top(self) -> float:
        """Upper edge; downwards counts as more."""

    @property
    def width(self) -> float:
        """Width, at least 0."""

    @property
    def height(self) -> float:
        """Height, at least 0."""


class Corners(NamedTuple):
    """A box that is quick to compare: of a crowd, each face is compared with many others."""

    left: float
    top: float
    right: float
    bottom: float
    area: float

    @classmethod
    def of(cls, box: Box) -> "Corners":
        """Return the box's corners."""
        left, top, width, height = box.left, box.top, box.width, box.height
        return cls(left, top, left + width, top + height, width * height)

    def iou(self, other: "Corners") -> float:
        """Return the intersection over union; 0 for boxes apart."""
        left, top, right, bottom, area = self
        x, y, end, base, its = other
        if right <= x or end <= left or bottom <= y or base <= top:
            return 0.0
        common = (min(right, end) - max(left, x)) * (min(bottom, base) - max(top, y))
        return common / union if (union := area + its - common) > 0 else 0.0


def is_inside(box: Box) -> bool:
    """Return whether a box in fractions has an area and lies in the picture; NaN and infinity do not."""
    edges = (box.left, box.top, box.left + box.width, box.top + box.height)
    return box.width > 0 and box.height > 0 and all(-ROUNDING <= edge <= 1 + ROUNDING for edge in edges)


def iou(one: Box, other: Box) -> float:
    """Return the intersection over union: 0 (apart, or both empty) to 1 (equal)."""
    return Corners.of(one).iou(Corners.of(other))


def share_of_smaller(one: Box, other: Box) -> float:
    """Return the intersection as a share of the smaller box: 0 (apart, or one is empty) to 1 (inside the other)."""
    smaller = min(area(one), area(other))
    return intersection(one, other) / smaller if smaller > 0 else 0.0


def intersection(one: Box, other: Box) -> float:
    """Return the common area."""
    width = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    height = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    return max(width, 0.0) * max(height, 0.0)


def area(box: Box) -> float:
    """Return the box's area."""
    return box.width * box.height

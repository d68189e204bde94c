"""Arithmetic of boxes, in pixels or in fractions of a picture. Pure."""

from typing import Protocol

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


def is_inside(box: Box) -> bool:
    """Return whether a box in fractions has an area and lies in the picture; NaN and infinity do not."""
    edges = (box.left, box.top, box.left + box.width, box.top + box.height)
    return box.width > 0 and box.height > 0 and all(-ROUNDING <= edge <= 1 + ROUNDING for edge in edges)


def iou(one: Box, other: Box) -> float:
    """Return the intersection over union: 0 (apart, or both empty) to 1 (equal)."""
    common = intersection(one, other)
    union = area(one) + area(other) - common
    return common / union if union > 0 else 0.0


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

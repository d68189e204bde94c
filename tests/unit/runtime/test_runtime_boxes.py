"""Arithmetic of boxes."""

import pytest

from marquee.v1 import recognizer_pb2 as pb
from services.runtime import boxes

Place = tuple[float, float, float, float]


def box(place: Place) -> pb.BoundingBox:
    left, top, width, height = place
    return pb.BoundingBox(left=left, top=top, width=width, height=height)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((0, 0, 1, 1), (0, 0, 1, 1), 1),
        ((0, 0, 0.5, 1), (0, 0, 1, 1), 0.5),
        ((0, 0, 0.5, 0.5), (0.25, 0, 0.5, 0.5), 1 / 3),
        ((0, 0, 0.5, 0.5), (0.5, 0, 0.5, 0.5), 0),
        ((0, 0, 0.2, 0.2), (0.7, 0.7, 0.2, 0.2), 0),
        ((0, 0, 0, 0), (0, 0, 0, 0), 0),
        ((0.1, 0.1, 0.2, 0.2), (0.1, 0.1, 0.2, 0.2), 1),
        ((0.1, 0.1, 0.2, 0.2), (0.2, 0.1, 0.2, 0.2), 1 / 3),
        ((0.1, 0.1, 0.2, 0.2), (0.3, 0.1, 0.2, 0.2), 0),
        ((0.1, 0.1, 0.2, 0.2), (0.8, 0.8, 0.1, 0.1), 0),
        ((0.1, 0.1, 0.2, 0.2), (0.1, 0.1, 0, 0), 0),
    ],
)
def test_iou_is_intersection_over_union(one: Place, other: Place, expected: float) -> None:
    """IoU is symmetric: 1 for equal boxes and 0 for boxes that are adjacent, apart or empty."""
    assert boxes.iou(box(one), box(other)) == pytest.approx(expected, abs=1e-5)
    assert boxes.iou(box(other), box(one)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((0, 0, 4, 4), (1, 1, 2, 2), 1),
        ((0, 0, 4, 4), (3, 0, 2, 4), 0.5),
        ((0, 0, 4, 4), (4, 0, 2, 2), 0),
        ((0, 0, 4, 4), (1, 1, 0, 2), 0),
    ],
)
def test_share_of_the_smaller_box(one: Place, other: Place, expected: float) -> None:
    """The share is 1 for a box inside another, however small, and 0 for boxes that only touch or are empty."""
    assert boxes.share_of_smaller(box(one), box(other)) == expected
    assert boxes.share_of_smaller(box(other), box(one)) == expected

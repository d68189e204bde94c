"""Which faces of different recognizers are one face: those whose boxes overlap. Pure."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from operator import attrgetter
from typing import NamedTuple

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.fusion.assignment import assign
from services.runtime.boxes import MIN_OVERLAP, Corners

_LEVELS = math.ceil(-math.log2(MIN_OVERLAP))
_SMALLEST = 1e-6
_FEW_BOXES = 24
"""Number of boxes up to which it takes less time to compare all of them than to look for those around."""
_MAX_BOXES = 4
"""Maximum number of a place's boxes that further faces are compared with."""
_MAX_COMPARED = 1000
"""Maximum number of boxes around a face that it is compared with. Real faces have tens around them."""


class Sighting(NamedTuple):
    """A face that one recognizer found."""

    corners: Corners
    face: pb.Face
    result: pb.RecognizerResult


Place = list[Sighting]
"""One face of the picture: what recognizers found there, each at most once."""


def places(results: Sequence[pb.RecognizerResult]) -> list[Place]:
    """Return the faces of all results, those of one place together.

    The recognizers' faces are joined one recognizer after the other, so that together they overlap most with the
    places so far. The order is that of the recognizers' names and of the boxes; that of the results changes nothing.
    """
    found: list[Place] = []
    grid = _Grid()
    for result in sorted(results, key=attrgetter("recognizer")):
        sightings = _in_order(result)
        homes = assign([grid.overlaps(one.corners) for one in sightings]) if found else [None] * len(sightings)
        for sighting, home in zip(sightings, homes, strict=True):
            number = len(found) if home is None else home
            if home is None:
                found.append([])
            found[number].append(sighting)
            if len(found[number]) <= _MAX_BOXES:
                grid.add(sighting.corners, number)
    return found


def box_of(place: Place) -> pb.BoundingBox:
    """Return the box of the surest detection."""
    return min(place, key=lambda one: (-one.face.detection_score, one.corners)).face.box


def _in_order(result: pb.RecognizerResult) -> list[Sighting]:
    sightings = [Sighting(Corners.of(face.box), face, result) for face in result.faces]
    if len(sightings) < 2:  # noqa: PLR2004 - nothing to sort
        return sightings
    if len({one.corners for one in sightings}) < len(sightings):
        return sorted(sightings, key=lambda one: (one.corners, _people(one.face)))
    return sorted(sightings, key=lambda one: one.corners)


def _people(face: pb.Face) -> list[tuple[float, str, str, bool]]:
    return sorted((-one.score, one.person_id, one.display_name, one.enrolled) for one in face.candidates)


class _Grid:
    """The places by position and size, so that a face is compared with those around it only.

    The cells of each level are half as long as those of the level before. A box is in the cell of its center, on the
    last level whose cells are not shorter than the box. Boxes that overlap enough are few levels apart, since their
    IoU is at most the shorter width over the longer one, and likewise the height.
    """

    def __init__(self) -> None:
        self._boxes: list[tuple[Corners, int]] = []
        self._cells: dict[tuple[int, int, int], list[tuple[Corners, int]]] = defaultdict(list)

    def add(self, box: Corners, place: int) -> None:
        """Add a box of the place."""
        self._boxes.append((box, place))
        if len(self._boxes) > _FEW_BOXES:
            boxes = self._boxes[-1:] if self._cells else self._boxes
            for one in boxes:
                self._cells[_cell(one[0])].append(one)

    def overlaps(self, box: Corners) -> dict[int, float]:
        """Return the places that overlap enough, with the IoU of the box of each that overlaps most."""
        left, top, right, bottom, area = box
        found: dict[int, float] = {}
        boxes = islice(self._around(box), _MAX_COMPARED) if self._cells else self._boxes
        for (x, y, end, base, other), place in boxes:
            # As boxes.iou, but in a fifth of its time; min and max would double it.
            width = (right if right < end else end) - (left if left > x else x)  # noqa: FURB136
            height = (bottom if bottom < base else base) - (top if top > y else y)  # noqa: FURB136
            if width > 0 and height > 0:
                common = width * height
                overlap = common / (area + other - common)
                if overlap >= MIN_OVERLAP and overlap > found.get(place, 0):
                    found[place] = overlap
        return found

    def _around(self, box: Corners) -> Iterator[tuple[Corners, int]]:
        own = _level(box)
        for level in range(own - _LEVELS, own + _LEVELS + 1):
            scale = 2.0**level
            # The centers of boxes that overlap are apart by half of each at most; half of the other is half a cell.
            rows = _cells(box.top * scale - 0.5, box.bottom * scale + 0.5)
            for column in _cells(box.left * scale - 0.5, box.right * scale + 0.5):
                for row in rows:
                    yield from self._cells.get((level, column, row), ())


def _cell(box: Corners) -> tuple[int, int, int]:
    level = _level(box)
    x, y = (box.left + box.right) / 2 * 2**level, (box.top + box.bottom) / 2 * 2**level
    return level, math.floor(x), math.floor(y)


def _level(box: Corners) -> int:
    return math.floor(-math.log2(max(box.right - box.left, box.bottom - box.top, _SMALLEST)))


def _cells(first: float, last: float) -> range:
    return range(math.floor(first), math.floor(last) + 1)

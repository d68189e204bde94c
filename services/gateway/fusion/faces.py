"""Which faces of different recognizers are one face: those whose boxes overlap. Pure."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.boxes import MIN_OVERLAP, Corners

_LEVELS = math.ceil(-math.log2(MIN_OVERLAP))
_SMALLEST = 1e-6
_MAX_BOXES = 4
"""Maximum number of a group's boxes that further faces are compared with."""
_MAX_COMPARED = 1000
"""Maximum number of boxes around a face that it is compared with. Real faces have tens around them."""


@dataclass
class Group:
    """The faces that recognizers found in one place, by recognizer."""

    faces: dict[str, pb.Face] = field(default_factory=dict)
    models: dict[str, pb.Model] = field(default_factory=dict)


def group(results: Sequence[pb.RecognizerResult]) -> list[Group]:
    """Return the faces of all results, those of one place together."""
    groups: list[Group] = []
    places = _Places()
    for result in results:
        for face in result.faces:
            box = Corners.of(face.box)
            home = places.home(box, result.recognizer)
            if home is None:
                home = Group()
                groups.append(home)
            if len(home.faces) < _MAX_BOXES:
                places.add(box, home)
            home.faces[result.recognizer] = face
            home.models[result.recognizer] = result.model
    return groups


class _Places:
    """The groups by place and size, so that a face is compared with those around it only.

    The cells of each level are half as long as those of the level before. A box is in the cell of its center, on the
    last level whose cells are not shorter than the box. Boxes that overlap enough are few levels apart, since their
    IoU is at most the shorter width over the longer one, and likewise the height.
    """

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int, int], list[tuple[Corners, Group]]] = defaultdict(list)

    def add(self, box: Corners, group: Group) -> None:
        """Add a box of the group."""
        level = _level(box)
        x, y = (box.left + box.right) / 2 * 2**level, (box.top + box.bottom) / 2 * 2**level
        self._cells[level, math.floor(x), math.floor(y)].append((box, group))

    def home(self, box: Corners, recognizer: str) -> Group | None:
        """Return the group that overlaps most, and enough, and has no face of this recognizer yet."""
        left, top, right, bottom, area = box
        best, most = None, MIN_OVERLAP
        for (x, y, end, base, other), group in islice(self._around(box), _MAX_COMPARED):
            # As boxes.iou, but in a fifth of its time; min and max would double it.
            width = (right if right < end else end) - (left if left > x else x)  # noqa: FURB136
            height = (bottom if bottom < base else base) - (top if top > y else y)  # noqa: FURB136
            if width > 0 and height > 0 and recognizer not in group.faces:
                common = width * height
                overlap = common / (area + other - common)
                if overlap > most or (overlap == most and best is None):
                    best, most = group, overlap
        return best

    def _around(self, box: Corners) -> Iterator[tuple[Corners, Group]]:
        own = _level(box)
        for level in range(own - _LEVELS, own + _LEVELS + 1):
            scale = 2.0**level
            # The centers of boxes that overlap are apart by half of each at most; half of the other is half a cell.
            rows = _cells(box.top * scale - 0.5, box.bottom * scale + 0.5)
            for column in _cells(box.left * scale - 0.5, box.right * scale + 0.5):
                for row in rows:
                    yield from self._cells.get((level, column, row), ())


def _level(box: Corners) -> int:
    return math.floor(-math.log2(max(box.right - box.left, box.bottom - box.top, _SMALLEST)))


def _cells(first: float, last: float) -> range:
    return range(math.floor(first), math.floor(last) + 1)

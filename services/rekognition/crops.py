"""Single faces cut out of a picture, since SearchFacesByImage looks only at the largest. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow

from marquee.v1 import recognizer_pb2 as pb
from services.rekognition.picture import jpeg
from services.runtime.images.image import Pixels

_MARGIN = 0.5
"""Fraction of the face's sides, on every side: detectors want to see hair, chin and ears around a face."""
_MIN_SIDE = 160
"""Rekognition accepts pictures from 80 pixels a side, and finds small faces better with some surroundings."""
_MAX_SIDE = 1024
"""More pixels of one face add only bytes."""
_GREY = 128


@dataclass(frozen=True)
class Crop:
    """A JPEG of one face and its surroundings, and its place in the picture."""

    content: bytes
    box: pb.BoundingBox

    def place(self, box: pb.BoundingBox) -> pb.BoundingBox:
        """Convert a box of the crop to a box of the picture."""
        return pb.BoundingBox(
            left=self.box.left + box.left * self.box.width,
            top=self.box.top + box.top * self.box.height,
            width=box.width * self.box.width,
            height=box.height * self.box.height,
        )


def crop(pixels: Pixels, boxes: Sequence[pb.BoundingBox], which: int) -> Crop:
    """Cut out the face in one of the boxes, with a margin; paint over the faces in the other boxes."""
    height, width = pixels.shape[:2]
    left, right = _span(boxes[which].left, boxes[which].width, width)
    top, bottom = _span(boxes[which].top, boxes[which].height, height)
    part = pixels[top:bottom, left:right].copy()
    own = _pixels(boxes[which], pixels)
    for number, box in enumerate(boxes):
        if number != which:
            _paint_over(part, _pixels(box, pixels), (left, top))
    _restore(part, pixels, own, (left, top))
    picture = Pillow.fromarray(part)
    picture.thumbnail((_MAX_SIDE, _MAX_SIDE))
    place = pb.BoundingBox(
        left=left / width, top=top / height, width=(right - left) / width, height=(bottom - top) / height
    )
    return Crop(jpeg(picture), place)


_Corners = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the picture."""


def _span(start: float, length: float, side: int) -> tuple[int, int]:
    """Return start and end in pixels along one side: with the margin, at least the minimum, within the picture."""
    size = min(side, max(_MIN_SIDE, round(length * side * (1 + 2 * _MARGIN))))
    first = round((start + length / 2) * side - size / 2)
    first = min(max(0, first), side - size)
    return first, first + size


def _pixels(box: pb.BoundingBox, pixels: Pixels) -> _Corners:
    height, width = pixels.shape[:2]
    right, bottom = (box.left + box.width) * width, (box.top + box.height) * height
    return round(box.left * width), round(box.top * height), round(right), round(bottom)


def _paint_over(part: Pixels, corners: _Corners, origin: tuple[int, int]) -> None:
    rows, columns = _slices(corners, origin)
    part[rows, columns] = np.uint8(_GREY)


def _restore(part: Pixels, pixels: Pixels, corners: _Corners, origin: tuple[int, int]) -> None:
    """Undo what was painted over the face itself, since the boxes of neighbouring faces overlap."""
    left, top, right, bottom = corners
    rows, columns = _slices(corners, origin)
    part[rows, columns] = pixels[top:bottom, left:right]


def _slices(corners: _Corners, origin: tuple[int, int]) -> tuple[slice, slice]:
    left, top, right, bottom = corners
    return (
        slice(max(0, top - origin[1]), max(0, bottom - origin[1])),
        slice(max(0, left - origin[0]), max(0, right - origin[0])),
    )

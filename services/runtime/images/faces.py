"""Faces found in pictures: boxes, points, what each detector draws around the same face, and quarter turns."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.boxes import share_of_smaller
from services.runtime.images.image import Pixels

Points = tuple[tuple[float, float], ...]
_FRAMES = {("haar", "dlib"): (0.9009, 0.0721), ("yunet", "dlib"): (0.982, 0.039), ("yunet", "haar"): (1.072, -0.022)}
"""From one detector's box to the square that another draws around the same face: its side in geometric means of the
box's sides, and how far below the box's centre its centre is, in the box's heights. Medians of 248, 238 and 117 pairs;
9 in 10 are within 16 % of the side."""
_SHARED = 0.5
"""Share of the smaller of two boxes over which both are one face."""


@dataclass(frozen=True)
class Face:
    """A face's box in pixels, as its detector draws it; it may reach past the picture."""

    left: int
    top: int
    width: int
    height: int
    score: float = 0.0
    """0 to 1; 0 if the detector gives none, as Haar's."""
    detector: str = "haar"
    """"haar": a square from brow to chin; "yunet": tight around the face; "dlib": what its landmarks are learnt in."""
    points: Points = ()
    """The person's right eye, left eye, nose, right and left corner of the mouth, (x, y) in pixels; () if unknown."""

    @classmethod
    def from_yunet(cls, row: npt.NDArray[np.floating[Any]]) -> "Face":
        """From a row of YuNet's [15]: box, five points, score."""
        left, top, width, height = (round(float(value)) for value in row[:4])
        points = tuple((float(x), float(y)) for x, y in row[4:14].reshape(5, 2))
        return cls(left, top, width, height, float(row[14]), "yunet", points)

    def crop(self, pixels: Pixels) -> Pixels:
        """Return the face's part of its picture, in colour or grey."""
        top, left = max(0, self.top), max(0, self.left)
        return pixels[top : max(0, self.top + self.height), left : max(0, self.left + self.width)]

    def scaled(self, x: float, y: float) -> "Face":
        """Return the same face in a copy of the picture that is `x` times as wide and `y` times as high."""
        left, top, width, height = self.left * x, self.top * y, self.width * x, self.height * y
        points = tuple((across * x, down * y) for across, down in self.points)
        return replace(self, left=round(left), top=round(top), width=round(width), height=round(height), points=points)

    def moved(self, right: int, down: int) -> "Face":
        """Return the same face in a picture that this one is a part of, so many pixels from its left and top."""
        points = tuple((x + right, y + down) for x, y in self.points)
        return replace(self, left=self.left + right, top=self.top + down, points=points)

    def widened(self, margin: float) -> "Face":
        """Return a square around the face's centre, with this margin on each side of its longer side."""
        side = max(self.width, self.height) + 2 * margin
        left, top = self.left + (self.width - side) / 2, self.top + (self.height - side) / 2
        return Face(round(left), round(top), round(side), round(side))

    def framed(self, detector: str) -> "Face":
        """Return the face with the box that another detector, "haar" or "dlib", draws around it; may reach outside."""
        if self.detector == detector:
            return self
        scale, drop = _FRAMES[self.detector, detector]
        side = math.sqrt(self.width * self.height) * scale
        left = self.left + (self.width - side) / 2
        top = self.top + (self.height - side) / 2 + self.height * drop
        return replace(self, left=round(left), top=round(top), width=round(side), height=round(side), detector=detector)

    def box_in(self, pixels: Pixels) -> pb.BoundingBox:
        """Return the part of the box that lies inside the picture, in fractions of it."""
        height, width = pixels.shape[:2]
        left, right = (min(max(side / width, 0.0), 1.0) for side in (self.left, self.left + self.width))
        top, bottom = (min(max(side / height, 0.0), 1.0) for side in (self.top, self.top + self.height))
        return pb.BoundingBox(left=left, top=top, width=right - left, height=bottom - top)


@dataclass(frozen=True)
class Detection:
    """The faces of a picture, in the way of looking at it in which they are upright."""

    pixels: Pixels
    """RGB [height, width, 3], turned by `turns`."""
    faces: list[Face]
    """In `pixels`, from left to right."""
    turns: int = 0
    """Quarter turns to the left that the upright picture was given, 0 to 3."""
    warnings: tuple[str, ...] = ()

    def box(self, face: Face) -> pb.BoundingBox:
        """Return the face's box in fractions of the upright picture."""
        box = face.box_in(self.pixels)
        corners = self.place(box.left, box.top), self.place(box.left + box.width, box.top + box.height)
        (left, right), (top, bottom) = (sorted(values) for values in zip(*corners, strict=True))
        return pb.BoundingBox(left=left, top=top, width=right - left, height=bottom - top)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point of `pixels`, in fractions, is in the upright picture."""
        for _ in range(self.turns):
            x, y = 1 - y, x
        return x, y


def grey(pixels: Pixels) -> Pixels:
    """Return the picture without colours, [height, width]."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def resized(pixels: Pixels, scale: float) -> Pixels:
    """Return the picture, `scale` times as wide and high."""
    height, width = pixels.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        return pixels
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size, interpolation=method), dtype=np.uint8)


def at_most(pixels: Pixels, side: int) -> Pixels:
    """Return the picture, shrunk so that neither side is longer than `side`."""
    return resized(pixels, min(1.0, side / max(pixels.shape[:2])))


def clipped(faces: Iterable[Face], pixels: Pixels) -> Iterator[Face]:
    """Yield the parts of the faces that lie inside the picture."""
    for face in faces:
        left, top = max(0, face.left), max(0, face.top)
        right = min(pixels.shape[1], face.left + face.width)
        bottom = min(pixels.shape[0], face.top + face.height)
        if right > left and bottom > top:
            yield replace(face, left=left, top=top, width=right - left, height=bottom - top)


def distinct(faces: Iterable[Face]) -> list[Face]:
    """Return the faces from left to right, each once: the first of those that are the same."""
    kept: list[Face] = []
    for face in faces:
        if is_new(face, kept):
            kept.append(face)
    return sorted(kept, key=position)


def is_new(face: Face, others: Iterable[Face]) -> bool:
    """Return whether the face shares at most half of the smaller box with each of the others."""
    return all(share_of_smaller(face, other) <= _SHARED for other in others)


def position(face: Face) -> tuple[int, int, int, int]:
    """Return what sorts faces from left to right."""
    return face.left, face.top, face.width, face.height

"""Cats that look at the camera, as OpenCV's cascade finds them."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import cv2.data

from services.runtime.images.image import Pixels

_NEIGHBOURS = 3
"""With fewer, the cascade takes faces and gravel for cats; with these it misses most cats and names nothing else."""


@dataclass(frozen=True)
class Cat:
    """A cat's face in pixels of the view."""

    left: int
    top: int
    width: int
    height: int
    hits: int
    """How many overlapping windows the detector found it in."""

    @property
    def confidence(self) -> float:
        """0 to 100: every hit halves the doubt. The cascade tells nothing better."""
        return 100 * (1 - 0.5**self.hits)


class CatFinder:
    """The cascade. One call at a time."""

    def __init__(self) -> None:
        self._cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalcatface_extended.xml")

    def find(self, pixels: Pixels) -> tuple[Cat, ...]:
        """The cats of an RGB picture [height, width, 3]."""
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        boxes, hits = self._cascade.detectMultiScale2(grey, minNeighbors=_NEIGHBOURS, minSize=(60, 60))
        return tuple(_cat(box, count) for box, count in zip(boxes, hits, strict=True))


def _cat(box: Sequence[int], hits: int) -> Cat:
    left, top, width, height = map(int, box)
    return Cat(left, top, width, height, int(hits))

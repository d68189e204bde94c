"""Detection of all faces of a picture down to a stated size, with YuNet."""

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

import cv2
import numpy as np

from services.runtime.boxes import iou
from services.runtime.images.faces import Detection, Face, is_new, position
from services.runtime.images.image import Pixels
from services.runtime.images.yunet import MIN_SIDE, STRIDE, YuNet

SMALLEST_FACE = 0.02
"""Default side of the smallest face, as a share of the picture's longer side."""
MIN_PIXELS = 10
"""Longer side of the smallest face in the picture's own pixels: no copy is enlarged further."""
_WHOLE_SIDE = 1024
"""Longer side, in pixels, of the largest copy that the network sees as a whole; of a larger one it sees tiles."""
_TILE = 832
"""Side of a tile in pixels."""
_OVERLAP = 1.5 * SMALLEST_FACE
"""How far a tile reaches into the next one, as a share of the picture's longer side: faces that only tiles show are
smaller than 2 % of it, so one of the tiles has each of them whole."""
_CANDIDATE = 0.03
"""Score from which there may be a face: of 110 at 2 % of the picture, one scores no more."""
_SURE, _CERTAIN = 0.9, 0.86
"""Score that needs no second look, and the one that a face must have in the end: those of 18 pixels have .89 and more
close up, and of 850 candidates that are none, one."""
_UPRIGHT = 0.88
"""Score that the best face of a picture must have to show how it is turned: a cat upside down and a machine on its side
have .86, and so may a face upside down."""
_CLOSE_UPS = ((32, 0.2), (64, _CERTAIN))
"""Pixels of the face's side, and least score, of one look after the other. The first costs half of the second, and
rules out three in four of what is no face."""
_AROUND = 0.5
"""How much a close-up shows on each side of the face, in its sides."""
_SAME = 0.3
"""IoU of what is seen and a box from elsewhere over which both are about the same part of the picture."""
_MAX_FACES, _MAX_CANDIDATES = 256, 1024
_LARGE, _COARSER = 0.1, 2.5
"""A share of the picture that is always searched for, in 2 ms, and the step towards it from one size to the next."""
_TOO_SHORT = "The deadline left no time to look for faces smaller than {:.1%} of the longer side."
_TURNED = "The picture shows faces only when it is turned to the left by {} degrees."


class FaceDetector:
    """Detector of faces of at least `smallest_face` of the longer side and 10 pixels. Thread-safe, in parallel.

    A copy in which such faces have 18 pixels is searched, in tiles if it is large. What may be a face is looked at
    again in the picture itself, at a size at which the network is sure. If there is no face, or only doubtful ones, the
    picture is searched again on its sides and upside down, unless `turn` is False.
    """

    def __init__(self, smallest_face: float = SMALLEST_FACE, *, turn: bool = True) -> None:
        self._smallest = smallest_face
        self._turn = turn
        self._network = YuNet()
        self._seconds_per_pixel = 0.0

    def find(self, pixels: Pixels, seconds: float = math.inf) -> Detection:
        """Return the faces of an upright RGB picture [height, width, 3], from left to right, at most 256.

        If that is likely to take more than `seconds`, only larger faces are searched for, and a warning says so.
        """
        until = time.monotonic() + seconds
        faces, reached = self._search(pixels, self._smallest, until)
        warnings = (_TOO_SHORT.format(reached),) if reached > self._smallest else ()
        upright = Detection(pixels, faces, warnings=warnings)
        return self._turned(upright, until) if self._turn and _best(faces) < _UPRIGHT else upright

    def with_points(self, pixels: Pixels, face: Face) -> Face:
        """Return the face with the points that the network sees in its box; unchanged if it sees no such face there."""
        seen = self._second_look(pixels, face)
        return replace(face, points=seen.points) if seen and iou(seen, face) > _SAME else face

    def _turned(self, upright: Detection, until: float) -> Detection:
        """Return the faces of the way to turn the picture in which they score most, if that is enough."""
        pixels = upright.pixels
        smallest = max(self._smallest, SMALLEST_FACE)
        small = _copy(pixels, min(1.0, _scale(pixels, smallest)))
        views = {turns: np.ascontiguousarray(np.rot90(small, turns)) for turns in (1, 2, 3)}
        found = {turns: self._search(view, smallest, until)[0] for turns, view in views.items()}
        turns, faces = max(found.items(), key=lambda one: sum(face.score for face in one[1]))
        if _best(faces) < _UPRIGHT:
            return upright
        turned = np.ascontiguousarray(np.rot90(pixels, turns))
        across, down = (turned.shape[axis] / views[turns].shape[axis] for axis in (1, 0))
        scaled = [face.scaled(across, down) for face in faces]
        return Detection(turned, scaled, turns, (*upright.warnings, _TURNED.format(90 * turns)))

    def _search(self, pixels: Pixels, smallest: float, until: float) -> tuple[list[Face], float]:
        """Return the faces of one view of the picture, and the smallest share that there was time to search for."""
        reached = smallest if _scale(pixels, smallest) * max(pixels.shape[:2]) <= _WHOLE_SIDE else SMALLEST_FACE
        while reached < _LARGE and not self._has_time(until, _work(pixels, _scale(pixels, reached))):
            reached *= _COARSER
        candidates = self._candidates(pixels, _scale(pixels, reached))
        if smallest < reached <= SMALLEST_FACE:
            scale = _scale(pixels, smallest)
            for left, top, tile in _tiles(pixels, scale):
                if not self._has_time(until, _TILE**2):
                    return self._certain(pixels, candidates, until), reached
                candidates += (face.moved(left, top) for face in self._candidates(tile, scale))
            reached = smallest
        return self._certain(pixels, candidates, until), reached

    def _candidates(self, pixels: Pixels, scale: float) -> list[Face]:
        """Return what may be a face in a copy of this scale, and remember how long that took."""
        begin = time.monotonic()
        faces = self._seen(pixels, scale, _CANDIDATE)
        self._seconds_per_pixel = (time.monotonic() - begin) / _work(pixels, scale)
        return faces

    def _seen(self, pixels: Pixels, scale: float, min_score: float) -> list[Face]:
        """Return what the network sees in a copy of this scale, in pixels of the picture."""
        copy = _copy(pixels, scale)
        across, down = pixels.shape[1] / copy.shape[1], pixels.shape[0] / copy.shape[0]
        rows = self._network.detect(copy, min_score) * np.array([across, down] * 7 + [1])
        return [Face.from_yunet(row) for row in rows]

    def _certain(self, pixels: Pixels, candidates: Iterable[Face], until: float) -> list[Face]:
        """Return the candidates that are faces, each once, from left to right; after `until`, only the sure ones."""
        faces: list[Face] = []
        for face in sorted(candidates, key=lambda one: -one.score)[:_MAX_CANDIDATES]:
            if len(faces) == _MAX_FACES or (face.score < _SURE and time.monotonic() > until):
                break
            if is_new(face, faces) and (seen := self._second_look(pixels, face)) and is_new(seen, faces):
                faces += [seen] if max(seen.width, seen.height) >= MIN_PIXELS else []
        return sorted(faces, key=position)

    def _second_look(self, pixels: Pixels, face: Face) -> Face | None:
        """Return the face if the network is sure of it, or else as it sees it close up; None if it is not certain."""
        if face.score >= _SURE:
            return face
        seen: Face | None = face
        for side, least in _CLOSE_UPS:
            seen = seen and self._close_up(pixels, face, side, least)
        return seen

    def _close_up(self, pixels: Pixels, face: Face, side: int, least: float) -> Face | None:
        """Return the face as the network sees it in a copy in which its side has so many pixels."""
        longer = max(face.width, face.height)
        around = face.widened(_AROUND * longer)
        part = around.crop(pixels)
        if not part.size:
            return None
        left, top = max(0, around.left), max(0, around.top)
        seen = (one.moved(left, top) for one in self._seen(part, side / longer, least))
        return max((one for one in seen if not is_new(one, [face])), key=lambda one: one.score, default=None)

    def _has_time(self, until: float, work: int) -> bool:
        return time.monotonic() + work * self._seconds_per_pixel < until


def _scale(pixels: Pixels, smallest: float) -> float:
    """Return the scale of the copy in which faces of this share of the picture's longer side have 18 pixels."""
    return MIN_SIDE / max(smallest * float(max(pixels.shape[:2])), MIN_PIXELS)


def _work(pixels: Pixels, scale: float) -> int:
    """Return how many pixels the network sees of the copy of this scale."""
    height, width = (STRIDE * math.ceil(int(side) * scale / STRIDE) for side in pixels.shape[:2])
    return height * width


def _copy(pixels: Pixels, scale: float) -> Pixels:
    """Return a copy of this scale. Averaging whole pixels first takes half of the time of INTER_AREA for any scale."""
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    whole = int(1 / scale)
    if 1 < whole <= min(pixels.shape[:2]):
        height, width = (side // whole for side in pixels.shape[:2])
        evenly = pixels[: height * whole, : width * whole]
        pixels = np.asarray(cv2.resize(evenly, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _tiles(pixels: Pixels, scale: float) -> Iterator[tuple[int, int, Pixels]]:
    """Yield left, top and pixels of each part of the picture that is a tile of the copy of this scale."""
    side = math.floor(_TILE / scale)
    step = side - math.ceil(_OVERLAP * max(pixels.shape[:2]))
    for top in range(0, max(1, pixels.shape[0] - side + step), step):
        for left in range(0, max(1, pixels.shape[1] - side + step), step):
            yield left, top, pixels[top : top + side, left : left + side]


def _best(faces: Iterable[Face]) -> float:
    return max((face.score for face in faces), default=0.0)

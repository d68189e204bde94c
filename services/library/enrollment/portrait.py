"""Portraits: a face cut out of its picture so that recognizers find it, and nobody else's. Pure."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image as Pillow

from services.runtime.boxes import Box
from services.runtime.images.image import Image, Pixels

_MARGINS = (0.6, 0.45, 0.3, 0.2)
"""On each side, in longer sides of the face: detectors want some of what is around it, and the most is best."""
_BIT = 0.1
"""Share of another face that may be seen without one finding it."""
_LONGEST = 1024
"""Pixels of a portrait's longer side at most: recognizers look at fewer."""
_QUALITY = 95
_GREY = 127
_Area = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels."""


def portrait(content: bytes, box: Box, others: Sequence[Box]) -> bytes:
    """Return a JPEG of the face in this box, in fractions of the upright picture, the same for the same picture.

    The margin is as wide as leaves other faces out; of those that are too near, what is beside the face is grey. Raises
    InvalidImage and ImageTooLarge. Blocks.
    """
    pixels = Image(content).upright()
    size = pixels.shape[1], pixels.shape[0]
    face, near = _area(box, size), [_area(one, size) for one in others]
    areas = [_widened(face, margin, size) for margin in _MARGINS]
    area = next((one for one in areas if all(_seen(other, one) <= _BIT for other in near)), areas[-1])
    hidden = [other for other in near if _seen(other, area) > _BIT]
    return _jpeg(_cut(_greyed(pixels, face, hidden), area))


def _area(box: Box, size: tuple[int, int]) -> _Area:
    width, height = size
    left, top = min(max(int(box.left * width), 0), width - 1), min(max(int(box.top * height), 0), height - 1)
    right, bottom = round((box.left + box.width) * width), round((box.top + box.height) * height)
    return left, top, max(min(right, width), left + 1), max(min(bottom, height), top + 1)


def _widened(area: _Area, margin: float, size: tuple[int, int]) -> _Area:
    left, top, right, bottom = area
    extra = round(margin * max(right - left, bottom - top))
    return max(left - extra, 0), max(top - extra, 0), min(right + extra, size[0]), min(bottom + extra, size[1])


def _seen(other: _Area, area: _Area) -> float:
    """Return the share of another face that lies in the area."""
    width = min(other[2], area[2]) - max(other[0], area[0])
    height = min(other[3], area[3]) - max(other[1], area[1])
    whole = (other[2] - other[0]) * (other[3] - other[1])
    return max(width, 0) * max(height, 0) / whole


def _greyed(pixels: Pixels, face: _Area, hidden: Sequence[_Area]) -> Pixels:
    """Return the pixels with these faces grey, except where the face itself is."""
    if not hidden:
        return pixels
    left, top, right, bottom = face
    copy = pixels.copy()
    for other in hidden:
        copy[other[1] : other[3], other[0] : other[2]] = _GREY
    copy[top:bottom, left:right] = pixels[top:bottom, left:right]
    return copy


def _cut(pixels: Pixels, area: _Area) -> Pixels:
    left, top, right, bottom = area
    return np.ascontiguousarray(pixels[top:bottom, left:right])


def _jpeg(pixels: Pixels) -> bytes:
    image = Pillow.fromarray(pixels)
    image.thumbnail((_LONGEST, _LONGEST))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()

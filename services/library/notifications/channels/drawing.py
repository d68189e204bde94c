"""A thumbnail with the boxes of its faces, as messages show it."""

import io
from collections.abc import Iterable
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from marquee.v1 import recognizer_pb2 as pb

_NAMED, _UNNAMED = "#2e9e4f", "#e0a100"
_LINE = 3
_FONT_SIZE = 16
_PADDING = 3
_LAST_LETTER = "\u024f"
"""Of those that the font has."""
_QUALITY = 85


class Mark(NamedTuple):
    """A face to mark."""

    box: pb.BoundingBox
    name: str
    """Empty: nobody knows whose face it is."""


def drawn(thumbnail: bytes, marks: Iterable[Mark]) -> bytes:
    """Return the thumbnail as a JPEG with the marks. Blocks."""
    picture = Image.open(io.BytesIO(thumbnail)).convert("RGB")
    canvas = ImageDraw.Draw(picture)
    for mark in marks:
        _draw(canvas, picture.size, mark)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def sample() -> bytes:
    """Return the picture of a message that only tests a channel."""
    buffer = io.BytesIO()
    Image.new("RGB", (320, 200), "#30343b").save(buffer, "PNG")
    face = pb.BoundingBox(left=0.35, top=0.25, width=0.3, height=0.55)
    return drawn(buffer.getvalue(), [Mark(face, "Marquee")])


def _draw(canvas: ImageDraw.ImageDraw, size: tuple[int, int], mark: Mark) -> None:
    width, height = size
    left, top = _within(mark.box.left, width), _within(mark.box.top, height)
    right = max(left + 1, _within(mark.box.left + mark.box.width, width))
    bottom = max(top + 1, _within(mark.box.top + mark.box.height, height))
    color = _NAMED if mark.name else _UNNAMED
    canvas.rectangle((left, top, right, bottom), outline=color, width=_LINE)
    if mark.name and max(mark.name) <= _LAST_LETTER:
        font = ImageFont.load_default(_FONT_SIZE)
        at = left, max(0, top - _FONT_SIZE - 2 * _PADDING)
        area = canvas.textbbox((at[0] + _PADDING, at[1]), mark.name, font=font)
        canvas.rectangle((at[0], at[1], area[2] + _PADDING, area[3] + _PADDING), fill=color)
        canvas.text((at[0] + _PADDING, at[1]), mark.name, fill="white", font=font)


def _within(share: float, pixels: int) -> int:
    return round(min(1.0, max(0.0, share)) * (pixels - 1)) if share == share else 0  # noqa: PLR0124 - NaN

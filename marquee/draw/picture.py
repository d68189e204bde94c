"""The picture to draw on, as people see it."""

import io
import struct
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

_FORMATS = ("JPEG", "PNG", "WEBP")
_MAX_PIXELS = 50_000_000
"""The servers' limit, checked before a pixel is decoded."""
_ORIENTATION = 0x0112
_Turn = Image.Transpose
_TURNS = {
    2: _Turn.FLIP_LEFT_RIGHT,
    3: _Turn.ROTATE_180,
    4: _Turn.FLIP_TOP_BOTTOM,
    5: _Turn.TRANSPOSE,
    6: _Turn.ROTATE_270,
    7: _Turn.TRANSVERSE,
    8: _Turn.ROTATE_90,
}
_EMBEDDED_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")
"""Modes that every viewer of SVGs shows alike, which those of printing presses and 16 bits are not."""


def upright(content: bytes) -> Image.Image:
    """Return the first frame, upright, as 8-bit RGB or RGBA. Raises OSError."""
    with _damage():
        stored = _open(content)
        stored.load()
        turn = _TURNS.get(_orientation(stored))
        picture = stored if turn is None else stored.transpose(turn)
        if picture.mode.startswith("I"):
            picture = picture.point(lambda value: value / 256).convert("L")  # convert alone clips at 255
        return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def data_uri(content: bytes, picture: Image.Image) -> str:
    """Embed the file as it is, or the upright pixels if viewers would show it otherwise. Raises OSError."""
    with _damage():
        stored = _open(content)
        kind = "JPEG" if stored.format == "MPO" else stored.format or "PNG"
        is_plain = stored.mode in _EMBEDDED_MODES and _orientation(stored) == 1
        if not is_plain or (kind != "JPEG" and getattr(stored, "is_animated", False)):
            kind = "JPEG" if kind == "JPEG" else "PNG"
            content = encode(picture, kind)
    return f"data:image/{kind.lower()};base64,{b64encode(content).decode()}"


def encode(picture: Image.Image, kind: str) -> bytes:
    """Return the picture as a JPEG or PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, quality=95)
    return buffer.getvalue()


def _open(content: bytes) -> Image.Image:
    try:
        stored = Image.open(io.BytesIO(content), formats=_FORMATS)
    except Image.DecompressionBombError:
        raise OSError("it has more than 50 megapixels") from None
    if stored.width * stored.height > _MAX_PIXELS:
        raise OSError(f"it has {stored.width}x{stored.height} pixels, more than 50 megapixels")
    return stored


def _orientation(stored: Image.Image) -> int:
    try:
        return int(stored.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - whatever Pillow raises for a damaged block, there is no orientation
        return 1


@contextmanager
def _damage() -> Iterator[None]:
    """Turn what Pillow raises for damaged files into OSError."""
    try:
        yield
    except UnidentifiedImageError:
        raise OSError("The picture cannot be drawn: it is not JPEG, PNG or WebP, or its header is damaged.") from None
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, struct.error, MemoryError) as error:
        raise OSError(f"The picture cannot be drawn: {error}.") from error

"""What one decoding of a picture yields: its thumbnail, the hash of its pixels, and when it was taken."""

import hashlib
import io
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from PIL import Image as Pillow

from marquee.library.v1 import library_pb2 as pb
from services.runtime.images.image import Image

THUMBNAIL_SIDE = 512
_QUALITY = 80
_EXIF_IFD = 0x8769
_TIMES = ((0x9003, 0x9011), (0x9004, 0x9012))
"""DateTimeOriginal and DateTimeDigitized with their offsets. DateTime is when a program wrote the file last."""
_TIME = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.\d+)?", re.ASCII)
_OFFSET = re.compile(r"([+-])(\d\d):?([0-5]\d)", re.ASCII)
_FARTHEST = timedelta(hours=14)
"""From UTC, on Earth."""
_EARLIEST = datetime(1826, 1, 1, tzinfo=UTC)
"""No photograph is older."""
_MOST_TEXT = 64


@dataclass(frozen=True)
class Taken:
    """When a picture was taken, as EXIF has it."""

    time: datetime | None
    """None: EXIF does not tell, or nothing that can be."""
    source: "pb.TimeSource.ValueType"
    text: str
    """What stands there, such as "2024:02:29 23:59:59+02:00"; empty: nothing."""


@dataclass(frozen=True)
class Rendition:
    """What one decoding yields."""

    format: str
    width: int
    """Of the upright picture, in pixels, as its height."""
    height: int
    pixel_sha256: bytes
    thumbnail: bytes
    """WebP of at most 512 pixels on the longer side, upright, without metadata."""
    taken: Taken


def render(content: bytes) -> Rendition:
    """Decode a picture, once. Raises InvalidImage and ImageTooLarge. Blocks."""
    image = Image(content)
    pixels = image.upright()
    height, width = pixels.shape[:2]
    digest = hashlib.sha256(width.to_bytes(4, "big") + height.to_bytes(4, "big"))
    digest.update(pixels.data)
    return Rendition(image.format, width, height, digest.digest(), _thumbnail(pixels), taken(image.exif))


def taken(exif: Pillow.Exif) -> Taken:
    """Return when a picture was taken: the first time in EXIF that can be. Pure but for the clock."""
    texts = [_texts(exif, *tags) for tags in _TIMES]
    said = next((f"{time}{offset}" for time, offset in texts if time), "")[:_MOST_TEXT]
    for time, offset in texts:
        zone = _zone(offset)
        when = _time(time, zone or UTC)
        if when is not None:
            return Taken(when, pb.TIME_SOURCE_EXIF if zone else pb.TIME_SOURCE_EXIF_LOCAL, said)
    return Taken(None, pb.TIME_SOURCE_UNSPECIFIED, said)


def _texts(exif: Pillow.Exif, time: int, offset: int) -> tuple[str, str]:
    try:
        fields = exif.get_ifd(_EXIF_IFD)
    except Exception:  # noqa: BLE001 - whatever Pillow raises for a damaged block, there is none
        return "", ""
    return _text(fields.get(time)), _text(fields.get(offset))


def _text(value: Any) -> str:
    """Return what stands in a field of text, which may be anything."""
    return "".join(filter(str.isprintable, value)).strip() if isinstance(value, str) else ""


def _zone(offset: str) -> timezone | None:
    if offset == "Z":
        return UTC
    match = _OFFSET.fullmatch(offset)
    if match is None:
        return None
    shift = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return timezone(-shift if match[1] == "-" else shift) if shift <= _FARTHEST else None


def _time(text: str, zone: timezone) -> datetime | None:
    match = _TIME.fullmatch(text)
    try:
        year, month, day, hour, minute, second = map(int, match.groups() if match else ())
        when = datetime(year, month, day, hour, minute, second, tzinfo=zone)
    except ValueError:  # no such day, such as 29 February of most years, or 0000:00:00
        return None
    return when if _EARLIEST <= when <= datetime.now(UTC) + _FARTHEST else None


def _thumbnail(pixels: Any) -> bytes:
    small = Pillow.fromarray(pixels)
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=_QUALITY)
    return buffer.getvalue()

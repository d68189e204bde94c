"""Pictures, fetched and decoded on first use."""

import hashlib
import io
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageFile, UnidentifiedImageError

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import ImageMissing, ImageTooLarge, InvalidImage
from services.runtime.images import formats
from services.runtime.limits import MAX_IMAGE_PIXELS
from services.runtime.requests import check_size

FORMATS = ("JPEG", "PNG", "WEBP")
_EXIF_ORIENTATION = 0x0112
_SIDEWAYS = 5
_END_OF_JPEG = b"\xff\xd9"
_STRIP = 64
"""Rows of a picture that are copied at once."""
_Turn = Pillow.Transpose
_TURNS = {
    2: _Turn.FLIP_LEFT_RIGHT,
    3: _Turn.ROTATE_180,
    4: _Turn.FLIP_TOP_BOTTOM,
    5: _Turn.TRANSPOSE,
    6: _Turn.ROTATE_270,
    7: _Turn.TRANSVERSE,
    8: _Turn.ROTATE_90,
}
Pillow.MAX_IMAGE_PIXELS = None  # our own limit is checked before any pixel is decoded

Pixels = npt.NDArray[np.uint8]


class Image:
    """One picture of a call: bytes, or an S3 object that is fetched on first use.

    All methods may block (network, decoding): call them in a worker thread.
    They raise InvalidImage, ImageTooLarge and what `fetch` raises.
    """

    def __init__(
        self,
        content: bytes | None = None,
        s3_object: pb.S3Object | None = None,
        fetch: Callable[[pb.S3Object], bytes] | None = None,
    ) -> None:
        self._content = content
        self.s3_object = s3_object
        self._fetch = fetch
        self._fetching = Lock()
        self._header: tuple[str, tuple[int, int]] | None = None  # format, width and height as stored
        self._orientation: int | None = None
        self._exif: Pillow.Exif | None = None
        self._info: pb.ImageInfo | None = None

    @property
    def content(self) -> bytes:
        """The file's bytes, 1 to 15 MiB."""
        with self._fetching:  # cached_property's lock would be one for all pictures in Python 3.11
            if self._content is None:
                self._content = self._read()
        check_size(len(self._content))
        return self._content

    @property
    def is_read(self) -> bool:
        """Whether the bytes are in memory: given, or already fetched."""
        return self._content is not None

    @property
    def format(self) -> str:
        """JPEG, PNG or WEBP."""
        stored, _ = self._stored_header
        return "JPEG" if stored == "MPO" else stored  # an MPO has several JPEGs, of which the first counts

    @property
    def orientation(self) -> int:
        """EXIF's orientation, 1 to 8: 1 is upright, or missing or invalid; 5 to 8 swap width and height."""
        if self._orientation is None:
            stored = self._open()
            if stored.format == "PNG":
                _decode(stored)  # its EXIF may stand behind the pixels
            self._orientation = _orientation(stored)
        return self._orientation

    @property
    def exif(self) -> Pillow.Exif:
        """EXIF's fields, none if they are damaged. Decodes the picture, unless it was decoded before."""
        if self._exif is None:
            self.as_stored()
        return self._exif or Pillow.Exif()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels of the upright picture. Does not decode JPEG or WebP."""
        _, (width, height) = self._stored_header
        return (height, width) if self.orientation >= _SIDEWAYS else (width, height)

    @property
    def info(self) -> pb.ImageInfo:
        """The picture's facts for the response."""
        if self._info is None:
            width, height = self.size
            sha256 = hashlib.sha256(self.content).hexdigest()
            self._info = pb.ImageInfo(width=width, height=height, sha256=sha256, format=self.format)
        return self._info

    @property
    def is_measured(self) -> bool:
        """Whether `info` is known already, and so costs nothing."""
        return self._info is not None

    def verify(self) -> None:
        """Raise InvalidImage for a truncated file. A JPEG with its end marker is not decoded: libjpeg shows it, too."""
        stored = self._open()
        if stored.format != "JPEG" or not _has_end(self.content, stored):
            _decode(stored)
        self._orientation = _orientation(stored)

    def as_stored(self) -> Pillow.Image:
        """Return the decoded picture without applying EXIF orientation or changing its mode."""
        stored = self._open()
        _decode(stored)
        self._orientation = _orientation(stored)
        self._exif = _exif(stored)
        return stored

    def upright(self) -> Pixels:
        """Return the picture as people see it: EXIF orientation applied, uint8 RGB [height, width, 3]."""
        picture: Pillow.Image = self.as_stored()
        with _refusing("The picture's colours are damaged"):
            if (turn := _TURNS.get(self.orientation)) is not None:
                picture = picture.transpose(turn)
            return _pixels(_flat_rgb(picture))

    def _read(self) -> bytes:
        if self.s3_object is None or self._fetch is None:
            raise ImageMissing("The request has no picture: set image.content or image.s3_object.")
        return self._fetch(self.s3_object)

    @property
    def _stored_header(self) -> tuple[str, tuple[int, int]]:
        return self._header or _header(self._open())

    def _open(self) -> ImageFile.ImageFile:
        content = self.content
        with _refusing("The picture's header is damaged"):
            try:
                image = Pillow.open(io.BytesIO(content), formats=FORMATS)
            except UnidentifiedImageError:
                raise InvalidImage(formats.refusal(content)) from None
        _check_pixels(*image.size)
        self._header = _header(image)
        return image


def eight_bit(image: Pillow.Image) -> Pillow.Image:
    """Return a grey picture of 16 bits, as scanners make, with 8; any other unchanged. Pillow's convert alone clips."""
    return image.point(lambda value: value / 256).convert("L") if image.mode.startswith("I;16") else image


def _header(image: Pillow.Image) -> tuple[str, tuple[int, int]]:
    return image.format or "", image.size


def _check_pixels(width: int, height: int) -> None:
    if width * height > MAX_IMAGE_PIXELS:
        raise ImageTooLarge(
            f"The picture has {width}x{height} pixels; the limit is {MAX_IMAGE_PIXELS // 1_000_000} megapixels."
        )


def _decode(image: Pillow.Image) -> None:
    with _refusing("The picture is damaged or cut short"):
        image.load()


def _has_end(content: bytes, jpeg: ImageFile.ImageFile) -> bool:
    # From the pixels on: an EXIF preview before them has an end marker of its own.
    start = jpeg.fp.tell() if jpeg.fp else 0
    return content.rfind(_END_OF_JPEG, start) >= 0


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Turn what Pillow raises for damaged files into InvalidImage."""
    try:
        yield
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, struct.error, MemoryError) as exc:
        raise InvalidImage(f"{what}: {exc}.") from exc


def _orientation(image: Pillow.Image) -> int:
    try:
        orientation: Any = image.getexif().get(_EXIF_ORIENTATION)
    except Exception:  # noqa: BLE001 - whatever Pillow raises for a damaged block, there is no orientation
        return 1
    return int(orientation) if orientation in range(1, 9) else 1


def _exif(image: Pillow.Image) -> Pillow.Exif:
    try:
        return image.getexif()
    except Exception:  # noqa: BLE001 - whatever Pillow raises for a damaged block, there is none
        return Pillow.Exif()


def _flat_rgb(image: Pillow.Image) -> Pillow.Image:
    """Return the picture as RGB, transparent parts over white."""
    image = eight_bit(image)
    if image.has_transparency_data:
        image = Pillow.alpha_composite(Pillow.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")  # which would copy it


def _pixels(image: Pillow.Image) -> Pixels:
    """Return an RGB picture as an array. Pillow would copy all of it twice, so it is taken in strips."""
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _STRIP):
        bottom = min(height, top + _STRIP)
        pixels[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return pixels

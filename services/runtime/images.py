"""A picture that is fetched and decoded only when somebody looks at it."""

import hashlib
import io
from collections.abc import Callable
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import ImageMissing, ImageTooLarge, InvalidImage
from services.runtime.limits import MAX_IMAGE_PIXELS, check_size

FORMATS = ("JPEG", "PNG", "WEBP")
Pillow.MAX_IMAGE_PIXELS = None  # our own limit is checked before any pixel is decoded

Pixels = npt.NDArray[np.uint8]


class Image:
    """One picture of a call: bytes, or an S3 object fetched at the first look.

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

    @cached_property
    def content(self) -> bytes:
        """The file's bytes, 1 to 15 MiB of them."""
        if self._content is not None:
            content = self._content
        elif self.s3_object is not None and self._fetch is not None:
            content = self._fetch(self.s3_object)
        else:
            raise ImageMissing("The request has no picture: set image.content or image.s3_object.")
        check_size(len(content))
        return content

    @property
    def is_read(self) -> bool:
        """Whether the bytes are here: given, or fetched already."""
        return self._content is not None or "content" in self.__dict__

    @cached_property
    def format(self) -> str:
        """JPEG, PNG or WEBP."""
        return self._open().format or ""

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels of the upright picture; nothing is decoded."""
        stored = self._open()
        turned = stored.getexif().get(0x0112, 1) in {5, 6, 7, 8}
        return (stored.height, stored.width) if turned else (stored.width, stored.height)

    @cached_property
    def info(self) -> pb.ImageInfo:
        """The picture's measures for the answer."""
        width, height = self.size
        sha256 = hashlib.sha256(self.content).hexdigest()
        return pb.ImageInfo(width=width, height=height, sha256=sha256, format=self.format)

    def as_stored(self) -> Pillow.Image:
        """The decoded picture as the file has it: EXIF orientation not applied, mode untouched."""
        stored = self._open()
        _decode(stored)
        return stored

    def upright(self) -> Pixels:
        """The picture as a person sees it: EXIF orientation applied, uint8 RGB [height, width, 3]."""
        upright = ImageOps.exif_transpose(self.as_stored())
        return np.asarray(_flat_rgb(upright), dtype=np.uint8)

    def _open(self) -> Pillow.Image:
        try:
            image = Pillow.open(io.BytesIO(self.content), formats=FORMATS)
        except UnidentifiedImageError:
            raise InvalidImage("This is not a JPEG, PNG or WebP picture.") from None
        except (OSError, ValueError, SyntaxError, EOFError) as exc:
            raise InvalidImage(f"The picture's header is damaged: {exc}.") from exc
        _check_pixels(*image.size)
        return image


def _check_pixels(width: int, height: int) -> None:
    if width * height > MAX_IMAGE_PIXELS:
        raise ImageTooLarge(
            f"The picture has {width}x{height} pixels; at most {MAX_IMAGE_PIXELS // 1_000_000} megapixels are accepted."
        )


def _decode(image: Pillow.Image) -> None:
    try:
        image.load()
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as exc:
        raise InvalidImage(f"The picture is damaged or cut short: {exc}.") from exc


def _flat_rgb(image: Pillow.Image) -> Pillow.Image:
    """RGB over white where the picture is transparent."""
    if image.has_transparency_data:
        image = Pillow.alpha_composite(Pillow.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("RGB")

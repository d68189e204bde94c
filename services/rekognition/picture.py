"""A picture on its way to Rekognition: by reference if AWS accepts that, otherwise as bytes.

Rekognition's limits: https://docs.aws.amazon.com/rekognition/latest/dg/limits.html. Its boxes are fractions of
the picture's sides, so they stay right when the picture is shrunk.

Rekognition finds a face of 40 pixels in a picture of 1920, and in larger pictures only faces that are larger by
the same factor. So no face is lost by shrinking to 1920 pixels; smaller sizes, and the blocks of a low quality,
lose small faces. Hence a picture loses quality first, as far as 80, then pixels.
"""

import asyncio
import io
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from PIL import Image as Pillow

from services.runtime.errors import DomainError
from services.runtime.images.image import Image
from services.runtime.limits import MIB
from services.runtime.workers import Workers

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import ImageTypeDef, S3ObjectTypeDef

T = TypeVar("T")
MAX_BYTES = 5 * MIB
MAX_SIDE = 10_000
_SHRUNK = "shrunk to fit 5 MB"
_QUALITIES = (95, 90, 85, 80)
_BAD_FORMAT = "InvalidImageFormatException"
_REFERENCE_REFUSALS = (_BAD_FORMAT, "ImageTooLargeException", "InvalidS3ObjectException")
"""Codes of AWS's that sending bytes may help against."""


class Picture:
    """One call's picture, made ready in worker threads once for all operations."""

    def __init__(self, image: Image, workers: Workers, payload: "Payload | None" = None) -> None:
        self.image = image
        self.queue_seconds = 0.0
        self._workers = workers
        self._payload = payload
        self._lock = asyncio.Lock()
        self._region = ""
        self._failure: DomainError | None = None

    async def prepare(self) -> None:
        """Check the picture, and convert it if need be. Raises InvalidImage, Overloaded."""
        self._payload = await self.work(lambda: prepare(self.image))

    @property
    def parameter(self) -> "ImageTypeDef":
        """The parameter `Image` of Rekognition's operations. Only after `prepare`."""
        return self._ready.parameter

    @property
    def warnings(self) -> list[str]:
        """How the picture was changed, for people."""
        fetch = [f"fetched from S3, because Rekognition in {self._region} refuses it there"] if self._region else []
        return [*fetch, *self._ready.warnings]

    async def fetch(self, refused: Mapping[str, Any], code: str, region: str) -> bool:
        """Fetch the object if AWS refused its reference, a `parameter`, with a code that bytes may help against.

        Returns whether `parameter` now has bytes, so that another call makes sense. Raises what
        fetching raises: ObjectNotFound, ObjectForbidden, ImageTooLarge, InvalidImage.
        """
        if code not in _REFERENCE_REFUSALS or "S3Object" not in refused:
            return False
        async with self._lock:  # several operations are refused at the same time
            if self._failure is not None:
                raise self._failure
            if not self._region:
                await self._read(refused=code == _BAD_FORMAT)
                self._region = region
        return True

    async def work(self, job: Callable[[], T]) -> T:
        """Run a job on pixels in a worker thread. Raises Overloaded and what the job raises."""
        result, waited = await self._workers.run(job)
        self.queue_seconds += waited
        return result

    async def _read(self, *, refused: bool) -> None:
        def read() -> Payload:
            _ = self.image.content  # from now on it is read, and goes as bytes
            return prepare(self.image, refused=refused)

        try:
            self._payload = await self.work(read)
        except DomainError as exc:
            self._failure = exc
            raise

    @property
    def _ready(self) -> "Payload":
        if self._payload is None:
            raise ValueError("prepare the picture first")
        return self._payload


@dataclass(frozen=True)
class Payload:
    """The parameter `Image` of Rekognition's operations, and how the picture was changed for it."""

    parameter: "ImageTypeDef"
    warnings: tuple[str, ...] = ()


def prepare(image: Image, *, refused: bool = False) -> Payload:
    """Return upright bytes that Rekognition accepts, or a reference to the S3 object, which is not fetched.

    `refused`: Rekognition does not accept the file as it is, though it is a JPEG or PNG; it becomes a plain
    JPEG. Raises InvalidImage for a damaged picture: nobody should pay for those. Blocks.
    """
    if not image.is_read:
        return _reference(image)
    image.verify()
    _ = image.info  # the leaf needs it, and would go to another thread for it
    reasons = tuple(_reasons_to_change(image, refused=refused))
    if not reasons:
        return Payload({"Bytes": image.content})
    content, shrunk = _fit(Pillow.fromarray(image.upright()))
    return Payload({"Bytes": content}, (*reasons, _SHRUNK) if shrunk and _SHRUNK not in reasons else reasons)


def jpeg(picture: Pillow.Image, quality: int = _QUALITIES[0]) -> bytes:
    """Return the picture as a JPEG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _reference(image: Image) -> Payload:
    if image.s3_object is None:
        raise ValueError("an Image has bytes or an S3 object")
    reference: S3ObjectTypeDef = {"Bucket": image.s3_object.bucket, "Name": image.s3_object.key}
    if image.s3_object.version_id:
        reference["Version"] = image.s3_object.version_id
    return Payload({"S3Object": reference})


def _reasons_to_change(image: Image, *, refused: bool) -> Iterator[str]:
    if image.format == "WEBP":
        yield "converted from WebP to JPEG"
    elif refused:
        yield f"converted from a {image.format} that Rekognition cannot read"
    if image.format == "PNG" and image.orientation != 1:
        yield "turned upright"  # Rekognition heeds EXIF only in JPEG
    if max(image.size) > MAX_SIDE:
        yield f"shrunk to {MAX_SIDE} pixels a side"
    if len(image.content) > MAX_BYTES:
        yield _SHRUNK


def _fit(picture: Pillow.Image) -> tuple[bytes, bool]:
    """Return the picture as a JPEG within the limits, and whether it lost pixels to the limit on bytes."""
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    content = b""
    for quality in _QUALITIES:
        content = jpeg(picture, quality)
        if len(content) <= MAX_BYTES:
            return content, False
    while len(content) > MAX_BYTES:
        scale = 0.95 * math.sqrt(MAX_BYTES / len(content))
        picture = picture.resize((max(1, int(picture.width * scale)), max(1, int(picture.height * scale))))
        content = jpeg(picture, _QUALITIES[-1])
    return content, True

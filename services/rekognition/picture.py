"""Makes a picture into what Rekognition takes.

Its limits: https://docs.aws.amazon.com/rekognition/latest/dg/limits.html. Its boxes are shares of
the picture's sides, so they stay right when the picture is shrunk.

Rekognition finds a face of 40 pixels in a picture of 1920, and only larger ones in larger pictures: by
the same share of the side. So down to 1920 pixels no face is lost; below, and with blocks of a low
quality, small ones are. A picture loses quality first, as far as 80, then pixels.
"""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image as Pillow

from services.runtime.images.image import Image
from services.runtime.limits import MIB

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import ImageTypeDef, S3ObjectTypeDef

MAX_BYTES = 5 * MIB
MAX_SIDE = 10_000
_SHRUNK = "shrunk to fit 5 MB"
_QUALITIES = (95, 90, 85, 80)


@dataclass(frozen=True)
class Picture:
    """The parameter `Image` of Rekognition's operations, and what a person should know about it."""

    parameter: "ImageTypeDef"
    warnings: tuple[str, ...] = ()


def prepare(image: Image, *, refused: bool = False) -> Picture:
    """Bytes that Rekognition takes, upright; or a reference to the S3 object, which is not fetched.

    `refused`: Rekognition does not take the file as it is, though it is a JPEG or PNG; so it is made into a
    plain one. Raises InvalidImage for bytes that are no whole picture: nobody should pay for those. Blocks.
    """
    if not image.is_read:
        return _reference(image)
    image.verify()
    _ = image.info  # the leaf needs it, and would go to another thread for it
    reasons = tuple(_reasons_to_change(image, refused=refused))
    if not reasons:
        return Picture({"Bytes": image.content})
    content, shrunk = _fit(Pillow.fromarray(image.upright()))
    return Picture({"Bytes": content}, (*reasons, _SHRUNK) if shrunk and _SHRUNK not in reasons else reasons)


def jpeg(picture: Pillow.Image, quality: int = _QUALITIES[0]) -> bytes:
    """The picture as a JPEG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _reference(image: Image) -> Picture:
    if image.s3_object is None:
        raise ValueError("an Image has bytes or an S3 object")
    named: S3ObjectTypeDef = {"Bucket": image.s3_object.bucket, "Name": image.s3_object.key}
    if image.s3_object.version_id:
        named["Version"] = image.s3_object.version_id
    return Picture({"S3Object": named})


def _reasons_to_change(image: Image, *, refused: bool) -> Iterator[str]:
    if image.format == "WEBP":
        yield "converted from WebP to JPEG"
    elif refused:
        yield f"converted from a {image.format} that Rekognition does not read"
    if image.format == "PNG" and image.orientation != 1:
        yield "turned upright"  # Rekognition heeds EXIF in JPEG alone
    if max(image.size) > MAX_SIDE:
        yield f"shrunk to {MAX_SIDE} pixels a side"
    if len(image.content) > MAX_BYTES:
        yield _SHRUNK


def _fit(picture: Pillow.Image) -> tuple[bytes, bool]:
    """The picture as JPEG within the limits, and whether it lost pixels to fit into the bytes."""
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

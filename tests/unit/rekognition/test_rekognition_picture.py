"""Preparing the picture that is sent to Rekognition."""

import io

import numpy as np
import pytest
from PIL import Image as Pillow

from marquee.v1 import recognizer_pb2 as pb
from services.rekognition.picture import MAX_BYTES, MAX_SIDE, prepare
from services.runtime.errors import ImageMissing, InvalidImage
from services.runtime.images.image import Image
from tests.support.pictures import encode


def halves(width: int = 160, height: int = 100) -> Pillow.Image:
    """Return a picture that is red on the left and blue on the right."""
    picture = Pillow.new("RGB", (width, height), "red")
    picture.paste("blue", (width // 2, 0, width, height))
    return picture


def exif_with(orientation: int) -> Pillow.Exif:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    return exif


def noise(width: int, height: int) -> Pillow.Image:
    return Pillow.fromarray(np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_supported_formats_are_sent_unchanged(kind: str) -> None:
    """JPEG and PNG up to 5 MB go out byte for byte."""
    content = encode(halves(), kind)
    picture = prepare(Image(content))
    assert picture.parameter == {"Bytes": content}
    assert picture.warnings == ()


def test_a_turned_jpeg_is_sent_unchanged() -> None:
    """Rekognition turns JPEGs upright itself, so its boxes are those of the upright picture."""
    content = encode(halves(), "JPEG", exif=exif_with(6))
    assert prepare(Image(content)).parameter == {"Bytes": content}


def test_a_turned_png_is_sent_upright() -> None:
    """Rekognition ignores a PNG's EXIF, so it would return boxes of the sideways picture."""
    picture = prepare(Image(encode(halves(), "PNG", exif=exif_with(3))))
    sent = Pillow.open(io.BytesIO(picture.parameter["Bytes"]))
    red, _, blue = sent.getpixel((sent.width - 5, 50))
    assert red > blue
    assert picture.warnings == ("turned upright",)


def test_webp_is_sent_as_jpeg() -> None:
    """A WebP is converted, because Rekognition does not accept it."""
    picture = prepare(Image(encode(halves(), "WEBP")))
    sent = Pillow.open(io.BytesIO(picture.parameter["Bytes"]))
    assert (sent.format, sent.size) == ("JPEG", (160, 100))
    assert picture.warnings == ("converted from WebP to JPEG",)


def test_a_picture_with_too_many_bytes_is_shrunk() -> None:
    """The sent picture has at most 5 MB and the same proportions; a warning says so."""
    picture = prepare(Image(encode(noise(3600, 2700), "JPEG", quality=90)))
    sent = Pillow.open(io.BytesIO(picture.parameter["Bytes"]))
    assert len(picture.parameter["Bytes"]) <= MAX_BYTES
    assert sent.width / sent.height == pytest.approx(3600 / 2700, rel=0.01)
    assert sent.width < 3600
    assert picture.warnings == ("shrunk to fit 5 MB",)


def test_a_large_png_keeps_its_pixels_as_jpeg() -> None:
    """If a JPEG with all its pixels fits, small faces keep their size."""
    picture = prepare(Image(encode(noise(1600, 1200), "PNG")))
    assert Pillow.open(io.BytesIO(picture.parameter["Bytes"])).size == (1600, 1200)
    assert picture.warnings == ("shrunk to fit 5 MB",)


def test_too_long_sides_are_shrunk() -> None:
    """A picture has at most 10,000 pixels a side, the limit of DetectLabels."""
    picture = prepare(Image(encode(halves(12_000, 120), "PNG")))
    assert Pillow.open(io.BytesIO(picture.parameter["Bytes"])).size == (MAX_SIDE, 100)
    assert picture.warnings == ("shrunk to 10000 pixels a side",)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_cut_short_is_refused(kind: str) -> None:
    """A truncated picture raises InvalidImage, so that nobody pays for it."""
    content = encode(noise(200, 200), kind)
    with pytest.raises(InvalidImage):
        prepare(Image(content[: len(content) // 2]))


def test_no_picture_is_refused() -> None:
    """Text raises InvalidImage, and no bytes at all raise ImageMissing."""
    with pytest.raises(InvalidImage):
        prepare(Image(b"no picture"))
    with pytest.raises(ImageMissing):
        prepare(Image(b""))


def test_an_s3_object_goes_by_reference() -> None:
    """The object is not fetched, and its version is passed on if the caller gives one."""
    where = pb.S3Object(bucket="pics", key="a b.jpg")
    named = {"Bucket": "pics", "Name": "a b.jpg"}
    assert prepare(Image(s3_object=where)).parameter == {"S3Object": named}
    where.version_id = "v1"
    assert prepare(Image(s3_object=where)).parameter == {"S3Object": named | {"Version": "v1"}}


def test_quality_is_reduced_before_size() -> None:
    """A picture that fits at quality 80 keeps every pixel, and so its small faces."""
    content = encode(noise(2400, 1800), "JPEG", quality=97)
    assert len(content) > MAX_BYTES
    sent = prepare(Image(content)).parameter["Bytes"]
    assert Pillow.open(io.BytesIO(sent)).size == (2400, 1800)


def test_no_picture_is_shrunk_below_1920_pixels() -> None:
    """Even noise of 15 MiB, the worst case, keeps 1920 pixels, in which Rekognition detects faces of 40."""
    content = encode(noise(3700, 3700), "JPEG", quality=90)
    assert 10_000_000 < len(content) < 15 * 1024 * 1024
    sent = prepare(Image(content)).parameter["Bytes"]
    assert max(Pillow.open(io.BytesIO(sent)).size) >= 1920


def test_a_refused_jpeg_is_converted() -> None:
    """A JPEG of a kind that AWS cannot read is sent as an ordinary one."""
    picture = prepare(Image(encode(Pillow.new("CMYK", (100, 100)), "JPEG")), refused=True)
    assert Pillow.open(io.BytesIO(picture.parameter["Bytes"])).mode == "RGB"
    assert picture.warnings == ("converted from a JPEG that Rekognition cannot read",)

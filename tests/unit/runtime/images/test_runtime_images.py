"""Pictures as recognizers see them."""

import hashlib
import io
import threading
import time

import numpy as np
import pytest
from PIL import Image as Pillow

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import ImageMissing, ImageTooLarge, ObjectNotFound
from services.runtime.images.image import Image
from tests.support.processes import PATIENCE

SIZE = (40, 24)
ORIENTATION = 0x0112


def gradient() -> Pillow.Image:
    """Return a picture that gets brighter to the right and the bottom, so no two orientations look alike."""
    pixels = np.add.outer(np.arange(24) * 5, np.arange(40) * 2).astype(np.uint8)
    return Pillow.fromarray(np.stack([pixels] * 3, axis=2))


def encode(picture: Pillow.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def turned(orientation: int, form: str) -> bytes:
    """Return the gradient, stored so that EXIF's orientation turns it upright."""
    back = {
        2: Pillow.Transpose.FLIP_LEFT_RIGHT,
        3: Pillow.Transpose.ROTATE_180,
        4: Pillow.Transpose.FLIP_TOP_BOTTOM,
        5: Pillow.Transpose.TRANSPOSE,
        6: Pillow.Transpose.ROTATE_90,
        7: Pillow.Transpose.TRANSVERSE,
        8: Pillow.Transpose.ROTATE_270,
    }
    exif = Pillow.Exif()
    exif[ORIENTATION] = orientation
    stored = gradient() if orientation == 1 else gradient().transpose(back[orientation])
    return encode(stored, form, exif=exif, **({"lossless": True} if form == "WEBP" else {}))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_reads_the_three_formats(form: str) -> None:
    """JPEG, PNG and WebP are decoded to RGB [height, width, 3] and recognized by format."""
    image = Image(encode(gradient(), form))
    assert (image.format, image.upright().shape, image.upright().dtype) == (form, (24, 40, 3), np.uint8)


def test_several_jpegs_in_one_file_are_a_jpeg() -> None:
    """A camera's file with several pictures (MPO) counts as JPEG, and its first picture is used."""
    image = Image(encode(gradient(), "MPO", save_all=True, append_images=[Pillow.new("RGB", (8, 8))]))
    assert (image.format, image.size) == ("JPEG", SIZE)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_turns_upright(form: str, orientation: int) -> None:
    """Whatever EXIF's orientation is, upright() returns the picture as a person sees it."""
    assert np.array_equal(Image(turned(orientation, form)).upright(), np.asarray(gradient()))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_size_is_that_of_the_upright_picture(form: str, orientation: int) -> None:
    """Width and height are swapped if EXIF turns the picture sideways."""
    assert Image(turned(orientation, form)).size == SIZE


def test_as_stored_is_not_turned() -> None:
    """as_stored() returns the picture as it is in the file, whatever EXIF says."""
    assert Image(turned(6, "JPEG")).as_stored().size == (24, 40)


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_transparent_pixels_are_white(form: str) -> None:
    """Transparent pixels become white, whatever colour they have."""
    picture = Pillow.new("RGBA", SIZE, (255, 0, 0, 0))
    assert (Image(encode(picture, form)).upright() == 255).all()


def test_transparent_palette_colours_are_white() -> None:
    """A palette's transparent colour also becomes white."""
    picture = Pillow.new("P", SIZE, 0)
    picture.putpalette([10, 20, 30, 40, 50, 60])
    assert (Image(encode(picture, transparency=0)).upright() == 255).all()


def test_cmyk_becomes_rgb() -> None:
    """A CMYK JPEG, as for printing, keeps its colours in RGB."""
    red = Image(encode(Pillow.new("CMYK", SIZE, (0, 255, 255, 0)), "JPEG")).upright()
    assert np.abs(red[0, 0].astype(int) - (255, 0, 0)).max() < 5


def test_sixteen_bit_grey_keeps_its_shades() -> None:
    """A 16-bit grey PNG, as scanners make, becomes 256 shades and not plain white."""
    shades = np.array([[0, 64 << 8, 128 << 8, 255 << 8]], dtype=np.uint16)
    assert Image(encode(Pillow.fromarray(shades))).upright()[0, :, 0].tolist() == [0, 64, 128, 255]


def test_info_describes_the_file() -> None:
    """A picture's info has the size, the format and the SHA-256 of the file's bytes."""
    content = encode(gradient(), "WEBP")
    sha256 = hashlib.sha256(content).hexdigest()
    assert Image(content).info == pb.ImageInfo(width=40, height=24, sha256=sha256, format="WEBP")


def test_an_image_without_a_source_is_missing() -> None:
    """An image with neither bytes nor an S3 object is ImageMissing."""
    with pytest.raises(ImageMissing, match="no picture"):
        _ = Image().content


def test_an_object_is_fetched_once() -> None:
    """Threads that read the same object at the same time share one fetch."""
    keys: list[str] = []
    gate = threading.Barrier(4)

    def fetch(s3_object: pb.S3Object) -> bytes:
        keys.append(s3_object.key)
        time.sleep(0.05)
        return b"bytes"

    def read() -> None:
        gate.wait(PATIENCE)
        assert image.content == b"bytes"

    image = Image(s3_object=pb.S3Object(bucket="b", key="k"), fetch=fetch)
    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert keys == ["k"]


def test_two_objects_are_fetched_at_the_same_time() -> None:
    """A slow object delays no other picture: here, each fetch waits for the other."""
    both = threading.Barrier(2)

    def fetch(s3_object: pb.S3Object) -> bytes:
        both.wait(PATIENCE)
        return s3_object.key.encode()

    images = [Image(s3_object=pb.S3Object(bucket="b", key=key), fetch=fetch) for key in ("one", "other")]
    threads = [threading.Thread(target=lambda image=image: image.content) for image in images]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not both.broken


def test_an_object_is_fetched_lazily() -> None:
    """An object is not fetched until it is read."""
    image = Image(s3_object=pb.S3Object(bucket="b", key="k"), fetch=lambda _: b"bytes")
    assert not image.is_read


def test_a_failed_fetch_is_raised_and_retried() -> None:
    """A fetch's exception reaches the reader, and the next read fetches again."""
    answers = [ObjectNotFound("gone"), b"bytes"]

    def fetch(_: pb.S3Object) -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    image = Image(s3_object=pb.S3Object(bucket="b", key="k"), fetch=fetch)
    with pytest.raises(ObjectNotFound, match="gone"):
        _ = image.content
    assert image.content == b"bytes"


def test_a_fetched_object_has_limits_too() -> None:
    """An object of more than 15 MiB from S3 is refused, like one in a request."""
    image = Image(s3_object=pb.S3Object(bucket="b", key="k"), fetch=lambda _: bytes(15 * 1024 * 1024 + 1))
    with pytest.raises(ImageTooLarge, match="15 MiB"):
        _ = image.content

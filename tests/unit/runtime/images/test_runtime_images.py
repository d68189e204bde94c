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
    """Dark at the top left, brighter to the right and to the bottom: no turn of it looks like another."""
    pixels = np.add.outer(np.arange(24) * 5, np.arange(40) * 2).astype(np.uint8)
    return Pillow.fromarray(np.stack([pixels] * 3, axis=2))


def encode(picture: Pillow.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def turned(orientation: int, form: str) -> bytes:
    """The gradient stored so that EXIF's orientation turns it upright."""
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
    """JPEG, PNG and WebP are decoded to RGB [height, width, 3], and told by name."""
    image = Image(encode(gradient(), form))
    assert (image.format, image.upright().shape, image.upright().dtype) == (form, (24, 40, 3), np.uint8)


def test_several_jpegs_in_one_file_are_a_jpeg() -> None:
    """What cameras store with a preview in one file (MPO) is told as JPEG, and the first picture counts."""
    image = Image(encode(gradient(), "MPO", save_all=True, append_images=[Pillow.new("RGB", (8, 8))]))
    assert (image.format, image.size) == ("JPEG", SIZE)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_turns_upright(form: str, orientation: int) -> None:
    """Whatever EXIF's orientation, upright() gives the picture as a person sees it."""
    assert np.array_equal(Image(turned(orientation, form)).upright(), np.asarray(gradient()))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_size_is_that_of_the_upright_picture(form: str, orientation: int) -> None:
    """Width and height are swapped where EXIF turns the picture sideways."""
    assert Image(turned(orientation, form)).size == SIZE


def test_as_stored_is_not_turned() -> None:
    """as_stored() gives the picture as its file has it, EXIF or not."""
    assert Image(turned(6, "JPEG")).as_stored().size == (24, 40)


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_transparent_pixels_are_white(form: str) -> None:
    """Where the picture is transparent, white shines through, whatever colour hides there."""
    picture = Pillow.new("RGBA", SIZE, (255, 0, 0, 0))
    assert (Image(encode(picture, form)).upright() == 255).all()


def test_transparent_palette_colours_are_white() -> None:
    """A palette's transparent colour becomes white as well."""
    picture = Pillow.new("P", SIZE, 0)
    picture.putpalette([10, 20, 30, 40, 50, 60])
    assert (Image(encode(picture, transparency=0)).upright() == 255).all()


def test_cmyk_becomes_rgb() -> None:
    """A printer's JPEG is shown in its colours."""
    red = Image(encode(Pillow.new("CMYK", SIZE, (0, 255, 255, 0)), "JPEG")).upright()
    assert np.abs(red[0, 0].astype(int) - (255, 0, 0)).max() < 5


def test_sixteen_bit_grey_keeps_its_shades() -> None:
    """A scanner's 16-bit grey PNG is shown in 256 shades, not in white."""
    shades = np.array([[0, 64 << 8, 128 << 8, 255 << 8]], dtype=np.uint16)
    assert Image(encode(Pillow.fromarray(shades))).upright()[0, :, 0].tolist() == [0, 64, 128, 255]


def test_info_has_the_files_measures() -> None:
    """Its info tells size, format and SHA-256 of the file's bytes."""
    content = encode(gradient(), "WEBP")
    sha256 = hashlib.sha256(content).hexdigest()
    assert Image(content).info == pb.ImageInfo(width=40, height=24, sha256=sha256, format="WEBP")


def test_nothing_to_read_is_missing() -> None:
    """Neither bytes nor an object is ImageMissing."""
    with pytest.raises(ImageMissing, match="no picture"):
        _ = Image().content


def test_an_object_is_fetched_once() -> None:
    """Threads that look at the same object at once share one fetch."""
    fetched: list[str] = []
    gate = threading.Barrier(4)

    def fetch(s3_object: pb.S3Object) -> bytes:
        fetched.append(s3_object.key)
        time.sleep(0.05)
        return b"bytes"

    def look() -> None:
        gate.wait(PATIENCE)
        assert image.content == b"bytes"

    image = Image(s3_object=pb.S3Object(bucket="b", key="k"), fetch=fetch)
    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert fetched == ["k"]


def test_two_objects_are_fetched_at_the_same_time() -> None:
    """A slow object holds up no other picture: each fetch here waits for the other."""
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


def test_a_lazy_picture_is_not_read_until_looked_at() -> None:
    """An object that nobody looks at is not fetched."""
    image = Image(s3_object=pb.S3Object(bucket="b", key="k"), fetch=lambda _: b"bytes")
    assert not image.is_read


def test_a_failed_fetch_is_told_and_tried_again() -> None:
    """What the fetch raises comes through, and the next look tries again."""
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
    """More than 15 MiB out of S3 are refused like more than 15 MiB in a request."""
    image = Image(s3_object=pb.S3Object(bucket="b", key="k"), fetch=lambda _: bytes(15 * 1024 * 1024 + 1))
    with pytest.raises(ImageTooLarge, match="15 MiB"):
        _ = image.content

"""Recognition of pictures of every kind, from the file to the name."""

import asyncio
import io
import time
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageOps

from local.pictures import demo_pictures, photo
from marquee.v1 import recognizer_pb2 as pb
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Options
from services.svm.recognizer import SvmRecognizer
from services.svm.settings import SvmSettings

pytestmark = pytest.mark.slow

_SIDEWAYS = 6
_ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def svm(loop: asyncio.Runner) -> Iterator[SvmRecognizer]:
    recognizer = SvmRecognizer(SvmSettings(workers=1))
    loop.run(recognizer.load())
    yield recognizer
    loop.run(recognizer.close())


def names(loop: asyncio.Runner, svm: SvmRecognizer, picture: Pillow.Image, kind: str, **options: object) -> list[str]:
    """Return the best candidate's name for each face."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    call = Options(
        "test", (pb.FEATURE_CELEBRITIES,), 10, 0, "", include_embeddings=False, deadline=time.monotonic() + 600
    )
    result = loop.run(svm.recognize(Image(buffer.getvalue()), call))
    return [face.candidates[0].display_name if face.candidates else "" for face in result.faces]


def sixteen_bit(picture: Pillow.Image) -> Pillow.Image:
    return Pillow.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1"])
def test_every_png_mode_is_read(loop: asyncio.Runner, svm: SvmRecognizer, mode: str) -> None:
    """The person is named in grey, alpha and palette pictures; only a black-and-white one may fail."""
    candidates = names(loop, svm, photo("Eileen Collins").convert(mode), "PNG")
    assert candidates == ["Eileen Collins"] or mode == "1"


def test_sixteen_bits_are_read(loop: asyncio.Runner, svm: SvmRecognizer) -> None:
    """The person is named in a grey PNG of 16 bits."""
    assert names(loop, svm, sixteen_bit(photo("Eileen Collins")), "PNG") == ["Eileen Collins"]


def test_cmyk_is_read(loop: asyncio.Runner, svm: SvmRecognizer) -> None:
    """The person is named in a CMYK JPEG, which is meant for printing."""
    assert names(loop, svm, photo("Eileen Collins").convert("CMYK"), "JPEG") == ["Eileen Collins"]


def test_the_first_frame_of_an_animation_counts(loop: asyncio.Runner, svm: SvmRecognizer) -> None:
    """The person is named in the first frame of an animated WebP."""
    others = [Pillow.new("RGB", (512, 512), "grey")]
    assert names(loop, svm, photo("Eileen Collins"), "WEBP", save_all=True, append_images=others) == ["Eileen Collins"]


def test_a_sideways_picture_is_turned(loop: asyncio.Runner, svm: SvmRecognizer) -> None:
    """A picture stored sideways is turned upright according to its EXIF."""
    exif = Pillow.Exif()
    exif[_ORIENTATION] = _SIDEWAYS
    sideways = photo("Eileen Collins").transpose(Pillow.Transpose.ROTATE_90)
    assert names(loop, svm, sideways, "JPEG", exif=exif) == ["Eileen Collins"]


@pytest.mark.parametrize("size", [(1, 1), (12_000, 40), (40, 12_000), (31, 31)])
def test_odd_sizes_have_no_face(loop: asyncio.Runner, svm: SvmRecognizer, size: tuple[int, int]) -> None:
    """A picture of one pixel, a narrow one of 12,000 or a small one has no face."""
    assert names(loop, svm, Pillow.new("RGB", size, "tan"), "PNG") == []


def test_a_face_in_a_wide_picture_is_named(loop: asyncio.Runner, svm: SvmRecognizer) -> None:
    """A face of 950 pixels is found in a picture 12,000 pixels wide."""
    wide = Pillow.new("RGB", (12_000, 4000), "grey")
    wide.paste(photo("Grace Hopper").resize((2400, 2800)), (8000, 600))
    assert names(loop, svm, wide, "JPEG") == ["Grace Hopper"]


def test_a_face_cut_by_the_border_is_named(loop: asyncio.Runner, svm: SvmRecognizer) -> None:
    """A face that reaches past the picture's edge is named from its visible part."""
    assert names(loop, svm, photo("Grace Hopper").crop((165, 110, 512, 600)), "JPEG") == ["Grace Hopper"]


def test_forty_faces_are_all_named(loop: asyncio.Runner, svm: SvmRecognizer) -> None:
    """Each of 40 faces in one picture has its own candidates."""
    head = photo("Eileen Collins").crop((140, 20, 300, 220))
    wall = Pillow.new("RGB", (160 * 8, 200 * 5))
    for number in range(40):
        wall.paste(ImageOps.mirror(head) if number % 2 else head, (number % 8 * 160, number // 8 * 200))
    assert names(loop, svm, wall, "JPEG", quality=92) == ["Eileen Collins"] * 40


def test_nobody_is_named_in_a_cup(loop: asyncio.Runner, svm: SvmRecognizer) -> None:
    """A palette picture of coffee has no faces."""
    assert names(loop, svm, demo_pictures()["coffee.jpg"].convert("P"), "PNG") == []

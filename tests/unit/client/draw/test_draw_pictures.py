"""Tests of --draw with every kind of picture, and with answers that make no sense."""

import base64
import io
import math
import re
import struct
import time
import zlib
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from marquee import Recognition
from marquee.draw.drawing import Drawing
from marquee.draw.style import LabelPosition, Style
from marquee.records import read
from marquee.v1 import recognizer_pb2 as pb

STYLE = Style()
NOBODY = read(Recognition, pb.RecognizeImageResponse())
COLOR = (200, 120, 40)
GREY = 120


def _encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _png(pixel: tuple[int, ...], color_type: int) -> bytes:
    """Return a 16-bit PNG of 8x8 equal pixels, which Pillow cannot write in colour."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    rows = (b"\0" + struct.pack(f">{len(pixel)}H", *pixel) * 8) * 8
    header = struct.pack(">IIBBBBB", 8, 8, 16, color_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def _palette() -> bytes:
    """Return a PNG with a palette whose second color, used on the right, is transparent."""
    picture = Image.fromarray(np.repeat([[0, 0, 0, 0, 1, 1, 1, 1]], 8, axis=0).astype("uint8"), "P")
    picture.putpalette([*COLOR, 0, 0, 255])
    return _encoded(picture, "PNG", transparency=1)


def _turned() -> bytes:
    """Return a JPEG of 8x16 upright pixels, stored on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return _encoded(Image.new("RGB", (16, 8), COLOR), "JPEG", exif=exif, quality=95)


def _mpo() -> bytes:
    other = Image.new("RGB", (8, 8), "blue")
    return _encoded(Image.new("RGB", (8, 8), COLOR), "MPO", save_all=True, append_images=[other], quality=95)


def _animation(kind: str) -> bytes:
    other = Image.new("RGB", (8, 8), "blue")
    return _encoded(Image.new("RGB", (8, 8), COLOR), kind, save_all=True, append_images=[other], lossless=True)


PICTURES = {
    "16-bit grey": (_png((GREY * 257,), 0), (GREY,) * 3),
    "16-bit grey, transparent": (_png((GREY * 257, 65535), 4), (GREY,) * 3),
    "16-bit color": (_png(tuple(value * 257 for value in COLOR), 2), COLOR),
    "16-bit color, transparent": (_png((*(value * 257 for value in COLOR), 65535), 6), COLOR),
    "MPO": (_mpo(), COLOR),
    "CMYK": (_encoded(Image.new("RGB", (8, 8), COLOR).convert("CMYK"), "JPEG", quality=95), COLOR),
    "palette": (_palette(), COLOR),
    "1 bit": (_encoded(Image.new("1", (8, 8), 1), "PNG"), (255, 255, 255)),
    "turned": (_turned(), COLOR),
    "animated PNG": (_animation("PNG"), COLOR),
    "animated WebP": (_animation("WEBP"), COLOR),
}


@pytest.mark.parametrize(("content", "color"), PICTURES.values(), ids=PICTURES)
@pytest.mark.parametrize("target", ["out.png", "out.svg"])
def test_a_picture_of_any_mode_keeps_its_colors(
    content: bytes, color: tuple[int, ...], target: str, tmp_path: Path
) -> None:
    """The drawing, and the picture in an SVG, show what people see: the first frame, upright, in its colors."""
    Drawing(content, NOBODY, STYLE).save(tmp_path / target)
    drawn = Image.open(tmp_path / target) if target.endswith("png") else _embedded(tmp_path / target)
    assert not getattr(drawn, "is_animated", False) or drawn.format == "MPO"
    assert drawn.mode in ("P", "1", "L", "LA", "RGB", "RGBA")
    assert drawn.height >= drawn.width
    pixel = drawn.convert("RGB").getpixel((1, 1))
    assert isinstance(pixel, tuple)
    assert max(abs(one - other) for one, other in zip(pixel, color, strict=True)) <= 4


def test_transparency_is_kept(tmp_path: Path) -> None:
    """What is transparent stays transparent."""
    Drawing(_palette(), NOBODY, STYLE).save(tmp_path / "out.png")
    drawn = Image.open(tmp_path / "out.png")
    assert (drawn.getpixel((1, 1)), drawn.getpixel((6, 1))) == ((*COLOR, 255), (0, 0, 255, 0))


def _embedded(svg: Path) -> Image.Image:
    image = ET.parse(svg).getroot().find("{http://www.w3.org/2000/svg}image")  # noqa: S314 - made by this test
    assert image is not None
    kind, _, content = (image.get("href") or "").partition(";base64,")
    assert kind in ("data:image/png", "data:image/jpeg", "data:image/webp")
    return Image.open(io.BytesIO(base64.b64decode(content)))


def _recognition(*verdicts: pb.Verdict) -> Recognition:
    return read(Recognition, pb.RecognizeImageResponse(verdicts=verdicts))


def _verdict(box: tuple[float, float, float, float], name: str = "Ada", score: float = 0.9) -> pb.Verdict:
    left, top, width, height = box
    box_message = pb.BoundingBox(left=left, top=top, width=width, height=height)
    return pb.Verdict(box=box_message, state=pb.VERDICT_STATE_IDENTIFIED, display_name=name, score=score)


BOXES = [
    *((math.nan, 0, 1, 1), (0, math.inf, 1, 1), (0, 0, math.inf, math.inf), (-math.inf, 0, 1, 1)),
    *((-5, -5, 20, 20), (0.5, 0.5, -1, -1), (0.2, 0.2, 0, 0), (3e38, 3e38, 3e38, 3e38), (-3e38, 0, 3.4e38, 1)),
    *((7, 7, 0.1, 0.1), (0.999, 0.999, 0.5, 0.5), (0.5, 0.5, 1e-30, 1e-30)),
]
NAMES = [
    "",
    "Ada\nLovelace",
    "\x1b[31m\x00\x7f",
    "\u202eadA",
    "👩‍👩‍👧",
    "A" * 10_000,
    "杨紫琼 ทดสอบ",
    "]]>&<\ufffe",
    "\U000e0001",
]


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (64, 48)])
@pytest.mark.parametrize("position", LabelPosition)
def test_no_answer_ends_the_drawing(size: tuple[int, int], position: LabelPosition, tmp_path: Path) -> None:
    """Boxes that are none, names that cannot be written and scores of NaN are left out or replaced."""
    content = _encoded(Image.new("RGB", size), "PNG")
    verdicts = [_verdict(box) for box in BOXES] + [_verdict((0.1, 0.1, 0.5, 0.5), name, math.nan) for name in NAMES]
    for target in (tmp_path / "out.png", tmp_path / "out.svg"):
        Drawing(content, _recognition(*verdicts), Style(position=position)).save(target)
    with Image.open(tmp_path / "out.png") as drawn:
        assert drawn.size == size
    svg = (tmp_path / "out.svg").read_text("utf-8")
    ET.fromstring(svg)  # noqa: S314 - made by this test
    assert re.findall(r"""['"]-?(?:nan|inf)['"]|[\x00\x1b\u202e]""", svg) == []


@pytest.mark.slow
def test_thousands_of_faces_are_drawn_in_seconds(tmp_path: Path) -> None:
    """The time grows with the faces, not with their square."""
    verdicts = [_verdict((i % 50 / 50, i // 50 / 100, 0.02, 0.01), f"Person {i}") for i in range(5000)]
    begin = time.process_time()
    Drawing(_encoded(Image.new("RGB", (800, 600)), "PNG"), _recognition(*verdicts), STYLE).save(tmp_path / "out.svg")
    assert time.process_time() - begin < 20


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"no picture", b"\xff\xd8\xff\xe0", _encoded(Image.new("RGB", (64, 64)), "PNG")[:60]),
        _encoded(Image.new("RGB", (64, 64)), "GIF"),
        *(_encoded(Image.new("1", size), "PNG") for size in ((8000, 7000), (14000, 14000))),
    ],
)
@pytest.mark.parametrize("target", ["out.png", "out.svg"])
def test_a_picture_that_cannot_be_drawn_is_an_os_error(content: bytes, target: str, tmp_path: Path) -> None:
    """A damaged picture, another format or more than 50 megapixels raise OSError alone."""
    with pytest.raises(OSError, match="cannot be drawn"):
        Drawing(content, NOBODY, STYLE).save(tmp_path / target)

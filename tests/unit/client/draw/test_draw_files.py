"""Tests of the files that --draw writes."""

import base64
import io
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from marquee import Box, Recognition
from marquee.draw.drawing import Drawing
from marquee.draw.style import Style, parse_colors
from marquee.records import read
from marquee.v1 import recognizer_pb2 as pb

SVG = "{http://www.w3.org/2000/svg}"
STYLE = Style(parse_colors("identified=#ff00ff"))
BOX = Box(0.25, 0.5, 0.5, 0.25)


def _recognition(name: str = "Eileen Collins") -> Recognition:
    box = pb.BoundingBox(left=BOX.left, top=BOX.top, width=BOX.width, height=BOX.height)
    verdict = pb.Verdict(box=box, state=pb.VERDICT_STATE_IDENTIFIED, display_name=name, score=0.98)
    message = pb.RecognizeImageResponse(verdicts=[verdict])
    return read(Recognition, message)


def _picture(kind: str = "JPEG", orientation: int = 1, mode: str = "RGB") -> bytes:
    """Return a picture that is stored as 400x200."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.new(mode, (400, 200)).save(buffer, kind, exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "mode"), [("JPEG", "RGB"), ("JPEG", "CMYK"), ("PNG", "RGBA"), ("PNG", "L"), ("WEBP", "RGB")]
)
def test_png_shows_the_box_in_its_color(tmp_path: Path, kind: str, mode: str) -> None:
    """A picture of any format and mode becomes a PNG of the same size, with the box in its color."""
    Drawing(_picture(kind, mode=mode), _recognition(), STYLE).save(tmp_path / "out.png")
    drawn = Image.open(tmp_path / "out.png").convert("RGB")
    assert drawn.size == (400, 200)
    assert drawn.getpixel((100, 125)) == (255, 0, 255)


def test_a_sideways_picture_is_drawn_upright(tmp_path: Path) -> None:
    """EXIF rotation is applied before drawing, in PNG and in SVG, because boxes refer to the upright picture."""
    for name in ("out.png", "out.svg"):
        Drawing(_picture(orientation=6), _recognition(), STYLE).save(tmp_path / name)
    drawn = Image.open(tmp_path / "out.png").convert("RGB")
    assert drawn.size == (200, 400)
    assert drawn.getpixel((50, 250)) == (255, 0, 255)
    svg = ET.parse(tmp_path / "out.svg").getroot()  # noqa: S314 - generated above
    assert (svg.get("width"), svg.get("height")) == ("200", "400")
    embedded = _embedded(svg)
    assert (embedded.size, embedded.getexif().get(0x0112, 1)) == ((200, 400), 1)


def test_svg_embeds_the_file_unchanged(tmp_path: Path) -> None:
    """An SVG embeds the bytes of an upright picture unchanged."""
    content = _picture("PNG")
    Drawing(content, _recognition(), STYLE).save(tmp_path / "out.svg")
    svg = ET.parse(tmp_path / "out.svg").getroot()  # noqa: S314 - generated above
    assert _bytes(svg) == content
    boxes = [(r.get("x"), r.get("y"), r.get("width"), r.get("height")) for r in svg.iter(f"{SVG}rect")]
    assert boxes[0] == ("100.0", "100.0", "200.0", "50.0")


@pytest.mark.parametrize("name", ["<script>alert('&')</script>", 'Zoë "Z" Kravitz', "bell\x07", "杨紫琼"])
def test_names_are_text_in_svg(tmp_path: Path, name: str) -> None:
    """Whatever a name contains, the SVG is well-formed and shows it as text."""
    Drawing(_picture(), _recognition(name), STYLE).save(tmp_path / "out.svg")
    svg = ET.parse(tmp_path / "out.svg").getroot()  # noqa: S314 - generated above
    assert [text.text for text in svg.iter(f"{SVG}text")] == [name.replace("\x07", "\ufffd") + " 98%"]


def _bytes(svg: ET.Element) -> bytes:
    image = svg.find(f"{SVG}image")
    assert image is not None
    return base64.b64decode((image.get("href") or "").partition(",")[2])


def _embedded(svg: ET.Element) -> Image.Image:
    return Image.open(io.BytesIO(_bytes(svg)))

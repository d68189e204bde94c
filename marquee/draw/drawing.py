"""Recognitions drawn into their picture, as PNG or SVG."""

from html import escape
from pathlib import Path

from PIL import Image, ImageDraw

from marquee.draw.layout import FONT_FAMILY, Mark, Rectangle, font, lay_out, line_width
from marquee.draw.picture import data_uri, encode, upright
from marquee.draw.style import Style, text_color
from marquee.results import Recognition
from marquee.rows import verdicts_of

_HALO = "#000000"


def draw(content: bytes, recognition: Recognition, style: Style, target: Path) -> None:
    """Write the picture with its faces to `target`, a .png or .svg file. Raises OSError."""
    picture = upright(content)
    marks = lay_out(verdicts_of(recognition), picture.size, style)
    if target.suffix.lower() == ".svg":
        target.write_text(_svg(picture, content, marks), encoding="utf-8")
    else:
        target.write_bytes(_png(picture, marks))


def _png(picture: Image.Image, marks: list[Mark]) -> bytes:
    canvas = ImageDraw.Draw(picture)
    line = line_width(picture.size)
    for mark in marks:
        _draw_box(canvas, mark, line)
    for mark in marks:
        _draw_caption(canvas, mark)
    return encode(picture, "PNG")


def _draw_box(canvas: ImageDraw.ImageDraw, mark: Mark, line: int) -> None:
    left, top, right, bottom = _edges(mark.box)
    canvas.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=_HALO, width=line + 2)
    canvas.rectangle((left, top, right, bottom), outline=mark.color, width=line)


def _draw_caption(canvas: ImageDraw.ImageDraw, mark: Mark) -> None:
    if (caption := mark.caption) is None:
        return
    plate = caption.plate
    canvas.rectangle(_edges(plate), fill=mark.color)
    middle = (plate.left + plate.width / 2, plate.top + plate.height / 2)
    canvas.text(middle, caption.text, fill=text_color(mark.color), font=font(caption.font_size), anchor="mm")


def _edges(area: Rectangle) -> tuple[float, float, float, float]:
    return area.left, area.top, area.left + area.width, area.bottom


def _svg(picture: Image.Image, content: bytes, marks: list[Mark]) -> str:
    width, height = picture.size
    size = f'width="{width}" height="{height}"'
    line = line_width(picture.size)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width} {height}">',
            f'<image {size} href="{data_uri(content, picture)}"/>',
            *(_svg_box(mark, line) for mark in marks),
            *(_svg_caption(mark) for mark in marks),
            "</svg>\n",
        ]
    )


def _svg_box(mark: Mark, line: int) -> str:
    area = f"{_svg_area(mark.box)} fill='none'"
    return (
        f"<rect {area} stroke='{_HALO}' stroke-width='{line + 2}'/>"
        f"<rect {area} stroke='{mark.color}' stroke-width='{line}'/>"
    )


def _svg_caption(mark: Mark) -> str:
    if (caption := mark.caption) is None:
        return ""
    plate = caption.plate
    x, y = plate.left + plate.width / 2, plate.top + plate.height / 2
    room = plate.width - 0.7 * caption.font_size
    return (
        f"<rect {_svg_area(plate)} fill='{mark.color}'/>"
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" dominant-baseline="central" font-weight="bold" '
        f'font-family="{FONT_FAMILY}" font-size="{caption.font_size}" textLength="{room:.1f}" '
        f'lengthAdjust="spacingAndGlyphs" fill="{text_color(mark.color)}">{escape(caption.text)}</text>'
    )


def _svg_area(area: Rectangle) -> str:
    return f"x='{area.left:.1f}' y='{area.top:.1f}' width='{area.width:.1f}' height='{area.height:.1f}'"

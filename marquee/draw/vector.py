"""A layout as SVG."""

from collections.abc import Iterator
from html import escape

from PIL import Image

from marquee.draw.fonts import FAMILIES, Writing, is_right_to_left
from marquee.draw.layout.geometry import Rectangle
from marquee.draw.layout.legend import BACKGROUND, Legend
from marquee.draw.layout.plates import Layout, Mark, Plate
from marquee.draw.picture import data_uri
from marquee.draw.style import HALO, dash_of, rim_of, text_color


def svg_of(content: bytes, picture: Image.Image, layout: Layout) -> str:
    """Return the SVG, with the picture's file embedded. Raises OSError."""
    width, height = picture.size
    total = height + (round(layout.legend.area.height) if layout.legend else 0)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{total}" viewBox="0 0 {width} {total}">',
            f'<image width="{width}" height="{height}" href="{data_uri(content, picture)}"/>',
            *(_box(mark, layout.line_width) for mark in layout.marks),
            *(_plate(mark.plate, mark.item.color, layout.line_width) for mark in layout.marks if mark.plate),
            *(_legend(layout.legend) if layout.legend else ()),
            "</svg>\n",
        ]
    )


def _box(mark: Mark, line: int) -> str:
    area, color, title = _area(mark.item.box), mark.item.color, f"<title>{escape(mark.item.title)}</title>"
    length, gap = dash_of(line)
    dashes = "" if mark.item.kind == "face" else f' stroke-dasharray="{length} {gap}"'
    rim = line + 2 if mark.item.kind == "face" else line
    return (
        f'<rect class="halo" {area} fill="none" stroke="{HALO}" stroke-width="{rim}"/>'
        f'<rect class="{mark.item.kind}" {area} fill="none" stroke="{color}" stroke-width="{line}"{dashes}>'
        f"{title}</rect>"
    )


def _plate(plate: Plate, color: str, line: int) -> str:
    kind, writing = "number" if plate.is_number else "plate", plate.writing(color)
    if plate.is_bare:
        rim = f' stroke="{HALO}" stroke-width="{2 * rim_of(plate.font_size)}" paint-order="stroke"'
        return _text(kind, writing, rim)
    ground = f'<rect class="{kind}" {_area(plate.area)} fill="{color}" stroke="{text_color(color)}"/>'
    return _leader(plate, color, line) + ground + _text(kind, writing)


def _leader(plate: Plate, color: str, width: int) -> str:
    if (line := plate.line) is None:
        return ""
    ends = f'x1="{line.x1:.1f}" y1="{line.y1:.1f}" x2="{line.x2:.1f}" y2="{line.y2:.1f}"'
    return (
        f'<line class="halo" {ends} stroke="{HALO}" stroke-width="{width + 2}"/>'
        f'<line class="leader" {ends} stroke="{color}" stroke-width="{width}"/>'
    )


def _legend(legend: Legend) -> Iterator[str]:
    yield f'<rect class="legend" {_area(legend.area)} fill="{BACKGROUND}"/>'
    yield from (f'<rect class="legend" {_area(ground)} fill="{color}"/>' for ground, color in legend.grounds)
    yield from (_text("legend", writing) for writing in legend.writings)


def _text(kind: str, writing: Writing, more: str = "") -> str:
    """Return the text, as wide as with this machine's fonts, whichever the viewer has."""
    direction = ' direction="rtl"' if is_right_to_left(writing.text) else ""
    return (
        f'<text class="{kind}" x="{writing.x:.1f}" y="{writing.baseline:.1f}" text-anchor="middle" font-weight="bold" '
        f'font-family="{FAMILIES}" font-size="{writing.size}" textLength="{writing.width:.1f}" '
        f'lengthAdjust="spacingAndGlyphs" fill="{writing.color}"{more}{direction}>{escape(writing.text)}</text>'
    )


def _area(area: Rectangle) -> str:
    return f'x="{area.left:.1f}" y="{area.top:.1f}" width="{area.width:.1f}" height="{area.height:.1f}"'

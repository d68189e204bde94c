"""Recognitions drawn into their picture, as an image, a PNG or an SVG."""

from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw

from marquee.draw.fonts import Writing, note_on, runs_of
from marquee.draw.layout.captions import content_of
from marquee.draw.layout.geometry import Rectangle
from marquee.draw.layout.legend import BACKGROUND, Legend
from marquee.draw.layout.plates import Layout, Mark, Plate, lay_out
from marquee.draw.picture import encode, upright
from marquee.draw.style import HALO, Style, dash_of, rim_of, text_color
from marquee.draw.vector import svg_of
from marquee.results import Recognition


class Drawing:
    """A recognition drawn into its picture."""

    def __init__(self, content: bytes, recognition: Recognition, style: Style | None = None) -> None:
        """Lay out the drawing. `content` is the picture's file: JPEG, PNG or WebP. Raises OSError."""
        self._content, self._picture, style = content, upright(content), style or Style()
        shown = content_of(recognition, self._picture.size, style)
        self._layout = lay_out(shown, self._picture.size, style)
        texts = [item.title for item in shown.items if item.texts]
        self.notes = tuple(note for note in (*shown.notes, note_on((*texts, *shown.remarks))) if note)
        """Sentences on what is not drawn, such as letters that no font has."""

    def image(self) -> Image.Image:
        """Return the drawing as RGB or RGBA, with the legend, if there is one, below the picture."""
        return _paint(self._picture, self._layout)

    def svg(self) -> str:
        """Return the drawing as SVG, which embeds the picture. Raises OSError.

        Rectangles have the class face, label, plate, number or legend, and their dark rims halo.
        """
        return svg_of(self._content, self._picture, self._layout)

    def save(self, target: Path) -> None:
        """Write a .svg file, else a PNG. Raises OSError."""
        if target.suffix.lower() == ".svg":
            target.write_text(self.svg(), encoding="utf-8")
        else:
            target.write_bytes(encode(self.image(), "PNG"))


def _paint(picture: Image.Image, layout: Layout) -> Image.Image:
    """Return a copy of the picture with boxes and plates, and the legend below it."""
    image = _with_room(picture, layout.legend)
    canvas = ImageDraw.Draw(image)
    for mark in {(mark.item.kind, mark.item.color, mark.item.box): mark for mark in layout.marks}.values():
        _draw_box(canvas, mark, layout.line_width)
    for mark in layout.marks:
        if mark.plate:
            _draw_plate(canvas, mark.plate, mark.item.color, layout.line_width)
    if layout.legend:
        _draw_legend(canvas, layout.legend)
    return image


def _with_room(picture: Image.Image, legend: Legend | None) -> Image.Image:
    if legend is None:
        return picture.copy()
    image = Image.new(picture.mode, (picture.width, picture.height + round(legend.area.height)), BACKGROUND)
    image.paste(picture)
    return image


def _draw_box(canvas: ImageDraw.ImageDraw, mark: Mark, line: int) -> None:
    box = mark.item.box.grown(line // 2)  # Pillow draws lines within a rectangle, an SVG on its edges
    if mark.item.kind == "face":
        canvas.rectangle(box.grown(1).edges, outline=HALO, width=line + 2)
        canvas.rectangle(box.edges, outline=mark.item.color, width=line)
        return
    canvas.rectangle(box.edges, outline=HALO, width=line)
    for part in _dashes(mark.item.box, line):
        canvas.line(part, fill=mark.item.color, width=line)


def _dashes(box: Rectangle, line: int) -> Iterator[tuple[float, float, float, float]]:
    """Yield the dashes of a label's box."""
    length, gap = dash_of(line)
    left, top, right, bottom = box.edges
    for start in range(round(left), round(right), length + gap):
        end = min(start + length, right)
        yield from ((start, top, end, top), (start, bottom, end, bottom))
    for start in range(round(top), round(bottom), length + gap):
        end = min(start + length, bottom)
        yield from ((left, start, left, end), (right, start, right, end))


def _draw_plate(canvas: ImageDraw.ImageDraw, plate: Plate, color: str, line: int) -> None:
    if plate.line:
        ends = (plate.line.x1, plate.line.y1, plate.line.x2, plate.line.y2)
        canvas.line(ends, fill=HALO, width=line + 2)
        canvas.line(ends, fill=color, width=line)
    if not plate.is_bare:
        canvas.rectangle(plate.area.edges, fill=color, outline=text_color(color))
    _write(canvas, plate.writing(color), rim=rim_of(plate.font_size) if plate.is_bare else 0)


def _draw_legend(canvas: ImageDraw.ImageDraw, legend: Legend) -> None:
    canvas.rectangle(legend.area.edges, fill=BACKGROUND)
    for ground, color in legend.grounds:
        canvas.rectangle(ground.edges, fill=color)
    for writing in legend.writings:
        _write(canvas, writing)


def _write(canvas: ImageDraw.ImageDraw, writing: Writing, rim: int = 0) -> None:
    """Write the text, each of its runs with the typeface that has its letters."""
    x = writing.x - writing.width / 2
    for run in runs_of(writing.text):
        font = run.face.at(writing.size)
        place = (x, writing.baseline)
        canvas.text(place, run.text, writing.color, font, anchor="ls", stroke_width=rim, stroke_fill=HALO)
        x += font.getlength(run.text)

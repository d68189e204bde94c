"""An HTML page of text, tables, charts and pictures, rendered from page.html.j2.

Only trainers import this and the package jinja2: no server renders a page.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias

import jinja2

from services.runtime.images.folder import LeftOut
from services.runtime.storage import files

WIDTH, HEIGHT = 360, 240
"""Pixels of a chart without its margins."""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Table:
    """Rows under a head; the first cell of each row names it."""

    kind: ClassVar[str] = "table"
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    shades: Sequence[Sequence[float]] = ()
    """How dark the other cells of each row are, 0 to 1; with it the table is a confusion matrix."""


@dataclass(frozen=True)
class Line:
    """A line of a chart."""

    points: Sequence[tuple[float, float]]
    """(x, y), both 0 to 1, y upwards."""
    label: str = ""

    @property
    def pixels(self) -> str:
        """The points in SVG's notation."""
        return " ".join(f"{WIDTH * x:.1f},{HEIGHT * (1 - y):.1f}" for x, y in self.points)


@dataclass(frozen=True)
class Chart:
    """Lines between two axes of 0 to 1."""

    kind: ClassVar[str] = "chart"
    x_label: str
    y_label: str
    lines: Sequence[Line]
    diagonal: bool = False
    """Whether to draw the line from one corner to the other: pure chance, or what was promised."""


@dataclass(frozen=True)
class Figure:
    """A small JPEG with lines of text below it."""

    kind: ClassVar[str] = "figure"
    jpeg: bytes
    caption: Sequence[str]

    @property
    def base64(self) -> str:
        """The picture in base64, for a data URL."""
        return base64.b64encode(self.jpeg).decode()


Block: TypeAlias = Text | Table | Chart | Figure


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    heading: str
    blocks: Sequence[Block]


def left_out(entries: Sequence[LeftOut]) -> Section:
    """Return the section that lists what was not trained on."""
    rows = [(one.name, one.reason) for one in entries]
    return Section("Left out", [Table(("file", "reason"), rows) if rows else Text("Nothing.")])


def write(path: Path, title: str, summary: Sequence[Block], sections: Sequence[Section]) -> None:
    """Write the page, creating its folder if needed."""
    folder = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=folder, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template("page.html.j2")
    text = page.render(title=title, sections=[Section("", summary), *sections], width=WIDTH, height=HEIGHT)
    files.write(path, text)

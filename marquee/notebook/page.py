"""HTML of answers, in which all text is escaped: names come from servers."""

import io
import warnings
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from os import fspath
from pathlib import PurePath
from typing import TYPE_CHECKING

from marquee.draw.text import clean
from marquee.enums import Findings, Outcome
from marquee.errors import InvalidImage, MarqueeError
from marquee.records import Cell
from marquee.results import Recognition
from marquee.rows import labels_of, rows_of
from marquee.sources import Picture, Source, check_size, is_s3, read_file

if TYPE_CHECKING:
    from PIL.Image import Image

    from marquee.draw.drawing import Drawing

_SIDE = 1000
"""Pixels of a picture's longer side; a notebook keeps what it shows."""
_MAX_ROWS = 100
_COLUMNS = ("state", "name", "person_id", "score", "support")
"""Of faces, whose boxes are seen."""
_SUCCESSES = (Outcome.OK, Outcome.SKIPPED)


def recognition_page(recognition: Recognition) -> str:
    """Return the picture with boxes and names if it is at hand, and tables of faces, labels and failures."""
    faces = [{column: row[column] for column in _COLUMNS} for row in rows_of(recognition)]
    tables = (faces, _label_rows(recognition), _failure_rows(recognition))
    return "\n".join([*_figure(recognition), *(table(rows) for rows in tables if rows)])


def table(rows: Sequence[Mapping[str, Cell]]) -> str:
    """Return the first rows as a table."""
    if not rows:
        return "<p>nothing</p>"
    head = "".join(f"<th>{escape(column)}</th>" for column in rows[0])
    body = "".join(f"<tr>{''.join(map(_cell, row.values()))}</tr>" for row in rows[:_MAX_ROWS])
    more = f"<p>… and {len(rows) - _MAX_ROWS:,} more: rows() has all</p>" if len(rows) > _MAX_ROWS else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def drawn(recognition: Recognition, source: Source | None, boxes: Findings | None) -> "Image":
    """Return the picture, or another source of it, with boxes and names.

    Warns of names that cannot be drawn. Raises ImportError without marquee[draw], InvalidImage, OSError.
    """
    content = _recognized(recognition.picture) if source is None else _content(source)
    drawing = _drawing(content, recognition, boxes)
    for note in drawing.notes:
        warnings.warn(note, stacklevel=3)
    return drawing.image()


def _drawing(content: bytes, recognition: Recognition, boxes: Findings | None, side: int | None = None) -> "Drawing":
    """Draw into the picture; into one whose longer side has at most `side` pixels, on which names stay legible."""
    try:
        from marquee.draw.drawing import Drawing  # noqa: PLC0415 - an extra
        from marquee.draw.picture import upright  # noqa: PLC0415 - likewise
        from marquee.draw.style import Style  # noqa: PLC0415 - likewise
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("Drawing needs Pillow: pip install 'marquee[draw]'.", name=error.name) from None
    if side:
        picture = upright(content)
        picture.thumbnail((side, side))
        content = _jpeg(picture)
    return Drawing(content, recognition, Style(boxes=boxes))


def _recognized(picture: Picture | None) -> bytes:
    if picture is None:
        raise InvalidImage(
            'The answer has no picture: give it, as in draw("photo.jpg").',
            code="INVALID_ARGUMENT",
            reason="IMAGE_MISSING",
        )
    return _content(picture.source) if picture.source is not None and is_s3(picture.source) else picture.read()


def _content(source: Source) -> bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        return check_size(bytes(source), "The picture")
    if not is_s3(source):
        return read_file(source)
    from marquee.draw.s3 import Store  # noqa: PLC0415 - an extra

    return Store().fetch(fspath(source))


def _figure(recognition: Recognition) -> Iterator[str]:
    if (picture := recognition.picture) is None:
        return
    name = PurePath(picture.source).name if isinstance(picture.source, str) else "picture"
    try:
        drawing = _drawing(picture.read(), recognition, None, _SIDE)
        content = b64encode(_jpeg(drawing.image())).decode()
    except (ImportError, MarqueeError, OSError) as error:
        yield f"<p>{escape(clean(str(error)))}</p>"
        return
    yield f'<img alt="{escape(clean(name))}" style="max-width:100%" src="data:image/jpeg;base64,{content}">'
    yield from (f"<p>{escape(clean(note))}</p>" for note in drawing.notes)


def _jpeg(picture: "Image") -> bytes:
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _label_rows(recognition: Recognition) -> list[dict[str, Cell]]:
    return [
        {
            "label": label.name,
            "score": label.score,
            "boxes": len(label.instances) or None,
            "parents": "; ".join(label.parents),
            "categories": "; ".join(label.categories),
        }
        for label in labels_of(recognition)
    ]


def _failure_rows(recognition: Recognition) -> list[dict[str, Cell]]:
    return [
        {"recognizer": result.recognizer, "outcome": str(result.outcome), "message": result.status.message}
        for result in recognition.results
        if result.outcome not in _SUCCESSES
    ]


def _cell(value: Cell) -> str:
    match value:
        case None:
            text = ""
        case bool():
            text = "yes" if value else "no"
        case float():
            text = f"{value:.4g}"
        case datetime():
            text = f"{value:%Y-%m-%d %H:%M %Z}"
        case _:
            text = str(value)
    return f"<td>{escape(clean(text))}</td>"

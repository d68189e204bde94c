"""The trainer's page: what was measured, as one HTML file that needs no other."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from services.keras.train.metrics import Classes

_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:56rem;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.2rem .6rem;text-align:right}"
    "th{text-align:left}"
)
_WIDTH, _HEIGHT, _MARGIN = 380, 200, 30
_CAUTION = (
    "<p>Of the held-out pictures. The epoch and the threshold were chosen on the same pictures, so new ones will "
    "come out a little worse.</p>"
)
_COLOURS = ("#1f6fd0", "#d0571f")


def write(
    path: Path,
    facts: Mapping[str, object],
    curves: Mapping[str, Sequence[float]],
    table: Classes,
    labels: Sequence[str],
) -> None:
    """Writes the page. `table` is the held-out pictures' confusion, its last column those told to be nothing."""
    body = [
        f"<h1>{escape(' or '.join(labels))}</h1>",
        _table([("measured", "value"), *((name, str(value)) for name, value in facts.items())]),
        "<h2>Training</h2>",
        _chart("loss", curves["loss"], curves["val_loss"]),
        _chart("accuracy", curves["accuracy"], curves["val_accuracy"]),
        "<h2>What was taken for what</h2>",
        _table([("is \\ told", *labels, "none"), *_rows(labels, table)]),
        _CAUTION,
    ]
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Keras training</title><style>{_STYLE}</style>'
    path.write_text("\n".join([head, *body, "</html>\n"]), encoding="utf-8")


def _rows(labels: Sequence[str], table: Classes) -> list[tuple[str, ...]]:
    return [(label, *map(str, row)) for label, row in zip(labels, table.tolist(), strict=True)]


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *rest = rows
    lines = ["".join(f"<th>{escape(cell)}</th>" for cell in head)]
    lines += [f"<th>{escape(row[0])}</th>" + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:]) for row in rest]
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _chart(name: str, trained: Sequence[float], held: Sequence[float]) -> str:
    """Both curves over the epochs, from 0 to the highest value."""
    top = max(*trained, *held) or 1
    lines = "".join(
        f'<polyline points="{_points(values, top)}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for values, colour in zip((trained, held), _COLOURS, strict=True)
    )
    return (
        f'<svg width="{_WIDTH + 2 * _MARGIN}" height="{_HEIGHT + 2 * _MARGIN}" font-size="12">'
        f'<path d="M{_MARGIN} {_MARGIN}v{_HEIGHT}h{_WIDTH}" fill="none" stroke="#999"/>{lines}'
        f'<text x="{_MARGIN}" y="20">{name}, up to {top:.3g}, over {len(trained)} epochs: '
        f'<tspan fill="{_COLOURS[0]}">trained on</tspan>, <tspan fill="{_COLOURS[1]}">held out</tspan></text></svg>'
    )


def _points(values: Sequence[float], top: float) -> str:
    step = _WIDTH / max(1, len(values) - 1)
    return " ".join(
        f"{_MARGIN + number * step:.1f},{_MARGIN + _HEIGHT * (1 - value / top):.1f}"
        for number, value in enumerate(values)
    )

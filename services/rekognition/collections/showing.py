"""Rows for a person or for a program, on standard output."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


def show(output: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """A table, or a line of JSON a row."""
    if output == "json":
        sys.stdout.write("".join(f"{json.dumps(row)}\n" for row in rows))
    elif rows:
        table = Table(*(name.replace("_", " ") for name in rows[0]))
        for row in rows:
            table.add_row(*(escape(str(value)) for value in row.values()))
        Console(soft_wrap=True).print(table, highlight=False)

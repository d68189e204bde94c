"""The chart's values as a Markdown table, out of the comments in values.yaml."""

import json
import re
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML

BEGIN = "<!-- made by `make docs` out of values.yaml -->"
_KEY = re.compile(r"( *)([A-Za-z][A-Za-z0-9_]*):")


def markdown(values: str) -> str:
    """One row for each key that has a comment, with its default."""
    tree = YAML(typ="safe", pure=True).load(values)
    rows = [f"| `{'.'.join(path)}` | {_default(tree, path)} | {said} |" for path, said in comments(values)]
    return "\n".join(["| value | default | what it does |", "|---|---|---|", *rows, ""])


def comments(values: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """The keys that have a comment, and the comment above them."""
    path: list[str] = []
    said: list[str] = []
    for line in values.splitlines():
        if line.lstrip().startswith("#"):
            said.append(line.strip().lstrip("# "))
        elif key := _KEY.match(line):
            path = [*path[: len(key[1]) // 2], key[2]]
            if said:
                yield tuple(path), " ".join(said)
            said = []
        elif not line.strip():
            said = []


def _default(tree: Any, path: tuple[str, ...]) -> str:
    for key in path:
        tree = tree[key]
    text = json.dumps(tree)
    return f"`{text}`" if len(text) <= 80 else "see values.yaml"  # noqa: PLR2004 - what a table's cell has room for

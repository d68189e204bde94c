"""The chart's values as a Markdown table, from the comments in values.yaml."""

import json
import re
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML

BEGIN = "<!-- Generated from values.yaml by `make docs`. -->"
_KEY = re.compile(r"( *)([A-Za-z][A-Za-z0-9_]*):")


def markdown(values: str) -> str:
    """Return one row per commented key, with its default."""
    tree = YAML(typ="safe", pure=True).load(values)
    rows = [f"| `{'.'.join(path)}` | {_default(tree, path)} | {comment} |" for path, comment in comments(values)]
    return "\n".join(["| value | default | description |", "|---|---|---|", *rows, ""])


def comments(values: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield each commented key and its comment."""
    path: list[str] = []
    comment: list[str] = []
    for line in values.splitlines():
        if line.lstrip().startswith("#"):
            comment.append(line.strip().lstrip("# "))
        elif key := _KEY.match(line):
            path = [*path[: len(key[1]) // 2], key[2]]
            if comment:
                yield tuple(path), " ".join(comment)
            comment = []
        elif not line.strip():
            comment = []


def _default(tree: Any, path: tuple[str, ...]) -> str:
    for key in path:
        tree = tree[key]
    text = json.dumps(tree)
    return f"`{text}`" if len(text) <= 80 else "see values.yaml"  # noqa: PLR2004 - what fits into a table's cell

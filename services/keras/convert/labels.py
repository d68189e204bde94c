"""Labels as people have them: listed, or in a file."""

import json
import os
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from typing import Any

_FILES = (".txt", ".json", ".csv", ".names", ".labels")
_UTF16 = (BOM_UTF16_LE, BOM_UTF16_BE)
_NUMBERED = re.compile(r"(\d+)[\s,:;]+(.+)")


class LabelsProblem(ValueError):
    """The labels cannot be read; the text says why and what to do."""


def read_labels(text: str) -> list[str]:
    """Return the labels of "A,B,…", or of the file with that name, in class order. Raises LabelsProblem.

    A file has a label a line, which its index may precede (as Teachable Machine writes them), or is JSON: a list,
    {"label": index} (Keras's class_indices) or {"index": "label"} (also with a list whose last entry is the label, as
    imagenet_class_index.json has it), or any of them as the "labels" or "id2label" of an object.
    """
    path = Path(text)
    if not os.path.isfile(text) and ("," in text or path.suffix not in _FILES):  # noqa: PTH113 - Path.is_file may raise
        return [label.strip() for label in text.split(",")]
    try:
        content = _decoded(path.read_bytes())
        return _from_json(json.loads(content)) if content.lstrip()[:1] in {"[", "{"} else _from_lines(content)
    except OSError as exc:
        raise LabelsProblem(f"{path} cannot be read: {exc.strerror}.") from exc
    except (ValueError, RecursionError) as exc:
        raise LabelsProblem(f"{path} does not hold labels: {exc}.") from exc


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not text in UTF-8") from None


def _from_lines(content: str) -> list[str]:
    lines = [line.strip() for line in content.splitlines() if line.strip()]
    if not lines:
        raise ValueError("it is empty")
    numbered = [_NUMBERED.fullmatch(line) for line in lines]
    names = [match[2] for index, match in enumerate(numbered) if match and match[1] == str(index)]
    return names if len(lines) == len(names) > 1 else lines


def _from_json(content: Any) -> list[str]:
    if isinstance(content, dict):
        inner = content.get("labels", content.get("id2label"))
        return _from_json(inner) if isinstance(inner, list | dict) else _in_order(content)
    if not all(isinstance(label, str) for label in content):
        raise ValueError("its entries are not all names")
    return list(content)


def _in_order(content: dict[str, Any]) -> list[str]:
    if all(isinstance(value, int) for value in content.values()):
        by_index = {str(index): name for name, index in content.items()}
    else:
        by_index = {key: value[-1] if isinstance(value, list) and value else value for key, value in content.items()}
    numbers = [str(number) for number in range(len(content))]
    if by_index.keys() != set(numbers):
        raise ValueError(f"its indices are not 0 to {len(content) - 1}, each once")
    return _from_json([by_index[number] for number in numbers])

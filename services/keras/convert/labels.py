"""Labels as people have them: listed, or in a file."""

import json
from pathlib import Path
from typing import Any

_FILES = (".txt", ".json", ".csv", ".names", ".labels")


class LabelsProblem(ValueError):
    """The labels cannot be read; the text says why and what to do."""


def read_labels(text: str) -> list[str]:
    """Return the labels of "A,B,…", or of the file with that name, in class order. Raises LabelsProblem.

    A file has a label a line, which its index may precede (as Teachable Machine writes them), or is JSON: a list,
    {"label": index} (Keras's class_indices) or {"index": "label"} (also with a list whose last entry is the label, as
    imagenet_class_index.json has it).
    """
    if "," in text:
        return [label.strip() for label in text.split(",")]
    path = Path(text)
    if path.suffix not in _FILES and not path.is_file():
        return [text.strip()]
    try:
        content = path.read_text(encoding="utf-8-sig")
        return _from_json(json.loads(content)) if content.lstrip()[:1] in {"[", "{"} else _from_lines(content)
    except OSError as exc:
        raise LabelsProblem(f"{path} cannot be read: {exc.strerror}.") from exc
    except (ValueError, RecursionError) as exc:
        raise LabelsProblem(f"{path} does not hold labels: {exc}.") from exc


def _from_lines(content: str) -> list[str]:
    lines = [line.strip() for line in content.splitlines() if line.strip()]
    if not lines:
        raise ValueError("it is empty")
    pairs = [line.partition(" ") for line in lines]
    if len(lines) > 1 and all(pair[0] == str(index) and pair[2] for index, pair in enumerate(pairs)):
        return [name.strip() for _, _, name in pairs]
    return lines


def _from_json(content: Any) -> list[str]:
    if isinstance(content, dict):
        content = _in_order(content)
    if not all(isinstance(label, str) for label in content):
        raise ValueError("its entries are not all names")
    return list(content)


def _in_order(content: dict[str, Any]) -> list[Any]:
    if all(isinstance(value, int) for value in content.values()):
        by_index = {index: name for name, index in content.items()}
    else:
        by_index = {int(key): value[-1] if isinstance(value, list) else value for key, value in content.items()}
    if sorted(by_index) != list(range(len(content))):
        raise ValueError(f"its indices are not 0 to {len(content) - 1}, each once")
    return [by_index[index] for index in range(len(content))]

"""Files of skops, read without it: importing skops imports all of scikit-learn and SciPy, 2 s and 100 MiB.

Nothing that a file names is imported and no object of it is built: scikit-learn's come as what they consist of.
"""

import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np

_PROTOCOL = 2
"""The latest that this reads. Earlier ones differ only in what no model has: functions and random generators."""
_KEYS = {"str": str, "int": int, "float": float}
_FOREIGN = "sklearn."

Node = dict[str, Any]


@dataclass(frozen=True)
class Stored:
    """An object of scikit-learn that nobody has built."""

    type: str
    """Its class's name with the module, such as sklearn.svm._classes.LinearSVC."""
    arguments: tuple[Any, ...]
    """What its class takes first; empty for estimators."""
    state: dict[str, Any]
    """Its attributes."""


def read(data: bytes) -> Any:
    """Return what `skops.io.dumps` was given, each object of scikit-learn as Stored.

    Raises ValueError for types that no model has, and whatever a damaged file makes zipfile, json or NumPy raise.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as parts:
        schema = json.loads(parts.read("schema.json"))
        if schema["protocol"] not in range(_PROTOCOL + 1):
            raise ValueError(f"it has skops' protocol {schema['protocol']}, and {_PROTOCOL} is the latest known")
        return _Reader(parts).value(schema)


class _Reader:
    """Turns the nodes of a schema into values. What is referred to twice is one value."""

    def __init__(self, parts: zipfile.ZipFile) -> None:
        self._parts = parts
        self._values: dict[int, Any] = {}

    def value(self, node: Node) -> Any:
        name = node.get("__id__")
        if name is None:
            return self._new(node)
        if name not in self._values:
            self._values[name] = self._new(node)
        return self._values[name]

    def _new(self, node: Node) -> Any:
        kind = f"{node['__module__']}.{node['__class__']}"
        content: Any = node.get("content")
        match node["__loader__"], kind:
            case "JsonNode", "builtins.str":
                return json.loads(content)
            case ("ListNode", "builtins.list") | ("TupleNode", "builtins.tuple"):
                values = [self.value(one) for one in content]
                return values if kind == "builtins.list" else tuple(values)
            case "DictNode", "builtins.dict":
                return self._dict(node)
            case "SliceNode", "builtins.slice":
                return slice(content["start"], content["stop"], content["step"])
            case "NdArrayNode", _ if kind.startswith("numpy.") and node["type"] == "numpy":
                return self._array(node)
            case "ObjectNode" | "TreeNode", _ if kind.startswith(_FOREIGN):
                return self._stored(kind, node)
        raise ValueError(f"it holds a {kind} ({node['__loader__']}), which no model does")

    def _dict(self, node: Node) -> dict[Any, Any]:
        keys = [_KEYS[key["__class__"]] for key in node["key_types"]["content"]]
        pairs = zip(keys, node["content"].items(), strict=False)
        return {key(text): self.value(value) for key, (text, value) in pairs}

    def _array(self, node: Node) -> Any:
        whole = io.BytesIO(self._parts.read(node["file"]))  # zipfile checks a part's sum only when all of it is read
        array = np.lib.format.read_array(whole, allow_pickle=False)
        return array if node["__class__"] == "ndarray" else array[()]

    def _stored(self, kind: str, node: Node) -> Stored:
        arguments = self.value(node["__reduce__"]["args"]) if "__reduce__" in node else ()
        return Stored(kind, arguments, self.value(node["content"]))

"""Bodies of the REST API's `:predict`: from JSON to a PredictRequest, and from a PredictResponse to JSON.

Rules and texts: util/json_tensor.cc in TensorFlow Serving; the lines are given at each. An error of JSON's syntax has
the code and the form of RapidJSON's, but the words of Python's parser.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tensorflow.core.framework import types_pb2

from local.tf_serving import tensors
from local.tf_serving.errors import Refusal, invalid
from services.keras.serving.tensors import Array

_SHOWN = 256
_FLOATS = {types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE}
_RANGES = {types_pb2.DT_UINT8: 32, types_pb2.DT_INT32: 32, types_pb2.DT_INT64: 64}
"""Bits of the integers that are taken for a type; a uint8 keeps the lowest eight, as in TensorFlow."""
_TYPE_NAMES = {dict: "Object", list: "Array", str: "String", type(None): "Null", int: "Number", float: "Number"}


class Payload:
    """The body of one request."""

    def __init__(self, body: bytes) -> None:
        """Parse the body, as `ParseJson` does (:473). Raises Refusal."""
        if not body:
            raise invalid("JSON Parse error: The document is empty")
        try:
            text = body.decode().lstrip()
            self._document, _ = json.JSONDecoder().raw_decode(text)  # what follows the value is ignored
        except json.JSONDecodeError as exc:
            raise invalid(f"JSON Parse error: {exc.msg} at offset: {exc.pos}") from exc
        except (UnicodeDecodeError, RecursionError, ValueError) as exc:
            raise invalid(f"JSON Parse error: {exc}") from exc
        if not isinstance(self._document, dict):
            raise _wrong(self._document, "Is not object")

    @property
    def signature(self) -> str:
        """Name of the signature; empty for the default (:505). Raises Refusal."""
        name = self._document.get("signature_name", "")
        if not isinstance(name, str):
            raise _wrong(self._document, "not formatted correctly. 'signature_name' key must be a string value.")
        return name

    @property
    def is_row(self) -> bool:
        """Whether the values are by picture ("instances") and not by input ("inputs") (:672). Raises Refusal."""
        if "instances" not in self._document:
            if "inputs" not in self._document:
                raise invalid("Missing 'inputs' or 'instances' key")
            return False
        if "inputs" in self._document:
            text = "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
            raise _wrong(self._document, text)
        if not isinstance(self._document["instances"], list):
            raise _wrong(self._document, "Expecting 'instances' to be an list/array")
        if not self._document["instances"]:
            raise _wrong(self._document, "No values in 'instances' array")
        return True

    def inputs(self, infos: Mapping[str, Any]) -> dict[str, Any]:
        """Return TensorProtos by name for the signature's inputs, TensorInfos by name. Raises Refusal."""
        try:
            return (
                _rows(self._document["instances"], infos) if self.is_row else _columns(self._document["inputs"], infos)
            )
        except RecursionError:
            raise invalid("JSON Parse error: the values are nested too deeply") from None


def to_json(outputs: Mapping[str, Any], *, is_row: bool) -> str:
    """Return the response's body for TensorProtos by name (:975, :1028). Raises Refusal."""
    arrays = {name: tensors.to_array(outputs[name]) for name in sorted(outputs)}
    if not is_row:
        columns = {name: _text(array, as_base64=_is_bytes(name)) for name, array in arrays.items()}
        return f'{{\n    "outputs": {_one_or_object(columns)}\n}}'
    rows = (
        {name: _text(array[row], as_base64=_is_bytes(name)) for name, array in arrays.items()}
        for row in range(_batch_size(arrays))
    )
    predictions = ", ".join(map(_one_or_object, rows))
    return f'{{\n    "predictions": [{predictions}\n    ]\n}}'


def _rows(instances: Sequence[Any], infos: Mapping[str, Any]) -> dict[str, Any]:
    """Batch the instances (:519)."""
    if not isinstance(instances[0], dict) and len(infos) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    named = _is_object(instances[0])
    values: dict[str, list[Array]] = {name: [] for name in infos}
    for number, instance in enumerate(instances):
        if named != _is_object(instance):
            kinds = "object but got list" if named else "value/list but got object"
            raise invalid(f"Expecting {kinds} at item {number} of input list")
        for name, value in (instance if named else {min(infos): instance}).items():
            key = f" key: {name}" if named else ""
            try:
                _append(values, name, value, infos)
            except Refusal as exc:
                text = (
                    f"Failed to process element: {number}{key} of 'instances' list. Error: {exc.code.name}: {exc.text}"
                )
                raise invalid(text) from exc
        if named and set(instance) != set(infos):
            keys = f"JSON object: {_shown(instance)} keys must be equal to: {','.join(sorted(infos))}"
            raise invalid(f"Failed to process element: {number} of 'instances' list. {keys}")
    return {name: _proto(np.stack(arrays), infos[name].dtype) for name, arrays in values.items()}


def _append(values: dict[str, list[Array]], name: str, value: Any, infos: Mapping[str, Any]) -> None:
    """Add one instance's value of an input, which must have the shape of those before (:443)."""
    if name not in infos:
        raise invalid(f"JSON object: does not have named input: {name}")
    array = _array(value, infos[name].dtype)
    if values[name]:
        first = values[name][0]
        if first.size != array.size:
            raise invalid(f"Expecting tensor size: {first.size} but got: {array.size}")
        if first.shape != array.shape:
            raise invalid(f"Expecting shape {_shape(first)} but got: {_shape(array)}")
    values[name].append(array)


def _columns(inputs: Any, infos: Mapping[str, Any]) -> dict[str, Any]:
    """Take the inputs as they are (:609)."""
    if not _is_object(inputs):
        if len(infos) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        inputs = {min(infos): inputs}
    for name in infos:
        if name not in inputs:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: _proto(_array(inputs[name], info.dtype), info.dtype) for name, info in infos.items()}


def _array(value: Any, dtype: int) -> Any:
    """Return the values as an array whose shape is that of each first element (:349, :392)."""
    shape, inner = [], value
    while isinstance(inner, list):
        shape.append(len(inner))
        inner = inner[0] if inner else None
    flat: list[Any] = []
    _fill(value, 0, shape, dtype, flat)
    return np.array(flat, object).reshape(shape)


def _fill(value: Any, level: int, shape: Sequence[int], dtype: int, flat: list[Any]) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            text = f"found at incorrect level: {level + 1} in the JSON DOM. Expected at level: {len(shape)}"
            raise _wrong(value, text)
        flat.append(_value(value, dtype))
        return
    if level >= len(shape):
        raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for one in value:
        _fill(one, level + 1, shape, dtype, flat)


def _value(value: Any, dtype: int) -> Any:
    """Return a single value if it is of the type (:290)."""
    if type(value) in {int, float} and dtype in _FLOATS:
        return value
    if dtype == types_pb2.DT_STRING and isinstance(value, str):
        return value.encode(errors="surrogatepass")
    if dtype == types_pb2.DT_STRING and isinstance(value, dict):
        return _decoded(value)
    if type(value) is int and dtype in _RANGES and -(2 ** (_RANGES[dtype] - 1)) <= value < 2 ** (_RANGES[dtype] - 1):
        return value
    name = types_pb2.DataType.Name(dtype).removeprefix("DT_").lower()
    kind = _TYPE_NAMES.get(type(value)) or str(value)  # True, False
    raise _wrong(value, f"Type: {kind} is not of expected type: {name}")


def _decoded(value: Mapping[str, Any]) -> bytes:
    """Return the bytes of {"b64": "…"} (:377)."""
    if _is_object(value):
        raise _wrong(value, "not formatted correctly for base64 data")
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None


def _proto(array: Array, dtype: int) -> Any:
    if dtype != types_pb2.DT_STRING:
        with np.errstate(over="ignore"):
            array = _numbers(array, dtype).astype(tensors.dtype_of(dtype))
    return tensors.to_proto(array)


def _numbers(array: Array, dtype: int) -> Array:
    try:
        return array.astype(np.float64 if dtype in _FLOATS else np.int64)
    except OverflowError:
        raise invalid("JSON Parse error: Number too big to be stored in double.") from None


def _is_object(value: Any) -> bool:
    """Return whether it is an object and not base64 data (:358)."""
    return isinstance(value, dict) and not (list(value) == ["b64"] and isinstance(value["b64"], str))


def _wrong(value: Any, text: str) -> Refusal:
    return invalid(f"JSON Value: {_shown(value)} {text}")


def _shown(value: Any) -> str:
    return json.dumps(value, indent=4, ensure_ascii=False)[:_SHOWN]


def _shape(array: Any) -> str:
    return f"[{','.join(map(str, array.shape))}]"


def _batch_size(arrays: Mapping[str, Any]) -> int:
    """Return the first dimension, which all outputs share (:980)."""
    size = -1
    for name, array in arrays.items():
        if not array.ndim:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if size not in {-1, len(array)}:
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {size}")
        size = len(array)
    return size


def _is_bytes(name: str) -> bool:
    """Return whether an output's strings are written in base64 (:877)."""
    return name.endswith("_bytes")


def _one_or_object(texts: Mapping[str, str]) -> str:
    """Return the only value, or an object of several."""
    if len(texts) == 1:
        return next(iter(texts.values()))
    return "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in texts.items()) + "}"


def _text(values: Any, *, as_base64: bool = False) -> str:
    if isinstance(values, np.ndarray) and values.ndim:
        return f"[{', '.join(_text(one, as_base64=as_base64) for one in values)}]"
    value = values[()] if isinstance(values, np.ndarray) else values
    if isinstance(value, bytes):
        return json.dumps({"b64": base64.b64encode(value).decode()} if as_base64 else value.decode(errors="replace"))
    return _decimal(value) if isinstance(value, np.floating) else str(value)


def _decimal(value: Any) -> str:
    """Return a number in six digits if that is exact, otherwise in all (:125)."""
    if not np.isfinite(value):
        return "NaN" if np.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    text = f"{value:g}"
    if type(value)(text) != value:
        text = f"{value:.{9 if value.dtype == np.float32 else 17}g}"
    return text if "." in text or "e" in text else f"{text}.0"

"""JSON Schemas of numbers, which `helm --set` makes texts of: `0.99`, and with `--set-string` all of them."""

from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]
_FRACTION = r"0?\.[0-9]*[1-9][0-9]*"


def integer(minimum: int, maximum: int) -> Schema:
    """Allow the integers from `minimum` to `maximum`."""
    texts = _texts(max(minimum, 0), maximum)
    if minimum < 0:
        texts = [*texts, *(f"-{text}" for text in _texts(1, -minimum))]
    return {"type": ["integer", "string"], "minimum": minimum, "maximum": maximum, "pattern": _pattern(texts)}


def number(*, above_zero: bool, maximum: int | None = None, below_one: bool = False) -> Schema:
    """Allow the numbers from 0, or above it, to `maximum`, or below 1."""
    schema: Schema = {"type": ["number", "string"], "exclusiveMinimum" if above_zero else "minimum": 0}
    texts = [_FRACTION, *([] if above_zero else [r"0(\.0+)?"])]
    if below_one:
        return {**schema, "exclusiveMaximum": 1, "pattern": _pattern(texts)}
    if maximum is None:
        return {**schema, "pattern": _pattern([*texts, r"[1-9][0-9]*(\.[0-9]+)?"])}
    texts += [rf"{text}(\.[0-9]+)?" for text in _texts(1, maximum - 1)]
    return {**schema, "maximum": maximum, "pattern": _pattern([*texts, rf"{maximum}(\.0+)?"])}


def lenient(schema: Schema) -> Schema:
    """Return the schema of an object's properties, with texts allowed for its numbers."""
    return {name: _lenient(value) for name, value in schema.items()}


def _lenient(value: Schema) -> Schema:
    if "anyOf" in value:
        return value | {"anyOf": [_lenient(one) for one in value["anyOf"]]}
    if value.get("type") == "integer":
        return value | integer(value["minimum"], value["maximum"])
    if value.get("type") == "number":
        below_one = value.get("exclusiveMaximum") == 1
        return value | number(above_zero="exclusiveMinimum" in value, maximum=value.get("maximum"), below_one=below_one)
    return value


def _pattern(texts: list[str]) -> str:
    return f"^({'|'.join(texts)})$"


def _texts(first: int, last: int) -> list[str]:
    """Return expressions, without leading zeros, of which each integer from `first` to `last` matches one."""
    texts = []
    while first <= last:
        size = 1
        while first and first % (10 * size) == 0 and first + 10 * size - 1 <= last:
            size *= 10
        head, digit = divmod(first // size, 10)
        highest = min(9, digit + (last - first + 1) // size - 1)
        digits = f"[{digit}-{highest}]" if digit < highest else str(digit)
        rest = f"[0-9]{{{len(str(size)) - 1}}}" if size > 1 else ""
        texts.append(f"{head or ''}{digits}{rest}")
        first += (highest - digit + 1) * size
    return texts

"""The protobuf wire format, read without parsing: what is in a message before memory is spent on it. Pure.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator
from typing import NamedTuple

from google.protobuf.message import DecodeError

_FIXED = {1: 8, 5: 4}
_VARINT_BYTES = 10
_MORE = 0x80
"""The bit of a number's byte that says that more follow."""


class Field(NamedTuple):
    """An occurrence of a field. Its value is data[start:end]; the tag and the length lie before it."""

    number: int
    is_bytes: bool
    """Whether it is length-delimited: bytes, a string, a message or packed numbers."""
    start: int
    end: int


def fields(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Field]:
    """Yield the fields of the message data[start:end], lazily, so that a caller can stop at a bound.

    Raises DecodeError for malformed bytes, and for groups, which proto3 does not have.
    """
    end = len(data) if end is None else end
    while start < end:
        tag, start = _varint(data, start, end)
        number, kind = tag >> 3, tag & 7
        if kind == 2:  # noqa: PLR2004 - the wire type of length-delimited values
            size, start = _varint(data, start, end)
        elif kind == 0:
            size = _varint(data, start, end)[1] - start
        elif kind in _FIXED:
            size = _FIXED[kind]
        else:
            raise DecodeError(f"Wire type {kind} is none of proto3's.")
        if number == 0 or size > end - start:
            raise DecodeError("The message is truncated or malformed.")
        yield Field(number, kind == 2, start, start + size)  # noqa: PLR2004 - as above
        start += size


def field(number: int, value: bytes) -> bytes:
    """Return a length-delimited field."""
    return b"".join((_varint_of(number << 3 | 2), _varint_of(len(value)), value))


def _varint_of(value: int) -> bytes:
    start = []
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte; the eighth says that more follow
        start.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*start, value))


def _varint(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Return the number at `start`, and where the next value begins."""
    if start < end and data[start] < _MORE:  # most numbers have one byte
        return data[start], start + 1
    value = 0
    for position in range(start, min(end, start + _VARINT_BYTES)):
        value |= (data[position] & 0x7F) << 7 * (position - start)
        if data[position] < _MORE:
            return value, position + 1
    raise DecodeError("A number is truncated or longer than 10 bytes.")

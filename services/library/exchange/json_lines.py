"""Pictures as JSON Lines: everything that is known of each, by the contract's names. Pure."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from operator import attrgetter
from typing import Any, TypeAlias

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

from marquee.library.v1 import library_pb2 as pb

_LEFT_OUT = frozenset(("same_pixels",))
"""Fields of Picture that an export does not have."""
_SUMMARY = frozenset(("recognizer", "outcome", "model", "cost_micro_usd"))
"""Fields of RecognizerResult that an export has: faces, labels and texts are the picture's already."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BREAKS = {ord(one): f"\\u{ord(one):04x}" for one in "\x85\u2028\u2029"}
"""Line breaks to some readers, which JSON takes for text."""
_Convert: TypeAlias = Callable[[Any], Any]


def line(picture: pb.Picture) -> bytes:
    """Return the picture as a line: names without their enum's prefix, times by ISO 8601 in UTC, null for no value."""
    text = json.dumps(_message(pb.Picture.DESCRIPTOR)(picture), ensure_ascii=False, separators=(",", ":"))
    return (text if text.isascii() else text.translate(_BREAKS)).encode() + b"\n"


def time_of(message: Timestamp) -> str:
    """Return the time by ISO 8601, to the microsecond."""
    moment = _EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
    return moment.isoformat().replace("+00:00", "Z")


def name_of(enum: EnumDescriptor, number: int) -> str:
    """PICTURE_STATE_PENDING → PENDING; UNSPECIFIED for a number that has no name here."""
    unspecified: str = enum.values_by_number[0].name
    value = enum.values_by_number.get(number)
    return (value.name if value else unspecified).removeprefix(unspecified.removesuffix("UNSPECIFIED"))


def score_of(value: float) -> float | None:
    """Return the score with the digits that the contract carries; None for no number."""
    return float(f"{value:.7g}") if math.isfinite(value) else None


@cache
def _message(descriptor: Any) -> _Convert:
    """Return what converts such messages, put together once."""
    names = {field.name for field in descriptor.fields} - _LEFT_OUT
    kept = names & _SUMMARY if descriptor.name == "RecognizerResult" else names
    parts = tuple((field.name, _field(field)) for field in descriptor.fields if field.name in kept)
    return lambda message: {name: convert(message) for name, convert in parts}


def _field(field: FieldDescriptor) -> _Convert:
    get, convert, name = attrgetter(field.name), _value(field), field.name
    if field.is_repeated:
        return lambda message: [convert(value) for value in get(message)]
    if field.has_presence:
        return lambda message: convert(get(message)) if message.HasField(name) else None
    return lambda message: convert(get(message))


def _value(field: FieldDescriptor) -> _Convert:
    if (enum := field.enum_type) is not None:
        return lambda number: name_of(enum, number)
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return score_of
    if field.message_type is None:
        return lambda value: value
    if field.message_type.full_name == "google.rpc.Status":
        return lambda status: {"code": status.code, "message": status.message}
    return time_of if field.message_type.full_name == "google.protobuf.Timestamp" else _message(field.message_type)

"""Messages of the contract as frozen dataclasses with the same field names."""

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache
from types import NoneType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2, error_details_pb2, status_pb2


class Record:
    """A read-only message of the contract.

    Durations are in seconds. Times are datetimes with a time zone. Scores are 0 to 1, with the seven
    digits that the wire carries. An absent message is None.
    """

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Convert to what `json.dumps` takes: dicts, lists, strings, numbers, None.

        Times become ISO 8601. NaN and infinity, for which JSON has no number, become None.
        """
        kind: Any = type(self)  # mypy takes the record's __hash__ for its type's
        return {name: _plain(getattr(self, name)) for name in _data_fields(kind)}


@dataclass(frozen=True, slots=True)
class Status(Record):
    """The outcome of an operation."""

    code: str
    """Name of the gRPC code: "OK", "UNAVAILABLE"."""
    message: str = ""
    reason: str = ""
    """More specific than the code: "MODEL_NOT_READY". May be empty."""
    metadata: Mapping[str, str] | None = None
    causes: tuple["Status", ...] = ()
    """Statuses of the parts of the operation."""
    retry_after: float | None = None
    """Seconds after which the operation may succeed; None: unknown."""


R = TypeVar("R", bound=Record)
M = TypeVar("M", bound=Message)
_MAX_DEPTH = 8
"""Of statuses within statuses; a chain of gateways is shorter."""


def read(kind: type[R], message: Message) -> R:
    """Convert a message to a record. A field `raw` holds the message itself; others that it lacks stay as they are."""
    hints = _hints(cast("Any", kind))  # as in to_dict
    known = {name: hint for name, hint in hints.items() if name in message.DESCRIPTOR.fields_by_name}
    values = {name: _field(hint, message, name) for name, hint in known.items()}
    return kind(**values, **({"raw": message} if "raw" in hints else {}))


def read_status(status: status_pb2.Status) -> Status:
    """Convert a google.rpc.Status with its details: an ErrorInfo, a RetryInfo, and the statuses of its parts."""
    return _status(status, _MAX_DEPTH)


def _status(status: status_pb2.Status, depth: int) -> Status:
    infos = _details(status, error_details_pb2.ErrorInfo)
    parts = _details(status, status_pb2.Status) if depth else ()
    info = next(infos, error_details_pb2.ErrorInfo())
    code = code_pb2.Code.DESCRIPTOR.values_by_number.get(status.code)
    causes = tuple(_status(part, depth - 1) for part in parts)
    retry = next(_details(status, error_details_pb2.RetryInfo), None)
    return Status(
        code.name if code else "UNKNOWN",
        status.message,
        info.reason,
        dict(info.metadata) or None,
        causes,
        retry.retry_delay.ToNanoseconds() / 1e9 if retry else None,
    )


def _details(status: status_pb2.Status, kind: type[M]) -> Iterator[M]:
    """Yield the details of that kind, without those that do not parse."""
    for detail in status.details:
        message = kind()
        with suppress(DecodeError):
            if detail.Unpack(message):
                yield message


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


@cache
def _data_fields(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.name != "raw")


def _field(hint: Any, message: Message, name: str) -> Any:
    field = message.DESCRIPTOR.fields_by_name[name]
    if get_origin(hint) is tuple:
        return tuple(_value(get_args(hint)[0], value, field) for value in getattr(message, name))
    if NoneType in get_args(hint):
        return _value(get_args(hint)[0], getattr(message, name), field) if message.HasField(name) else None
    return _value(hint, getattr(message, name), field)


def _value(hint: Any, value: Any, field: Any) -> Any:
    if isinstance(value, Message):
        return _message(hint, value)
    if field.enum_type is not None:
        return hint(_enum_name(field.enum_type, value))
    return float(f"{value:.7g}") if isinstance(value, float) else value


def _message(hint: Any, message: Message) -> Any:
    match message:
        case Duration():
            return message.ToNanoseconds() / 1e9
        case Timestamp():
            return _time(message)
        case status_pb2.Status():
            return read_status(message)
        case _:
            return read(hint, message)


def _time(message: Timestamp) -> datetime | None:
    try:
        return message.ToDatetime(UTC)
    except (OverflowError, ValueError):  # a server that sends a time after the year 9999 does not know it either
        return None


def _enum_name(enum: Any, number: int) -> str:
    """POLICY_ALL → ALL; UNSPECIFIED for a number from a newer contract."""
    unspecified: str = enum.values_by_number[0].name
    value = enum.values_by_number.get(number)
    name: str = value.name if value else unspecified
    return name.removeprefix(unspecified.removesuffix("UNSPECIFIED"))


def _plain(value: Any) -> Any:
    match value:
        case Record():
            return value.to_dict()
        case tuple():
            return [_plain(item) for item in value]
        case datetime():
            return value.isoformat()
        case str():
            return str(value)
        case float():
            return value if math.isfinite(value) else None
        case _:
            return value

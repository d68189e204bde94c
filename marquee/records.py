"""Messages of the contract as frozen dataclasses with the same field names, and those of outcomes and money."""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter
from types import NoneType
from typing import Any, TypeAlias, TypeVar, cast, get_args, get_origin, get_type_hints

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2, error_details_pb2, status_pb2

from marquee.enums import Feature

Cell: TypeAlias = str | float | datetime | None
"""Text, a finite number, whether something is so, a time; None where an answer has none."""


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
        values = ((name, getattr(self, name)) for name in _data_fields(kind))
        return {name: value if type(value) in _PLAIN_TYPES else _plain(value) for name, value in values}


class Rows:
    """What is rows of a table, as which notebooks show it."""

    __slots__ = ()

    @abstractmethod
    def rows(self) -> list[dict[str, Cell]]:
        """Return rows of the same columns, as pandas.DataFrame takes them."""

    def _repr_html_(self) -> str:
        from marquee.notebook.page import table  # noqa: PLC0415 - only notebooks need it

        return table(self.rows())


class Tabular(Rows, Record):
    """A record that is rows of a table."""

    __slots__ = ()


T_co = TypeVar("T_co", bound=Tabular, covariant=True)


class Listing(Rows, tuple[T_co, ...]):
    """What each recognizer answered, as a tuple that notebooks show as one table."""

    __slots__ = ()

    def rows(self) -> list[dict[str, Cell]]:
        """Return the rows of all, as pandas.DataFrame takes them."""
        return [row for one in self for row in one.rows()]


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


@dataclass(frozen=True, slots=True)
class GroupCalls(Record):
    """Number of calls of a price group."""

    group: str
    calls: int


@dataclass(frozen=True, slots=True)
class Price(Record):
    """Price of a feature."""

    feature: Feature
    micro_usd: int
    """Millionths of a US dollar per picture, for the next one of this month."""
    region: str
    effective_time: datetime | None
    """When the price was looked up."""
    calls: tuple[GroupCalls, ...] = ()
    """Calls that a picture takes. Empty: `micro_usd` holds for all volumes."""


@dataclass(frozen=True, slots=True)
class PriceTier(Record):
    """Price of calls from a number of calls in the month on."""

    from_calls: int
    micro_usd: int
    """Millionths of a US dollar per call."""


@dataclass(frozen=True, slots=True)
class PriceGroup(Record):
    """Calls whose number in a month decides on their price."""

    name: str
    tiers: tuple[PriceTier, ...]
    """By rising `from_calls`, the first from 0."""


@dataclass(frozen=True, slots=True)
class Spending(Record):
    """Money spent, in millionths of a US dollar."""

    today_micro_usd: int
    """Since midnight UTC."""
    month_micro_usd: int
    """Since the first of the month, UTC."""
    daily_cap_micro_usd: int | None
    """Maximum per day; None: no cap."""
    replicas: int = 0
    """Replicas that each have this cap, a part of the whole, and count for themselves; 0: they all count together."""
    month_calls: tuple[GroupCalls, ...] = ()
    """Calls of this month that were surely billed."""


R = TypeVar("R", bound=Record)
M = TypeVar("M", bound=Message)
_Read: TypeAlias = Callable[..., Any]
_PLAIN_TYPES = frozenset({str, int, bool, NoneType})
_MAX_DEPTH = 8
"""Of statuses within statuses; a chain of gateways is shorter."""


def read(kind: type[R], message: Message, **others: Any) -> R:
    """Convert a message to a record. A field `raw` holds it; others that it lacks are given, or stay as they are."""
    record: R = _reader(cast("Any", kind), message.DESCRIPTOR)(message, **others)  # as in to_dict
    return record


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
def _data_fields(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.compare)


@cache
def _reader(kind: type[Any], descriptor: Any) -> _Read:
    """Return what converts such messages to such records, put together once: answers have hundreds of fields."""
    hints = get_type_hints(kind)
    known = ((name, descriptor.fields_by_name.get(name), hint) for name, hint in hints.items())
    fields = tuple((name, _field(hint, field)) for name, field, hint in known if field is not None)
    if "raw" in hints:
        return lambda message, **others: kind(raw=message, **{name: get(message) for name, get in fields}, **others)
    return lambda message: kind(**{name: get(message) for name, get in fields})


def _field(hint: Any, field: Any) -> _Read:
    """Return what takes the field's value out of a message."""
    get, kinds = attrgetter(field.name), get_args(hint)
    if get_origin(hint) is tuple:
        convert = _value(kinds[0], field)
        return (lambda message: tuple(map(convert, get(message)))) if convert else (lambda message: tuple(get(message)))
    if get_origin(hint) is Mapping and field.message_type.GetOptions().map_entry:
        each = _value(kinds[1], field.message_type.fields_by_name["value"])
        return (lambda message: _values(get(message), each)) if each else (lambda message: dict(get(message)))
    if NoneType not in kinds:
        return _converted(get, _value(hint, field))
    present = _converted(get, _value(kinds[0], field))
    return lambda message: present(message) if message.HasField(field.name) else None


def _values(values: Mapping[str, Any], convert: _Read) -> dict[str, Any]:
    return {name: convert(value) for name, value in values.items()}


def _converted(get: _Read, convert: _Read | None) -> _Read:
    return (lambda message: convert(get(message))) if convert else get


def _value(hint: Any, field: Any) -> _Read | None:
    """Return what converts one value of the field; None for one that stays as it is."""
    if field.message_type is not None:
        return _message(hint, field.message_type)
    if field.enum_type is not None:
        names = {number: hint(_enum_name(field.enum_type, number)) for number in field.enum_type.values_by_number}
        return lambda number: names.get(number, names[0])
    return _rounded if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE) else None


def _message(hint: Any, descriptor: Any) -> _Read:
    match descriptor.full_name:
        case Duration.DESCRIPTOR.full_name:
            return lambda message: message.ToNanoseconds() / 1e9
        case Timestamp.DESCRIPTOR.full_name:
            return _time
        case Struct.DESCRIPTOR.full_name:
            return _struct
        case status_pb2.Status.DESCRIPTOR.full_name:
            return read_status
        case _:
            return _reader(hint, descriptor)


def _struct(message: Struct) -> dict[str, Any]:
    return {name: _struct_value(value) for name, value in message.fields.items()}


def _struct_value(value: Any) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return _struct(value.struct_value)
        case "list_value":
            return [_struct_value(item) for item in value.list_value.values]
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number if math.isfinite(number) else None
        case "null_value" | None:
            return None
        case kind:
            return getattr(value, kind)


def _rounded(value: float) -> float:
    return float(f"{value:.7g}")


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
        case tuple() | Mapping():
            return _plain_items(value)
        case datetime():
            return value.isoformat()
        case str():
            return str(value)
        case float():
            return value if math.isfinite(value) else None
        case _:
            return value


def _plain_items(values: tuple[Any, ...] | Mapping[str, Any]) -> list[Any] | dict[str, Any]:
    if isinstance(values, Mapping):
        return {name: _plain(item) for name, item in values.items()}
    return [_plain(item) for item in values]

"""The limits of the contract. Every server enforces them, so they are not settings. Pure.

`TABLE` bounds every string and every repeated field. The protos' comments repeat its bounds, a test compares them,
and docs/limits.md is generated from it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from services.runtime.bounds import library, people, recognizer
from services.runtime.bounds.limit import Limit

MIB = 1024 * 1024
MAX_IMAGE_BYTES = 15 * MIB
MAX_IMAGE_PIXELS = 50_000_000
MAX_MESSAGE_BYTES = 16 * MIB
MAX_ENVELOPE_BYTES = 64 * 1024
"""Of a request: all of it but the bytes of its pictures."""
MAX_ENVELOPE_FIELDS = 1024
"""Those of its pictures included, each entry of a repeated string or message counting as one."""
MAX_IMPORT_BYTES = MIB
"""Of an ImportAnswersRequest, which has answers in place of pictures."""
DEFAULT_DEADLINE_SECONDS = 12.0
MAX_DEADLINE_SECONDS = 24 * 3600.0
LONG_METHODS = frozenset(("ExportPictures",))
"""Methods whose default deadline is the longest: they take as long as there is something to send."""
DEFAULT_MAX_LABELS = 10
MAX_MAX_LABELS = 1000
DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
MAX_HOPS = 4
_PACKAGES = ("marquee.v1", "marquee.library.v1")
"""Those of the contract, in which no two messages have one name."""


class Excess(NamedTuple):
    """A field over its limit."""

    field: str
    """Path from the message, such as "image.s3_object.key"."""
    message: str
    """What is wrong, as a sentence for the caller."""


TABLE: Mapping[str, Mapping[str, Limit]] = {**recognizer.TABLE, **library.TABLE, **people.TABLE}


def limit_of(message: Descriptor, field: str) -> Limit:
    """Return the field's bound, one without numbers for a field that needs none or belongs to another package."""
    return TABLE.get(message.name, {}).get(field, Limit()) if _is_ours(message) else Limit()


def _is_ours(message: Descriptor) -> bool:
    return message.file.package in _PACKAGES


def excess(message: Message) -> Excess | None:
    """Return the first field of the message, or of one inside it, that is over its limit; None if none is.

    Entries are counted before any of them is looked at, so a message with millions of them costs nothing.
    """
    return next(_excesses(message, ""), None)


def _excesses(message: Message, path: str) -> Iterator[Excess]:
    for field in _fields(message.DESCRIPTOR):
        if field.may_be_absent and not message.HasField(field.name):
            continue
        values, limit = getattr(message, field.name), field.limit
        if not values:  # quick, and nearly always so
            continue
        name = f"{path}{field.name}"
        if limit.entries is None:
            values = (values,)
        elif len(values) > limit.entries:
            yield Excess(name, f"{name} has {len(values)} entries; the limit is {limit.entries}.")
        if limit.length is not None:
            yield from _long(values, limit, name)
        if field.has_messages:
            for value in values.values() if field.is_map else values:
                yield from _excesses(value, f"{name}.")


def _long(texts: Iterable[str], limit: Limit, name: str) -> Iterator[Excess]:
    has = "has" if limit.entries is None else "has an entry of"
    for text in texts:
        length = len(text.encode() if limit.unit == "bytes" else text)
        if length > (limit.length or 0):
            yield Excess(name, f"{name} {has} {length} {limit.unit}; the limit is {limit.length}.")


class _Field(NamedTuple):
    """A field to look at."""

    name: str
    limit: Limit
    is_map: bool
    has_messages: bool
    may_be_absent: bool
    """Whether it is a message, which reads as an empty one when it is absent."""


@cache
def _fields(message: Descriptor) -> Sequence[_Field]:
    """Return the fields with a limit, or with messages that may have some.

    All others are left alone: reading a picture's bytes copies them.
    """
    fields = []
    for field in message.fields:
        kind, limit = field.message_type, limit_of(message, field.name)
        value = kind.fields_by_name.get("value") if kind is not None and kind.GetOptions().map_entry else None
        inner = value.message_type if value is not None else kind
        has_messages = inner is not None and _is_ours(inner)
        if has_messages or limit != Limit():
            may_be_absent = has_messages and field.has_presence
            fields.append(_Field(field.name, limit, value is not None, has_messages, may_be_absent))
    return fields

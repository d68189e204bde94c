"""The envelope of a request: all of its bytes but its pictures'. Pure.

Parsing is work for every entry: 15 MiB of empty strings keep a server busy for 0.4 s and hold 245 MiB. So the
envelope is measured first, and a request with a large one is never parsed.

Parsing copies, too: pictures are to be passed on as they came, and their bytes hashed where they lie.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Generic, TypeVar, cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from marquee.v1.recognizer_pb2 import Image
from services.runtime.errors import InvalidRequest
from services.runtime.limits import MAX_ENVELOPE_BYTES, MAX_ENVELOPE_FIELDS, MAX_IMPORT_BYTES, limit_of
from services.runtime.messages import wire

_MOST_BYTES = {"ImportAnswersRequest": MAX_IMPORT_BYTES}
"""Of envelopes that may be larger than others."""
_SOURCES = tuple(field.number for field in Image.DESCRIPTOR.oneofs_by_name["source"].fields)
_EMPTY_CONTENT = Image(content=b"").SerializeToString()
_TAKES_ENVELOPE = "takes_envelope"
_Request = TypeVar("_Request", bound=Message)
_Servicer = TypeVar("_Servicer")
_Context = TypeVar("_Context")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Picture:
    """A picture where it lies in a serialized request. Its views keep that request in memory."""

    field: memoryview
    """The whole field that holds it, as it is passed on to others."""
    content: memoryview | None
    """Its bytes; None if they are elsewhere."""

    @cached_property
    def sha256(self) -> bytes:
        """Digest of its bytes."""
        return hashlib.sha256(self.content or b"").digest()


@dataclass(frozen=True, slots=True)
class Envelope(Generic[_Request]):
    """A request whose pictures stay as they came."""

    request: _Request
    """The request, parsed; the content of its pictures is empty."""
    pictures: Sequence[Picture]
    """All of its pictures."""

    @property
    def sizes(self) -> list[int]:
        """The bytes of each picture's content."""
        return [len(picture.content or b"") for picture in self.pictures]


def takes_envelope(
    method: Callable[[_Servicer, Envelope[_Request], _Context], _Answer],
) -> Callable[[_Servicer, _Request, _Context], _Answer]:
    """Have the servicer's method called with its request's envelope; to callers it remains what the contract says."""
    setattr(method, _TAKES_ENVELOPE, True)
    return cast("Callable[[_Servicer, _Request, _Context], _Answer]", method)


def is_taken(method: Callable[..., Any]) -> bool:
    """Return whether the method takes the envelope."""
    return hasattr(method, _TAKES_ENVELOPE)


def read(data: bytes, kind: type[_Request]) -> Envelope[_Request]:
    """Return the envelope of a serialized request. Raises as `check` does."""
    parts, pictures = _open(data, kind.DESCRIPTOR)  # type: ignore[arg-type]
    return Envelope(kind.FromString(b"".join(parts)), pictures)


def check(data: bytes, message: Descriptor) -> None:
    """Refuse a serialized request whose envelope is too large, reading no further than that.

    Raises InvalidRequest, also for too many pictures and for a picture from two sources, and DecodeError for
    malformed bytes.
    """
    _open(data, message)


def _open(data: bytes, message: Descriptor) -> tuple[list[bytes], list[Picture]]:
    """Return the parts of a request whose pictures' content is empty, and its pictures."""
    view, room, names = memoryview(data), _Room(message), _pictures(message)
    parts: list[bytes] = []
    pictures: list[Picture] = []
    position = 0
    for field in wire.fields(data):
        name = names.get(field.number) if field.is_bytes else None
        if name is None:
            room.take(field.number, field.end - position)
            parts.append(data[position : field.end])
        else:
            _check_count(len(pictures) + 1, message, name)
            room.take(field.number, field.start - position)
            rest, content = _open_image(data, field, name, room)
            parts.append(wire.field(field.number, rest))
            pictures.append(Picture(view[position : field.end], None if content is None else view[content]))
        position = field.end
    return parts, pictures


def _open_image(data: bytes, image: wire.Field, name: str, room: "_Room") -> tuple[bytes, slice | None]:
    """Return an image whose content is empty, and where its content is."""
    parts, content, sources, position = [], None, 0, image.start
    for field in wire.fields(data, image.start, image.end):
        is_content = field.number == Image.CONTENT_FIELD_NUMBER and field.is_bytes
        room.take(image.number, (field.start if is_content else field.end) - position)
        sources += field.number in _SOURCES
        if sources > 1:
            raise InvalidRequest(f"{name} has more than one source; exactly one is required.", field=name)
        if is_content:
            content = slice(field.start, field.end)
        parts.append(_EMPTY_CONTENT if is_content else data[position : field.end])
        position = field.end
    return b"".join(parts), content


class _Room:
    """What an envelope may still have."""

    def __init__(self, message: Descriptor) -> None:
        self._message = message
        self._most = _MOST_BYTES.get(message.name, MAX_ENVELOPE_BYTES)
        self._bytes, self._fields = self._most, MAX_ENVELOPE_FIELDS

    def take(self, number: int, size: int) -> None:
        """Count a field, in the field of that number. Raises InvalidRequest."""
        self._bytes -= size
        self._fields -= 1
        if self._bytes < 0 or self._fields < 0:
            known = self._message.fields_by_number.get(number)
            raise InvalidRequest(
                f"The request has more than {self._most // 1024} KiB or {MAX_ENVELOPE_FIELDS} fields besides "
                "the bytes of its pictures.",
                field=known.name if known else str(number),
            )


@cache
def _pictures(message: Descriptor) -> Mapping[int, str]:
    """Return the names of the fields that hold pictures, by number."""
    return {field.number: field.name for field in message.fields if field.message_type is Image.DESCRIPTOR}


def _check_count(count: int, message: Descriptor, name: str) -> None:
    most = limit_of(message, name).entries or 1
    if count > most:
        raise InvalidRequest(f"{name} has more than {most} entries; the limit is {most}.", field=name)

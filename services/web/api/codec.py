"""Messages of the contract in HTTP bodies: how they are read, within their limits, and written. Pure.

A picture in JSON is 20 MB of base64. To json and json_format it would be a text three times over, and then bytes
twice; here it is cut out of the body before they see it, and decoded where it lies.
"""

import binascii
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import TypeVar

import pybase64
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import InvalidRequest, MalformedRequest
from services.runtime.limits import MIB
from services.runtime.messages import envelope

M = TypeVar("M", bound=Message)
MAX_BODY_BYTES = 22 * MIB
"""Of a request: a message of 16 MiB whose pictures are base64."""
MAX_ENVELOPE_JSON_BYTES = MIB
"""Of a request in JSON: all of it but its pictures. What the gateway takes is shorter in any spelling."""
_LONG = re.compile(rb'"([A-Za-z0-9+/=_\\-]{65536,}+)"')
"""A text that is longer than any field but a picture may be. Backslashes: some escape "/" and "+"."""
_LOAD = "Failed to load JSON: "
_SPACE = b" \t\r\n"


def to_json(message: Message) -> str:
    """Return the message's JSON, in one line."""
    return json_format.MessageToJson(message, indent=None, ensure_ascii=False)


def from_json(data: bytes | bytearray, kind: type[M]) -> M:
    """Return the message. Raises MalformedRequest and InvalidRequest."""
    pictures = {secrets.token_hex(16).encode(): match.span(1) for match in _LONG.finditer(data)}
    rest = b"".join(_cut(data, pictures))
    if len(rest) > MAX_ENVELOPE_JSON_BYTES:
        raise InvalidRequest(f"The request has more than {MAX_ENVELOPE_JSON_BYTES // MIB} MiB besides its pictures.")
    message = _parse(rest, kind)
    for image in _images(message):
        if span := pictures.pop(binascii.b2a_base64(image.content, newline=False), None):
            image.content = _decoded(data, *span)
    if pictures:
        raise MalformedRequest("The request has a text that is longer than any field takes.")
    return message


def from_bytes(data: bytes | bytearray, kind: type[M]) -> M:
    """Return the message. Raises MalformedRequest and InvalidRequest: what no gateway would take is never parsed."""
    whole = bytes(data)
    try:
        envelope.check(whole, kind.DESCRIPTOR)  # type: ignore[arg-type]
        return kind.FromString(whole)
    except DecodeError:
        raise MalformedRequest(f"The body is no {kind.DESCRIPTOR.name}.") from None


def _cut(data: bytes | bytearray, pictures: Mapping[bytes, tuple[int, int]]) -> Iterator[bytes | bytearray]:
    """Yield the body with each picture replaced by its key, which is base64, too."""
    position = 0
    for key, (start, end) in pictures.items():
        yield data[position:start]
        yield key
        position = end
    yield data[position:]


def _parse(data: bytes, kind: type[M]) -> M:
    if not data.lstrip().startswith(b"{"):
        raise MalformedRequest("The body is no object in JSON, in UTF-8; without fields to set, send {}.")
    try:
        return json_format.Parse(data, kind())
    except json_format.ParseError as exc:
        raise MalformedRequest(f"The body is no {kind.DESCRIPTOR.name} in JSON: {_words(exc)}") from None
    except Exception:  # noqa: BLE001 - json_format trips over some values in ways of its own
        raise MalformedRequest(f"The body is no {kind.DESCRIPTOR.name} in JSON.") from None


def _words(error: json_format.ParseError) -> str:
    """Return what is wrong, without what Python itself says of values of the wrong type."""
    words, cause = str(error), error.__context__
    while cause is not None:
        if not isinstance(cause, json_format.ParseError | json.JSONDecodeError):
            words = words.replace(f": {cause}", "")
        cause = cause.__context__
    first, _, known = words.replace(f"{_LOAD}{_LOAD}", _LOAD).partition("\n")
    fields = ", ".join(re.findall(r"'(\w+)'", known))
    return first.rstrip(".") + (f"; known: {fields}." if fields else ".")


def _images(message: Message) -> Iterator[pb.Image]:
    """Yield the message's pictures that have bytes."""
    for field, value in message.ListFields():
        if field.message_type is pb.Image.DESCRIPTOR:
            yield from (one for one in (value if field.is_repeated else (value,)) if one.HasField("content"))


def _decoded(data: bytes | bytearray, start: int, end: int) -> bytes:
    """Return the bytes of a picture: base64 of either alphabet, with or without padding."""
    text: bytes | memoryview = memoryview(data)[start:end]
    is_url_safe = any(data.find(letter, start, end) >= 0 for letter in (b"-", b"_"))
    try:
        if data.find(b"\\", start, end) >= 0:
            text = json.loads(f'"{bytes(text).decode()}"').encode().translate(None, delete=_SPACE)
        if missing := -len(text) % 4:
            text = bytes(text) + b"=" * missing
        return pybase64.b64decode(text, b"-_" if is_url_safe else None, validate=True)
    except ValueError:
        raise MalformedRequest("A picture's content is no base64.", field="image.content") from None

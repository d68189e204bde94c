"""Tokens of pages: what the next page follows, as text. Pure."""

import base64
import json
from uuid import UUID

from services.runtime.errors import InvalidRequest


def encode(*values: object) -> str:
    """Return the token for what a page ends with."""
    return base64.urlsafe_b64encode(json.dumps([str(one) for one in values]).encode()).decode()


def decode(token: str, count: int) -> list[str]:
    """Return the so many values of a token. Raises InvalidRequest."""
    try:
        values = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
    except ValueError:
        values = None
    if not isinstance(values, list) or len(values) != count or not all(map(_is_text, values)):
        raise _invalid()
    return values


def decode_id(token: str) -> UUID | None:
    """Return the identifier that a page ended with; None: there was none before. Raises InvalidRequest."""
    return uuid_of(*decode(token, 1)) if token else None


def uuid_of(value: str) -> UUID:
    """Return the identifier that a token has. Raises InvalidRequest."""
    try:
        return UUID(value)
    except ValueError:
        raise _invalid() from None


def number_of(value: str) -> int:
    """Return the number that a token has. Raises InvalidRequest."""
    if not (value.isascii() and value.isdecimal() and int(value) < 1 << 31):
        raise _invalid()
    return int(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value and value.encode("utf-8", "replace").decode() == value


def _invalid() -> InvalidRequest:
    return InvalidRequest("Invalid page_token: begin anew without.", field="page_token")

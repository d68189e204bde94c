"""Answers in pages: a NextToken tells behind what the next one starts."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from local.rekognition.wire.errors import bad_page

Item = TypeVar("Item")


def start(request: Mapping[str, Any]) -> str:
    """Behind what the asked-for page starts; empty for the first. Raises InvalidPaginationTokenException."""
    try:
        return base64.b64decode(request.get("NextToken") or "", altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        raise bad_page() from None


def number(request: Mapping[str, Any]) -> int:
    """The same where pages start behind numbers; 0 for the first."""
    try:
        return int(start(request) or 0)
    except ValueError:
        raise bad_page() from None


def cut(found: Sequence[Item], most: int, place: Callable[[Item], str]) -> tuple[list[Item], dict[str, str]]:
    """The page, and the answer's NextToken where more was found than it holds."""
    page = list(found[:most])
    more = {"NextToken": base64.urlsafe_b64encode(place(page[-1]).encode()).decode()} if len(found) > most else {}
    return page, more

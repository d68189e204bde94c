"""Rekognition's two tokens: NextToken leads through pages, ClientRequestToken makes a repeated request safe."""

import base64
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any, TypeVar

from local.rekognition.wire import errors

MAX_TOKENS = 10_000
"""Number of client request tokens kept; they live as long as the process."""
_MAX_NUMBER = 2**63
"""SQLite's integers end here."""
Item = TypeVar("Item")
Response = dict[str, Any]


def page_start(request: Mapping[str, Any]) -> str:
    """Return the key after which the page starts, empty for the first page.

    Raises InvalidPaginationTokenException.
    """
    try:
        return base64.b64decode(request.get("NextToken") or "", altchars=b"-_", validate=True).decode()
    except ValueError:  # of base64, and of UTF-8
        raise errors.bad_page() from None


def page_start_number(request: Mapping[str, Any]) -> int:
    """Return the number after which the page starts, 0 for the first page.

    Raises InvalidPaginationTokenException.
    """
    try:
        number = int(page_start(request) or 0)
    except ValueError:
        raise errors.bad_page() from None
    if not 0 <= number < _MAX_NUMBER:
        raise errors.bad_page()
    return number


def paginate(items: Sequence[Item], limit: int, key: Callable[[Item], str]) -> tuple[list[Item], dict[str, str]]:
    """Return the page, and the response's NextToken if there are more items than the page may hold."""
    page = list(items[:limit])
    if len(items) <= limit:
        return page, {}
    return page, {"NextToken": base64.urlsafe_b64encode(key(page[-1]).encode()).decode()}


class ClientRequestTokens:
    """Responses by ClientRequestToken. Safe to share between threads; one request runs at a time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._responses: OrderedDict[str, tuple[str, Response]] = OrderedDict()

    def once(self, operation: str, request: Mapping[str, Any], run: Callable[[], Response]) -> Response:
        """Return what `run` returns, and run it once per token. Raises IdempotentParameterMismatchException."""
        token = request.get("ClientRequestToken")
        if token is None:
            return run()
        parameters = json.dumps([operation, request], sort_keys=True)
        with self._lock:
            if token not in self._responses:
                self._responses[token] = parameters, run()
                if len(self._responses) > MAX_TOKENS:
                    self._responses.popitem(last=False)
            first_parameters, response = self._responses[token]
        if first_parameters != parameters:
            raise errors.reused_token()
        return response

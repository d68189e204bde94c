"""What goes wrong, in words: a page for people, a fragment for htmx, JSON for programs."""

import http
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, get_contextvars

from services.runtime import status
from services.runtime.errors import DomainError
from services.web import errors
from services.web.pages.render import Renderer

Handler: TypeAlias = Callable[[Request, Exception], Awaitable[Response]]


class Words(NamedTuple):
    """What a person is told."""

    title: str
    text: str
    """What to do, or what it means."""
    action: str = "home"
    """What is offered: to go "home", to "retry", or to "sign-in"."""


_WORDS: Mapping[int, Words] = {
    400: Words("That cannot be done", "Something in what was sent is not right."),
    401: Words("Please sign in", "You have not signed in, or your session has ended.", "sign-in"),
    403: Words("You may not do this", "Your account does not have the right to. Ask whoever runs this Marquee."),
    404: Words("There is nothing here", "The address may be mistyped, or the page has moved."),
    405: Words("That does not work here", "The address is right, but it takes something else."),
    408: Words("That took too long", "The rest of it did not arrive. Check your connection and try again.", "retry"),
    409: Words("That does not fit what is there", "Something else has changed or has the name already."),
    413: Words("That is too large", "A picture may have 15 MiB and 50 megapixels. Send a smaller one."),
    415: Words("That kind of file does not work here", "Pictures are JPEG, PNG or WebP."),
    421: Words("This is not the right address", "The page answers under another name."),
    429: Words("Too much at once", "Marquee is asked more than it may answer.", "retry"),
    500: Words("Something broke here", "It is our fault, not yours, and it is in the log.", "retry"),
    501: Words("This Marquee does not offer that", "Whoever runs it has not set it up."),
    503: Words("Nobody answers behind this page", "The recognizers cannot be reached.", "retry"),
    504: Words("That took too long", "The recognizers did not answer in time.", "retry"),
}
_BROKEN = 500
_WORDLESS = frozenset(("", "CREDENTIALS_MISSING", "INTERNAL", "SCOPE_MISSING"))
"""Reasons whose message is for programs."""


class Errors:
    """Maker of answers to what goes wrong."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    @property
    def handlers(self) -> Mapping[type[Exception], Handler]:
        """Starlette's handlers of the exceptions that are foreseen."""
        return dict.fromkeys((HTTPException, DomainError, status.StatusError), self.handle)

    async def handle(self, request: Request, error: Exception) -> Response:
        """Return `response`, as Starlette calls it."""
        return self.response(request, error)

    def response(self, request: Request, error: Exception) -> Response:
        """Return what the visitor gets for any exception; of one that is not foreseen it does not show the text."""
        bind_contextvars(reason=status.reason_of(errors.status_of(error)))
        request_id = str(get_contextvars().get("request_id", ""))
        if errors.is_api(request.url.path):
            metadata = {"request_id": request_id} if request_id else {}
            return errors.response(error, request.headers.get("content-type", ""), **metadata)
        code = errors.http_status(error)
        wait = errors.retry_after(error)
        template = "error_notice.html" if "hx-request" in request.headers else "error.html"
        response = self._renderer.page(
            template,
            code,
            words=words(error),
            message=message(error),
            code=code,
            wait=None if wait is None else seconds(wait),
            request_id=request_id if code >= _BROKEN else "",
            address=request.url.path if request.method == "GET" else "",
        )
        response.headers.update(errors.headers_of(error))
        return response


class Unforeseen:
    """Innermost middleware: answers what no handler foresaw, so that the headers of every answer go with it, too."""

    def __init__(self, app: ASGIApp, errors: Errors) -> None:
        self._app = app
        self._errors = errors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. What was not foreseen is raised once it is answered: others log it."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as exc:
            if scope["type"] == "http" and not (begun or isinstance(exc, ClientDisconnect)):
                await self._errors.response(Request(scope), exc)(scope, receive, send)
            raise


def words(error: Exception) -> Words:
    """Return what a person is told about an error of its kind."""
    code = errors.http_status(error)
    return _WORDS.get(code) or _WORDS[_BROKEN if code >= _BROKEN else 400]


def message(error: Exception) -> str:
    """Return what the error itself says, which is written for the caller; empty if it says nothing more."""
    if isinstance(error, HTTPException):
        return "" if error.detail == http.HTTPStatus(error.status_code).phrase else error.detail
    answer = status.from_exception(error)
    return answer.message if status.reason_of(answer) not in _WORDLESS else ""


def seconds(number: float) -> str:
    """0.2 → a moment, 12.5 → 13 seconds, 90 → 2 minutes, 7200 → 2 hours; rounded up."""
    for limit, size, unit in ((1, 1, ""), (100, 1, "second"), (6000, 60, "minute"), (float("inf"), 3600, "hour")):
        if number <= limit:
            count = -int(-number // size)
            return f"{count} {unit}{'s' if count != 1 else ''}" if unit else "a moment"
    return ""

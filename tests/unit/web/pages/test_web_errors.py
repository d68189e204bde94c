"""What goes wrong, in words: pages for people, fragments for htmx, JSON for programs."""

from collections.abc import AsyncIterator, Iterator, MutableMapping
from typing import Any

import httpx
import pytest
import pytest_asyncio
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.runtime import errors
from services.web.access import visit
from services.web.access.visit import Visit
from services.web.assets import Assets
from services.web.pages.errors import Errors, Unforeseen
from services.web.pages.render import Renderer
from tests.support.http import serving
from tests.support.processes import PATIENCE

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE = "<img src=x onerror=alert(1)>\"'&"
SHOWN = "&lt;img src=x onerror=alert(1)&gt;&#34;&#39;&amp;"
FRAGMENT = {"HX-Request": "true"}


class Failing:
    """An application whose every path fails with `error`."""

    def __init__(self) -> None:
        self.error: Exception = ValueError("secret")
        maker = Errors(Renderer(Assets()))
        self.app = Starlette(
            routes=[Route("/{path:path}", self._fail, methods=["GET", "POST"])],
            middleware=[Middleware(Unforeseen, errors=maker)],
            exception_handlers=maker.handlers,
        )

    async def __call__(self, *asgi: Any) -> None:
        visit.enter(Visit(None, "", (), "nonce", "token"))
        await self.app(*asgi)

    async def _fail(self, request: Request) -> Response:
        del request
        raise self.error


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def failing() -> AsyncIterator[tuple[Failing, httpx.AsyncClient]]:
    app = Failing()
    async with (
        serving(app) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE) as client,
    ):
        yield app, client


@pytest.fixture(autouse=True)
def log() -> Iterator[list[MutableMapping[str, Any]]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


CASES = [
    (HTTPException(404), 404, "There is nothing here"),
    (HTTPException(405), 405, "That does not work here"),
    (HTTPException(408, "The rest did not come."), 408, "The rest did not come."),
    (HTTPException(413), 413, "That is too large"),
    (HTTPException(415), 415, "JPEG, PNG or WebP"),
    (HTTPException(418), 418, "That cannot be done"),
    (HTTPException(422, "Wrong."), 422, "Wrong."),
    (HTTPException(502), 502, "Something broke here"),
    (errors.InvalidRequest("A field is wrong."), 400, "A field is wrong."),
    (errors.ImageTooLarge("It has 20 MiB."), 413, "It has 20 MiB."),
    (errors.TokenExpired("Expired."), 401, "/sign-in"),
    (errors.ScopeMissing("You lack enroll.", scope="enroll"), 403, "Ask whoever runs this Marquee."),
    (errors.CollectionForbidden("Not staff."), 403, "Not staff."),
    (errors.PersonNotFound("Nobody."), 404, "Nobody."),
    (errors.NameTaken("Taken."), 409, "Taken."),
    (errors.RateExceeded("Slower.", retry_after=12.5), 429, "Try again in 13 seconds."),
    (errors.Overloaded("Busy.", retry_after=0.2), 429, "Try again in a moment."),
    (errors.BudgetExhausted("Spent.", retry_after=7200), 429, "Try again in 2 hours."),
    (errors.NotOffered("Not here."), 501, "Not here."),
    (errors.DependencyUnavailable("The gateway cannot be reached."), 503, "The gateway cannot be reached."),
    (errors.OutOfTime("Too slow."), 504, "Too slow."),
    (errors.InvalidRequest(HOSTILE), 400, SHOWN),
    (HTTPException(400, HOSTILE), 400, SHOWN),
    (ValueError("secret"), 500, "Something broke here"),
]
IDS = [f"{type(error).__name__}-{code}-{number}" for number, (error, code, _) in enumerate(CASES)]


@pytest.mark.parametrize(("error", "code", "expected"), CASES, ids=IDS)
async def test_people_are_told_in_words(
    failing: tuple[Failing, httpx.AsyncClient], error: Exception, code: int, expected: str
) -> None:
    """Each error has its code and words; the text of what nobody foresaw is not shown, nor is any markup taken over."""
    app, client = failing
    app.error = error
    answers = [await client.get("/status", headers=headers) for headers in ({}, FRAGMENT)]
    assert [(answer.status_code, expected in answer.text) for answer in answers] == [(code, True)] * 2
    assert [text for text in ("<img", "secret", "Traceback") if any(text in one.text for one in answers)] == []


async def test_parts_of_a_page_get_a_part(failing: tuple[Failing, httpx.AsyncClient]) -> None:
    """What htmx asks for is answered with a notice that has nothing that acts in it, rather than a page."""
    app, client = failing
    app.error = HTTPException(404)
    answer = await client.get("/status", headers=FRAGMENT)
    assert answer.text.startswith('<div class="notice error')
    assert [text for text in ("<html", "hx-", "nonce") if text in answer.text] == []


async def test_programs_are_not_shown_what_broke(failing: tuple[Failing, httpx.AsyncClient]) -> None:
    """The JSON of an unforeseen error has the ID under which the log has its traceback, and none of its text."""
    app, client = failing
    app.error = KeyError("secret")
    answer = await client.get("/v1/recognize", headers={"X-Request-Id": "report-7"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "report-7" in answer.text
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("error", "code", "name", "text"),
    [
        (HTTPException(404), 404, "not_found", "Not Found"),
        (errors.ImageTooLarge("It has 20 MiB."), 413, "invalid_argument", "It has 20 MiB."),
        (errors.RateExceeded("Slower.", retry_after=12.5), 429, "resource_exhausted", "Slower."),
        (errors.TokenExpired("Expired."), 401, "unauthenticated", "Expired."),
    ],
)
async def test_programs_get_json(
    failing: tuple[Failing, httpx.AsyncClient], error: Exception, code: int, name: str, text: str
) -> None:
    """On the paths of the API an error is Connect's JSON, as clients of Connect read it."""
    app, client = failing
    app.error = error
    answer = await client.get("/v1/recognize")
    assert (answer.status_code, answer.json()["code"]) == (code, name)
    assert answer.json()["message"].startswith(text)


@pytest.mark.parametrize(
    ("error", "header", "value"),
    [
        (errors.RateExceeded("Slower.", retry_after=12.5), "Retry-After", "13"),
        (errors.TokenExpired("Expired."), "WWW-Authenticate", "Bearer"),
        (HTTPException(405, headers={"Allow": "GET"}), "Allow", "GET"),
    ],
)
async def test_headers_go_with_errors(
    failing: tuple[Failing, httpx.AsyncClient], error: Exception, header: str, value: str
) -> None:
    """Headers say when to try again, how to show who calls, and what the address takes."""
    app, client = failing
    app.error = error
    for path in ("/status", "/v1/recognize"):
        assert (await client.get(path)).headers[header] == value


async def test_what_broke_can_be_reported(failing: tuple[Failing, httpx.AsyncClient]) -> None:
    """The page of an unforeseen error has the ID under which the log has its traceback."""
    app, client = failing
    app.error = KeyError("secret")
    answer = await client.get("/status", headers={"X-Request-Id": "report-7"})
    assert "<code>report-7</code>" in answer.text

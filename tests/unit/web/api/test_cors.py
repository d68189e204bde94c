"""Which pages of other sites may call the API from a browser."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.support.doors import line
from tests.support.processes import PATIENCE
from tests.support.servers import Scripted
from tests.support.web import recognizing, web

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

LIST = "/marquee.v1.RecognizerService/ListRecognizers"
FRIEND = "https://app.example"
TOKEN = {"authorization": "Bearer secret"}
CROSS = {"origin": FRIEND, "sec-fetch-site": "cross-site"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Serve a gateway that wants tokens, and the page with one friend."""
    folder: Path = tmp_path_factory.mktemp("cors")
    callers = folder / "callers"
    callers.write_text(line("secret") + line("rare", name="rare", calls="0.001"))
    async with (
        recognizing(Scripted("svm"), callers=callers) as gateway,
        web(gateway, folder / "log", callers=str(callers), web_cors_origins=f"{FRIEND}, http://localhost:5173") as url,
    ):
        yield url


async def ask(url: str, method: str, path: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, trust_env=False) as client:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return await client.request(method, path, content=b"{}", headers={"content-type": "application/json"} | named)


@pytest.mark.parametrize("path", [LIST, "/v1/recognize", "/v1/recognizers"])
async def test_a_friends_browser_is_told_what_it_may_send(url: str, path: str) -> None:
    """The preflight of a friend's page allows its token and the protocol's headers, and no cookies."""
    wanted = "authorization,connect-protocol-version,connect-timeout-ms,content-type,x-user-agent,x-grpc-web"
    answer = await ask(
        url, "OPTIONS", path, **CROSS, access_control_request_method="POST", access_control_request_headers=wanted
    )
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, FRIEND)
    allowed = answer.headers["access-control-allow-headers"].lower().replace(" ", "").split(",")
    assert set(wanted.split(",")) <= set(allowed)
    assert "cookie" not in allowed
    assert "access-control-allow-credentials" not in answer.headers


async def test_a_friends_call_is_answered(url: str) -> None:
    """A friend's page with a token gets the answer, and may read it."""
    answer = await ask(url, "POST", LIST, **CROSS, **TOKEN)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, FRIEND)
    assert answer.json()["recognizers"][0]["name"] == "svm"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (LIST, {"authorization": "Bearer other"}, 401),
        (LIST, {}, 403),
        (LIST, {**TOKEN, "content-type": "text/plain"}, 415),
        ("/marquee.v1.RecognizerService/Nothing", TOKEN, 501),
        ("/v1/nothing", TOKEN, 404),
        ("/v1/recognize", TOKEN, 415),
    ],
)
async def test_a_friend_may_read_errors(url: str, path: str, headers: dict[str, str], status: int) -> None:
    """Errors carry the headers, too, wherever they come from: without them a page sees no more than a failure."""
    answer = await ask(url, "POST", path, **CROSS, **headers)
    assert (answer.status_code, answer.headers.get("access-control-allow-origin")) == (status, FRIEND)
    assert answer.json()["message"]


async def test_a_friend_is_told_when_to_come_back(url: str) -> None:
    """Who calls too often may read in a header when to try again; who shows no good token, what to show."""
    rare = {"authorization": "Bearer rare"}
    answers = [await ask(url, "POST", LIST, **CROSS, **rare) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert 0 < int(answers[1].headers["retry-after"]) <= 1000
    stranger = await ask(url, "POST", LIST, **CROSS, authorization="Bearer other")
    assert stranger.headers["www-authenticate"] == "Bearer"
    assert {"retry-after", "www-authenticate"} <= set(
        stranger.headers["access-control-expose-headers"].lower().replace(" ", "").split(",")
    )


@pytest.mark.parametrize("origin", ["https://other.example", "http://app.example", "https://app.example:8443", "null"])
async def test_strangers_are_refused(url: str, origin: str) -> None:
    """A page of another origin is not let in, with whatever token, and may read nothing."""
    stranger = {"origin": origin, "sec-fetch-site": "cross-site"}
    preflight = await ask(url, "OPTIONS", LIST, **stranger, access_control_request_method="POST")
    answer = await ask(url, "POST", LIST, **stranger, **TOKEN)
    assert (preflight.status_code, answer.status_code) == (400, 403)
    assert "access-control-allow-origin" not in preflight.headers
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/recognize", "/status", "/static/page.css"])
async def test_pages_are_for_nobody_else(url: str, path: str) -> None:
    """Only the API is open to friends; the pages are not."""
    answer = await ask(url, "GET", path, **CROSS)
    assert "access-control-allow-origin" not in answer.headers


async def test_answers_differ_by_origin(url: str) -> None:
    """Caches keep the answers for different origins apart."""
    assert "Origin" in (await ask(url, "POST", LIST, **CROSS, **TOKEN)).headers["vary"]

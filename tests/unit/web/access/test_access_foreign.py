"""What pages of other sites, and those who cannot show who they are, may not do."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.support.doors import Authority, line
from tests.support.servers import Scripted, picture
from tests.support.web import Page, csrf_token, page, recognizing, sign_in

TOKEN, PAGE = "of-somebody", "of-the-page"
LIST = "/marquee.v1.RecognizerService/ListRecognizers"
RECOGNIZE = "/v1/recognize"
CALLERS = line(TOKEN, name="somebody") + line(PAGE, name="page", scopes="recognize,enroll,admin,relay")
FOREIGN: list[Mapping[str, str]] = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "http://localhost:1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Authorization": f"Bearer {TOKEN}"},
    {"Sec-Fetch-Site": "nonsense"},
]
"""Headers with which browsers say that another site asks."""


@pytest.fixture
def callers(tmp_path: Path) -> Path:
    path = tmp_path / "callers"
    path.write_text(f"{CALLERS}san:page name=page scopes=recognize,enroll,admin,relay\n")
    return path


@pytest.fixture
def own_token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(PAGE)
    return path


@pytest.fixture
def recognizer() -> Scripted:
    return Scripted("svm")


@pytest_asyncio.fixture
async def opened(recognizer: Scripted) -> AsyncIterator[Page]:
    """Yield a page on loopback that lets everybody in."""
    async with recognizing(recognizer) as gateway, page(gateway) as served:
        yield served


@pytest_asyncio.fixture
async def closed(recognizer: Scripted, callers: Path, own_token: Path) -> AsyncIterator[Page]:
    """Yield a page where visitors sign in, in front of a gateway that knows them all, and the page itself."""
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(recognizing(recognizer, callers=callers))
        yield await stack.enter_async_context(page(gateway, callers=callers, web_gateway_token_file=own_token))


async def calls(client: httpx.AsyncClient, **headers: str) -> tuple[int, int]:
    """Return the codes of two calls of the API."""
    first = await client.post(LIST, json={}, headers=headers)
    second = await client.post(RECOGNIZE, content=picture(), headers=headers | {"Content-Type": "image/jpeg"})
    return first.status_code, second.status_code


async def test_a_page_of_another_site_can_do_nothing(opened: Page, recognizer: Scripted) -> None:
    """Not even where everybody may come in: the browser of somebody on this machine is no door to it."""
    async with opened.client() as client:
        assert await calls(client) == (200, 200)
        token = csrf_token(await client.get("/"))
        for headers in FOREIGN:
            assert await calls(client, **headers) == (403, 403), headers
            form = {"csrf_token": token}
            for path in ("/recognize", "/sign-in", "/sign-out"):
                answer = await client.post(path, data=form, headers=headers)
                assert answer.status_code == 403, (path, headers)
    assert len(recognizer.calls) == 1


async def test_a_page_of_another_site_signs_nobody_out(closed: Page) -> None:
    """Its form comes without the visitor's cookie, and the answer puts no other in its place."""
    async with closed.client(headers={"Origin": "https://evil.example"}) as client:
        for path in ("/recognize", "/sign-in", "/sign-out", "/nothing"):
            answer = await client.post(path)
            assert (answer.status_code, answer.headers.get("set-cookie")) == (403, None), path


async def test_a_form_takes_the_token_of_its_session(opened: Page, recognizer: Scripted) -> None:
    """A picture is sent to nobody without the token, with another session's, or a token without its cookie."""
    async with opened.client() as client, opened.client() as other:
        token, others = csrf_token(await client.get("/")), csrf_token(await other.get("/"))
        files = {"image": ("a.jpg", picture(), "image/jpeg")}
        for wrong in ("", others, token[:-1], f"{token}x", token.swapcase()):
            answer = await client.post("/recognize", data={"csrf_token": wrong}, files=files)
            assert answer.status_code == 403, wrong
            answer = await client.post("/recognize", files=files, headers={"X-CSRF-Token": wrong})
            assert answer.status_code == 403, wrong
            alone = {"X-CSRF-Token": wrong, "Content-Type": "image/jpeg", "Accept": "text/event-stream"}
            answer = await client.post("/recognize", content=picture(), headers=alone)
            assert answer.status_code == 403, wrong
        async with opened.client() as without:
            answer = await without.post("/recognize", files=files, headers={"X-CSRF-Token": token})
            assert answer.status_code == 403
        assert not recognizer.calls
        for right in ({"data": {"csrf_token": token}}, {"headers": {"X-CSRF-Token": token}}):
            assert (await client.post("/recognize", files=files, **right)).status_code == 200, right
    assert len(recognizer.calls) == 2


async def test_a_session_counts_on_the_api_only_with_its_token(closed: Page) -> None:
    """Signed in or not: a cookie that a browser adds of itself calls nothing."""
    async with closed.client() as client:
        assert await calls(client) == (401, 401)
        await sign_in(client, TOKEN)
        token = csrf_token(await client.get("/"))
        for wrong in ("", "x", token[:-1]):
            assert await calls(client, **{"X-CSRF-Token": wrong}) == (401, 401), wrong
        assert await calls(client, **{"X-CSRF-Token": token}) == (200, 200)


async def test_the_gateway_learns_who_has_signed_in(closed: Page, recognizer: Scripted) -> None:
    """The page calls in the name of its visitor; a program's token speaks for itself."""
    async with closed.client() as client:
        await sign_in(client, TOKEN)
        await calls(client, **{"X-CSRF-Token": csrf_token(await client.get("/"))})
    async with closed.client() as program:
        assert await calls(program, Authorization=f"Bearer {TOKEN}") == (200, 200)
    assert len(recognizer.calls) == 2


NO_TOKENS: list[list[tuple[str, str]]] = [
    [("Authorization", "Basic c29tZWJvZHk6")],
    [("Authorization", "Bearer")],
    [("Authorization", "")],
    [("Authorization", f"Bearer {TOKEN} {TOKEN}")],
    [("Authorization", TOKEN)],
    [("Authorization", "Bearer wrong")],
    [("Authorization", f"Bearer {TOKEN}\x01")],
    [("Authorization", f"Bearer {'a' * 13_000}")],
    [("Authorization", f"Bearer {TOKEN}"), ("Authorization", f"Bearer {PAGE}")],
    [("Authorization", f"Bearer {TOKEN}\N{LATIN SMALL LETTER E WITH ACUTE}")],
    [("Marquee-Caller", "somebody"), ("Authorization", "Bearer wrong")],
]


async def test_authorization_never_falls_back_to_the_pages_own(closed: Page) -> None:
    """Whoever shows something that is no token of theirs is nobody, though they have signed in, too."""
    async with closed.client() as client:
        await sign_in(client, TOKEN)
        token = csrf_token(await client.get("/"))
        for headers in NO_TOKENS:
            raw = [(name.encode(), value.encode()) for name, value in [*headers, ("X-CSRF-Token", token)]]
            answer = await client.post(LIST, json={}, headers=raw)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), headers


async def test_a_program_cannot_speak_for_others(closed: Page, recognizer: Scripted) -> None:
    """Names of callers, and limits, that a program sends as headers go nowhere."""
    async with closed.client() as client:
        mine = {"Authorization": f"Bearer {TOKEN}", "Marquee-Caller": "root", "Marquee-Caller-Micro-Usd": "9"}
        assert await calls(client, **mine) == (200, 200)
    assert len(recognizer.calls) == 1


async def test_the_pages_certificate_lets_no_program_in(recognizer: Scripted, callers: Path, tmp_path: Path) -> None:
    """A program's token decides, though the page reaches the gateway with a certificate that may relay."""
    authority = Authority(tmp_path / "ca")
    server, own = authority.issue("localhost"), authority.issue("page")
    doors = {"tls_cert": server.chain, "tls_key": server.key, "tls_client_ca": authority.path}
    tls = {"web_gateway_ca": authority.path, "web_gateway_cert": own.chain, "web_gateway_key": own.key}
    tls["web_gateway_server_name"] = "localhost"
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(recognizing(recognizer, callers=callers, **doors))
        served = await stack.enter_async_context(page(gateway, callers=callers, **tls))
        client = await stack.enter_async_context(served.client())
        assert await calls(client, Authorization="Bearer wrong") == (401, 401)
        assert await calls(client, Authorization=f"Bearer {TOKEN}") == (200, 200)
    async with recognizing(recognizer, **doors) as gateway, page(gateway, **tls) as served, served.client() as client:
        assert await calls(client, Authorization=f"Bearer {TOKEN}") == (401, 401)
    assert len(recognizer.calls) == 1


async def test_an_open_gateway_opens_no_closed_page(recognizer: Scripted, callers: Path) -> None:
    """Where the gateway looks at no token, the page does: an unknown one is refused, and a line decides."""
    issuer = {"oidc_issuer": "https://issuer.example", "oidc_client_id": "page"}
    people = "/marquee.v1.EnrollmentService/ListPeople"
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(recognizing(recognizer))
        for settings, code in (({"callers": callers}, 200), (issuer, 401)):
            served = await stack.enter_async_context(page(gateway, **settings))
            client = await stack.enter_async_context(served.client())
            assert await calls(client, Authorization="Bearer made-up") == (401, 401), settings
            assert await calls(client, Authorization="Bearer a.b.c") == (401, 401), settings
            assert await calls(client, Authorization=f"Bearer {TOKEN}") == (code, code), settings
            answer = await client.post(people, json={}, headers={"Authorization": f"Bearer {TOKEN}"})
            assert answer.status_code in {401, 403}, settings
    assert len(recognizer.calls) == 1


async def test_some_files_need_no_visitor(closed: Page) -> None:
    """What says nothing of anybody is shown to everybody."""
    async with closed.client() as client:
        for path in ("/livez", "/readyz", "/openapi.json", "/favicon.ico", "/robots.txt", "/sign-in"):
            assert (await client.get(path)).status_code == 200, path
        style = next(part for part in (await client.get("/sign-in")).text.split('"') if part.endswith(".css"))
        assert (await client.get(style)).status_code == 200
        for path in ("/", "/status", "/enroll", "/nothing", "/static", "/sign-inx", "//static/x", "/Static/x"):
            assert (await client.get(path)).status_code == 303, path
        for path in ("/openapi.json/", "/v1/recognizers", "/v1/"):
            assert (await client.get(path)).status_code == 401, path


HOSTS = [
    ("127.0.0.1:1", True),
    ("localhost", True),
    ("[::1]:8080", True),
    ("LOCALHOST:80", True),
    ("evil.example", False),
    ("localhost.evil.example", False),
    ("127.0.0.1.evil.example", False),
    ("127.0.0.1@evil.example", False),
    ("10.0.0.1", False),
    ("0.0.0.0", False),
    ("", False),
    ("localhost:80:80", False),
    ("localhost/", False),
]


async def test_on_loopback_no_other_name_leads_here(opened: Page) -> None:
    """A name of another site that is made to lead to this machine is refused, whatever is asked; probes are not."""
    async with opened.client() as client:
        for host, served in HOSTS:
            for path in ("/", "/openapi.json", "/sign-in"):
                answer = await client.get(path, headers={"Host": host})
                assert (answer.status_code in {200, 303}) == served, (host, path)
            assert (await client.get("/livez", headers={"Host": host})).status_code == 200, host


async def test_off_loopback_the_public_name_leads_here(recognizer: Scripted) -> None:
    """Only the host of MARQUEE_WEB_URL, and those of MARQUEE_WEB_HOSTS, are answered for."""
    options = {"web_url": "https://Marquee.example", "web_hosts": "marquee-web:8080"}
    async with recognizing(recognizer) as gateway, page(gateway, **options) as served, served.client() as client:
        hosts = {"marquee.example": 200, "MARQUEE.EXAMPLE:443": 200, "marquee-web:8080": 200}
        hosts |= dict.fromkeys(("marquee.example:80", "marquee-web", "localhost", "x.marquee.example"), 421)
        for host, code in hosts.items():
            assert (await client.get("/robots.txt", headers={"Host": host})).status_code == code, host
        own = {"Host": "marquee.example", "Origin": "https://marquee.example"}
        assert (await calls(client, **own)) == (200, 200)
        assert (await calls(client, **own | {"Origin": "http://marquee.example"})) == (403, 403)


async def test_each_response_forbids_what_it_does_not_need(opened: Page) -> None:
    """A page allows scripts with its nonce, which is never twice the same; what is no page allows nothing."""
    async with opened.client() as client:
        pages = [await client.get("/"), await client.get("/"), await client.get("/nothing")]
        policies = [answer.headers["content-security-policy"] for answer in pages]
        assert len(set(policies)) == 3
        for policy in policies:
            assert "unsafe" not in policy
            assert "require-trusted-types-for 'script'" in policy
            assert "default-src 'none'" in policy
        for answer in (await client.post(LIST, json={}), await client.get("/robots.txt")):
            assert answer.headers["content-security-policy"].startswith("default-src 'none'; base-uri 'none'")
            assert "set-cookie" not in answer.headers
        for answer in pages:
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cross-origin-opener-policy"] == "same-origin"
            assert answer.headers["referrer-policy"] == "same-origin"
        for path in ("/", "/nothing", "/status/", "/static/none.js", "/v1/recognizers"):
            assert (await client.get(path)).headers["cache-control"] == "no-store", path

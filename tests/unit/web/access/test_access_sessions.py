"""Signing in by a token, and what becomes of the session."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from itsdangerous import URLSafeSerializer

from tests.support.doors import line
from tests.support.servers import Scripted, until
from tests.support.web import Page, csrf_token, page, recognizing, sign_in, web

TOKEN = "of-somebody"  # noqa: S105 - nobody's
KEY, NEWER = "k" * 32, "n" * 40


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[str]:
    async with recognizing(Scripted("svm")) as address:
        yield address


@pytest.fixture
def callers(tmp_path: Path) -> Path:
    path = tmp_path / "callers"
    path.write_text(line(TOKEN, name="somebody"))
    return path


@pytest_asyncio.fixture
async def closed(gateway: str, callers: Path) -> AsyncIterator[Page]:
    async with page(gateway, callers=callers) as served:
        yield served


def _write(file: Path, content: str) -> None:
    file.write_text(content)


def cookies(client: httpx.AsyncClient) -> dict[str, str]:
    return dict(client.cookies)


async def is_signed_in(client: httpx.AsyncClient) -> bool:
    """Return whether the first page is shown, rather than the way to signing in."""
    answer = await client.get("/")
    assert answer.status_code == 200 or answer.headers["location"].startswith("/sign-in")
    return answer.status_code == 200


async def test_a_token_signs_in_and_leads_back(closed: Page) -> None:
    """Who is not signed in is led to the form, and by a token of the register back to where they wanted to go."""
    async with closed.client() as client:
        away = await client.get("/status?collection=staff")
        assert (away.status_code, away.headers["location"]) == (303, "/sign-in?next=/status%3Fcollection%3Dstaff")
        form = await client.get(away.headers["location"])
        back = re.search(r'name="next" value="([^"]+)"', form.text)
        assert back
        signed = await sign_in(client, f" {TOKEN}\n", next=back[1])
        assert (signed.status_code, signed.headers["location"]) == (303, "/status?collection=staff")
        assert "somebody" in (await client.get("/status")).text


async def test_a_wrong_token_is_refused_in_words(closed: Page) -> None:
    """The form comes back with what is wrong, and never with the token."""
    async with closed.client() as client:
        for token in ("wrong", "", "ä" * 5000, "\N{SNOWMAN}", f"{TOKEN} {TOKEN}", f"Bearer {TOKEN}", "<b>"):
            answer = await sign_in(client, token)
            assert answer.status_code == 401, token
            assert 'role="alert"' in answer.text, token
            assert not token or token not in answer.text
            assert not await is_signed_in(client), token


async def test_the_cookie_is_out_of_reach(closed: Page) -> None:
    """Scripts and other sites' forms do not get the cookie, it ends, and no token is in it."""
    async with closed.client() as client:
        header = (await sign_in(client, TOKEN)).headers["set-cookie"]
        (morsel,) = SimpleCookie(header).values()
        assert (morsel["httponly"], morsel["samesite"], morsel["path"]) == (True, "Lax", "/")
        assert 0 < int(morsel["max-age"]) <= 12 * 3600
        assert TOKEN not in header
        assert TOKEN.encode() not in base64.urlsafe_b64decode(morsel.value.partition(".")[0] + "==")


async def test_over_https_the_cookie_is_of_this_host_alone(gateway: str, callers: Path) -> None:
    """Where the public URL is HTTPS, no plaintext request and no sibling host sets or sees the cookie."""
    url = "https://marquee.example.com"
    async with page(gateway, callers=callers, web_url=url) as served, served.client() as client:
        answer = await client.get("/sign-in", headers={"Host": "marquee.example.com"})
        assert answer.headers["set-cookie"].startswith("__Host-marquee=")
        assert "; Secure" in answer.headers["set-cookie"]
        assert answer.headers["strict-transport-security"]


async def test_signing_in_and_out_leaves_nothing_of_before(closed: Page) -> None:
    """A session that an attacker has fixed is worth nothing after signing in, and none is after signing out."""
    async with closed.client() as client:
        before = csrf_token(await client.get("/sign-in"))
        planted = cookies(client)
        await sign_in(client, TOKEN)
        signed, token = cookies(client), csrf_token(await client.get("/"))
        async with closed.client(cookies=planted) as attacker:
            assert not await is_signed_in(attacker)
        left = await client.post("/sign-out", data={"csrf_token": token})
        assert (left.status_code, left.headers["location"]) == (303, "/sign-in")
        after = csrf_token(await client.get("/sign-in"))
        assert len({before, token, after}) == 3
        async with closed.client(cookies=signed) as thief:
            assert not await is_signed_in(thief)


async def test_signing_out_takes_the_token_of_the_session(closed: Page) -> None:
    """Another site cannot sign anybody out, and a link cannot either."""
    async with closed.client() as client:
        await sign_in(client, TOKEN)
        assert (await client.post("/sign-out")).status_code == 403
        assert (await client.get("/sign-out")).status_code == 405
        assert await is_signed_in(client)


def _tampered(value: str) -> list[str]:
    payload, _, signature = value.rpartition(".")
    forged = URLSafeSerializer("x" * 32, salt="marquee session").dumps({"id": "a", "csrf": "b", "until": 2**40})
    other = base64.urlsafe_b64encode(json.dumps({"who": {"role": "admin"}}).encode()).decode().rstrip("=")
    return [
        "",
        "null",
        "{}",
        payload,
        f"{payload}.",
        f"{other}.{signature}",
        forged,
        value[:-1],
        value + "A",
        "." * 9,
        "ÿ",
    ]


async def test_forged_cookies_are_nobodys(closed: Page) -> None:
    """A cookie that this server did not sign, or not so, is as none."""
    async with closed.client() as client:
        await sign_in(client, TOKEN)
        ((name, value),) = cookies(client).items()
    for wrong in _tampered(value):
        async with closed.client(headers={"Cookie": f"{name}={wrong}".encode()}) as forger:
            assert not await is_signed_in(forger), wrong


@pytest.mark.parametrize(
    ("changed", "remains"),
    [
        (line(TOKEN, name="renamed"), "renamed"),
        (line("another", name="somebody"), ""),
        ("", ""),
        (line(TOKEN, name="somebody", expires="2020-01-01"), ""),
        ("no register at all", "somebody"),
    ],
)
async def test_the_register_has_the_last_word(closed: Page, callers: Path, changed: str, remains: str) -> None:
    """A line that is changed, removed or has expired counts at the session's next request; a broken file does not."""
    async with closed.client() as client:
        await sign_in(client, TOKEN)
        _write(callers, changed)
        await closed.refresh()
        assert "set-cookie" not in (await client.get("/icon.svg")).headers  # caches keep it for everybody
        assert await is_signed_in(client) == bool(remains)
        assert remains in (await client.get("/")).text
        assert remains or 'role="alert"' in (await client.get("/sign-in")).text


async def test_a_line_that_expires_ends_its_session(gateway: str, callers: Path) -> None:
    """A token's session ends with the token, without a change of the file."""
    soon = datetime.now(UTC) + timedelta(seconds=4)
    _write(callers, line(TOKEN, name="somebody", expires=soon.isoformat()))
    async with page(gateway, callers=callers) as served, served.client() as client:
        assert (await sign_in(client, TOKEN)).status_code == 303
        await asyncio.sleep((soon - datetime.now(UTC)).total_seconds())
        assert not await is_signed_in(client)


async def test_a_session_ends_after_its_hours(gateway: str, callers: Path) -> None:
    """Whoever signed in has to do so again, however busy they were."""
    async with page(gateway, callers=callers, web_session_hours=2 / 3600) as served, served.client() as client:
        await sign_in(client, TOKEN)
        saved = cookies(client)
        await asyncio.sleep(2)
        async with served.client(cookies=saved) as late:
            assert not await is_signed_in(late)


async def test_replicas_share_sessions_by_a_key_that_rotates(gateway: str, callers: Path, tmp_path: Path) -> None:
    """A session of one replica counts at another with its key; a key that is second in the file still counts."""
    keys = tmp_path / "keys"
    keys.write_text(f"{KEY}\n")
    options = {"callers": callers, "web_session_key_file": keys}
    async with page(gateway, **options) as one, page(gateway, **options) as other, one.client() as client:
        await sign_in(client, TOKEN)
        (value,) = cookies(client).values()
        name = f"marquee-{httpx.URL(other.url).port}"
        async with other.client(headers={"Cookie": f"{name}={value}"}) as elsewhere:
            assert await is_signed_in(elsewhere)
            for content, counts in ((f"{NEWER}\n{KEY}\n", True), ("short\n", True), (f"{NEWER}\n", False)):
                keys.write_text(content)
                await other.refresh()
                assert await is_signed_in(elsewhere) == counts, content


ELSEWHERE = [
    *(
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\t//evil.example",
        "/\t/evil.example",
        "/..//evil.example",
    ),
    *(
        "https://evil.example",
        "https:evil.example",
        "evil.example",
        "javascript:alert(1)",
        "/@evil.example",
        "/" * 9000,
    ),
    *("/%0d%0aSet-Cookie:%20evil=1", "/\r\nSet-Cookie: evil=1", "/%2f%2fevil.example", "/%5cevil.example"),
    *("/\u2215\u2215evil.example", "/\uff0e/evil.example", "\u2028//evil.example", "/\x00evil.example"),
]
"""Paths that are none of this site, or that a browser may take for another one's."""


async def test_signing_in_leads_to_no_other_site(closed: Page) -> None:
    """What is no path of this site leads to the first page instead."""
    async with closed.client() as client:
        for path in ELSEWHERE:
            shown = await client.get("/sign-in", params={"next": path})
            assert 'name="next" value="/"' in shown.text, path
            assert "evil" not in shown.text, path
        signed = await sign_in(client, TOKEN, next=ELSEWHERE[0])
        assert signed.headers["location"] == "/"
        for path in ELSEWHERE:
            assert (await client.get("/sign-in", params={"next": path})).headers["location"] == "/", path


async def test_attempts_to_sign_in_are_limited(gateway: str, callers: Path) -> None:
    """Guessing ends after so many attempts, in words, and says when to come back."""
    async with page(gateway, callers=callers, web_sign_ins_per_minute=3) as closed, closed.client() as client:
        codes = [(await sign_in(client, f"guess {number}")).status_code for number in range(3)]
        assert set(codes) == {401}
        answer = await sign_in(client, TOKEN)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
        assert "attempts to sign in" in answer.text


async def test_who_signs_in_and_out_is_audited(closed: Page, caplog: pytest.LogCaptureFixture) -> None:
    """Each is a line of the audit log with the name and where it came from, and no token."""
    with caplog.at_level("INFO", "marquee.audit"):
        async with closed.client() as client:
            await sign_in(client, "guess")
            await sign_in(client, TOKEN)
            await client.post("/sign-out", data={"csrf_token": csrf_token(await client.get("/"))})
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "marquee.audit"]
    assert [(one["action"], one["caller"], one["peer"].rpartition(":")[0]) for one in lines] == [
        ("refused", None, "127.0.0.1"),
        ("signed in", "somebody", "127.0.0.1"),
        ("signed out", "somebody", "127.0.0.1"),
    ]
    assert TOKEN not in caplog.text


@pytest.mark.slow
async def test_only_trusted_proxies_say_where_visitors_come_from(gateway: str, callers: Path, tmp_path: Path) -> None:
    """Whoever makes up X-Forwarded-For is still who they are; a proxy that is named is believed, in the log, too."""
    settings = {"callers": str(callers), "web_sign_ins_per_minute": "1"}
    for trusted, second, peer in (("", 429, "127.0.0.1:"), ("127.0.0.0/8", 401, "10.0.0.2")):
        log = tmp_path / f"log{second}"
        async with web(gateway, log, **settings, web_trusted_proxies=trusted) as url:
            codes = []
            for address in ("10.0.0.1", "10.0.0.2"):
                async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
                    client.headers["X-Forwarded-For"] = address
                    codes.append((await sign_in(client, "guess")).status_code)
            assert codes == [401, second], trusted
            await until(lambda log=log: sum(each.get("method") == "POST" for each in _visits(log)) == 2)
        assert all(str(each["peer"]).startswith(peer) for each in _visits(log)[-3:]), trusted


def _visits(log: Path) -> list[dict[str, str]]:
    """Return the lines of visits to the form and of the audit log."""
    lines = [json.loads(each) for each in log.read_text().rpartition("\n")[0].splitlines()]
    return [each for each in lines if each.get("route") == "/sign-in" or each["event"] == "audit"]

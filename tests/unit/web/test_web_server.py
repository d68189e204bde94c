"""The page's server starts in words, serves by TLS, and stops without cutting anybody off."""

import asyncio
import re
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.doors import Authority
from tests.support.http import connected, head
from tests.support.processes import PATIENCE, free_port, metric, with_early_hangup
from tests.support.servers import Scripted, nobody, picture, until
from tests.support.web import Running, answering, recognizing, started

pytestmark = pytest.mark.slow
STREAM = "/v1/recognize/stream"


@asynccontextmanager
async def serving(folder: Path, *recognizers: Scripted, **settings: str) -> AsyncIterator[Running]:
    """Start the page in front of the recognizers; yield it when it answers."""
    async with recognizing(*recognizers) as gateway:
        with started(gateway, folder / "log", **settings) as running:
            await answering(running)
            yield running


def client(running: Running, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=running.url, timeout=PATIENCE, trust_env=False, **options)


def port_of(running: Running) -> int:
    return int(running.url.rpartition(":")[2])


async def ended(running: Running) -> int:
    return await asyncio.to_thread(running.process.wait, PATIENCE)


@pytest.mark.parametrize("which", ["web_port", "metrics_port"])
async def test_taken_port_ends_it_in_words(tmp_path: Path, which: str) -> None:
    """A server that cannot listen names the setting, and exits 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        port = str(taken.getsockname()[1])
        with started(nobody(), tmp_path / "log", **{which: port}) as running:
            assert await ended(running) == 1
            assert [line["event"] for line in running.lines()] == ["cannot serve"]
            assert f"MARQUEE_{which.upper()}" in str(running.lines()[0]["error"])


@pytest.mark.parametrize(
    ("chain", "key", "code", "word"),
    [
        ("web.pem", "", 2, "MARQUEE_TLS_KEY"),
        ("junk", "web.key", 1, "junk"),
        ("web.pem", "missing", 1, "missing"),
        ("web.pem", "other.key", 1, "web.pem"),
    ],
)
async def test_certificate_that_cannot_be_used_ends_it_in_words(
    tmp_path: Path, chain: str, key: str, code: int, word: str
) -> None:
    """A certificate without its key is refused before anybody is served, and the file is named."""
    authority = Authority(tmp_path)
    authority.issue("web")
    authority.issue("other")
    (tmp_path / "junk").write_text("junk")
    with started(
        nobody(), tmp_path / "log", tls_cert=str(tmp_path / chain), tls_key=str(tmp_path / key) if key else ""
    ) as running:
        assert await ended(running) == code
        assert word in running.log.read_text()


async def test_certificate_is_replaced_while_serving(tmp_path: Path) -> None:
    """By TLS, a new certificate is shown from SIGHUP on, one that is broken is refused, and kept connections go on."""
    authority = Authority(tmp_path)
    pair = authority.issue("127.0.0.1")
    context = ssl.create_default_context(cafile=authority.path)
    async with serving(tmp_path, Scripted("svm"), tls_cert=str(pair.chain), tls_key=str(pair.key)) as running:
        first = await _serial(running, context)
        async with client(running, verify=context) as kept:
            assert (await kept.get("/livez")).is_success
            authority.issue("127.0.0.1")
            running.process.send_signal(signal.SIGHUP)
            await until(lambda: any(line["event"] == "reloaded" for line in running.lines()))
            second = await _serial(running, context)
            assert second != first
            assert (await kept.get("/livez")).is_success
        pair.key.write_text("junk")
        running.process.send_signal(signal.SIGHUP)
        await until(lambda: any("refused" in str(line["event"]) for line in running.lines()))
        assert await _serial(running, context) == second
        assert metric(running.metrics_url, "marquee_certificate_expiry_days", 'certificate="web"') > 0


async def test_sighup_before_it_serves_does_not_end_it(tmp_path: Path) -> None:
    """A page that still imports its modules, and is told to read files again, starts all the same."""
    with started(nobody(), tmp_path / "log", with_early_hangup(tmp_path)) as running:
        await answering(running)


async def test_it_listens_on_addresses_of_both_kinds(tmp_path: Path) -> None:
    """With MARQUEE_HOST=:: the page, and its metrics, are reached by IPv6 and by IPv4."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    settings = {"host": "::", "allow_anonymous": "true", "web_url": "http://localhost:8080"}
    async with serving(tmp_path, Scripted("svm"), **settings) as running, client(running) as one:
        for name in ("[::1]", "127.0.0.1"):
            assert (await one.get(running.url.replace("127.0.0.1", name) + "/livez")).is_success
            assert metric(running.metrics_url.replace("127.0.0.1", name), "python_info", "") == 1


async def test_proxies_are_trusted_by_addresses_of_both_kinds(tmp_path: Path) -> None:
    """A proxy's IPv4 address is the same where the page listens by IPv6, too, and so is it in the log."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    settings = {"host": "::", "allow_anonymous": "true", "web_url": "http://localhost:8080"}
    for trusted, peer in (("127.0.0.0/8", "192.0.2.7"), ("192.0.2.0/24", r"127\.0\.0\.1:\d+")):
        log = tmp_path / trusted.replace("/", "-")
        with started(nobody(), log, **settings, web_trusted_proxies=trusted) as running:
            await answering(running)
            async with client(running) as browser:
                await browser.get("/", headers={"X-Forwarded-For": "192.0.2.7"})
            await until(lambda running=running: running.lines()[-1]["event"] == "request")
            assert re.fullmatch(peer, str(running.lines()[-1]["peer"]))


async def _serial(running: Running, context: ssl.SSLContext) -> object:
    """Return the serial number of the certificate that a new connection gets."""
    _, writer = await asyncio.open_connection("127.0.0.1", port_of(running), ssl=context)
    certificate = writer.get_extra_info("peercert")
    writer.transport.abort()
    return certificate["serialNumber"]


async def test_plaintext_is_no_tls(tmp_path: Path) -> None:
    """A server with a certificate answers nobody without TLS."""
    pair = Authority(tmp_path).issue("127.0.0.1")
    async with (
        serving(tmp_path, Scripted("svm"), tls_cert=str(pair.chain), tls_key=str(pair.key)) as running,
        connected(port_of(running)) as plain,
    ):
        await plain.send(head("/livez", "GET"))
        assert b"HTTP" not in await plain.rest()


async def test_connection_waits_for_its_next_request_for_a_while(tmp_path: Path) -> None:
    """A connection without a request is closed after the time that the operator gives it."""
    async with (
        serving(tmp_path, Scripted(), web_keep_alive_seconds="1") as running,
        connected(port_of(running)) as one,
    ):
        await one.send(head("/livez", method="GET"))
        assert (await one.answer())[0] == 200
        assert await one.rest() == b""


async def test_stop_lets_requests_end(tmp_path: Path) -> None:
    """After SIGTERM it is not ready at once, serves for a while, and ends once running requests have been answered."""
    released = asyncio.Event()
    slow = Scripted("svm", until=released.is_set)
    async with serving(tmp_path, slow, drain_delay_seconds="2") as running, client(running) as browser:
        assert (await browser.get("/readyz")).status_code == 200
        answer = asyncio.create_task(browser.post("/v1/recognize?timeout=100", content=picture()))
        await until(lambda: slow.calls)
        running.process.send_signal(signal.SIGTERM)
        await _eventually(lambda: _readiness(browser), 503)
        assert (await browser.get("/")).status_code == 200
        await _eventually(lambda: _listens(running), "no")
        released.set()
        assert (await answer).status_code == 200
        assert await ended(running) == 0


async def _eventually(state: Callable[[], Awaitable[object]], expected: object) -> None:
    async with asyncio.timeout(PATIENCE):
        while await state() != expected:  # noqa: ASYNC110 - the state is another process's
            await asyncio.sleep(0.01)


async def _readiness(browser: httpx.AsyncClient) -> int:
    return (await browser.get("/readyz")).status_code


async def _listens(running: Running) -> str:
    try:
        async with connected(port_of(running)):
            return "yes"
    except OSError:
        return "no"


async def test_stop_cuts_in_words_what_takes_too_long(tmp_path: Path) -> None:
    """What has not ended in time is told so: a stream by a last event, a call by 503; kept connections are closed."""
    quick, slow = Scripted("quick"), Scripted("slow", until=lambda: False)
    async with (
        serving(tmp_path, quick, slow, drain_seconds="0.3") as running,
        client(running) as browser,
        connected(port_of(running)) as idle,
    ):
        call = asyncio.create_task(browser.post("/v1/recognize?timeout=100", content=picture()))
        async with browser.stream("POST", f"{STREAM}?timeout=100", content=picture()) as stream:
            text = ""
            async for piece in stream.aiter_text():
                if not text:
                    await until(lambda: len(slow.calls) == 2)
                    running.process.send_signal(signal.SIGTERM)
                text += piece
        assert text.startswith("event: result")
        assert text.rpartition("event: ")[2].startswith("error\n")
        assert ((await call).status_code, "stopping" in (await call).text) == (503, True)
        assert await idle.rest() == b""
        assert await ended(running) == 0
        assert "Traceback" not in running.log.read_text()


async def test_log_is_one_line_a_request(tmp_path: Path) -> None:
    """Each request has one JSON line, hostile ones included, with nothing of paths and queries; uvicorn adds none."""
    async with serving(tmp_path, Scripted("svm")) as running, client(running) as browser:
        await browser.get("/?code=s3cret")
        await browser.get("/s3cret", headers={"upgrade": "websocket", "connection": "upgrade"})
        answer = await browser.post("/v1/recognize", content=picture(), headers={"x-request-id": "mine"})
        assert answer.json()["requestId"] == "mine"
        async with connected(port_of(running)) as raw:
            await raw.send(b"no HTTP at all\r\n\r\n")
            await raw.rest()
        lines = [line for line in running.lines() if line["event"] == "request"]
        assert [(line["route"], line["status"]) for line in lines] == [
            ("/", 200),
            ("unknown", 404),
            ("/v1/recognize", 200),
        ]
        assert [line.get("reason") for line in lines] == [None, "NOT_FOUND", None]
        assert (lines[2]["request_id"], lines[2]["bytes_in"]) == ("mine", len(picture()))
        assert [line["caller"] for line in lines] == ["anonymous"] * 3
        assert all(str(line["peer"]).startswith("127.0.0.1:") for line in lines)
        assert [line["event"] for line in running.lines()] == ["listening", *(["request"] * 3)]
        assert "s3cret" not in running.log.read_text()


LINES = (
    "OPTIONS * HTTP/1.1",
    "GET http://evil.example/ HTTP/1.1",
    "OPTIONS http://evil.example HTTP/1.1",
    "GET http://evil.example\\@127.0.0.1/ HTTP/1.1",
    "GET //evil.example/status/ HTTP/1.1",
    "GET /\\evil.example/ HTTP/1.1",
    "GET /%2f%2fevil.example/ HTTP/1.1",
    "GET /%00 HTTP/1.1",
    "GET /%ff%fe HTTP/1.1",
    "GET /%zz HTTP/1.1",
    f"GET /{'a' * 15_000} HTTP/1.1",
    "GET /static/..%2f..%2fsettings.py HTTP/1.1",
    "GET /static/../app.py HTTP/1.1",
    f"GET /?a=%ff&b=%00&{'c=d&' * 2000} HTTP/1.1",
    "HEAD / HTTP/1.1",
    "TRACE / HTTP/1.1",
    "CONNECT evil.example:443 HTTP/1.1",
    "DELETE /livez HTTP/1.1",
    "OPTIONS /livez HTTP/1.1",
    "POST /readyz HTTP/1.1",
    "PUT /recognize HTTP/1.1",
    "POST /static/page.css HTTP/1.1",
    "GET / HTTP/1.0",
    "GET / HTTP/2.0",
    f"GET / HTTP/1.1\r\nCookie: {'a=b; ' * 2000}",
    "GET / HTTP/1.1\r\nCookie: \xff\xfe\r\nX-Request-Id: \xff\r\nTraceparent: \xff\r\nAccept-Language: \xff",
    "GET / HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA",
    "POST /recognize HTTP/1.1\r\nContent-Type: \xff/\xff",
)


async def test_hostile_requests_are_answered_without_failures(tmp_path: Path) -> None:
    """Whatever stands in a request's first line and headers, it is answered, and leads nowhere else."""
    async with serving(tmp_path, Scripted("svm")) as running:
        for line in LINES:
            async with connected(port_of(running)) as raw:
                host = f"Host: 127.0.0.1:{port_of(running)}\r\nConnection: close"
                await raw.send(f"{line}\r\n{host}\r\n\r\n".encode("latin-1"))
                answer = await raw.rest()
            assert answer[9:10] in {b"2", b"4"}, (line[:80], answer[:200])
            assert b"evil" not in answer.lower().partition(b"\r\n\r\n")[0], line
        assert not [line for line in running.lines() if line["event"] == "unforeseen"]

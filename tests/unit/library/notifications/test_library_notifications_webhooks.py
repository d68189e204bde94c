"""Webhooks: signed so that others believe them, sent only where they may be, and tried until they are taken."""

import asyncio
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

import httpcore
import pytest
import standardwebhooks
import trustme
from hypothesis import given
from hypothesis import strategies as st

from marquee.library.v1 import notification_pb2 as pb
from services.library.notifications.channels.addresses import CheckedBackend, Forbidden, is_public
from services.library.notifications.channels.channels import Channels
from services.library.notifications.channels.message import Message, Undelivered
from services.library.notifications.channels.webhook import retry_after
from services.library.notifications.queue import pause
from tests.support.library import added
from tests.support.listeners import listening
from tests.support.notifications import (
    LOOPBACK,
    OTHER_SECRET,
    SECRET,
    Answer,
    Receiver,
    deliveries_when,
    notifying,
    receiving,
    rule,
    webhook,
    write_channels,
)
from tests.support.servers import picture, until

MESSAGE = Message("0190", "notification.test", datetime.now(UTC), "A test", ["Line"], {"name": "José"})
PRIVATE = tuple(ip_network(one) for one in LOOPBACK.split(","))


async def sent(folder: Path, private: Sequence[object] = PRIVATE, seconds: float = 20, **channel: object) -> None:
    write_channels(folder / "channels.yaml", hook={"type": "webhook", "secrets": [SECRET], **channel})
    channels = Channels(folder / "channels.yaml", private)  # type: ignore[arg-type]
    await channels.send(channels.get("hook", "pictures"), MESSAGE, seconds)


async def why(folder: Path, **options: object) -> Undelivered:
    """Return why the message was not taken."""
    with pytest.raises(Undelivered) as caught:
        await sent(folder, **options)  # type: ignore[arg-type]
    return caught.value


async def test_receivers_believe_what_is_signed(tmp_path: Path) -> None:
    """Each of the channel's secrets verifies a message, by the library of Standard Webhooks; another one does not."""
    with receiving(Receiver()) as receiver:
        await sent(tmp_path, **webhook(receiver, secrets=[SECRET, OTHER_SECRET]))
    (posted,) = receiver.posted
    for secret in (SECRET, OTHER_SECRET):
        content = standardwebhooks.Webhook(secret).verify(posted.body, dict(posted.headers))
        assert content["data"] == {"name": "José"}
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook("whsec_" + "B" * 43 + "=").verify(posted.body, dict(posted.headers))
    assert posted.headers["webhook-id"] == MESSAGE.delivery_id
    assert posted.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("answer", "reason", "seconds", "is_hopeless"),
    [
        (Answer(500), "answered 500", None, False),
        (Answer(429, {"Retry-After": "120"}), "answered 429", 120, False),
        (Answer(302, {"Location": "http://127.0.0.1:9/"}), "redirects", None, False),
        (Answer(410), "answered 410", None, True),
    ],
)
async def test_only_success_is_success(
    tmp_path: Path, answer: Answer, reason: str, seconds: float | None, *, is_hopeless: bool
) -> None:
    """What a receiver refuses is told with its status, its wish is kept, and a redirect leads nowhere."""
    with receiving(Receiver(lambda _: answer)) as receiver:
        failure = await why(tmp_path, **webhook(receiver))
    assert reason in failure.message
    assert (failure.retry_after, failure.is_hopeless) == (seconds, is_hopeless)
    assert len(receiver.posted) == 1


async def test_what_speaks_no_http_is_an_error(tmp_path: Path) -> None:
    """Garbage, silence, an endless body, and nobody at all end the attempt in time."""
    with listening(lambda connection: connection.sendall(b"\x00\xffgarbage\r\n\r\n")) as address:
        assert "cannot be reached" in (await why(tmp_path, url=f"http://{address}/")).message
    with listening(lambda connection: connection.recv(1)) as address:
        begin = time.monotonic()
        with listening(lambda _: time.sleep(2)) as silent:
            assert "within" in (await why(tmp_path, url=f"http://{silent}/", seconds=0.3)).message
        assert time.monotonic() - begin < 10
    assert "cannot be reached" in (await why(tmp_path, url=f"http://{address}/")).message

    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with listening(endless) as address:
        await sent(tmp_path, url=f"http://{address}/")


async def test_tls_is_checked(tmp_path: Path) -> None:
    """A certificate for the very host is needed, whose name travels though the address is fixed before."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    names: list[str | None] = []

    def serve(host: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(host).configure_cert(context)
        context.sni_callback = lambda _, name, __: names.append(name)  # type: ignore[assignment]
        return context

    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with listening(answer, serve("localhost")) as address:
        url = f"https://localhost:{address.rpartition(':')[2]}/"
        await sent(tmp_path, url=url, ca=str(tmp_path / "ca.pem"))
        assert "CERTIFICATE_VERIFY_FAILED" in (await why(tmp_path, url=url)).message
    assert names[0] == "localhost"
    with listening(answer, serve("other.example")) as address:
        url = f"https://localhost:{address.rpartition(':')[2]}/"
        assert "CERTIFICATE_VERIFY_FAILED" in (await why(tmp_path, url=url, ca=str(tmp_path / "ca.pem"))).message


@contextmanager
def resolved(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> Iterator[list[str]]:
    """Have every name stand for these addresses; yield the names that were asked for."""
    asked: list[str] = []

    async def getaddrinfo(_: object, host: str, port: int, **__: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    with monkeypatch.context() as patch:
        patch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
        yield asked


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "::ffff:10.0.0.1", "::"),
        *("64:ff9b::a00:1", "2002:a00:1::1", "::ffff:169.254.169.254"),
    ],
)
async def test_private_addresses_are_refused(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads to a private, loopback, link-local or metadata address is not called, however it is written."""
    assert not is_public(ip_address(address))
    with resolved(monkeypatch, address) as asked:
        failure = await why(tmp_path, private=(), url="https://hook.example/")
    assert "MARQUEE_LIBRARY_WEBHOOKS_PRIVATE" in failure.message
    assert asked == ["hook.example"]


@given(st.ip_addresses(v=4))
def test_an_address_is_as_public_wrapped_as_it_is_plain(address: object) -> None:
    """IPv6 forms of an IPv4 address are judged by it."""
    plain = is_public(ip_address(str(address)))
    for wrapped in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert is_public(ip_address(wrapped)) == plain


async def test_a_name_is_resolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is made to the address that was checked: a name that changes in between changes nothing."""
    with receiving(Receiver()) as receiver, resolved(monkeypatch, "127.0.0.1") as asked:
        port = int(receiver.url.rpartition(":")[2])
        stream = await CheckedBackend(PRIVATE, is_plaintext=True).connect_tcp("hook.example", port)
        await stream.aclose()
    assert asked == ["hook.example"]


async def test_plaintext_goes_to_allowed_networks_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of people pass no public network in the clear."""
    with resolved(monkeypatch, "93.184.216.34"):
        with pytest.raises(Forbidden, match="plaintext"):
            await CheckedBackend(PRIVATE, is_plaintext=True).connect_tcp("hook.example", 80)
        with pytest.raises(Forbidden):
            await CheckedBackend((), is_plaintext=True).connect_unix_socket("/run/docker.sock")


async def test_an_unknown_name_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that nobody knows cannot be reached, and may be later."""

    async def getaddrinfo(*_: object, **__: object) -> list[object]:
        raise socket.gaierror

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    with pytest.raises(httpcore.ConnectError, match="not known"):
        await CheckedBackend((), is_plaintext=False).connect_tcp("nobody.example", 443)


def test_a_wish_to_wait_is_understood() -> None:
    """Retry-After is a number of seconds or a date; anything else is none."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after("17") == 17
    assert retry_after("Thu, 01 Jan 2026 00:01:00 GMT", now) == 60
    assert retry_after("Thu, 01 Jan 2025 00:01:00 GMT", now) == 0
    assert [retry_after(text) for text in ("", "soon", "-5", "1.5", "²")] == [None] * 5


@given(st.integers(1, 100), st.none() | st.floats(0, 1e9))
def test_pauses_grow_and_are_bounded(attempts: int, asked: float | None) -> None:
    """A pause is never over four hours, or a day where a receiver asks for it, and never shorter than it asks."""
    seconds = pause(attempts, asked)
    assert min(asked or 0, 86_400) <= seconds <= max(4 * 3600, min(asked or 0, 86_400))
    assert seconds >= min(4 * 3600, 5 * 3.0 ** min(attempts - 1, 16)) / 2


async def test_a_receiver_that_recovers_gets_everything(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages that fail wait and come later, each with the identifier of its first attempt."""
    monkeypatch.setattr("services.library.notifications.queue._FIRST_SECONDS", 0.05)
    answers = [Answer(500), Answer(302, {"Location": "/"}), Answer(503, {"Retry-After": "0"})]
    with receiving(Receiver(lambda _: answers.pop() if answers else Answer())) as receiver:
        write_channels(tmp_path / "channels.yaml", hook=webhook(receiver))
        async with notifying(database_url, tmp_path) as clients:
            await rule(clients, "PICTURE")
            await added(clients.library)
            (delivery,) = await deliveries_when(clients, lambda found: found, "SENT")
    assert delivery.attempts == 4
    assert not delivery.status.code
    assert {one.headers["webhook-id"] for one in receiver.posted} == {delivery.delivery_id}


async def test_the_dead_are_tried_again_when_asked_for(database_url: str, tmp_path: Path) -> None:
    """A message that is given up says why, holds back no other channel, and is sent once somebody retries it."""
    answers = [Answer(410)]
    with receiving(Receiver(lambda _: answers.pop() if answers else Answer())) as receiver:
        other = {"type": "webhook", "url": "http://127.0.0.1:9/", "secrets": [SECRET]}
        write_channels(tmp_path / "channels.yaml", hook=webhook(receiver), away=other)
        async with notifying(database_url, tmp_path, library_notification_attempts=1) as clients:
            await rule(clients, "PICTURE", channels=["hook", "away"])
            await added(clients.library, picture())
            dead = await deliveries_when(clients, lambda found: len(found) == 2, "DEAD")
            assert {one.channel: one.status.message for one in dead}["hook"] == "The webhook answered 410."
            (hook,) = [one for one in dead if one.channel == "hook"]
            request = pb.RetryDeliveriesRequest(delivery_ids=[hook.delivery_id, "nobody"])
            assert (await clients.notifications.RetryDeliveries(request)).delivery_count == 1
            await until(lambda: len(receiver.posted) == 2)
            (sent_one,) = await deliveries_when(clients, lambda found: found, "SENT")
            listed = await clients.notifications.ListDeliveries(pb.ListDeliveriesRequest(page_size=1))
    assert sent_one.delivery_id == hook.delivery_id
    assert (listed.dead_count, listed.pending_count, bool(listed.next_page_token)) == (1, 0, True)

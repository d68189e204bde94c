"""Connections that end at something other than a Marquee server: each error says what was there and what to do."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import grpc
import pytest

import marquee
from marquee import AsyncClient, Client, MarqueeError
from marquee.v1.enrollment_pb2 import ListPeopleResponse
from tests.support.client import Peer, serving
from tests.support.listeners import listening

WEB_SERVER = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
SSH = b"SSH-2.0-OpenSSH_9.2\r\n"
TLS_ALERT = bytes.fromhex("15030100020246")


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away the environment's own proxies."""
    for name in ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def _answering(content: bytes) -> AbstractContextManager[str]:
    """Answer each connection's first bytes with these, and close it."""

    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(content)

    return listening(answer)


def _failure(address: str) -> MarqueeError:
    with Client(address) as client, pytest.raises(MarqueeError) as raised:
        client.recognizers()
    return raised.value


@pytest.mark.parametrize("answer", [WEB_SERVER, SSH], ids=["web server", "SSH"])
def test_a_server_that_is_not_grpc(answer: bytes) -> None:
    """The error says that it is no gRPC server and names the address."""
    with _answering(answer) as address:
        error = _failure(address)
    assert type(error) is marquee.Unreachable
    assert error.message.startswith(f"What answers at {address} is no gRPC server")


def _unavailable(connection: socket.socket) -> None:
    """Answer each call as a proxy of HTTP/2 does whose server is down: with status 503."""
    with connection.makefile("rb") as reader:
        reader.read(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
        connection.sendall(bytes.fromhex("000000 04 00 00000000"))
        while frame := reader.read(9):
            reader.read(int.from_bytes(frame[:3], "big"))
            if frame[3] == 1:  # the headers of a call
                connection.sendall(bytes.fromhex("000005 01 05") + frame[5:] + bytes.fromhex("08 03") + b"503")


def test_a_proxy_whose_server_is_down() -> None:
    """A proxy's 503 is no reason to look for another port."""
    with listening(_unavailable) as address:
        error = _failure(address)
    assert type(error) is marquee.Unreachable
    assert error.message.startswith(f"What answers at {address} is a proxy that does not reach Marquee")


def test_a_server_that_closes_the_connection() -> None:
    """A server that says nothing before it closes a plaintext connection may want TLS; the error says so."""
    with _answering(b"") as address:
        error = _failure(address)
    assert type(error) is marquee.Unreachable
    assert "wants TLS: https://" in error.message


def test_a_server_that_answers_with_an_alert_of_tls() -> None:
    """A server that speaks TLS, though not with this client, is told from one that is no gRPC server."""
    with _answering(TLS_ALERT) as address:
        error = _failure(address)
    assert type(error) is marquee.TlsError
    assert f"use https://{address}" in error.message


def test_a_host_that_does_not_exist() -> None:
    """An unknown name is told from a server that is down."""
    assert _failure("no-such-host.invalid:50051").message.startswith(
        "Cannot find the host of no-such-host.invalid:50051: check the name"
    )


@contextmanager
def _grpc_server(method: Callable[[bytes, grpc.ServicerContext], Any] | None) -> Iterator[str]:
    """Serve every method with one function from bytes to bytes; None: serve nothing."""

    class Handler(grpc.GenericRpcHandler):
        def service(
            self, handler_call_details: grpc.HandlerCallDetails
        ) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
            del handler_call_details
            return grpc.unary_unary_rpc_method_handler(method) if method else None

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_a_grpc_server_that_is_not_marquee() -> None:
    """A gRPC server without the service is said to be something else, or too old."""
    with _grpc_server(None) as address:
        error = _failure(address)
    assert type(error) is marquee.Unimplemented
    assert f"{address} does not support this call: perhaps it is not Marquee" in error.message


async def test_a_response_that_does_not_parse() -> None:
    """Both clients raise InternalError for bytes that are no message of the contract."""
    with _grpc_server(lambda _request, _context: b"\xff\xff") as address:
        error = await asyncio.to_thread(_failure, address)
        async with AsyncClient(address) as client:
            calls = (client.recognize(b"x"), client.recognizers(), client.people(), client.enroll(b"x"))
            errors = await asyncio.gather(*calls, client.remove_person("p"), return_exceptions=True)
    assert {type(one) for one in (error, *errors)} == {marquee.InternalError}
    assert "cannot be read" in error.message


async def test_pages_without_end() -> None:
    """A server that names the same page again and again does not keep a client for ever."""
    page = ListPeopleResponse(next_page_token="again").SerializeToString()  # noqa: S106 - no password
    with _grpc_server(lambda _request, _context: page) as address:
        with Client(address) as client, pytest.raises(marquee.InternalError, match="same page"):
            await asyncio.to_thread(client.people)
        async with AsyncClient(address) as client:
            with pytest.raises(marquee.InternalError, match="same page"):
                await client.people()


@pytest.mark.parametrize("details", [b"\xff\xff", b"\x08\x00"], ids=["garbage", "code OK"])
def test_details_that_say_nothing_leave_grpcs_status(details: bytes) -> None:
    """An error whose details do not parse, or say OK, is raised with gRPC's code and text."""

    def refuse(_request: bytes, context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata((("grpc-status-details-bin", details),))
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "No.")

    with _grpc_server(refuse) as address:
        error = _failure(address)
    assert (type(error), error.message) == (marquee.PermissionDenied, "No.")


FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\n\r\n"


@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy", "grpc_proxy"])
def test_a_proxy_is_named(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a proxy stands between and refuses, the error names it and its variable, without its password."""
    with serving(Peer()) as peer, _answering(FORBIDDEN) as proxy:
        monkeypatch.setenv(variable, f"http://ada:secret@{proxy}")
        error = _failure(peer.address)
    assert type(error) is marquee.Unreachable
    assert f"The variable {variable} names the proxy {proxy}" in error.message
    assert "add 127.0.0.1 to no_proxy" in error.message
    assert "secret" not in error.message


def test_a_proxy_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timeout mentions the proxy, too."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with Client("127.0.0.1:1") as client, pytest.raises(marquee.DeadlineExceeded, match="http_proxy"):
            client.recognizers(timeout=0.2)


PROXY = "http://127.0.0.1:9"
DIRECT: list[tuple[str, dict[str, str]]] = [
    *(("127.0.0.1:1", {"no_proxy": entry}) for entry in ("127.0.0.1", "example.com, 127.0.0.1", "127.0.0.0/8")),
    *(("localhost:1", {"no_proxy": entry}) for entry in ("LOCALHOST", ".localhost", ",localhost ")),
    ("ipv4:127.0.0.1:1", {"no_proxy": "127.0.0.1"}),
    ("127.0.0.1:1", {"no_grpc_proxy": "127.0.0.1", "no_proxy": "example.com"}),
    ("127.0.0.1:1", {"grpc_proxy": ""}),
    *(("127.0.0.1:1", {"http_proxy": value}) for value in ("127.0.0.1:9", "https://127.0.0.1:9", "http://", "")),
]
"""Address and environment, beside http_proxy, with which gRPC connects directly."""
PROXIED: list[tuple[str, dict[str, str]]] = [
    *(("localhost:1", {"no_proxy": entry}) for entry in ("host", "*", "localhost:1", "127.0.0.1", "::1")),
    ("127.0.0.1:1", {"no_proxy": "localhost"}),
    ("127.0.0.1:1", {"no_grpc_proxy": "", "no_proxy": "127.0.0.1"}),
    ("127.0.0.1:1", {"http_proxy": "HTTP://127.0.0.1:9/path"}),
]
"""Likewise, through the proxy."""


@pytest.mark.parametrize(("address", "environment"), DIRECT)
def test_a_proxy_that_is_not_used_is_not_named(
    address: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where gRPC takes no proxy, a server that is down is just that."""
    for name, value in {"http_proxy": PROXY, **environment}.items():
        monkeypatch.setenv(name, value)
    message = _failure(address).message
    assert message.startswith(f"Cannot connect to {address}: start a server")
    assert ":9:" not in message


@pytest.mark.parametrize(("address", "environment"), PROXIED)
def test_a_proxy_that_is_used_is_named(
    address: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where gRPC takes the proxy, the error names it, and the host to add."""
    for name, value in {"http_proxy": PROXY, **environment}.items():
        monkeypatch.setenv(name, value)
    message = _failure(address).message
    assert f"names the proxy {PROXY.removeprefix('http://')}, " in message
    assert f"add {address.partition(':')[0]} to no_proxy" in message
    assert "ipv4:127.0.0.1:9:" in message  # gRPC's own text: where it connected

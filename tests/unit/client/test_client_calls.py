"""Tests of Client and AsyncClient against a real server."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
from google.rpc import code_pb2, status_pb2

import marquee
from marquee import AsyncClient, Client, Recognition
from marquee.v1 import recognizer_pb2 as pb
from tests.support.client import Peer, refusal, serving, two_people
from tests.support.processes import wait_until


@pytest.fixture
def peer() -> Iterator[Peer]:
    listing = pb.ListRecognizersResponse(recognizers=[pb.Recognizer(name="svm", state=pb.RECOGNIZER_STATE_READY)])
    with serving(Peer(answer=two_people(), listing=listing)) as peer:
        yield peer


async def _both(address: str, source: bytes = b"picture") -> list[Recognition]:
    """Call the server with both clients; return their responses."""
    with Client(address) as client:
        answers = [await asyncio.to_thread(client.recognize, source, request_id="r-1")]
    async with AsyncClient(address) as client:
        return [*answers, await client.recognize(source, request_id="r-1")]


async def test_both_clients_return_the_same_response(peer: Peer) -> None:
    """Both clients send the same request and return the same recognition; raw is the message."""
    one, other = await _both(peer.address)
    assert one == other
    assert one.request_id == "r-1"
    assert one.verdicts[0].display_name == "Eileen Collins"
    assert one.raw.verdicts[0].display_name == "Eileen Collins"
    assert peer.requests[0] == peer.requests[1]


async def test_a_stream_yields_the_results_so_far(peer: Peer) -> None:
    """In both clients, each item has one more result, and the last is the complete response."""
    with Client(peer.address) as client:
        items = await asyncio.to_thread(lambda: list(client.stream(b"picture", request_id="r-1")))
        whole = await asyncio.to_thread(client.recognize, b"picture", request_id="r-1")
    async with AsyncClient(peer.address) as client:
        assert [item async for item in client.stream(b"picture", request_id="r-1")] == items
    assert [len(item.results) for item in items] == [1, 2, 2]
    assert [len(item.verdicts) for item in items] == [0, 0, 2]
    assert [len(item.raw.results) for item in items] == [1, 2, 2]
    assert items[-1] == whole


async def test_recognizers_are_listed(peer: Peer) -> None:
    """Both clients return the recognizers of ListRecognizers."""
    with Client(peer.address) as client:
        listed = await asyncio.to_thread(client.recognizers)
    async with AsyncClient(peer.address) as client:
        assert await client.recognizers() == listed
    assert [(recognizer.name, recognizer.state) for recognizer in listed] == [("svm", "READY")]


async def test_a_refusal_is_raised_by_both_clients(peer: Peer) -> None:
    """The error, in streams too, has the server's code, reason, message and metadata, and the request ID."""
    peer.refusals[b""] = refusal(code_pb2.INVALID_ARGUMENT, "IMAGE_TOO_LARGE", "Too large.", field="image")
    async with AsyncClient(peer.address) as client:
        with pytest.raises(marquee.ImageTooLarge, match=r"Too large\.") as raised:
            await client.recognize(b"picture", request_id="r-1")
        with pytest.raises(marquee.ImageTooLarge):
            _ = [item async for item in client.stream(b"picture")]
    with Client(peer.address) as client, pytest.raises(marquee.ImageTooLarge):
        await asyncio.to_thread(lambda: list(client.stream(b"picture")))
    error = raised.value
    assert (error.code, error.reason) == ("INVALID_ARGUMENT", "IMAGE_TOO_LARGE")
    assert (error.metadata, error.request_id) == ({"field": "image"}, "r-1")


def test_no_response_in_time(peer: Peer) -> None:
    """A timeout raises DeadlineExceeded, which names the server."""
    peer.hold = threading.Event()
    with Client(peer.address) as client, pytest.raises(marquee.DeadlineExceeded, match=peer.address):
        client.recognize(b"picture", timeout=0.1)
    peer.hold.set()


def test_no_server() -> None:
    """Without a server, the error names the address and says what to do."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with Client(address) as client, pytest.raises(marquee.Unreachable, match=f"to {address}.*MARQUEE_ADDRESS"):
            client.recognize(b"picture")


def test_a_server_that_comes_back_is_used_again() -> None:
    """The connection recovers within seconds of the server's return."""
    with serving(Peer()) as first:
        address = first.address
    with Client(address) as client:
        assert not _answers(client)
        with serving(Peer(address=address)):
            wait_until(lambda: _answers(client))


def _answers(client: Client) -> bool:
    try:
        client.recognizers()
    except marquee.Unreachable:
        return False
    return True


def test_the_address_is_read_when_a_client_is_created(monkeypatch: pytest.MonkeyPatch) -> None:
    """MARQUEE_ADDRESS is read when the client is created; an argument takes precedence."""
    monkeypatch.delenv("MARQUEE_ADDRESS", raising=False)
    assert Client().address == "localhost:50051"
    monkeypatch.setenv("MARQUEE_ADDRESS", "elsewhere:1")
    assert Client().address == AsyncClient().address == "elsewhere:1"
    assert Client("here:2").address == "here:2"


@pytest.mark.parametrize("code", [code_pb2.UNAVAILABLE, code_pb2.CANCELLED])
async def test_both_clients_retry(peer: Peer, code: "code_pb2.Code.ValueType") -> None:
    """A call to a server that is shutting down is tried three times, as the published service config says."""
    peer.refusals[b""] = status_pb2.Status(code=code, message="going away")
    with pytest.raises(marquee.MarqueeError):
        await _both(peer.address)
    assert len(peer.requests) == 3
    async with AsyncClient(peer.address) as client:
        with pytest.raises(marquee.MarqueeError):
            await client.recognize(b"picture")
    assert len(peer.requests) == 6

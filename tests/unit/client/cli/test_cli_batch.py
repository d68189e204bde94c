"""Tests of `marquee recognize` where a server is full, and of where it shows the time went."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2

from marquee.client import Client
from tests.support.client import Peer, lines_of, marquee, refusal, serving, two_people

PICTURE = b"a picture that the server does not look at"


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Peer]:
    """Run a server at MARQUEE_ADDRESS, with two pictures in the folder album."""
    monkeypatch.chdir(tmp_path)
    Path("album").mkdir()
    for name in "ab":
        Path(f"album/{name}.jpg").write_bytes(PICTURE)
    with serving(Peer(answer=two_people())) as peer:
        monkeypatch.setenv("MARQUEE_ADDRESS", peer.address)
        yield peer


def priorities(peer: Peer) -> list[str | bytes | None]:
    return [metadata.get("marquee-priority") for metadata in peer.metadata]


@pytest.mark.parametrize(
    ("arguments", "priority"),
    [
        (["album"], "batch"),
        (["album/a.jpg", "album/b.jpg"], "batch"),
        (["album/a.jpg"], None),
        (["album", "--no-batch"], None),
        (["album/a.jpg", "--batch"], "batch"),
    ],
)
def test_several_pictures_let_others_go_first(peer: Peer, arguments: list[str], priority: str | None) -> None:
    """Folders and several pictures are a batch, one picture is not; an option says otherwise."""
    assert marquee("recognize", *arguments).exit_code == 0
    assert set(priorities(peer)) == {priority}


def test_the_client_lets_others_go_first(peer: Peer) -> None:
    """A client made for a batch says so with each call, beside its own metadata."""
    with Client(batch=True, metadata={"x-own": "1"}) as client:
        client.recognize(PICTURE)
        client.recognizers()
    assert priorities(peer) == ["batch", "batch"]
    assert [metadata["x-own"] for metadata in peer.metadata] == ["1", "1"]


def full(seconds: float) -> status_pb2.Status:
    """Return what a server answers without a place for a batch."""
    status = refusal(code_pb2.RESOURCE_EXHAUSTED, "BATCH_REFUSED", "Try again later.")
    delay = Duration()
    delay.FromNanoseconds(int(seconds * 1e9))
    status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


class Full(Peer):
    """Refuses the first calls, with a time after which to try again."""

    refused = 3

    def _receive(self, request, context) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001 - as the base class's
        self.refusals = {b"": full(0.05)} if len(self.requests) < self.refused else {}
        super()._receive(request, context)


def test_a_batch_waits_for_a_place(monkeypatch: pytest.MonkeyPatch, peer: Peer) -> None:
    """A refused picture is sent again when the server says so, and its result is printed as if nothing had been."""
    with serving(Full(answer=peer.answer)) as busy:
        monkeypatch.setenv("MARQUEE_ADDRESS", busy.address)
        result = marquee("recognize", "album", "--jobs", "1", "-o", "json")
    assert result.exit_code == 0
    assert [json.loads(line)["file"] for line in lines_of(result)] == ["album/a.jpg", "album/b.jpg"]
    assert len(busy.requests) == 5


def test_one_picture_waits_no_longer_than_its_timeout(peer: Peer) -> None:
    """A person who waits gets the refusal as soon as the time to try again is past the timeout."""
    peer.refusals[b""] = full(30)
    result = marquee("recognize", "album/a.jpg")
    assert result.exit_code == 1
    assert "Try again later." in result.stderr
    assert len(peer.requests) == 1


def test_a_table_shows_where_the_time_went(peer: Peer) -> None:
    """With --timings a row for each part has when it began, how long it took, and a bar in the call's scale."""
    answer = peer.answer
    answer.timings.queue.FromMilliseconds(5)
    answer.timings.fusion.FromMilliseconds(1)
    answer.results[0].timings.start.FromMilliseconds(6)
    rows = [line.split() for line in marquee("recognize", "album/a.jpg", "--timings").stdout.splitlines()]
    assert ["request", "0", "5", "=="] in rows
    assert ["verdicts", "129", "1", "*"] in rows
    bar = next(row for row in rows if row[:3] == ["rekognition", "6", "123"])[3]
    assert set(bar) == {"-", "#"}
    assert 44 <= len(bar) <= 48


def test_a_table_without_times_has_no_bars(peer: Peer) -> None:
    """A server that tells no times has no rows, and --timings goes with tables alone."""
    assert peer.answer.timings.HasField("total")
    assert "request" not in marquee("recognize", "album/a.jpg", "--timings").stdout
    assert marquee("recognize", "album/a.jpg", "--timings", "-o", "json").exit_code == 2

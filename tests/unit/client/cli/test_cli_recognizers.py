"""Tests of `marquee recognizers`, with a real server."""

import json
from collections.abc import Iterator

import pytest
from google.rpc import code_pb2
from typer.testing import Result

from marquee.v1 import recognizer_pb2 as pb
from tests.support.client import Peer, marquee, refusal, serving


@pytest.fixture
def peer() -> Iterator[Peer]:
    rekognition = pb.Recognizer(
        name="rekognition",
        state=pb.RECOGNIZER_STATE_READY,
        features=[pb.FEATURE_CELEBRITIES, pb.FEATURE_FACE_SEARCH],
        models=[pb.Model(name="celebrity", version="2026-01")],
        prices=[pb.Price(feature=pb.FEATURE_CELEBRITIES, micro_usd=1000)],
        spending=pb.Spending(today_micro_usd=120_000, month_micro_usd=3_400_000, daily_cap_micro_usd=5_000_000),
    )
    svm = pb.Recognizer(
        name="svm",
        state=pb.RECOGNIZER_STATE_UNAVAILABLE,
        status=refusal(code_pb2.UNAVAILABLE, "", "svm does not answer."),
        can_enroll=True,
        smallest_face=0.02,
    )
    with serving(Peer(listing=pb.ListRecognizersResponse(recognizers=[rekognition, svm]))) as peer:
        yield peer


def _recognizers(*arguments: str) -> Result:
    return marquee("recognizers", *arguments)


def test_the_table_shows_every_column(peer: Peer) -> None:
    """The table has a line per recognizer: state, features, models, prices, spending, and why it is unavailable."""
    result = _recognizers("--address", peer.address)
    assert result.exit_code == 0
    for words in (
        "celebrities, face search",
        "celebrity 2026-01",
        "celebrities $0.001",
        "$0.12 of $5.00 today",
        "$3.40 this month",
        "unavailable: svm does not answer.",
        "free",
        "2 %",
    ):
        assert words in result.stdout


def test_json_is_one_list(peer: Peer) -> None:
    """The JSON has all fields of ListRecognizers."""
    listed = json.loads(_recognizers("--address", peer.address, "--output", "json").stdout)
    assert [(recognizer["name"], recognizer["state"]) for recognizer in listed] == [
        ("rekognition", "READY"),
        ("svm", "UNAVAILABLE"),
    ]
    assert listed[0]["spending"]["daily_cap_micro_usd"] == 5_000_000


def test_no_server_exits_with_3() -> None:
    """A missing server gives the same exit code and message as for `marquee recognize`."""
    result = _recognizers("--address", "127.0.0.1:1")
    assert result.exit_code == 3
    assert "Cannot connect to 127.0.0.1:1" in result.stderr


def test_spending_that_is_withheld_is_explained(peer: Peer) -> None:
    """Without the scope admin, table and JSON say that spending is not shown, and not that there is none."""
    peer.listing.spending_withheld = True
    peer.listing.recognizers[0].ClearField("spending")
    table = _recognizers("--address", peer.address)
    assert "needs admin" in table.stdout
    assert table.stderr.replace("\n", " ").strip() == (
        "What is spent on rekognition is not shown: that needs the scope admin."
    )
    listed = json.loads(_recognizers("--address", peer.address, "-o", "json").stdout)
    assert [(one["name"], one["spending_withheld"], one["spending"]) for one in listed] == [
        ("rekognition", True, None),
        ("svm", False, None),
    ]

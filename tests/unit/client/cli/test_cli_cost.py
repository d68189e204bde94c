"""Tests of `marquee cost`, with a real server."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from typer.testing import Result

from marquee.v1 import recognizer_pb2 as pb
from tests.support.client import Peer, marquee, serving

PRICES = {
    pb.FEATURE_CELEBRITIES: 1000,
    pb.FEATURE_LABELS: 1000,
    pb.FEATURE_FACES: 1000,
    pb.FEATURE_FACE_SEARCH: 2500,
}


@pytest.fixture
def peer() -> Iterator[Peer]:
    when = Timestamp()
    when.FromDatetime(datetime(2026, 10, 7, tzinfo=UTC))
    rekognition = pb.Recognizer(
        name="rekognition",
        prices=[
            pb.Price(feature=feature, micro_usd=price, region="us-east-1", effective_time=when)
            for feature, price in PRICES.items()
        ],
        spending=pb.Spending(today_micro_usd=1_500_000, month_micro_usd=9_000_000, daily_cap_micro_usd=2_000_000),
    )
    listing = pb.ListRecognizersResponse(recognizers=[rekognition, pb.Recognizer(name="svm")])
    with serving(Peer(listing=listing)) as peer:
        yield peer


def cost(peer: Peer, *arguments: str) -> Result:
    return marquee("cost", "--address", peer.address, *arguments)


def test_the_estimate_recognizes_no_picture(peer: Peer, tmp_path: Path) -> None:
    """The output has the cost of two files with two features each, the prices' region and date, and the money left."""
    files = [tmp_path / name for name in ("a.jpg", "b.jpg")]
    for file in files:
        file.write_bytes(b"any")
    result = cost(peer, *map(str, files))
    assert result.exit_code == 0, result.output
    for words in ("2 pictures: $0.004", "celebrities", "$0.001", "us-east-1 2026-10-07", "$1.50", "$9.00", "$0.50"):
        assert words in result.stdout
    assert "svm" not in result.stdout
    assert not peer.requests


def test_an_estimate_above_the_cap_exits_with_1(peer: Peer) -> None:
    """300 pictures at $0.002 cost $0.60, but only 50 cents are left, which is enough for 250."""
    result = cost(peer, "--pictures", "300")
    assert result.exit_code == 1
    assert "300 pictures: $0.60" in result.stdout
    assert "enough for about 250 of these pictures" in result.stdout


@pytest.mark.parametrize(
    ("features", "faces", "expected"),
    [
        (["face_search"], 1, 2500),
        (["face_search"], 4, 1000 + 4 * 1500),
        (["face_search"], 0, 1000),
        (["faces", "face_search"], 2, 1000 + 2 * 1500),
        (["faces"], 4, 1000),
        (["text"], 1, 0),
    ],
)
def test_each_face_is_paid_for(peer: Peer, features: list[str], faces: int, expected: int) -> None:
    """A search costs the listed difference, detection is charged once, and features without a price are free."""
    options = [text for feature in features for text in ("--feature", feature)]
    output = json.loads(cost(peer, "--pictures", "1", "--faces", str(faces), *options, "-o", "json").stdout)
    assert output["micro_usd"] == expected


@pytest.mark.parametrize(
    ("pictures", "features", "called", "expected"),
    [
        (1, ["labels"], 0, 1000),
        (1_000_000, ["labels"], 0, 1_000_000_000),
        (2_000_000, ["labels"], 0, 1_800_000_000),
        (2, ["labels"], 999_999, 1800),
        (2, ["labels"], 40_000_000, 500),
        (10_000_000, ["labels"], 0, 1_000_000_000 + 4 * 800_000_000 + 5 * 600_000_000),
        (600_000, ["celebrities", "labels"], 0, 1_000_000_000 + 160_000_000),
        (500_000, ["face_search"], 900_000, 100_000_000 + 320_000_000 + 500_000_000),
        (1_000_000, ["faces", "face_search"], 0, 3_000_000_000 - 200_000_000),
    ],
)
def test_prices_fall_with_the_months_volume(
    peer: Peer, pictures: int, features: list[str], called: int, expected: int
) -> None:
    """Features share their group's calls; of a picture with two faces each search is a call of another group."""
    rekognition = peer.listing.recognizers[0]
    groups = {"group_1": (1000, 800, 600, 400), "group_2": (1000, 800, 600, 250)}
    for name, micro_usd in groups.items():
        steps = zip((0, 1_000_000, 5_000_000, 35_000_000), micro_usd, strict=True)
        tiers = [pb.PriceTier(from_calls=first, micro_usd=price) for first, price in steps]
        rekognition.price_groups.add(name=name, tiers=tiers)
    for price in rekognition.prices:
        price.calls.add(group="group_2", calls=1)
        if price.feature == pb.FEATURE_FACE_SEARCH:
            price.calls.add(group="group_1", calls=1)
    rekognition.spending.month_calls.add(group="group_2", calls=called)
    options = [text for feature in features for text in ("--feature", feature)]
    options += ["--faces", "2" if "faces" in features else "1"]
    output = json.loads(cost(peer, "--pictures", str(pictures), *options, "-o", "json").stdout)
    assert output["micro_usd"] == expected


def test_a_group_without_tiers_costs_the_listed_price(peer: Peer) -> None:
    """A recognizer that names groups but no tiers is estimated by its price per picture."""
    rekognition = peer.listing.recognizers[0]
    rekognition.price_groups.add(name="any")
    for price in rekognition.prices:
        price.calls.add(group="any", calls=1)
    result = cost(peer, "--pictures", "2", "--feature", "labels", "-o", "json")
    assert json.loads(result.stdout)["micro_usd"] == 2000


def test_a_replicas_part_of_the_cap_is_called_so(peer: Peer) -> None:
    """Whoever set five dollars reads why the cap is half of that."""
    peer.listing.recognizers[0].spending.replicas = 2
    assert "$2.00, one of 2 replicas" in " ".join(cost(peer).stdout.split())


def test_json_is_complete(peer: Peer) -> None:
    """The JSON has the estimate by recognizer and feature, whether it fits the cap, and the money spent."""
    result = cost(peer, "--pictures", "300", "--output", "json")
    output = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (output["pictures"], output["micro_usd"], output["fits"]) == (300, 600_000, False)
    (estimate,) = output["estimates"]
    assert [(item["feature"], item["micro_usd"]) for item in estimate["features"]] == [
        ("CELEBRITIES", 300_000),
        ("LABELS", 300_000),
    ]
    assert estimate["prices"][0]["effective_time"].startswith("2026-10-07")
    (spending,) = output["spending"]
    assert (spending["today_micro_usd"], spending["left_today_micro_usd"]) == (1_500_000, 500_000)


def test_without_pictures_it_shows_the_money_spent(peer: Peer) -> None:
    """Without pictures there is no estimate, and the exit code is 0."""
    result = cost(peer)
    assert result.exit_code == 0
    assert "$1.50" in result.stdout
    assert "pictures" not in result.stdout


def test_a_single_recognizer(peer: Peer) -> None:
    """A free recognizer costs nothing; an unknown one is a usage error."""
    assert "No recognizer here costs money" in cost(peer, "--recognizer", "svm", "--pictures", "5").stdout
    result = cost(peer, "--recognizer", "nobody")
    assert result.exit_code == 2
    assert "choose from rekognition, svm" in result.stderr


def test_files_with_a_number_are_a_usage_error(peer: Peer) -> None:
    """Files together with --pictures are ambiguous and therefore a usage error, as is a missing file."""
    assert cost(peer, "s3://pics/a.jpg", "--pictures", "5").exit_code == 2
    assert cost(peer, "nowhere.jpg").exit_code == 2


def test_no_server_exits_with_3() -> None:
    """A missing server gives the same exit code and message as for `marquee recognize`."""
    result = marquee("cost", "--address", "127.0.0.1:1")
    assert result.exit_code == 3
    assert "Cannot connect to 127.0.0.1:1" in result.stderr


def test_spending_that_is_withheld_is_no_lack_of_it(peer: Peer) -> None:
    """Without the scope admin, the estimate stands, and the command says why it does not know what is left."""
    peer.listing.spending_withheld = True
    peer.listing.recognizers[0].ClearField("spending")
    result = cost(peer, "--pictures", "1")
    assert (result.exit_code, "1 picture: $0.002" in result.stdout) == (0, True)
    assert "No recognizer here costs money" not in result.stdout
    assert "What is spent on rekognition is not shown: that needs the scope admin." in result.stderr

"""The price of a call falls with the calls of its group in a month, and is never set too low."""

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from marquee.v1 import recognizer_pb2 as pb
from services.rekognition.budget import ledger as ledgers
from services.rekognition.budget.ledger import ProcessLedger, TableLedger
from services.rekognition.budget.prices import PriceList
from services.runtime.errors import BudgetExhausted, DomainError
from services.runtime.images.image import Image
from tests.support.aws import TABLE, dynamodb, refusal, scripted_aws
from tests.support.rekognition import options, respond, running_recognizer
from tests.support.servers import picture

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("aws_credentials")]
DAY = date(2026, 11, 27)
MILLION = 1_000_000


@pytest.fixture
def client() -> Iterator["DynamoDBClient"]:
    with dynamodb() as url:
        client = boto3.Session().client("dynamodb", endpoint_url=url)
        yield client
        client.close()


@pytest.mark.parametrize(
    ("calls", "group_1", "group_2"),
    [
        (0, 1000, 1000),
        (MILLION - 1, 1000, 1000),
        (MILLION, 800, 800),
        (5 * MILLION - 1, 800, 800),
        (5 * MILLION, 600, 600),
        (35 * MILLION - 1, 600, 600),
        (35 * MILLION, 400, 250),
        (10**12, 400, 250),
    ],
)
def test_the_next_call_has_its_tiers_price(calls: int, group_1: int, group_2: int) -> None:
    """Each group's calls set its own operations' prices."""
    prices = PriceList({})
    assert [prices.micro_usd(api, {"group_1": calls}) for api in ("IndexFaces", "DetectText")] == [group_1, 1000]
    assert [prices.micro_usd(api, {"group_2": calls}) for api in ("IndexFaces", "DetectText")] == [1000, group_2]
    assert prices.micro_usd("ListFaces", {"group_1": calls, "group_2": calls}) == 0


def test_configured_prices_hold_for_all_volumes() -> None:
    """An operator's price replaces the tiers, and is a group of its own in the list."""
    prices = PriceList({"DetectFaces": 1300, "ListFaces": 5})
    volume = {"group_1": 2 * MILLION, "group_2": 2 * MILLION}
    assert [prices.micro_usd(api, volume) for api in ("DetectFaces", "ListFaces", "DetectText")] == [1300, 5, 800]
    search = next(one for one in prices.features(volume) if one.feature == pb.FEATURE_FACE_SEARCH)
    assert (search.micro_usd, {one.group: one.calls for one in search.calls}) == (
        2100,
        {"DetectFaces": 1, "group_1": 1},
    )
    tiers = {group.name: [(tier.from_calls, tier.micro_usd) for tier in group.tiers] for group in prices.groups()}
    assert tiers["DetectFaces"] == [(0, 1300)]
    assert tiers["group_1"][:2] == [(0, 1000), (MILLION, 800)]


def test_a_month_starts_again() -> None:
    """What was called in November does not lower December's prices, also if it ends there."""
    days = [date(2026, 11, 30)]
    ledger = ProcessLedger(None, lambda: days[0])
    november = ledger.reserve(1000).day
    ledger.count(november, "group_1")
    assert ledger.month_calls() == {"group_1": 1}
    days[0] = date(2026, 12, 1)
    ledger.count(november, "group_1")
    assert ledger.month_calls() == {}
    ledger.refresh()
    assert ledger.spending() == pb.Spending()


def test_the_table_keeps_the_calls(client: "DynamoDBClient") -> None:
    """They go with the next write of the sum; another replica reads the month's, and not October's."""
    for day in (date(2026, 10, 31), date(2026, 11, 1), DAY):
        one = TableLedger(client, TABLE, None, lambda day=day: day)
        one.reserve(1000)
        one.count(day, "group_2")
        one.count(day, "group_2")
        one.reserve(1000)
        one.count(day, "group_1")
        assert one.month_calls()["group_1"] == 1
    other = TableLedger(client, TABLE, None, lambda: DAY)
    other.refresh()
    assert other.month_calls() == {"group_2": 4}
    assert {one.group: one.calls for one in other.spending().month_calls} == {"group_2": 4}
    assert other.spending().month_micro_usd == 4000


def test_a_table_of_an_earlier_version_has_no_calls(client: "DynamoDBClient") -> None:
    """Its month costs the first tier's prices, and is counted on from now."""
    key = {"pk": {"S": "spending"}, "sk": {"S": DAY.isoformat()}}
    client.put_item(TableName=TABLE, Item={**key, "micro_usd": {"N": "700"}})
    ledger = TableLedger(client, TABLE, 5000, lambda: DAY)
    ledger.refresh()
    assert ledger.month_calls() == {}
    ledger.count(DAY, "group_1")
    ledger.reserve(1000)
    ledger.refresh()
    assert (ledger.month_calls(), ledger.spending().today_micro_usd) == ({"group_1": 1}, 1700)


def test_a_refused_reservation_keeps_the_count(client: "DynamoDBClient") -> None:
    """What could not be written because the cap was reached goes with a later write."""
    ledger = TableLedger(client, TABLE, 1500, lambda: date(2026, 5, 5))
    first = ledger.reserve(1000)
    ledger.count(first.day, "group_1")
    with pytest.raises(BudgetExhausted):
        ledger.reserve(1000)
    ledger.give_back(first)
    ledger.refresh()
    assert (ledger.month_calls(), ledger.spending().today_micro_usd) == ({"group_1": 1}, 0)


def test_a_count_is_never_written_twice() -> None:
    """After a write whose outcome is unknown, the calls in it count as not made."""
    writes: list[dict[str, Any]] = []

    def table(_: str, body: dict[str, Any]) -> Any:
        writes.append(body["ExpressionAttributeValues"])
        return refusal("InternalServerError", 500)

    with scripted_aws(table) as dynamo:
        client = boto3.Session().client("dynamodb", endpoint_url=dynamo.url)
        ledger = TableLedger(client, TABLE, None, lambda: DAY)
        ledger.count(DAY, "group_1")
        for _ in range(2):
            with pytest.raises(DomainError):
                ledger.reserve(1000)
        client.close()
    assert writes[0][":group_1"] == {"N": "1"}
    assert ":group_1" not in writes[-1]
    assert ledger.month_calls() == {}


async def test_the_recognizer_pays_the_tiers_price(client: "DynamoDBClient") -> None:
    """The millionth picture of a month costs a tenth of a cent, the next one less; the list says so, too."""
    today = ledgers.today_utc()
    key = {"pk": {"S": "spending"}, "sk": {"S": today.isoformat()}}
    client.put_item(TableName=TABLE, Item={**key, "micro_usd": {"N": "0"}, "group_2": {"N": str(MILLION - 1)}})
    own = {"rekognition_table": TABLE, "dynamodb_endpoint_url": client.meta.endpoint_url}
    with scripted_aws(respond) as aws:
        async with running_recognizer(aws.url, **own) as one:
            call = options(pb.FEATURE_LABELS)
            costs = [(await one.recognize(Image(picture((100, 100))), call)).cost_micro_usd for _ in range(3)]
            described = one.describe()
    assert costs == [1000, 800, 800]
    assert {price.micro_usd for price in described.prices if price.feature == pb.FEATURE_TEXT} == {800}
    assert described.spending.today_micro_usd == 2600
    assert [(one.group, one.calls) for one in described.spending.month_calls] == [("group_2", MILLION + 2)]


async def test_only_answers_count() -> None:
    """A call that AWS may not have billed brings no lower price nearer."""
    replies = iter([refusal("InternalServerError", 500), refusal("ThrottlingException"), respond("DetectLabels", {})])
    with scripted_aws(lambda *_: next(replies)) as aws:
        async with running_recognizer(aws.url) as one:
            result = await one.recognize(Image(picture((100, 100))), options(pb.FEATURE_LABELS))
            spending = one.describe().spending
    assert result.cost_micro_usd == 2000
    assert [(one.group, one.calls) for one in spending.month_calls] == [("group_2", 1)]

"""What a caller may spend a day is kept beside the day's cap: neither is exceeded, nor charged for the other."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import Context, copy_context
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.config import BackendConfig
from services.rekognition.budget.ledger import Ledger, ProcessLedger, TableLedger
from services.rekognition.recognizer import RekognitionRecognizer
from services.runtime.doors.caller import Caller, enter
from services.runtime.doors.scopes import Scope
from services.runtime.errors import BudgetExhausted, CallerBudgetExhausted, DependencyUnavailable, Throttled
from services.runtime.images.image import Image
from services.runtime.leaf.leaf import Leaf
from tests.support.aws import TABLE, Answer, dynamodb, refusal, scripted_aws, settings
from tests.support.enrollers import REFUSED, reasons, states
from tests.support.processes import PATIENCE
from tests.support.rekognition import HOPPER, PORTRAITS, PRICE, enrollment_of, options, replica, respond
from tests.support.rekognition import running_recognizer as running
from tests.support.servers import Scripted, code_and_reason, gateway, leaf, outcomes, picture, served, stub

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("aws_credentials")]
TODAY = date(2026, 11, 26)
Open = Callable[..., Ledger]
Recognize = Callable[[pb.RecognizeImageRequest], Awaitable[pb.RecognizeImageResponse]]


@pytest.fixture
def table_url() -> Iterator[str]:
    with dynamodb() as url:
        yield url


@pytest.fixture
def client(table_url: str) -> Iterator["DynamoDBClient"]:
    client = boto3.Session().client("dynamodb", endpoint_url=table_url)
    yield client
    client.close()


@pytest.fixture(params=["process", "table"])
def ledger(request: pytest.FixtureRequest) -> Open:
    """Return a function that opens a ledger with a cap, and perhaps a clock."""
    return (
        ProcessLedger if request.param == "process" else partial(TableLedger, request.getfixturevalue("client"), TABLE)
    )


def call_of(name: str, daily_micro_usd: int | None) -> Context:
    """Return the context of a caller's call."""
    context = copy_context()
    context.run(enter, Caller(name, frozenset(Scope), daily_micro_usd=daily_micro_usd))
    return context


def labels(recognizer: RekognitionRecognizer, call: Context) -> "asyncio.Task[pb.RecognizerResult]":
    recognition = recognizer.recognize(Image(picture((100, 100))), options(pb.FEATURE_LABELS))
    return asyncio.create_task(recognition, context=call.copy())


def test_a_caller_spends_no_more_than_its_limit(ledger: Open) -> None:
    """The refusal names the caller and the amount, and holds until midnight UTC; other callers and the sum are left."""
    money = ledger(None)
    limited, free = call_of("first-team", 2000), call_of("second-team", None)
    for _ in range(2):
        limited.run(money.reserve, 1000)
    with pytest.raises(CallerBudgetExhausted, match=r"first-team's \$0\.002 a day") as refused:
        limited.run(money.reserve, 1000)
    assert 0 < (refused.value.retry_after or 0) <= 24 * 3600
    free.run(money.reserve, 1000)
    assert money.spending().today_micro_usd == 3000


def test_a_limit_of_zero_pays_for_nothing(ledger: Open) -> None:
    """0 is a limit rather than the absence of one."""
    with pytest.raises(CallerBudgetExhausted):
        call_of("first-team", 0).run(ledger(None).reserve, 1)


def test_the_cap_charges_no_caller(ledger: Open) -> None:
    """A call that the day's cap refuses leaves what its caller spent as it was."""
    money, call = ledger(1500), call_of("first-team", 2000)
    first = call.run(money.reserve, 1000)
    with pytest.raises(BudgetExhausted) as refused:
        call.run(money.reserve, 1000)
    money.give_back(first)
    call.run(money.reserve, 1500)
    assert type(refused.value) is BudgetExhausted
    assert money.spending().today_micro_usd == 1500


def test_money_comes_back_to_its_caller_and_day(ledger: Open) -> None:
    """Yesterday's money, given back after midnight by whomever, pays for nothing today."""
    now = [TODAY]
    money, call = ledger(None, lambda: now[0]), call_of("first-team", 1000)
    yesterday = call.run(money.reserve, 1000)
    now[0] = TODAY.replace(day=27)
    call.run(money.reserve, 1000)
    money.give_back(yesterday)
    with pytest.raises(CallerBudgetExhausted):
        call.run(money.reserve, 1)
    now[0] = TODAY
    call.run(money.reserve, 1000)
    assert money.spending().today_micro_usd == 1000


def test_several_calls_are_checked_ahead(ledger: Open) -> None:
    """What the caller has left counts, and the check takes nothing."""
    money, call = ledger(None), call_of("first-team", 2000)
    call.run(money.reserve, 1000)
    call.run(money.check, 1000)
    with pytest.raises(CallerBudgetExhausted):
        call.run(money.check, 1001)
    call.run(money.reserve, 1000)


def test_a_later_replica_knows_what_callers_spent(client: "DynamoDBClient") -> None:
    """It reads today's callers from the table, and does not take them for days."""
    one, later = (TableLedger(client, TABLE, None, lambda: TODAY) for _ in range(2))
    call = call_of("https://issuer/first/team", 2000)
    call.run(one.reserve, 1000)
    later.refresh()
    with pytest.raises(CallerBudgetExhausted):
        call.run(later.check, 1001)
    assert later.spending() == pb.Spending(today_micro_usd=1000, month_micro_usd=1000)


def test_callers_items_expire_and_days_do_not(client: "DynamoDBClient") -> None:
    """DynamoDB may delete what callers spent once their day is over, also if money came back; the days stay."""
    day = date(2020, 2, 29)
    money = TableLedger(client, TABLE, None, lambda: day)
    money.give_back(call_of("first-team", 1000).run(money.reserve, 1000))
    items = [item for item in client.scan(TableName=TABLE)["Items"] if item["sk"]["S"].startswith(day.isoformat())]
    expiry = {item["pk"]["S"]: item.get("expires", {"N": "0"})["N"] for item in items}
    assert expiry == {"spending": "0", "caller": str(int(datetime(2020, 3, 3, tzinfo=UTC).timestamp()))}


class Writes:
    """A table that records what is added to its sums, in order, and fails at the day's if it has `no_day`."""

    def __init__(self, *, no_day: bool = False) -> None:
        self.no_day = no_day
        self.added: list[tuple[str, int]] = []

    def __call__(self, operation: str, body: dict[str, Any]) -> Answer:
        if not operation.endswith("UpdateItem"):
            return 200, {"Items": []}
        pk = body["Key"]["pk"]["S"]
        self.added.append((pk, int(body["ExpressionAttributeValues"][":amount"]["N"])))
        failed = self.no_day and pk == "spending"
        return refusal("InternalServerError", 500) if failed else (200, {"Attributes": {"micro_usd": {"N": "1000"}}})


@pytest.mark.parametrize(
    ("limit", "added"), [(None, [("spending", 1000)]), (5000, [("caller", 1000), ("spending", 1000)])]
)
async def test_only_callers_with_a_limit_are_counted(limit: int | None, added: list[tuple[str, int]]) -> None:
    """A caller without one costs no further write."""
    with scripted_aws(respond) as aws, scripted_aws(writes := Writes()) as dynamo:
        async with running(aws.url, dynamodb_endpoint_url=dynamo.url, rekognition_table=TABLE) as one:
            await labels(one, call_of("first-team", limit))
    assert writes.added == added


async def test_what_cannot_be_counted_for_all_is_not_charged() -> None:
    """If the day's sum cannot be written, the call is not made, and its caller gets the money back."""
    own = {"rekognition_table": TABLE, "rekognition_attempts": 1}
    with scripted_aws(respond) as aws, scripted_aws(writes := Writes(no_day=True)) as dynamo:
        async with running(aws.url, dynamodb_endpoint_url=dynamo.url, **own) as one:
            with pytest.raises(DependencyUnavailable):
                await labels(one, call_of("first-team", 5000))
    assert writes.added == [("caller", 1000), ("spending", 1000), ("caller", -1000)]
    assert not aws.requests


async def test_replicas_share_a_callers_limit(table_url: str) -> None:
    """Of forty concurrent calls to two replicas with money for twenty, twenty reach AWS."""
    shared = {"dynamodb_endpoint_url": table_url, "rekognition_table": TABLE, "rekognition_calls": 4, "queue": 64}
    call = call_of("busy-team", 20_000)
    with scripted_aws(respond) as aws:
        async with running(aws.url, **shared) as one, running(aws.url, **shared) as other:
            answers = await asyncio.gather(*(labels(each, call) for each in [one, other] * 20), return_exceptions=True)
    assert len(aws.requests) == sum(isinstance(one, pb.RecognizerResult) for one in answers) == 20
    assert sum(isinstance(one, CallerBudgetExhausted) for one in answers) == 20


async def test_what_aws_refuses_is_not_charged(table_url: str) -> None:
    """The caller's money is back after a refusal that AWS does not bill."""
    replies = iter([refusal("ThrottlingException"), respond("DetectLabels", {})])
    shared = {"dynamodb_endpoint_url": table_url, "rekognition_table": TABLE, "rekognition_attempts": 1}
    call = call_of("throttled-team", 1000)
    with scripted_aws(lambda *_: next(replies)) as aws:
        async with running(aws.url, **shared) as one:
            with pytest.raises(Throttled):
                await labels(one, call)
            assert (await labels(one, call)).cost_micro_usd == 1000


async def test_enrolling_is_paid_from_the_callers_limit(rekognition: SimpleNamespace, collection: str) -> None:
    """A picture beyond it is refused by reason, before Rekognition is paid for a part of it."""
    async with replica(rekognition, collection) as (_, enroller):
        enrollment = enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
        refused = await asyncio.create_task(enrollment, context=call_of("enrolling-team", PRICE - 1))
    assert (states(refused), reasons(refused), refused.cost_micro_usd) == ([REFUSED], ["CALLER_BUDGET_EXHAUSTED"], 0)


def register_of(folder: Path, token: str, words: str) -> Path:
    """Return a register with the token's line alone."""
    register = folder / f"callers-{token}"
    register.write_text(f"sha256:{hashlib.sha256(token.encode()).hexdigest()} {words}\n")
    return register


@pytest.fixture
async def limited(tmp_path: Path) -> AsyncIterator[Recognize]:
    """Return a function that calls a gateway over rekognition and another as somebody with 0.002 dollars a day."""
    believed = register_of(tmp_path, "of-gateway", "name=gateway scopes=recognize,relay")
    known = register_of(tmp_path, "of-team", "name=first-team scopes=recognize usd=0.002")
    (tmp_path / "token").write_text("of-gateway")
    with scripted_aws(respond) as aws:
        own = settings(aws.url)
        recognizer = Leaf(RekognitionRecognizer(own), own)
        async with served(recognizer, callers=believed) as rekognition, leaf(Scripted("other")) as other:
            backends = {"rekognition": BackendConfig(target=rekognition, token_file=tmp_path / "token"), "other": other}
            async with gateway(backends, callers=known) as address, stub(address) as client:
                yield partial(client.RecognizeImage, metadata=(("authorization", "Bearer of-team"),), timeout=PATIENCE)


async def test_a_gateways_caller_has_its_limit_at_rekognition(limited: Recognize) -> None:
    """Its third call is refused there, by reason, in that recognizer's result; the others answer."""
    call = pb.RecognizeImageRequest(features=[pb.FEATURE_LABELS], image=pb.Image(content=picture((100, 100))))
    responses = [await limited(call) for _ in range(3)]
    ok = {"rekognition": "OK", "other": "OK"}
    assert [outcomes(one) for one in responses] == [ok, ok, ok | {"rekognition": "ERROR"}]
    refused = next(one for one in responses[-1].results if one.recognizer == "rekognition")
    assert code_and_reason(refused.status) == ("RESOURCE_EXHAUSTED", "CALLER_BUDGET_EXHAUSTED")
    assert "first-team" in refused.status.message

"""The budget reserves money before a call, returns it only if AWS did not bill, and never exceeds the cap."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from datetime import date

import boto3
import pytest
from google.rpc import error_details_pb2
from prometheus_client import REGISTRY

from marquee.v1 import recognizer_pb2 as pb
from services.rekognition.budget.ledger import ProcessLedger, TableLedger
from services.rekognition.budget.prices import dollars
from services.rekognition.recognizer import RekognitionRecognizer
from services.runtime import errors, status
from services.runtime.images.image import Image
from tests.support.aws import RESET, TABLE, Answer, dynamodb, refusal, scripted_aws, settings
from tests.support.processes import PATIENCE
from tests.support.rekognition import options
from tests.support.rekognition import running_recognizer as replica
from tests.support.servers import picture as small_picture
from tests.support.servers import until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("aws_credentials")]
LABELS = (200, {"Labels": [{"Name": "Boat", "Confidence": 80.0}]})


@pytest.fixture
def table_url() -> Iterator[str]:
    with dynamodb() as url:
        yield url


def labels(recognizer: RekognitionRecognizer, seconds: float = 60) -> "asyncio.Task[pb.RecognizerResult]":
    call = options(pb.FEATURE_LABELS, seconds=seconds)
    return asyncio.ensure_future(recognizer.recognize(Image(small_picture((100, 100))), call))


def spent(recognizer: RekognitionRecognizer) -> int:
    return recognizer.describe().spending.today_micro_usd


def cost_metric(api: str) -> float:
    return REGISTRY.get_sample_value("marquee_rekognition_cost_dollars_total", {"api": api}) or 0


async def test_no_call_exceeds_the_cap() -> None:
    """A call that would exceed the cap gets BUDGET_EXHAUSTED until midnight UTC and does not reach AWS."""
    with scripted_aws(lambda *_: LABELS) as aws:
        async with replica(aws.url, rekognition_daily_cap_usd=0.0025) as one:
            assert [(await labels(one)).cost_micro_usd for _ in range(2)] == [1000, 1000]
            with pytest.raises(errors.BudgetExhausted) as raised:
                await labels(one)
            assert len(aws.requests) == 2
            spending = one.describe().spending
    assert (spending.today_micro_usd, spending.month_micro_usd, spending.daily_cap_micro_usd) == (2000, 2000, 2500)
    answer = status.from_exception(raised.value)
    assert status.reason_of(answer) == "BUDGET_EXHAUSTED"
    retry = error_details_pb2.RetryInfo()
    assert answer.details[1].Unpack(retry)
    assert 0 < retry.retry_delay.seconds <= 24 * 3600


async def test_a_cap_of_zero_allows_no_call() -> None:
    """0 is a cap rather than the absence of one."""
    with scripted_aws(lambda *_: LABELS) as aws:
        async with replica(aws.url, rekognition_daily_cap_usd=0) as one:
            with pytest.raises(errors.BudgetExhausted):
                await labels(one)
    assert not aws.requests


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        (refusal("ProvisionedThroughputExceededException"), 0),
        (refusal("ThrottlingException", 500), 0),
        (refusal("InvalidImageFormatException"), 0),
        (refusal("AccessDeniedException"), 0),
        (refusal("InternalServerError", 500), 1000),
        (RESET, 1000),
    ],
)
async def test_money_is_returned_only_if_aws_did_not_bill(answer: Answer, kept: int) -> None:
    """Refusals cost nothing; AWS may bill a call that ends in an internal error or a broken connection."""
    before = cost_metric("DetectLabels")
    with scripted_aws(lambda *_: answer) as aws:
        async with replica(aws.url, rekognition_attempts=1) as one:
            with pytest.raises(errors.DomainError):
                await labels(one)
            assert spent(one) == kept
    assert cost_metric("DetectLabels") - before == pytest.approx(kept / 1e6)


async def test_a_call_that_never_reaches_aws_costs_nothing() -> None:
    """The money is returned if nobody listens at the address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    async with replica(f"http://127.0.0.1:{port}", rekognition_attempts=1) as one:
        with pytest.raises(errors.DependencyUnavailable):
            await labels(one)
        assert spent(one) == 0


async def test_a_late_response_is_paid_for() -> None:
    """After a read timeout AWS may still bill, so the money counts as spent."""
    go = threading.Event()
    with scripted_aws(lambda *_: go.wait(PATIENCE) and LABELS) as aws:
        async with replica(aws.url, rekognition_read_timeout_seconds=1) as one:
            with pytest.raises(errors.DependencyTimeout):
                await labels(one)
            go.set()
            assert spent(one) == 1000
    assert len(aws.requests) == 1


async def test_an_abandoned_call_keeps_its_money_and_its_thread() -> None:
    """With one thread the next call waits until AWS responds to the abandoned one, and both are paid for."""
    go = threading.Event()
    with scripted_aws(lambda *_: go.wait(PATIENCE) and LABELS) as aws:
        async with replica(aws.url, rekognition_calls=1) as one:
            abandoned = labels(one)
            await until(lambda: aws.requests)
            abandoned.cancel()
            with pytest.raises(asyncio.CancelledError):
                await abandoned
            assert spent(one) == 1000
            following = labels(one)
            await asyncio.sleep(0.2)
            assert len(aws.requests) == 1
            go.set()
            assert (await following).labels[0].name == "Boat"
            assert spent(one) == 2000


async def test_an_abandoned_call_that_aws_refuses_returns_its_money() -> None:
    """Its thread handles the refusal although nobody waits for the result."""
    go = threading.Event()
    with scripted_aws(lambda *_: go.wait(PATIENCE) and refusal("ThrottlingException")) as aws:
        async with replica(aws.url) as one:
            abandoned = labels(one)
            await until(lambda: aws.requests)
            abandoned.cancel()
            go.set()
            await until(lambda: spent(one) == 0)
    assert len(aws.requests) == 1


async def test_the_result_contains_the_cost_of_all_attempts() -> None:
    """The result's cost includes a first attempt that AWS may have billed."""
    answers = iter([refusal("InternalServerError", 500), LABELS])
    with scripted_aws(lambda *_: next(answers)) as aws:
        async with replica(aws.url) as one:
            result = await labels(one)
            assert (result.cost_micro_usd, spent(one)) == (2000, 2000)


async def test_configured_prices_replace_the_list() -> None:
    """The operator's prices apply to calls, the cap and ListRecognizers."""
    with scripted_aws(lambda *_: LABELS) as aws:
        async with replica(aws.url, rekognition_prices="DetectLabels=1300") as one:
            assert (await labels(one)).cost_micro_usd == 1300
            prices = {price.feature: price.micro_usd for price in one.describe().prices}
    assert (prices[pb.FEATURE_LABELS], prices[pb.FEATURE_TEXT]) == (1300, 1000)


async def test_replicas_share_one_cap(table_url: str) -> None:
    """Of sixty concurrent calls to two replicas with money for forty, forty succeed; each replica knows the sum."""
    shared = {"dynamodb_endpoint_url": table_url, "rekognition_table": TABLE, "rekognition_daily_cap_usd": 0.04}
    shared |= {"rekognition_calls": 4}  # moto writes one item at a time, and the client waits 2 s
    with scripted_aws(lambda *_: LABELS) as aws:
        async with replica(aws.url, queue=64, **shared) as one, replica(aws.url, queue=64, **shared) as other:
            outcomes = await asyncio.gather(
                *(labels(recognizer) for recognizer in [one, other] * 30), return_exceptions=True
            )
            assert len(aws.requests) == sum(isinstance(one, pb.RecognizerResult) for one in outcomes) == 40
            assert sum(isinstance(one, errors.BudgetExhausted) for one in outcomes) == 20
            assert max(spent(one), spent(other)) == 40_000


async def test_no_call_is_made_without_the_table(table_url: str) -> None:
    """A call whose cost cannot be recorded is not made."""
    shared = {"dynamodb_endpoint_url": table_url, "rekognition_table": TABLE, "rekognition_daily_cap_usd": 1}
    with scripted_aws(lambda *_: LABELS) as aws:
        async with replica(aws.url, **shared) as one:
            client = boto3.Session().client("dynamodb", endpoint_url=table_url)
            client.delete_table(TableName=TABLE)
            try:
                with pytest.raises(errors.DomainError, match=TABLE):
                    await labels(one)
            finally:
                _recreate(client)
    assert not aws.requests


def _recreate(client: object) -> None:
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.close()


async def test_a_failed_reservation_is_repeated() -> None:
    """One failed reservation loses no call; it may be counted twice, but never too little."""
    sums = iter([refusal("InternalServerError", 500), (200, {"Attributes": {"micro_usd": {"N": "2000"}}})])

    def table(operation: str, _: dict[str, object]) -> Answer:
        return next(sums) if operation.endswith("UpdateItem") else (200, {"Items": []})

    with scripted_aws(lambda *_: LABELS) as aws, scripted_aws(table) as dynamo:
        async with replica(aws.url, dynamodb_endpoint_url=dynamo.url, rekognition_table=TABLE) as one:
            assert (await labels(one)).labels[0].name == "Boat"
            assert spent(one) == 2000
    assert len(aws.requests) == 1


async def test_a_missing_table_stops_the_start(table_url: str) -> None:
    """The error says which table to create."""
    one = RekognitionRecognizer(
        settings("http://127.0.0.1:9", dynamodb_endpoint_url=table_url, rekognition_table="nowhere")
    )
    with pytest.raises(errors.Misconfigured, match="'nowhere' with the string keys pk and sk"):
        await one.load()


def test_a_new_day_has_its_own_budget() -> None:
    """Money reserved yesterday is returned to yesterday; the month is the sum of its days."""
    days = iter([date(2026, 11, 29), date(2026, 11, 30), date(2026, 11, 30), date(2026, 12, 1)])
    ledger = ProcessLedger(1000, lambda: next(days))
    first = ledger.reserve(1000)
    assert ledger.reserve(600).day == date(2026, 11, 30)
    ledger.give_back(first)
    assert ledger.spending() == pb.Spending(today_micro_usd=600, month_micro_usd=600, daily_cap_micro_usd=1000)
    assert ledger.spending().month_micro_usd == 0


def test_the_table_keeps_days_apart(table_url: str) -> None:
    """A replica that starts later reads the spending of today and the month from the table."""
    client = boto3.Session().client("dynamodb", endpoint_url=table_url)
    for day, amount in ((date(2026, 10, 31), 7), (date(2026, 11, 1), 30), (date(2026, 11, 2), 500)):
        TableLedger(client, TABLE, 500, lambda day=day: day).reserve(amount)
    later = TableLedger(client, TABLE, 500, lambda: date(2026, 11, 2))
    later.refresh()
    assert later.spending() == pb.Spending(today_micro_usd=500, month_micro_usd=530, daily_cap_micro_usd=500)
    with pytest.raises(errors.BudgetExhausted):
        later.reserve(1)
    client.close()


@pytest.mark.parametrize(
    ("micro_usd", "text"), [(0, "$0"), (7, "$0.000007"), (3_400_000, "$3.4"), (10**13, "$10,000,000")]
)
def test_amounts_are_written_without_an_exponent(micro_usd: int, text: str) -> None:
    """Neither a tiny nor a huge amount has an exponent."""
    assert dollars(micro_usd) == text


def test_an_answer_that_comes_late_hides_no_spending(table_url: str) -> None:
    """The table's answers to two calls may come in any order: the newer one counts."""
    client = boto3.Session().client("dynamodb", endpoint_url=table_url)
    written, release = threading.Event(), threading.Event()

    def hold(**_: object) -> None:
        if not written.is_set():
            written.set()
            assert release.wait(PATIENCE)

    client.meta.events.register("after-call.dynamodb.UpdateItem", hold)
    ledger = TableLedger(client, TABLE, None)
    late = threading.Thread(target=ledger.reserve, args=(1000,))
    late.start()
    assert written.wait(PATIENCE)
    ledger.reserve(2000)
    release.set()
    late.join(PATIENCE)
    assert ledger.spending().today_micro_usd == 3000
    client.close()

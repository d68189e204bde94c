"""AWS's quotas: tokens, the replicas' shares, and retries."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from google.rpc import error_details_pb2
from prometheus_client import REGISTRY

from marquee.v1 import recognizer_pb2 as pb
from services.rekognition.aws.calls import Rates, TokenBucket
from services.rekognition.budget.prices import Api
from services.rekognition.recognizer import RekognitionRecognizer
from services.rekognition.table.client import connect
from services.rekognition.table.replicas import Replicas
from services.runtime import errors, status
from services.runtime.images.image import Image
from tests.support.aws import RESET, TABLE, Answer, dynamodb, refusal, scripted_aws, settings
from tests.support.rekognition import options, running_recognizer
from tests.support.servers import picture as small_picture
from tests.support.servers import until

pytestmark = pytest.mark.usefixtures("aws_credentials")
LABELS = (200, {"Labels": [{"Name": "Boat", "Confidence": 80.0}]})
SLOW_DOWN = refusal("ProvisionedThroughputExceededException")
_WIRE_SECONDS = 1
"""The longest time that a request takes to reach AWS."""


async def labels(url: str, calls: int = 1, seconds: float = 100, **own: object) -> list[object]:
    """Make concurrent calls of a new recognizer; return each one's result or error."""
    async with running_recognizer(url, **own) as recognizer:
        return await at_once(recognizer, calls, seconds)


async def at_once(recognizer: RekognitionRecognizer, calls: int, seconds: float) -> list[object]:
    """Make concurrent calls with one deadline; return each one's result or error."""
    call = options(pb.FEATURE_LABELS, seconds=seconds)
    recognitions = (recognizer.recognize(Image(small_picture((100, 100))), call) for _ in range(calls))
    return await asyncio.gather(*recognitions, return_exceptions=True)


def calls_metric(outcome: str) -> float:
    labels = {"api": "DetectLabels", "outcome": outcome}
    return REGISTRY.get_sample_value("marquee_rekognition_calls_total", labels) or 0


def answers(*responses: Answer) -> object:
    remaining: Iterator[Answer] = iter(responses)
    return lambda *_: next(remaining)


@pytest.mark.parametrize("failure", [SLOW_DOWN, refusal("ServiceUnavailable", 503), RESET])
async def test_transient_failures_are_retried(failure: Answer) -> None:
    """The recognizer tries again after throttling, an error of AWS's own and a broken connection."""
    with scripted_aws(answers(failure, failure, LABELS)) as aws:
        (result,) = await labels(aws.url)
    assert result.labels[0].name == "Boat"
    assert len(aws.requests) == 3


async def test_refusals_are_not_retried() -> None:
    """AWS would refuse a second attempt as well, so none is made."""
    with scripted_aws(answers(refusal("AccessDeniedException"), LABELS)) as aws:
        (error,) = await labels(aws.url)
    assert isinstance(error, errors.NotPermitted)
    assert len(aws.requests) == 1


async def test_persistent_throttling_is_reported() -> None:
    """The error is THROTTLED with a delay to retry after, and the metric counts every attempt."""
    before = calls_metric("throttled")
    with scripted_aws(lambda *_: SLOW_DOWN) as aws:
        (error,) = await labels(aws.url, rekognition_attempts=3)
    answer = status.from_exception(error)
    assert (status.reason_of(answer), len(aws.requests)) == ("THROTTLED", 3)
    retry = error_details_pb2.RetryInfo()
    assert answer.details[1].Unpack(retry)
    assert retry.retry_delay.ToTimedelta().total_seconds() == 1
    assert calls_metric("throttled") - before == 3


async def test_no_attempt_follows_the_deadline() -> None:
    """Attempts end at the deadline, however many are allowed."""
    with scripted_aws(lambda *_: SLOW_DOWN) as aws:
        await labels(aws.url, seconds=4, rekognition_attempts=20)
        await asyncio.sleep(2)
    times = aws.times("DetectLabels")
    assert 1 < len(times) < 20
    assert times[-1] - times[0] < 4 + _WIRE_SECONDS


async def test_botocore_does_not_retry() -> None:
    """Each attempt of ours is exactly one request, so that the count is right."""
    with scripted_aws(lambda *_: refusal("InternalServerError", 500)) as aws:
        await labels(aws.url, rekognition_attempts=1)
    assert len(aws.requests) == 1


async def test_calls_are_sent_at_the_quotas_rate() -> None:
    """Twelve calls at 20 a second are spread evenly, none before its turn; two tokens may be saved up."""
    with scripted_aws(lambda *_: LABELS) as aws:
        async with running_recognizer(aws.url, rekognition_rate=20) as recognizer:
            begin = time.monotonic()
            outcomes = await at_once(recognizer, calls=12, seconds=100)
    assert all(isinstance(one, pb.RecognizerResult) for one in outcomes)
    times = sorted(when - begin for when in aws.times("DetectLabels"))
    assert [number for number, when in enumerate(times) if when < (number - 2) / 20] == []
    assert len(times) == 12
    assert times[-1] < 15


async def test_calls_delayed_too_long_are_refused_at_once() -> None:
    """With time for two of ten calls, the other eight are refused with a retry delay before the second is sent."""
    before = calls_metric("held_back")
    with scripted_aws(lambda *_: LABELS) as aws:
        async with running_recognizer(aws.url, rekognition_rates="DetectLabels=0.2") as recognizer:
            calls = [asyncio.ensure_future(at_once(recognizer, calls=1, seconds=9)) for _ in range(10)]
            await until(lambda: sum(call.done() for call in calls) == 9)
            assert len(aws.requests) == 1
            outcomes = [one for call in calls for one in await call]
    refused = [one for one in outcomes if isinstance(one, errors.Throttled)]
    assert len(refused) == 10 - len(aws.requests) == calls_metric("held_back") - before == 8
    assert min(one.retry_after for one in refused) > 5


@pytest.fixture
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock during the test."""
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)


@pytest.mark.usefixtures("stopped_clock")
def test_a_bucket_saves_a_tenth_of_a_second() -> None:
    """After a pause the tokens of a tenth of a second are available at once, and no more."""
    bucket = TokenBucket(100)
    waits = [bucket.take(10) for _ in range(20)]
    assert sum(wait == 0 for wait in waits) == pytest.approx(10, abs=1)
    assert waits[-1] == pytest.approx(0.1, abs=0.02)


@pytest.mark.usefixtures("stopped_clock")
def test_a_token_past_the_deadline_is_not_taken() -> None:
    """The token stays available for the next caller with more time."""
    bucket = TokenBucket(1)
    assert bucket.take(0) == 0
    with pytest.raises(errors.Throttled) as raised:
        bucket.take(0.5)
    assert raised.value.retry_after == pytest.approx(1, abs=0.05)
    assert bucket.take(2) == pytest.approx(1, abs=0.05)


@pytest.mark.usefixtures("stopped_clock")
def test_replicas_have_equal_shares() -> None:
    """Three replicas share each operation's quota equally; a single replica has all of it."""
    rates = Rates(30, {"DetectText": 6}, replicas=3)
    for api, spacing in (("DetectLabels", 0.1), ("DetectText", 0.5)):
        rates.take(api, 9)
        assert rates.take(api, 9) == pytest.approx(spacing, abs=0.02)
    rates.share(1)
    rates.take("DetectFaces", 9)
    assert sum(rates.take("DetectFaces", 9) for _ in range(3)) == pytest.approx(1 / 30, abs=0.02)


@pytest.mark.usefixtures("stopped_clock")
@pytest.mark.parametrize(
    ("region", "api", "a_second"),
    [
        ("us-east-1", "DetectLabels", 50),
        ("us-west-2", "SearchFacesByImage", 50),
        ("eu-west-1", "DetectFaces", 100),
        ("eu-west-1", "AssociateFaces", 5),
        ("eu-central-1", "RecognizeCelebrities", 5),
        ("ap-northeast-1", "IndexFaces", 5),
        ("us-gov-west-1", "CompareFaces", 25),
        ("us-east-2", "ListFaces", 5),
        ("us-east-1", "DeleteFaces", 5),
    ],
)
def test_quotas_are_awss_own_unless_set(region: str, api: Api, a_second: float) -> None:
    """By default the operation's in the region; MARQUEE_REKOGNITION_RATE is for all, _RATES for one."""
    for quota, overrides, wanted in ((None, {}, a_second), (8, {}, 8), (8, {api: 3}, 3), (None, {api: 3}, 3)):
        rates = Rates(quota, overrides, region=region)
        for _ in range(20):
            rates.take(api, 99)
        first = rates.take(api, 99)
        assert rates.take(api, 99) - first == pytest.approx(1 / wanted)


def test_replicas_count_each_other() -> None:
    """Every live replica is counted in the table; one that leaves is no longer counted."""
    with dynamodb() as url:
        client = connect(settings("http://127.0.0.1:9", dynamodb_endpoint_url=url))
        one, other = Replicas(client, TABLE), Replicas(client, TABLE)
        assert (one.beat(), other.beat(), one.beat()) == (1, 2, 2)
        other.leave()
        assert one.beat() == 1
        client.close()


def test_invalid_rates_are_refused() -> None:
    """The error for an unknown operation or an invalid number names the setting."""
    for wrong in ("DetectCats=5", "DetectText=fast", "DetectText=0"):
        with pytest.raises(ValueError, match="rekognition_rates"):
            settings("http://127.0.0.1:9", rekognition_rates=wrong)

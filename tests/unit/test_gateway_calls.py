"""One call to a gateway, with real recognizers behind it: some well, some not."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import pytest
from google.rpc import status_pb2

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.config import BackendConfig
from services.runtime import status
from services.runtime.errors import InvalidImage, ObjectNotFound, Throttled
from tests.processes import free_port
from tests.unit.findings import LEFT, NEAR_LEFT, face
from tests.unit.gateways import gateway
from tests.unit.leaves import Scripted, Stub, leaf, request, stub, until


@asynccontextmanager
async def asking(*recognizers: Scripted, **others: str | BackendConfig) -> AsyncIterator[Stub]:
    """A client of a gateway over the recognizers, and over others by target."""
    async with AsyncExitStack() as stack:
        backends = {one.name: await stack.enter_async_context(leaf(one)) for one in recognizers}
        address = await stack.enter_async_context(gateway(backends | others))
        yield await stack.enter_async_context(stub(address))


def nobody() -> str:
    """A target where nobody listens."""
    return f"127.0.0.1:{free_port()}"


async def refusal(client: Stub, asked: pb.RecognizeImageRequest, timeout: float = 5) -> status_pb2.Status:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.RecognizeImage(asked, timeout=timeout)
    return status.from_rpc_error(caught.value)


def code_and_reason(refused: status_pb2.Status) -> tuple[str, str]:
    return status.code_of(refused).name, status.reason_of(refused)


def outcomes(answer: pb.RecognizeImageResponse) -> dict[str, str]:
    return {one.recognizer: pb.Outcome.Name(one.outcome).removeprefix("OUTCOME_") for one in answer.results}


async def test_asks_all_and_answers_once() -> None:
    """Results come in the configured order, with labels, verdicts, costs and the picture's measures."""
    svm = pb.RecognizerResult(faces=[face(LEFT, "Ada", 0.9)], cost_micro_usd=1)
    keras = pb.RecognizerResult(labels=[pb.Label(name="Celebrity", score=0.8)])
    aws = pb.RecognizerResult(faces=[face(NEAR_LEFT, "Ada", 0.7)], cost_micro_usd=1000)
    recognizers = [Scripted(name, result=found) for name, found in (("svm", svm), ("keras", keras), ("aws", aws))]
    async with asking(*recognizers) as client:
        answer = await client.RecognizeImage(request(request_id="mine"))
    assert list(outcomes(answer).items()) == [("svm", "OK"), ("keras", "OK"), ("aws", "OK")]
    assert [(one.display_name, len(one.support)) for one in answer.verdicts] == [("Ada", 2)]
    assert [label.name for label in answer.labels] == ["Celebrity"]
    assert (answer.cost_micro_usd, answer.image.width, answer.gateway) == (1001, 8, "gateway")


async def test_all_get_the_same_request_id() -> None:
    """The call's request_id, made where the caller has none, is the one in every recognizer's log."""
    recognizers = [Scripted("svm"), Scripted("keras")]
    async with asking(*recognizers) as client:
        answer = await client.RecognizeImage(request())
    assert {one.asked[0].request_id for one in recognizers} == {answer.request_id}


async def test_times_what_it_takes() -> None:
    """A result tells the recognizer's time and the way there and back apart; the answer tells the total."""
    async with asking(Scripted("svm", seconds=0.2)) as client:
        answer = await client.RecognizeImage(request())
    timings = answer.results[0].timings
    total = answer.timings.total.ToMilliseconds()
    assert 200 <= timings.recognizer.ToMilliseconds() <= total
    assert 0 < timings.network.ToMicroseconds() <= (total - 199) * 1000


async def test_one_that_is_down_is_unavailable() -> None:
    """A recognizer that is not there is a result with a status; the others' are intact."""
    async with asking(Scripted("svm", result=pb.RecognizerResult(faces=[face(LEFT, "Ada")])), keras=nobody()) as client:
        answer = await client.RecognizeImage(request(), timeout=5)
    assert outcomes(answer) == {"svm": "OK", "keras": "ERROR"}
    assert code_and_reason(answer.results[1].status) == ("UNAVAILABLE", "RECOGNIZER_UNAVAILABLE")
    assert [one.display_name for one in answer.verdicts] == ["Ada"]


async def test_what_grpc_says_of_the_network_stays_inside() -> None:
    """No caller reads the addresses behind the gateway."""
    target = nobody()
    async with asking(Scripted("svm"), keras=target) as client:
        answer = await client.RecognizeImage(request(), timeout=5)
    assert answer.results[1].status.message == "keras does not answer."
    assert target not in str(answer)


async def test_one_that_fails_says_why_itself() -> None:
    """A recognizer's own error is its result's status, word for word."""
    async with asking(Scripted("svm"), Scripted("aws", error=Throttled("Slow down."))) as client:
        answer = await client.RecognizeImage(request())
    said = answer.results[1].status
    assert (*code_and_reason(said), said.message) == ("RESOURCE_EXHAUSTED", "THROTTLED", "Slow down.")


async def test_one_that_hangs_costs_no_answer() -> None:
    """A recognizer that hangs is TIMEOUT, and the answer arrives before the caller's deadline."""
    hanging = Scripted("keras", seconds=60)
    async with asking(Scripted("svm"), hanging) as client:
        begin = time.monotonic()
        answer = await client.RecognizeImage(request(), timeout=1)
        assert time.monotonic() - begin < 1
        await until(lambda: hanging.cancelled == 1)
    assert outcomes(answer) == {"svm": "OK", "keras": "TIMEOUT"}
    assert status.code_of(answer.results[1].status) is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_the_operators_timeout_holds() -> None:
    """A recognizer gets no more time than configured, however patient the caller is."""
    async with leaf(Scripted("svm", seconds=60)) as slow, leaf(Scripted("keras")) as quick:
        backends = {"svm": BackendConfig(target=slow, timeout=0.2), "keras": quick}
        async with gateway(backends) as address, stub(address) as client:
            answer = await client.RecognizeImage(request(), timeout=30)
    assert outcomes(answer) == {"svm": "TIMEOUT", "keras": "OK"}


async def test_a_common_failure_fails_the_call_alike() -> None:
    """Where all failed for one reason, the call fails with it: a bad picture is INVALID_ARGUMENT."""
    error = InvalidImage("This is no picture.")
    async with asking(Scripted("svm", error=error), Scripted("keras", error=error)) as client:
        refused = await refusal(client, request())
    assert (*code_and_reason(refused), refused.message) == ("INVALID_ARGUMENT", "INVALID_IMAGE", "This is no picture.")


async def test_different_failures_are_unavailable_with_all_in_the_details() -> None:
    """Where all failed differently, the call is UNAVAILABLE, and the details have every recognizer's status."""
    recognizers = [Scripted("svm", error=ObjectNotFound("gone")), Scripted("aws", error=Throttled("slow"))]
    async with asking(*recognizers) as client:
        refused = await refusal(client, request())
    details = [status_pb2.Status() for _ in range(2)]
    unpacked = [packed.Unpack(one) for packed, one in zip(refused.details[1:], details, strict=True)]
    assert code_and_reason(refused) == ("UNAVAILABLE", "NO_RECOGNIZER_ANSWERED")
    assert unpacked == [True, True]
    assert [(*code_and_reason(one), one.message) for one in details] == [
        ("NOT_FOUND", "OBJECT_NOT_FOUND", "svm: gone"),
        ("RESOURCE_EXHAUSTED", "THROTTLED", "aws: slow"),
    ]


async def test_nobody_there_is_unavailable() -> None:
    """Where nobody answers the call is UNAVAILABLE, and tells who does not answer."""
    async with asking(svm=nobody(), keras=nobody()) as client:
        refused = await refusal(client, request())
    assert code_and_reason(refused) == ("UNAVAILABLE", "RECOGNIZER_UNAVAILABLE")
    assert "svm does not answer." in refused.message
    assert "keras does not answer." in refused.message


async def test_past_max_in_flight_it_is_shed() -> None:
    """A recognizer with as many calls as it is given is not asked: its result is SHED at once."""
    slow = Scripted("svm", seconds=0.5)
    async with leaf(slow) as target, leaf(Scripted("keras")) as other:
        backends = {"svm": BackendConfig(target=target, max_in_flight=1), "keras": other}
        async with gateway(backends) as address, stub(address) as client:
            first = client.RecognizeImage(request())
            await until(lambda: slow.asked)
            second = await client.RecognizeImage(request())
            assert outcomes(second) == {"svm": "SHED", "keras": "OK"}
            assert code_and_reason(second.results[0].status) == ("RESOURCE_EXHAUSTED", "SHED")
            assert outcomes(await first)["svm"] == "OK"
            assert outcomes(await client.RecognizeImage(request()))["svm"] == "OK"
    assert len(slow.asked) == 2


async def test_a_cancelled_call_cancels_the_recognizers() -> None:
    """A caller that goes away stops the work everywhere."""
    recognizers = [Scripted("svm", seconds=60), Scripted("keras", seconds=60)]
    async with asking(*recognizers) as client:
        call = client.RecognizeImage(request())
        await until(lambda: all(one.asked for one in recognizers))
        call.cancel()
        await until(lambda: all(one.cancelled for one in recognizers))


async def test_asks_only_the_named() -> None:
    """Who is not named is neither asked nor listed among the results."""
    svm, keras = Scripted("svm"), Scripted("keras")
    async with asking(svm, keras) as client:
        answer = await client.RecognizeImage(request(recognizers=["keras"]))
    assert (outcomes(answer), svm.asked) == ({"keras": "OK"}, [])


WRONG = {
    "an unknown recognizer": ({"recognizers": ["smv"]}, ("INVALID_ARGUMENT", "UNKNOWN_RECOGNIZER")),
    "something behind a leaf": ({"recognizers": ["svm/inner"]}, ("INVALID_ARGUMENT", "UNKNOWN_RECOGNIZER")),
    "an unserved policy": ({"policy": pb.POLICY_CASCADE}, ("UNIMPLEMENTED", "UNSUPPORTED_POLICY")),
    "no label": ({"max_labels": 0}, ("INVALID_ARGUMENT", "INVALID_REQUEST")),
    "a wrong request_id": ({"request_id": "a b"}, ("INVALID_ARGUMENT", "INVALID_REQUEST")),
}


@pytest.mark.parametrize(("fields", "expected"), WRONG.values(), ids=WRONG)
async def test_refuses(fields: dict[str, object], expected: tuple[str, str]) -> None:
    """A wrong request fails as a whole, with code and reason, and no recognizer works on it."""
    svm = Scripted("svm")
    async with asking(svm) as client:
        refused = await refusal(client, request(**fields))
    assert (code_and_reason(refused), svm.asked) == (expected, [])


async def test_refuses_an_object_before_anyone_is_asked() -> None:
    """The gateway holds the list of allowed buckets itself."""
    asked = pb.RecognizeImageRequest(image=pb.Image(s3_object=pb.S3Object(bucket="b", key="k")))
    async with asking(svm=nobody()) as client:
        refused = await refusal(client, asked)
    assert code_and_reason(refused) == ("PERMISSION_DENIED", "BUCKET_NOT_ALLOWED")


async def test_nobody_able_is_no_failure() -> None:
    """Where nobody can do what is asked, all are SKIPPED, and there is no verdict."""
    async with asking(Scripted("svm"), Scripted("keras")) as client:
        answer = await client.RecognizeImage(request(features=[pb.FEATURE_TEXT]))
    assert outcomes(answer) == {"svm": "SKIPPED", "keras": "SKIPPED"}
    assert list(answer.verdicts) == []


async def test_calls_at_once_keep_apart() -> None:
    """Twenty calls at once get each their own answer."""
    async with asking(Scripted("svm", seconds=0.05)) as client:
        answers = await asyncio.gather(*(client.RecognizeImage(request(request_id=f"r{n}")) for n in range(20)))
    assert [answer.request_id for answer in answers] == [f"r{n}" for n in range(20)]

"""Calls to a gateway that has real recognizers behind it."""

import asyncio

import pytest

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.config import BackendConfig
from tests.support.servers import (
    LEFT,
    NEAR_LEFT,
    RIGHT,
    Scripted,
    box,
    code_and_reason,
    face,
    gateway_client,
    leaf,
    nobody,
    outcomes,
    refusal,
    request,
    until,
)


async def test_combines_the_results_of_all() -> None:
    """The response has results in the configured order, labels, verdicts, costs and the picture's size."""
    svm = pb.RecognizerResult(faces=[face(LEFT, "Ada", 0.9)], cost_micro_usd=1)
    keras = pb.RecognizerResult(labels=[pb.Label(name="Celebrity", score=0.8)])
    aws = pb.RecognizerResult(faces=[face(NEAR_LEFT, "Ada", 0.7)], cost_micro_usd=1000)
    recognizers = [Scripted(name, result=result) for name, result in (("svm", svm), ("keras", keras), ("aws", aws))]
    async with gateway_client(*recognizers) as client:
        response = await client.RecognizeImage(request(request_id="mine"))
    assert list(outcomes(response).items()) == [("svm", "OK"), ("keras", "OK"), ("aws", "OK")]
    assert [(one.display_name, len(one.support)) for one in response.verdicts] == [("Ada", 2)]
    assert [label.name for label in response.labels] == ["Celebrity"]
    assert (response.cost_micro_usd, response.image.width, response.gateway) == (1001, 8, "gateway")


async def test_given_faces_are_one_each_in_their_order() -> None:
    """Each recognizer that takes face_boxes gets them as they are; one that has another number of faces fails."""
    right = Scripted("svm", result=pb.RecognizerResult(faces=[face(RIGHT, "Bob"), face(LEFT)]), takes_boxes=True)
    wrong = Scripted("mine", result=pb.RecognizerResult(faces=[face(LEFT, "Eve")]), takes_boxes=True)
    boxes = [box(RIGHT), box(LEFT)]
    async with gateway_client(right, wrong, Scripted("keras", features=(pb.FEATURE_CELEBRITIES,))) as client:
        response = await client.RecognizeImage(request(face_boxes=boxes))
    assert outcomes(response) == {"svm": "OK", "mine": "ERROR", "keras": "SKIPPED"}
    assert "1 faces for 2 face_boxes" in response.results[1].status.message
    assert [list(one.calls[0].face_boxes) for one in (right, wrong)] == [boxes] * 2
    assert [one.box for one in response.results[0].faces] == boxes
    assert [one.display_name for one in response.verdicts] == ["", "Bob"]


async def test_all_get_the_same_request_id() -> None:
    """Every recognizer gets the call's request_id, which the gateway generates if the caller sends none."""
    recognizers = [Scripted("svm"), Scripted("keras")]
    async with gateway_client(*recognizers) as client:
        response = await client.RecognizeImage(request())
    assert {one.calls[0].request_id for one in recognizers} == {response.request_id}


async def test_measures_times() -> None:
    """A result separates the recognizer's time from the network's; the response has the total time."""
    async with gateway_client(Scripted("svm", seconds=0.2)) as client:
        response = await client.RecognizeImage(request())
    timings = response.results[0].timings
    total = response.timings.total.ToMilliseconds()
    assert 200 <= timings.recognizer.ToMilliseconds() <= total
    assert 0 < timings.network.ToMicroseconds() <= (total - 199) * 1000


async def test_calls_past_max_in_flight_are_shed() -> None:
    """A recognizer that already has max_in_flight calls gets no further one: its result is SHED at once."""
    go = asyncio.Event()
    slow = Scripted("svm", until=go.is_set)
    async with leaf(slow) as target, leaf(Scripted("keras")) as other:
        limited = BackendConfig(target=target, max_in_flight=1)
        async with gateway_client(svm=limited, keras=other) as client:
            first = client.RecognizeImage(request())
            await until(lambda: slow.calls)
            second = await client.RecognizeImage(request())
            assert outcomes(second) == {"svm": "SHED", "keras": "OK"}
            assert code_and_reason(second.results[0].status) == ("RESOURCE_EXHAUSTED", "SHED")
            go.set()
            assert outcomes(await first)["svm"] == "OK"
            assert outcomes(await client.RecognizeImage(request()))["svm"] == "OK"
    assert len(slow.calls) == 2


async def test_a_cancelled_call_cancels_the_recognizers() -> None:
    """When the caller cancels, every recognizer's work is cancelled."""
    recognizers = [Scripted("svm", seconds=60), Scripted("keras", seconds=60)]
    async with gateway_client(*recognizers) as client:
        call = client.RecognizeImage(request())
        await until(lambda: all(one.calls for one in recognizers))
        call.cancel()
        await until(lambda: all(one.cancelled for one in recognizers))


async def test_calls_only_the_named() -> None:
    """A recognizer that the request does not name is neither called nor among the results."""
    svm, keras = Scripted("svm"), Scripted("keras")
    async with gateway_client(svm, keras) as client:
        response = await client.RecognizeImage(request(recognizers=["keras"]))
    assert (outcomes(response), svm.calls) == ({"keras": "OK"}, [])


WRONG = {
    "an unknown recognizer": ({"recognizers": ["smv"]}, ("INVALID_ARGUMENT", "UNKNOWN_RECOGNIZER")),
    "something behind a leaf": ({"recognizers": ["svm/inner"]}, ("INVALID_ARGUMENT", "UNKNOWN_RECOGNIZER")),
    "an unserved policy": ({"policy": 9}, ("UNIMPLEMENTED", "UNSUPPORTED_POLICY")),
    "no label": ({"max_labels": 0}, ("INVALID_ARGUMENT", "INVALID_REQUEST")),
    "a wrong request_id": ({"request_id": "a b"}, ("INVALID_ARGUMENT", "INVALID_REQUEST")),
}


@pytest.mark.parametrize(("fields", "expected"), WRONG.values(), ids=WRONG)
async def test_refuses(fields: dict[str, object], expected: tuple[str, str]) -> None:
    """An invalid request fails as a whole, with a code and a reason, and reaches no recognizer."""
    svm = Scripted("svm")
    async with gateway_client(svm) as client:
        refused = await refusal(client, request(**fields))
    assert (code_and_reason(refused), svm.calls) == (expected, [])


async def test_refuses_an_object_before_any_call() -> None:
    """The gateway itself refuses an object whose bucket is not allowed."""
    message = pb.RecognizeImageRequest(image=pb.Image(s3_object=pb.S3Object(bucket="b", key="k")))
    async with gateway_client(svm=nobody()) as client:
        refused = await refusal(client, message)
    assert code_and_reason(refused) == ("PERMISSION_DENIED", "BUCKET_NOT_ALLOWED")


async def test_unsupported_features_are_no_failure() -> None:
    """If no recognizer supports the requested feature, all results are SKIPPED and there is no verdict."""
    async with gateway_client(Scripted("svm"), Scripted("keras")) as client:
        response = await client.RecognizeImage(request(features=[pb.FEATURE_TEXT]))
    assert outcomes(response) == {"svm": "SKIPPED", "keras": "SKIPPED"}
    assert list(response.verdicts) == []


async def test_concurrent_calls_stay_separate() -> None:
    """Each of twenty concurrent calls gets its own response."""
    async with gateway_client(Scripted("svm", seconds=0.05)) as client:
        responses = await asyncio.gather(*(client.RecognizeImage(request(request_id=f"r{n}")) for n in range(20)))
    assert [response.request_id for response in responses] == [f"r{n}" for n in range(20)]

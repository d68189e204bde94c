"""A leaf's answers to its callers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from marquee.v1 import recognizer_pb2 as pb
from services.runtime import status
from services.runtime.errors import DependencyUnavailable
from services.runtime.leaf.leaf import Leaf
from services.runtime.settings import LeafSettings
from tests.support.servers import LEFT, RIGHT, Scripted, Stub, box, face, leaf, request, stub, until


@asynccontextmanager
async def leaf_client(recognizer: Scripted, **settings: object) -> AsyncIterator[Stub]:
    async with leaf(recognizer, **settings) as address, stub(address) as client:
        yield client


async def refusal(client: Stub, message: pb.RecognizeImageRequest, timeout: float = 60) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.RecognizeImage(message, timeout=timeout)
    return caught.value


def reason(error: grpc.aio.AioRpcError) -> str:
    return status.reason_of(status.from_rpc_error(error))


async def test_answers_with_one_result() -> None:
    """A leaf answers with its single result, the picture's size and format, and the request_id."""
    async with leaf_client(Scripted("svm")) as client:
        response = await client.RecognizeImage(request(request_id="mine"))
    (result,) = response.results
    assert (response.request_id, result.recognizer, result.outcome) == ("mine", "svm", pb.OUTCOME_OK)
    assert (response.image.width, response.image.height, response.image.format) == (8, 6, "JPEG")


async def test_makes_no_verdict() -> None:
    """A leaf returns no verdicts and no merged labels, which are the gateway's task."""
    result = pb.RecognizerResult(
        faces=[pb.Face(candidates=[pb.Candidate(display_name="A", score=1)])], labels=[pb.Label(name="Boat")]
    )
    async with leaf_client(Scripted(result=result)) as client:
        response = await client.RecognizeImage(request())
    assert (len(response.verdicts), len(response.labels), response.gateway) == (0, 0, "")


async def test_the_stream_has_the_result_and_then_the_rest() -> None:
    """A leaf's stream has two messages, which merge into the unary response."""
    async with leaf_client(Scripted(result=pb.RecognizerResult(cost_micro_usd=7))) as client:
        first, last = [message async for message in client.StreamRecognizeImage(request(request_id="r"))]
        unary = await client.RecognizeImage(request(request_id="r"))
    assert (len(first.results), len(last.results), last.cost_micro_usd) == (1, 0, 7)
    merged = pb.RecognizeImageResponse()
    merged.MergeFrom(first)
    merged.MergeFrom(last)
    for response in (merged, unary):
        response.ClearField("timings")
        response.results[0].ClearField("timings")
    assert merged == unary


async def test_a_stream_fails_like_a_call() -> None:
    """A failed stream has a code and a reason, as a failed call does."""
    async with leaf_client(Scripted(error=DependencyUnavailable("down"))) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            _ = [message async for message in client.StreamRecognizeImage(request())]
    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")


@pytest.mark.parametrize("error", [KeyError("secret"), TimeoutError("secret"), OSError("secret")], ids=repr)
async def test_an_unforeseen_error_hides_its_text(error: Exception) -> None:
    """An unforeseen error in a recognizer becomes INTERNAL, without the error's text."""
    async with leaf_client(Scripted(error=error)) as client:
        refused = await refusal(client, request())
    assert (refused.code(), reason(refused)) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "secret" not in str(status.from_rpc_error(refused))


async def test_keeps_serving_after_an_unforeseen_error() -> None:
    """A leaf answers the call after one that crashed."""
    recognizer = Scripted(error=KeyError("x"))
    async with leaf_client(recognizer) as client:
        await refusal(client, request())
        recognizer.error = None
        assert (await client.RecognizeImage(request())).results[0].outcome == pb.OUTCOME_OK


async def test_unsupported_features_are_skipped() -> None:
    """A request without a supported feature is SKIPPED, and the recognizer is not called."""
    recognizer = Scripted()
    async with leaf_client(recognizer) as client:
        response = await client.RecognizeImage(request(features=[pb.FEATURE_TEXT]))
    assert (response.results[0].outcome, recognizer.calls) == (pb.OUTCOME_SKIPPED, [])


@pytest.mark.parametrize(
    ("takes_boxes", "features", "performed"),
    [
        (False, [pb.FEATURE_CELEBRITIES], []),
        (False, [], [pb.FEATURE_LABELS]),
        (True, [], [pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS]),
    ],
)
async def test_given_boxes_are_for_those_who_take_them(
    *, takes_boxes: bool, features: list[pb.Feature.ValueType], performed: list[pb.Feature.ValueType]
) -> None:
    """With face_boxes, a recognizer that takes none performs what needs no face, or is SKIPPED and says why."""
    recognizer = Scripted(takes_boxes=takes_boxes)
    async with leaf_client(recognizer) as client:
        response = await client.RecognizeImage(request(features=features, face_boxes=[box(RIGHT), box(LEFT)]))
    (result,) = response.results
    assert list(result.performed_features) == performed
    assert [list(call.features) for call in recognizer.calls] == ([performed] if performed else [])
    assert ("face_boxes" in result.status.message) is (result.outcome == pb.OUTCOME_SKIPPED) is not performed


async def test_given_faces_keep_their_order() -> None:
    """Faces are sorted from left to right, but those of face_boxes stay in the request's order."""
    recognizer = Scripted(takes_boxes=True, result=pb.RecognizerResult(faces=[face(RIGHT), face(LEFT)]))
    async with leaf_client(recognizer) as client:
        responses = [await client.RecognizeImage(request(face_boxes=boxes)) for boxes in ([box(RIGHT), box(LEFT)], [])]
    assert [[one.box for one in response.results[0].faces] for response in responses] == [
        [box(RIGHT), box(LEFT)],
        [box(LEFT), box(RIGHT)],
    ]


async def test_passes_on_features_and_options() -> None:
    """The recognizer gets the features that it supports, and the checked options."""
    recognizer = Scripted()
    message = request(
        features=[pb.FEATURE_TEXT, pb.FEATURE_LABELS],
        max_labels=3,
        min_score=0.25,
        collection="staff",
        include_embeddings=True,
    )
    async with leaf_client(recognizer) as client:
        await client.RecognizeImage(message)
    (options,) = recognizer.calls
    assert (options.features, options.max_labels, options.min_score) == ((pb.FEATURE_LABELS,), 3, 0.25)
    assert (options.collection, options.include_embeddings) == ("staff", True)


async def test_its_own_options_win() -> None:
    """Options under the leaf's name replace the call's; their timeout can only shorten the deadline."""
    recognizer = Scripted("svm")
    own = {"svm": pb.RecognizerOptions(min_score=0.75, timeout=Duration(seconds=1000))}
    async with leaf_client(recognizer) as client:
        await client.RecognizeImage(request(min_score=0.1, recognizer_options=own))
        await client.RecognizeImage(request(recognizer_options=own), timeout=500)
    assert recognizer.calls[0].min_score == 0.75
    assert [options.remaining() < limit for options, limit in zip(recognizer.calls, (1000, 600), strict=True)] == [
        True
    ] * 2


async def test_knows_its_own_name_only() -> None:
    """A leaf answers a request that names it, and refuses one that names another recognizer."""
    async with leaf_client(Scripted("svm")) as client:
        refused = await refusal(client, request(recognizers=["keras"]))
        await client.RecognizeImage(request(recognizers=["svm"]))
    assert (refused.code(), reason(refused)) == (grpc.StatusCode.INVALID_ARGUMENT, "UNKNOWN_RECOGNIZER")


async def test_refuses_what_is_not_a_picture() -> None:
    """Text instead of a picture is INVALID_ARGUMENT, even if the recognizer itself never decodes."""
    message = pb.RecognizeImageRequest(image=pb.Image(content=b"This is text."))
    async with leaf_client(Scripted()) as client:
        refused = await refusal(client, message)
    assert (refused.code(), reason(refused)) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_IMAGE")


async def test_reads_no_object_that_is_not_allowed() -> None:
    """A leaf itself checks the allowed buckets, so a caller gains nothing by bypassing the gateway."""
    recognizer = Scripted()
    message = pb.RecognizeImageRequest(image=pb.Image(s3_object=pb.S3Object(bucket="b", key="private/k")))
    async with leaf_client(recognizer, s3_allowed=("b/public/",)) as client:
        refused = await refusal(client, message)
    assert (refused.code(), reason(refused)) == (grpc.StatusCode.PERMISSION_DENIED, "BUCKET_NOT_ALLOWED")
    assert recognizer.calls == []


async def test_ends_at_the_deadline() -> None:
    """A recognizer that is too slow is cancelled at the caller's deadline."""
    recognizer = Scripted(seconds=300)
    async with leaf_client(recognizer) as client:
        refused = await refusal(client, request(), timeout=3)
        await until(lambda: recognizer.cancelled)
    assert (refused.code(), recognizer.cancelled) == (grpc.StatusCode.DEADLINE_EXCEEDED, 1)


async def test_a_timeout_in_the_options_has_a_reason() -> None:
    """A call that exceeds the timeout in its options fails with OUT_OF_TIME."""
    own = {"leaf": pb.RecognizerOptions(timeout=Duration(nanos=100_000_000))}
    async with leaf_client(Scripted(seconds=300)) as client:
        refused = await refusal(client, request(recognizer_options=own))
    assert (refused.code(), reason(refused)) == (grpc.StatusCode.DEADLINE_EXCEEDED, "OUT_OF_TIME")


async def test_a_cancelled_call_cancels_the_recognizer() -> None:
    """When the caller cancels, the recognizer's work is cancelled."""
    recognizer = Scripted(seconds=300)
    async with leaf_client(recognizer) as client:
        call = client.RecognizeImage(request())
        await until(lambda: recognizer.calls)
        call.cancel()
        await until(lambda: recognizer.cancelled == 1)


async def test_lists_itself_as_loading_at_first() -> None:
    """A leaf lists itself as LOADING until its model is loaded."""
    response = await Leaf(Scripted("svm"), LeafSettings()).ListRecognizers(pb.ListRecognizersRequest(), None)
    assert (response.recognizers[0].name, response.recognizers[0].state) == ("svm", pb.RECOGNIZER_STATE_LOADING)


async def test_lists_itself() -> None:
    """A loaded leaf lists its name, state, features and models, and no gateway."""
    async with leaf_client(Scripted("svm")) as client:
        response = await client.ListRecognizers(pb.ListRecognizersRequest())
    (one,) = response.recognizers
    assert (one.name, one.state, response.gateway) == ("svm", pb.RECOGNIZER_STATE_READY, "")
    assert (list(one.features), one.models[0].name) == ([pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS], "scripted")

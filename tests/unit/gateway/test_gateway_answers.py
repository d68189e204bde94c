"""What a gateway passes on of what recognizers answer, and what it refuses."""

from contextlib import AsyncExitStack

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, status_pb2
from prometheus_client import REGISTRY

from marquee.v1 import recognizer_pb2 as pb
from services.runtime import status
from services.runtime.limits import MAX_MESSAGE_BYTES, MIB
from tests.support import peers
from tests.support.peers import Abort, Peer, served_peer
from tests.support.servers import (
    LEFT,
    RIGHT,
    Scripted,
    Stub,
    code_and_reason,
    face,
    gateway,
    leaf,
    outcomes,
    refusal,
    request,
)

pytestmark = pytest.mark.slow

SVM = pb.RecognizerResult(faces=[face(RIGHT, "Ada")], cost_micro_usd=7)
NINE_MB = ["w" * 1000] * 9000


async def asked(*answers: bytes | Abort, **fields: object) -> pb.RecognizeImageResponse:
    """Return the response of a gateway over `svm` and recognizers with these answers: `peer`, `peer-1`, and so on."""
    async with AsyncExitStack() as stack:
        client = await connect(stack, *(Peer(one if isinstance(one, Abort) else [one]) for one in answers))
        response: pb.RecognizeImageResponse = await client.RecognizeImage(request(**fields), timeout=60)
        return response


async def connect(stack: AsyncExitStack, *others: Peer, healthy: bool = True) -> Stub:
    """Return a client of a gateway over the recognizers."""
    options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]
    address = await stack.enter_async_context(gateway(await targets(stack, *others, healthy=healthy)))
    return Stub(await stack.enter_async_context(grpc.aio.insecure_channel(address, options=options)))


async def targets(stack: AsyncExitStack, *others: Peer, healthy: bool = True) -> dict[str, str]:
    beside = {"svm": await stack.enter_async_context(leaf(Scripted("svm", result=SVM)))} if healthy else {}
    names = (f"peer-{number}" if number else "peer" for number in range(len(others)))
    return beside | {
        name: await stack.enter_async_context(served_peer(one)) for name, one in zip(names, others, strict=True)
    }


def full_result() -> pb.RecognizerResult:
    """Return a result with every field, at the edges of what is legal."""
    time_ = Duration(seconds=1, nanos=999_999_999)
    place = pb.BoundingBox(left=0.7, top=0, width=0.3, height=1)
    eve = pb.Candidate(person_id="e" * 128, display_name="Zoë 😀" + "é" * 190, score=1, urls=["www.example.com"])
    one = pb.Face(
        box=place,
        detection_score=1,
        candidates=[eve],
        landmarks=[pb.Landmark(type="nose", x=-0.2, y=1.3)],
        quality=pb.FaceQuality(sharpness=0, brightness=1, pose=pb.Pose(roll=-180, yaw=180, pitch=0)),
        attributes=[pb.FaceAttribute(name="AgeRange", value="31-39", score=0.5)],
        embedding=pb.Embedding(model="m", values=[-1e30, 0, 1e30]),
    )
    return pb.RecognizerResult(
        recognizer="peer",
        status=status_pb2.Status(),
        outcome=pb.OUTCOME_PARTIAL,
        from_cache=True,
        model=pb.Model(name="m", version="1", evidence_group="g"),
        faces=[one],
        image_candidates=[eve],
        labels=[
            pb.Label(name="Sea", score=0, parents=["Water"], categories=["Nature"], instances=[pb.LabelInstance()])
        ],
        texts=[pb.Text(content="two\nlines\t", box=place, score=1, type=pb.TEXT_TYPE_LINE)],
        moderation_labels=[pb.ModerationLabel(name="Wine", parent="Alcohol", score=0.5)],
        feature_errors=[
            pb.FeatureError(feature=pb.FEATURE_TEXT, status=status.make(grpc.StatusCode.INTERNAL, "INTERNAL", "boo"))
        ],
        timings=pb.RecognizerTimings(queue=time_, network=time_, recognizer=time_),
        cost_micro_usd=10**9,
        warnings=["shrunk to fit 5 MB"],
        performed_features=[pb.FEATURE_CELEBRITIES],
    )


async def test_legal_results_are_passed_on_unchanged() -> None:
    """A result at the edges of what is legal arrives as it was sent, but for the times that the gateway measures."""
    sent = full_result()
    assert unmeasured((await asked(peers.response(sent))).results[1]) == unmeasured(sent)


def unmeasured(result: pb.RecognizerResult) -> pb.RecognizerResult:
    """Return a copy without what the gateway has measured."""
    copy = pb.RecognizerResult()
    copy.CopyFrom(result)
    copy.timings.ClearField("network")
    copy.timings.ClearField("start")
    return copy


async def test_newer_enum_numbers_are_passed_on() -> None:
    """Numbers of enums that this gateway does not know arrive as they were sent, as proto3 has it."""
    sent = peers.result(
        performed_features=[pb.FEATURE_CELEBRITIES, 77],
        texts=[pb.Text(content="STOP", type=99)],
        feature_errors=[
            pb.FeatureError(feature=78, status=status.make(grpc.StatusCode.INTERNAL, "INTERNAL", "boo")),
        ],
    )
    response = await asked(peers.response(sent))
    assert unmeasured(response.results[1]) == unmeasured(sent)
    assert [one.display_name for one in response.verdicts] == ["Eve", "Ada"]


async def test_unknown_fields_are_passed_on() -> None:
    """Fields that this gateway does not know, of a newer recognizer, change nothing else."""
    newer = peers.result().SerializeToString() + b"\xfa\x3f\x02hi"
    raw = b"\x1a" + bytes([len(newer)]) + newer
    assert outcomes(await asked(raw)) == {"svm": "OK", "peer": "OK"}


async def test_what_a_failed_result_cost_is_counted() -> None:
    """A recognizer that spent money on a result that cannot be used is still paid: the cost is in the response."""
    bad = peers.result(pb.Face(), cost_micro_usd=5)
    response = await asked(peers.response(bad, cost_micro_usd=5))
    assert (response.cost_micro_usd, response.results[1].cost_micro_usd) == (12, 5)
    assert (response.results[1].outcome, response.results[1].model.name) == (pb.OUTCOME_ERROR, "")


async def test_the_status_names_what_was_wrong() -> None:
    """The status of a refused result names the field, its value and what is right."""
    (_, bad) = (await asked(peers.response(peers.result(face(LEFT, "Eve", 42))))).results
    assert code_and_reason(bad.status) == ("INTERNAL", "INVALID_ANSWER")
    assert bad.status.message == "Candidate.score is 42; it must be 0 to 1."


async def test_one_bad_result_behind_a_gateway_leaves_the_others() -> None:
    """Of a gateway's results only the one that breaks the contract fails."""
    inner = peers.response(peers.result(recognizer="a"), peers.result(recognizer="b", cost_micro_usd=-1), gateway="g")
    assert outcomes(await asked(inner)) == {"svm": "OK", "peer/a": "OK", "peer/b": "ERROR"}


async def test_an_error_keeps_its_words_but_for_the_code() -> None:
    """A result with an outcome and a status that do not agree is an error with the recognizer's own words."""
    said = status_pb2.Status(message="The disk is full.")
    error_ok, ok_error = peers.result(outcome=pb.OUTCOME_ERROR, status=said), peers.result()
    ok_error.status.CopyFrom(status_pb2.Status(code=code_pb2.NOT_FOUND, message="There is no model."))
    response = await asked(peers.response(error_ok), peers.response(ok_error))
    assert [(one.outcome, one.status.code, one.status.message) for one in response.results[1:]] == [
        (pb.OUTCOME_ERROR, code_pb2.INTERNAL, "The disk is full."),
        (pb.OUTCOME_ERROR, code_pb2.NOT_FOUND, "There is no model."),
    ]


async def test_thousands_of_faces_are_cut() -> None:
    """Of 3000 faces the first 256 are passed on, and a warning says so."""
    faces = [face((number % 50 / 50, number // 50 / 60, 0.01, 0.01), f"p{number}") for number in range(3000)]
    response = await asked(peers.response(peers.result(*faces)))
    bad = response.results[1]
    assert (bad.outcome, list(bad.faces)) == (pb.OUTCOME_OK, faces[:256])
    assert list(bad.warnings) == ["3000 faces; all but the first 256 were left out."]
    assert len(response.verdicts) == 257


async def test_the_largest_of_two_large_results_is_left_out() -> None:
    """Of two legal results of 9 MB, which have no room in one response, the larger one is left out and says so."""
    large, larger = (
        peers.response(peers.result(warnings=NINE_MB)),
        peers.response(peers.result(warnings=[*NINE_MB, "x"])),
    )
    before = counted("peer-1", "ok"), counted("peer-1", "error")
    response = await asked(larger, large)
    assert outcomes(response) == {"svm": "OK", "peer": "ERROR", "peer-1": "OK"}
    assert code_and_reason(response.results[1].status) == ("RESOURCE_EXHAUSTED", "ANSWER_TOO_LARGE")
    assert (counted("peer-1", "ok"), counted("peer-1", "error")) == (before[0] + 1, before[1])
    assert {one.display_name for one in response.verdicts} == {"Ada", "Eve"}


def counted(recognizer: str, outcome: str) -> float:
    wanted = {"recognizer": recognizer, "outcome": outcome}.items()
    samples = (one for metric in REGISTRY.collect() for one in metric.samples)
    return sum(
        one.value for one in samples if one.name == "marquee_backend_results_total" and wanted <= one.labels.items()
    )


async def test_a_result_that_is_left_out_counts_as_an_error() -> None:
    """The metrics never say OK for a result that could not be sent."""
    before = counted("peer", "ok")
    huge = peers.response(
        peers.result(warnings=["w" * 1500] * 9500, labels=[pb.Label(name=str(n)) for n in range(999)])
    )
    await asked(huge, peers.response(peers.result(warnings=NINE_MB)))
    assert counted("peer", "ok") == before


async def test_a_stream_sends_both_large_results() -> None:
    """In a stream each of two results of 9 MB is a message of its own, and the last message fits."""
    async with AsyncExitStack() as stack:
        client = await connect(stack, *(Peer([peers.response(peers.result(warnings=NINE_MB))]) for _ in range(2)))
        *first, last = [one async for one in client.StreamRecognizeImage(request(), timeout=60)]
    assert {one.results[0].recognizer: one.results[0].outcome for one in first} == dict.fromkeys(
        ("svm", "peer", "peer-1"), pb.OUTCOME_OK
    )
    assert last.ByteSize() < MAX_MESSAGE_BYTES


async def test_large_answers_count_as_memory_in_flight() -> None:
    """Of eight results of 9 MB at a time some have no room in 64 MiB; afterwards nothing counts."""
    async with AsyncExitStack() as stack:
        client = await connect(stack, Peer([peers.response(peers.result(warnings=NINE_MB))]))
        reasons: set[str] = set()
        for _ in range(10):  # on a busy machine the eight of one round may come one after another
            calls = [client.StreamRecognizeImage(request(), timeout=60) for _ in range(8)]
            results = [one for call in calls async for message in call for one in message.results]
            reasons |= {status.reason_of(one.status) for one in results if one.recognizer == "peer"}
            if len(reasons) > 1:
                break
        after = REGISTRY.get_sample_value("marquee_in_flight_bytes")
    assert reasons == {"", "OVERLOADED"}
    assert after == 0


async def test_a_list_over_the_limit_leaves_out_the_largest() -> None:
    """ListRecognizers lists the largest of two recognizers that have no room in one response as UNAVAILABLE."""
    newer = b"\xfa\x3f\x80\x80\x80\x04" + bytes(8 * MIB)  # a field that this gateway does not know
    large = pb.Recognizer.FromString(newer)
    large.name = "peer"
    async with AsyncExitStack() as stack:
        answer = pb.ListRecognizersResponse(recognizers=[large]).SerializeToString()
        client = await connect(stack, Peer([answer]), Peer([answer]))
        listed = (await client.ListRecognizers(pb.ListRecognizersRequest(), timeout=60)).recognizers
    away = [one for one in listed if one.state == pb.RECOGNIZER_STATE_UNAVAILABLE]
    assert [status.reason_of(one.status) for one in away] == ["ANSWER_TOO_LARGE"]
    assert len(listed) == 3


async def test_two_recognizers_with_many_details_fail_with_their_cause() -> None:
    """If all fail with 30 KiB of details, their common code and reason reach a client that takes 8 KiB."""
    many = Abort("boo " * 1000, peers.failed(*[peers.info("DISK_FULL", k="v" * 1000)] * 30, message="boo " * 1000))
    async with AsyncExitStack() as stack:
        client = await connect(stack, Peer(many), Peer(many), healthy=False)
        refused = await refusal(client, request())
    assert code_and_reason(refused) == ("INTERNAL", "DISK_FULL")
    assert refused.message.startswith("boo boo")


async def test_64_failures_reach_the_client() -> None:
    """If 64 recognizers fail with different words, the client sees the call's code and their first words."""
    async with AsyncExitStack() as stack:
        others = [Peer(Abort(f"错误 {n} " * 300, code=[*grpc.StatusCode][2 + n % 2])) for n in range(64)]
        client = await connect(stack, *others, healthy=False)
        refused = await refusal(client, request())
    assert code_and_reason(refused) == ("UNAVAILABLE", "NO_RECOGNIZER_ANSWERED")
    assert "peer-1: peer-1 failed: 错误 1" in refused.message
    assert len(refused.details) > 10

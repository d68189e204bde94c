"""What a gateway makes of recognizers that break the contract, beside one that keeps it."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.rpc import code_pb2
from prometheus_client import REGISTRY

from marquee.v1 import enrollment_pb2
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.enrollment_pb2_grpc import EnrollmentServiceStub
from services.gateway.config import BackendConfig
from services.runtime.leaf.leaf import Leaf
from services.runtime.limits import MAX_MESSAGE_BYTES
from services.runtime.settings import LeafSettings
from services.runtime.status import MAX_STATUS_BYTES
from tests.support.enrollers import ScriptedEnroller, enrollment
from tests.support.peers import (
    ABORTS,
    ANSWERS,
    ENROLLMENTS,
    FACE_REMOVALS,
    FACES,
    FLOODS,
    KEY,
    LISTINGS,
    PEOPLE,
    REMOVALS,
    Peer,
    faces_listed,
    faces_removed,
    served_peer,
)
from tests.support.servers import RIGHT, Scripted, Stub, face, gateway, request, served

pytestmark = pytest.mark.slow

FAILED = (pb.OUTCOME_ERROR, pb.OUTCOME_TIMEOUT, pb.OUTCOME_SHED)
Answer = Callable[[], Any]


def single(answers: Mapping[str, Callable[[], bytes]]) -> dict[str, Answer]:
    """Return what a peer does, by name: send one message."""
    return {name: lambda one=one: [one()] for name, one in answers.items()}


FAILURES: dict[str, Answer] = {name: lambda one=one: one for name, one in ABORTS.items()}
RECOGNITIONS = single(ANSWERS) | FAILURES
LISTS = single(LISTINGS) | FAILURES
CHANGES = single(ENROLLMENTS) | FAILURES


@dataclass
class Gateway:
    """A gateway over `svm`, which keeps the contract, and `peer`, which does not."""

    peer: Peer
    recognizers: Stub
    enrollers: EnrollmentServiceStub


@pytest.fixture
async def through() -> AsyncIterator[Gateway]:
    peer, good = Peer(), pb.RecognizerResult(faces=[face(RIGHT, "Ada")], cost_micro_usd=7)
    svm = Leaf(Scripted("svm", result=good), LeafSettings(), ScriptedEnroller("svm", person_ids=("ada",)))
    async with (
        served(svm) as healthy,
        served_peer(peer) as target,
        gateway({"svm": healthy, "peer": BackendConfig(target=target, timeout=10)}) as address,
        grpc.aio.insecure_channel(address, options=[("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]) as channel,
    ):
        yield Gateway(peer, Stub(channel), EnrollmentServiceStub(channel))


def counted() -> dict[str, float]:
    """Return how many results of the peer the gateway has counted, by outcome."""
    metric = next(one for one in REGISTRY.collect() if one.name == "marquee_backend_results")
    counts = Counter[str]()
    for one in metric.samples:
        if one.name.endswith("_total") and one.labels["recognizer"] == "peer":
            counts[one.labels["outcome"]] += one.value
    return counts


def succeeded(counts: dict[str, float]) -> float:
    return sum(counts.get(outcome, 0) for outcome in ("ok", "partial"))


def check_failed(result: Any) -> None:
    """Check that the result says that it failed and why, and nothing else but what it cost."""
    assert (result.recognizer, result.outcome in FAILED) == ("peer", True)
    assert result.status.code != code_pb2.OK
    assert result.status.message
    assert result.status.message.isprintable()
    assert result.ByteSize() <= MAX_STATUS_BYTES + 100


@pytest.mark.parametrize("case", RECOGNITIONS | FLOODS)
async def test_a_bad_answer_is_one_failed_result(through: Gateway, case: str) -> None:
    """Whatever a recognizer answers, it is one failed result; the other's result, verdict and cost are intact."""
    through.peer.answer = (RECOGNITIONS | FLOODS)[case]()
    before = counted()
    response = await through.recognizers.RecognizeImage(request(), timeout=60)
    after = counted()
    good, bad = response.results
    check_failed(bad)
    assert (good.recognizer, good.outcome, good.faces[0].candidates[0].display_name) == ("svm", pb.OUTCOME_OK, "Ada")
    assert [one.display_name for one in response.verdicts] == ["Ada"]
    assert (response.cost_micro_usd, response.saved_micro_usd) == (7, 0)
    assert (response.image.width, response.image.format) == (8, "JPEG")
    assert (succeeded(after), sum(after.values())) == (succeeded(before), sum(before.values()) + 1)


@pytest.mark.parametrize("case", RECOGNITIONS)
async def test_a_bad_answer_is_one_message_of_the_stream(through: Gateway, case: str) -> None:
    """In a stream, too, it is one failed result, and the last message has the other's verdict."""
    through.peer.answer = RECOGNITIONS[case]()
    *first, last = [one async for one in through.recognizers.StreamRecognizeImage(request(), timeout=60)]
    results = {one.results[0].recognizer: one.results[0] for one in first}
    check_failed(results["peer"])
    assert (len(first), results["svm"].outcome) == (2, pb.OUTCOME_OK)
    assert [one.display_name for one in last.verdicts] == ["Ada"]


@pytest.mark.parametrize("case", FAILURES)
async def test_a_bad_answer_alone_fails_the_call_with_its_cause(through: Gateway, case: str) -> None:
    """If nobody else is asked, the call fails with a status that arrives and says why."""
    through.peer.answer = FAILURES[case]()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await through.recognizers.RecognizeImage(request(recognizers=["peer"]), timeout=60)
    metadata = dict(caught.value.trailing_metadata() or ())
    assert caught.value.details()
    assert "metadata" not in (caught.value.details() or "")
    assert 0 < len(metadata["grpc-status-details-bin"]) <= MAX_STATUS_BYTES


@pytest.mark.parametrize("case", LISTS)
async def test_a_bad_list_is_an_unavailable_recognizer(through: Gateway, case: str) -> None:
    """ListRecognizers lists a recognizer whose answer cannot be used as UNAVAILABLE, with the reason."""
    through.peer.answer = LISTS[case]()
    good, bad = (await through.recognizers.ListRecognizers(pb.ListRecognizersRequest(), timeout=60)).recognizers
    assert (good.name, good.state) == ("svm", pb.RECOGNIZER_STATE_READY)
    assert (bad.name, bad.state) == ("peer", pb.RECOGNIZER_STATE_UNAVAILABLE)
    assert bad.status.code != code_pb2.OK
    assert bad.status.message
    assert bad.ByteSize() <= MAX_STATUS_BYTES + 100


def check_beside(results: Sequence[Any], case: str) -> None:
    """Check that the healthy one enrolled, and the other failed or, as it says, does not enroll."""
    good, bad = results
    assert (good.recognizer, good.outcome) == ("svm", pb.OUTCOME_OK)
    if case == "UNIMPLEMENTED":
        assert bad.outcome == pb.OUTCOME_SKIPPED
    else:
        check_failed(bad)


@pytest.mark.parametrize("case", CHANGES)
async def test_a_bad_enrollment_is_one_failed_result(through: Gateway, case: str) -> None:
    """EnrollFaces enrolls with the others."""
    through.peer.answer = CHANGES[case]()
    check_beside((await through.enrollers.EnrollFaces(enrollment(), timeout=60)).results, case)


@pytest.mark.parametrize("case", REMOVALS)
async def test_a_bad_removal_is_one_failed_result(through: Gateway, case: str) -> None:
    """RemovePerson removes from the others."""
    through.peer.answer = [REMOVALS[case]()]
    message = enrollment_pb2.RemovePersonRequest(person_id="ada")
    check_beside((await through.enrollers.RemovePerson(message, timeout=60)).results, case)


@pytest.mark.parametrize("case", PEOPLE)
async def test_a_bad_page_is_one_failed_result(through: Gateway, case: str) -> None:
    """ListPeople lists the others' people."""
    through.peer.answer = [PEOPLE[case]()]
    response = await through.enrollers.ListPeople(enrollment_pb2.ListPeopleRequest(), timeout=60)
    check_beside(response.results, case)
    assert [one.person_id for one in response.results[0].people] == ["ada"]
    assert response.next_page_token == ""


@pytest.mark.parametrize("case", FACE_REMOVALS)
async def test_a_bad_removal_of_faces_is_one_failed_result(through: Gateway, case: str) -> None:
    """RemoveFaces removes from the others."""
    through.peer.answer = [FACE_REMOVALS[case]()]
    response = await through.enrollers.RemoveFaces(enrollment_pb2.RemoveFacesRequest(faces=[KEY]), timeout=60)
    check_beside(response.results, case)
    assert [one.removed_faces for one in response.results[0].faces] == [1]


@pytest.mark.parametrize("case", FACES)
async def test_a_bad_page_of_faces_is_one_failed_result(through: Gateway, case: str) -> None:
    """ListFaces lists the others' faces."""
    through.peer.answer = [FACES[case]()]
    response = await through.enrollers.ListFaces(enrollment_pb2.ListFacesRequest(person_id="ada"), timeout=60)
    check_beside(response.results, case)
    assert response.results[0].person.person_id == "ada"


async def test_what_those_answers_break_is_passed_on_otherwise(through: Gateway) -> None:
    """A proper result of a removal or a list of faces arrives."""
    through.peer.answer = [faces_removed()]
    removed = await through.enrollers.RemoveFaces(enrollment_pb2.RemoveFacesRequest(faces=[KEY]), timeout=60)
    through.peer.answer = [faces_listed()]
    listed = await through.enrollers.ListFaces(enrollment_pb2.ListFacesRequest(person_id="ada"), timeout=60)
    assert removed.results[1].faces[0].removed_faces == 1
    assert [face.face_id for face in listed.results[1].faces] == ["f"]

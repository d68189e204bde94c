"""Enrollment through the gateway."""

from contextlib import AsyncExitStack

import pytest
from google.rpc import status_pb2

from marquee.v1 import enrollment_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.runtime.errors import FaceBlurred, GalleryBusy, NoFace, NotOffered, NotReady
from services.runtime.status import reason_of
from tests.support.enrollers import (
    REFUSED,
    ScriptedEnroller,
    client,
    code_and_reason,
    enrolling,
    enrollment,
    reasons,
    refusal,
    states,
    through_gateway,
)
from tests.support.senders import connection, message
from tests.support.servers import gateway, nobody


def outcomes(results: list[pb.EnrollmentResult]) -> dict[str, str]:
    return {one.recognizer: recognizer_pb2.Outcome.Name(one.outcome).removeprefix("OUTCOME_") for one in results}


async def test_all_that_enroll_get_the_call() -> None:
    """Every enrolling recognizer gets the same person_id and request_id; any other is SKIPPED with a reason."""
    svm, rekognition = ScriptedEnroller("svm"), ScriptedEnroller("rekognition")
    async with through_gateway(svm, rekognition) as stub:
        response = await stub.EnrollFaces(enrollment(2, request_id="r1"))
    assert outcomes(response.results) == {"svm": "OK", "rekognition": "OK", "keras": "SKIPPED"}
    assert (response.person_id, response.request_id, response.gateway) == ("ada-lovelace", "r1", "gateway")
    assert response.results[2].status.message == "keras does not enroll."
    assert [one.enrolled[0].person_id for one in (svm, rekognition)] == ["ada-lovelace"] * 2


@pytest.mark.parametrize("person_id", ["", "ada-lovelace"])
async def test_recognizers_learn_whether_the_id_was_given(person_id: str) -> None:
    """A person_id that only the name makes is not sent on as if the caller had given it."""
    svm = ScriptedEnroller("svm")
    async with through_gateway(svm) as stub:
        await stub.EnrollFaces(enrollment(person_id=person_id, allow_different=True))
    assert (svm.enrolled[0].is_derived, svm.enrolled[0].allow_different) == (not person_id, True)


async def test_one_failure_leaves_the_others() -> None:
    """A recognizer that fails or does not answer becomes a result with its status; repeating the call is safe."""
    svm = ScriptedEnroller("svm", error=GalleryBusy("Others change the gallery."))
    async with through_gateway(svm, ScriptedEnroller("rekognition"), lost=nobody()) as stub:
        response = await stub.EnrollFaces(enrollment(), timeout=60)
    results = {result.recognizer: result for result in response.results}
    assert outcomes(response.results) == {"svm": "ERROR", "rekognition": "OK", "keras": "SKIPPED", "lost": "ERROR"}
    assert code_and_reason(results["svm"].status) == ("ABORTED", "GALLERY_BUSY")
    assert code_and_reason(results["lost"].status) == ("UNAVAILABLE", "RECOGNIZER_UNAVAILABLE")


async def test_every_refused_picture_has_its_own_status() -> None:
    """A call in which two recognizers refuse 32 pictures each succeeds, with 64 entries that have their own status."""
    blurred = {number: FaceBlurred(f"Face {number} is blurred. {'x' * 400}") for number in range(32)}
    svm = ScriptedEnroller("svm", refuse={number: NoFace(f"No face in {number}. {'x' * 400}") for number in range(32)})
    async with through_gateway(svm, ScriptedEnroller("rekognition", refuse=blurred)) as stub:
        response = await stub.EnrollFaces(enrollment(32))
    assert outcomes(response.results) == {"svm": "PARTIAL", "rekognition": "PARTIAL", "keras": "SKIPPED"}
    svm_result, rekognition_result, _ = response.results
    assert (svm_result.status.code, rekognition_result.status.code) == (0, 0)
    assert states(svm_result) == states(rekognition_result) == [REFUSED] * 32
    assert [code_and_reason(face.status) for face in svm_result.faces] == [("INVALID_ARGUMENT", "NO_FACE")] * 32
    assert reasons(rekognition_result) == ["FACE_BLURRED"] * 32
    for number in range(32):
        assert svm_result.faces[number].status.message.startswith(f"No face in {number}.")
        assert rekognition_result.faces[number].status.message.startswith(f"Face {number} is blurred.")


async def test_the_call_fails_when_all_fail() -> None:
    """A call in which every recognizer fails gets UNAVAILABLE, with each recognizer's status in the details."""
    svm = ScriptedEnroller("svm", error=GalleryBusy("Others change the gallery."))
    other = ScriptedEnroller("rekognition", error=NotReady("Still loading."))
    async with through_gateway(svm, other) as stub:
        refused = await refusal(stub.EnrollFaces(enrollment(request_id="r1")))
    assert code_and_reason(refused) == ("UNAVAILABLE", "NO_RECOGNIZER_ANSWERED")
    each = status_pb2.Status()
    assert refused.details[1].Unpack(each)
    assert each.message == "svm: Others change the gallery."


@pytest.mark.parametrize("recognizers", [(), ("keras",)])
async def test_the_call_fails_where_nobody_enrolls(recognizers: tuple[str, ...]) -> None:
    """The call is UNIMPLEMENTED if no recognizer enrolls, or if the named one does not."""
    svm = ScriptedEnroller("svm", error=NotOffered("svm enrolls only with a gallery."))
    async with through_gateway(svm) as stub:
        refused = await refusal(stub.EnrollFaces(enrollment(recognizers=recognizers)))
    assert code_and_reason(refused) == ("UNIMPLEMENTED", "NOT_OFFERED")
    assert "keras does not enroll." in refused.message
    assert ("svm enrolls only with a gallery." in refused.message) == (not recognizers)


async def test_only_the_named_get_the_call() -> None:
    """Only recognizers that the request names get the call; an unknown name is refused."""
    svm, rekognition = ScriptedEnroller("svm"), ScriptedEnroller("rekognition")
    async with through_gateway(svm, rekognition) as stub:
        response = await stub.RemovePerson(pb.RemovePersonRequest(person_id="ada", recognizers=["rekognition"]))
        refused = await refusal(stub.RemovePerson(pb.RemovePersonRequest(person_id="ada", recognizers=["nobody"])))
    assert (svm.removed, rekognition.removed) == ([], [("ada", "")])
    assert [one.removed_faces for one in response.results] == [2]
    assert code_and_reason(refused) == ("INVALID_ARGUMENT", "UNKNOWN_RECOGNIZER")


async def test_wrong_requests_reach_nobody() -> None:
    """The gateway refuses an invalid request before it reaches a recognizer, as a leaf would."""
    svm = ScriptedEnroller("svm")
    async with through_gateway(svm) as stub:
        refused = await refusal(stub.EnrollFaces(enrollment(person_id="a b")))
    assert (code_and_reason(refused), svm.enrolled) == (("INVALID_ARGUMENT", "INVALID_REQUEST"), [])


async def test_pages_lead_through_all_lists() -> None:
    """Each page continues every recognizer's list where it stopped; a recognizer that is done is not called again."""
    svm, rekognition = (
        ScriptedEnroller("svm", person_ids=("a", "b", "c")),
        ScriptedEnroller("rekognition", person_ids=("x",)),
    )
    people: list[tuple[str, str]] = []
    pages, token = 0, ""
    async with through_gateway(svm, rekognition) as stub:
        while pages == 0 or token:
            response = await stub.ListPeople(pb.ListPeopleRequest(page_size=1, page_token=token))
            people += [(result.recognizer, one.person_id) for result in response.results for one in result.people]
            pages, token = pages + 1, response.next_page_token
    assert sorted(people) == [("rekognition", "x"), ("svm", "a"), ("svm", "b"), ("svm", "c")]
    assert pages == 3


@pytest.mark.parametrize("token", ["%%", "bm9uc2Vuc2U=", "WzFd", "eyJzdm0iOiAxfQ==", "eyJub2JvZHkiOiAiYSJ9"])
async def test_a_foreign_token_is_refused(token: str) -> None:
    """A token is refused unless it is a base64 JSON object of strings under the names of recognizers."""
    async with through_gateway(ScriptedEnroller("svm")) as stub:
        refused = await refusal(stub.ListPeople(pb.ListPeopleRequest(page_token=token)))
    assert code_and_reason(refused) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


async def test_enrolls_behind_another_gateway() -> None:
    """A recognizer behind another gateway is named and requested as outer/inner, and paged through both gateways."""
    inner, own = ScriptedEnroller("svm", person_ids=("a", "b")), ScriptedEnroller("svm", person_ids=("x",))
    async with AsyncExitStack() as stack:
        behind = {"svm": await stack.enter_async_context(enrolling(inner))}
        region = await stack.enter_async_context(gateway(behind, name="west"))
        beside = {"svm": await stack.enter_async_context(enrolling(own)), "region": region}
        stub = await stack.enter_async_context(client(await stack.enter_async_context(gateway(beside, name="world"))))
        everywhere = await stub.EnrollFaces(enrollment())
        await stub.EnrollFaces(enrollment(recognizers=["region/svm"]))
        first = await stub.ListPeople(pb.ListPeopleRequest(page_size=1))
        second = await stub.ListPeople(pb.ListPeopleRequest(page_size=1, page_token=first.next_page_token))
    assert outcomes(everywhere.results) == {"svm": "OK", "region/svm": "OK"}
    assert (len(inner.enrolled), len(own.enrolled)) == (2, 1)
    assert [(one.recognizer, one.people[0].person_id) for one in second.results] == [("region/svm", "b")]


PICTURE = pb.FaceKey(content_sha256="0" * 64)


def face_at(recognizer: str, face_id: str = "f") -> pb.FaceKey:
    return pb.FaceKey(face=pb.FaceId(recognizer=recognizer, face_id=face_id))


async def test_each_face_is_removed_where_it_is() -> None:
    """A face goes to its recognizer alone and a picture to all, in the request's order and each with a status."""
    svm, rekognition = ScriptedEnroller("svm"), ScriptedEnroller("rekognition")
    svm.busy = ("f2",)
    keys = [face_at("svm", "f2"), PICTURE, face_at("rekognition"), face_at("svm")]
    async with through_gateway(svm, rekognition) as stub:
        response = await stub.RemoveFaces(pb.RemoveFacesRequest(faces=keys, person_id="ada", request_id="r1"))
    assert outcomes(response.results) == {"svm": "PARTIAL", "rekognition": "OK", "keras": "SKIPPED"}
    own, other, _ = ([entry.key for entry in result.faces] for result in response.results)
    assert (own, other) == ([keys[0], PICTURE, keys[3]], [PICTURE, keys[2]])
    assert [reason_of(entry.status) for entry in response.results[0].faces] == ["GALLERY_BUSY", "", ""]
    assert (svm.face_removals[0].person_id, response.request_id, response.gateway) == ("ada", "r1", "gateway")


async def test_only_recognizers_of_a_face_are_called() -> None:
    """A recognizer that no key concerns is not called and has no result."""
    svm, rekognition = ScriptedEnroller("svm"), ScriptedEnroller("rekognition")
    async with through_gateway(svm, rekognition) as stub:
        response = await stub.RemoveFaces(pb.RemoveFacesRequest(faces=[face_at("rekognition")]))
        with_picture = await stub.RemoveFaces(pb.RemoveFacesRequest(faces=[PICTURE], recognizers=["rekognition"]))
    assert outcomes(response.results) == outcomes(with_picture.results) == {"rekognition": "OK"}
    assert svm.face_removals == []


@pytest.mark.parametrize(
    ("owner", "recognizers", "reason", "words"),
    [
        ("nobody", (), "UNKNOWN_RECOGNIZER", "'nobody' here. Available: svm, keras"),
        ("", (), "UNKNOWN_RECOGNIZER", "Available: svm, keras"),
        ("svm", ("keras",), "INVALID_REQUEST", "recognizers leaves out"),
    ],
)
async def test_a_face_of_no_recognizer_is_refused(
    owner: str, recognizers: tuple[str, ...], reason: str, words: str
) -> None:
    """A face at a recognizer that the gateway does not have, or that the call leaves out, is refused by name."""
    svm = ScriptedEnroller("svm")
    async with through_gateway(svm) as stub:
        request = pb.RemoveFacesRequest(faces=[PICTURE, face_at(owner)], recognizers=recognizers)
        refused = await refusal(stub.RemoveFaces(request))
    assert code_and_reason(refused) == ("INVALID_ARGUMENT", reason)
    assert words in refused.message
    assert svm.face_removals == []


async def test_faces_behind_another_gateway() -> None:
    """A face behind another gateway is named outer/inner, removed there alone, and listed through both gateways."""
    inner, own = ScriptedEnroller("svm", person_ids=("ada",)), ScriptedEnroller("svm", person_ids=("ada",))
    inner.face_ids = ("a", "b")
    keys = [PICTURE, face_at("region/svm")]
    async with AsyncExitStack() as stack:
        behind = {"svm": await stack.enter_async_context(enrolling(inner))}
        region = await stack.enter_async_context(gateway(behind, name="west"))
        beside = {"svm": await stack.enter_async_context(enrolling(own)), "region": region}
        stub = await stack.enter_async_context(client(await stack.enter_async_context(gateway(beside, name="world"))))
        removed = await stub.RemoveFaces(pb.RemoveFacesRequest(faces=keys))
        named = await stub.RemoveFaces(pb.RemoveFacesRequest(faces=keys, recognizers=["region/svm"]))
        first = await stub.ListFaces(pb.ListFacesRequest(person_id="ada", page_size=1))
        second = await stub.ListFaces(
            pb.ListFacesRequest(person_id="ada", page_size=1, page_token=first.next_page_token)
        )
    assert outcomes(removed.results) == {"svm": "OK", "region/svm": "OK"}
    assert outcomes(named.results) == {"region/svm": "OK"}
    assert [entry.key for entry in removed.results[1].faces] == keys
    assert [len(removal.faces) for removal in own.face_removals] == [1]
    assert [(one.recognizer, one.faces[0].face_id) for one in second.results] == [("region/svm", "b")]


async def test_a_deadline_may_be_thousands_of_years_away() -> None:
    """The longest deadline that a caller can send, "99999999H", is no reason for a call to fail."""
    enroller = ScriptedEnroller()
    removal = message(pb.RemovePersonRequest(person_id="ada").SerializeToString())
    async with enrolling(enroller) as svm, gateway({"svm": svm}) as address, connection(address) as caller:
        call = caller.call("/marquee.v1.EnrollmentService/RemovePerson", **{"grpc-timeout": "99999999H"})
        await caller.send(call, removal, end=True)
        await caller.until(lambda: call in caller.ended)
    assert enroller.removed == [("ada", "")]

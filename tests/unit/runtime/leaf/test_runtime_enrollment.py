"""EnrollmentService, as every leaf serves it."""

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from marquee.v1 import enrollment_pb2 as pb
from marquee.v1 import recognizer_pb2
from marquee.v1.enrollment_pb2_grpc import EnrollmentServiceStub
from services.runtime.errors import FaceAlreadyEnrolled, NoFace, NotOffered
from services.runtime.people import person_id_of
from tests.support.enrollers import ScriptedEnroller, client, code_and_reason, enrolling, enrollment, refusal
from tests.support.servers import picture


def metadata(status: status_pb2.Status) -> dict[str, str]:
    """Return the metadata of the status's ErrorInfo."""
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return dict(info.metadata)


async def test_a_person_is_enrolled(svm: EnrollmentServiceStub, enroller: ScriptedEnroller) -> None:
    """The enroller gets the request's fields; the response has recognizer, outcome, request_id and person_id."""
    response = await svm.EnrollFaces(enrollment(2, request_id="r1", allow_similar=True, collection="staff"))
    enrolled = enroller.enrolled[0]
    assert (enrolled.is_derived, enrolled.allow_different) == (True, False)
    assert (enrolled.person_id, enrolled.display_name, enrolled.collection, enrolled.allow_similar) == (
        "ada-lovelace",
        "Ada Lovelace",
        "staff",
        True,
    )
    assert [image.content for image in enrolled.images] == [picture(), picture()]
    result = response.results[0]
    assert (response.request_id, response.person_id, response.gateway) == ("r1", "ada-lovelace", "")
    assert (result.recognizer, result.outcome, result.status.code) == ("svm", recognizer_pb2.OUTCOME_OK, 0)


@pytest.mark.parametrize(
    ("name", "person_id"),
    [
        ("Ada Lovelace", "ada-lovelace"),
        ("  ADA   LOVELACE ", "ada-lovelace"),
        ("José Núñez", "jose-nunez"),
        ("Conan O'Brien", "conan-o-brien"),
        ("宮崎 駿", "person-1cef2320a8a947fc"),
        ("x" * 300, "x" * 128),
        ("!!", ""),
    ],
)
def test_names_make_ids(name: str, person_id: str) -> None:
    """A name always makes the same id, in characters that Rekognition accepts; a name without letters makes none."""
    assert person_id_of(name) == person_id


async def test_refusing_some_pictures_is_partial(svm: EnrollmentServiceStub, enroller: ScriptedEnroller) -> None:
    """If some pictures are refused, the others count; each refused one keeps its place and its reason."""
    enroller.refuse = {0: NoFace("There is no face.")}
    result = (await svm.EnrollFaces(enrollment(2))).results[0]
    assert result.outcome == recognizer_pb2.OUTCOME_PARTIAL
    assert [face.state for face in result.faces] == [pb.ENROLLMENT_STATE_REFUSED, pb.ENROLLMENT_STATE_ENROLLED]


async def test_refusing_all_pictures_is_partial(svm: EnrollmentServiceStub, enroller: ScriptedEnroller) -> None:
    """The call succeeds and its status is OK; each entry has its own picture's code, reason, message and metadata."""
    enroller.refuse = {0: NoFace("There is no face."), 1: FaceAlreadyEnrolled("It is Bea's.", person_id="bea")}
    result = (await svm.EnrollFaces(enrollment(2))).results[0]
    assert (result.outcome, result.status.code) == (recognizer_pb2.OUTCOME_PARTIAL, 0)
    assert [face.state for face in result.faces] == [pb.ENROLLMENT_STATE_REFUSED] * 2
    assert [code_and_reason(face.status) for face in result.faces] == [
        ("INVALID_ARGUMENT", "NO_FACE"),
        ("ALREADY_EXISTS", "FACE_ALREADY_ENROLLED"),
    ]
    assert [face.status.message for face in result.faces] == ["There is no face.", "It is Bea's."]
    assert metadata(result.faces[1].status) == {"person_id": "bea"}


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"display_name": "", "person_id": ""}, "INVALID_REQUEST", "person_id"),
        ({"display_name": "!!"}, "INVALID_REQUEST", "person_id"),
        ({"display_name": "  "}, "INVALID_REQUEST", "display_name"),
        ({"display_name": "x" * 201}, "INVALID_REQUEST", "display_name"),
        ({"display_name": "Ada\n"}, "INVALID_REQUEST", "display_name"),
        ({"person_id": "a b"}, "INVALID_REQUEST", "person_id"),
        ({"person_id": "x" * 129}, "INVALID_REQUEST", "person_id"),
        ({"request_id": "a b"}, "INVALID_REQUEST", "request_id"),
        ({"recognizers": ["keras"]}, "UNKNOWN_RECOGNIZER", "recognizers"),
        ({"images": [recognizer_pb2.Image()]}, "IMAGE_MISSING", "image"),
        ({"images": [], "person_id": "ada", "display_name": ""}, "INVALID_REQUEST", "images"),
        ({"images": [recognizer_pb2.Image(content=b"x")] * 33}, "INVALID_REQUEST", "images"),
    ],
)
async def test_wrong_fields_are_named(
    svm: EnrollmentServiceStub, enroller: ScriptedEnroller, fields: dict[str, object], reason: str, field: str
) -> None:
    """An invalid field is refused by name, before the enroller is called."""
    refused = await refusal(svm.EnrollFaces(enrollment(**fields)))
    assert code_and_reason(refused) == ("INVALID_ARGUMENT", reason)
    assert field.encode() in refused.details[0].value
    assert enroller.enrolled == []


async def test_buckets_must_be_allowed(svm: EnrollmentServiceStub) -> None:
    """A picture in a bucket that is not allowed is refused, as it is for recognizing."""
    image = recognizer_pb2.Image(s3_object=recognizer_pb2.S3Object(bucket="secret", key="ada.jpg"))
    refused = await refusal(svm.EnrollFaces(enrollment(images=[image])))
    assert code_and_reason(refused) == ("PERMISSION_DENIED", "BUCKET_NOT_ALLOWED")


async def test_a_person_is_removed(svm: EnrollmentServiceStub, enroller: ScriptedEnroller) -> None:
    """A removal is OK, or PARTIAL if the enroller warns that the person stays known."""
    removal = pb.RemovePersonRequest(person_id="ada", collection="staff")
    first = (await svm.RemovePerson(removal)).results[0]
    enroller.warning = "Ada stays known."
    second = (await svm.RemovePerson(removal)).results[0]
    assert enroller.removed == [("ada", "staff")] * 2
    assert (first.recognizer, first.outcome, first.removed_faces) == ("svm", recognizer_pb2.OUTCOME_OK, 2)
    assert second.outcome == recognizer_pb2.OUTCOME_PARTIAL


async def test_faces_are_removed(svm: EnrollmentServiceStub, enroller: ScriptedEnroller) -> None:
    """A removal of faces is OK, or PARTIAL if one of them has an error; a leaf knows its own name and none."""
    keys = [
        pb.FaceKey(content_sha256="0" * 64),
        pb.FaceKey(face=pb.FaceId(face_id="f")),
        pb.FaceKey(face=pb.FaceId(recognizer="svm", face_id="g")),
    ]
    removal = pb.RemoveFacesRequest(faces=keys, person_id="ada", collection="staff", request_id="r1")
    first = await svm.RemoveFaces(removal)
    enroller.busy = ("g",)
    second = await svm.RemoveFaces(removal)
    handed = enroller.face_removals[0]
    assert (list(handed.faces), handed.person_id, handed.collection) == (keys, "ada", "staff")
    assert [entry.key for entry in first.results[0].faces] == keys
    assert (first.request_id, first.results[0].outcome) == ("r1", recognizer_pb2.OUTCOME_OK)
    assert second.results[0].outcome == recognizer_pb2.OUTCOME_PARTIAL
    assert [entry.status.code for entry in second.results[0].faces] == [0, 0, grpc.StatusCode.ABORTED.value[0]]


async def test_another_recognizers_faces_are_refused(svm: EnrollmentServiceStub, enroller: ScriptedEnroller) -> None:
    """A leaf refuses a face of another recognizer: there is nothing it could remove."""
    key = pb.FaceKey(face=pb.FaceId(recognizer="keras", face_id="f"))
    refused = await refusal(svm.RemoveFaces(pb.RemoveFacesRequest(faces=[key])))
    assert code_and_reason(refused) == ("INVALID_ARGUMENT", "UNKNOWN_RECOGNIZER")
    assert enroller.face_removals == []


async def test_faces_are_listed(svm: EnrollmentServiceStub, enroller: ScriptedEnroller) -> None:
    """A person's faces are listed a page at a time; there is none of somebody unknown, who is absent."""
    enroller.person_ids, enroller.face_ids = ["ada"], ("f", "g", "h")
    first = await svm.ListFaces(pb.ListFacesRequest(person_id="ada", page_size=2))
    second = await svm.ListFaces(pb.ListFacesRequest(person_id="ada", page_size=2, page_token=first.next_page_token))
    unknown = await svm.ListFaces(pb.ListFacesRequest(person_id="eve"))
    assert [face.face_id for face in first.results[0].faces] == ["f", "g"]
    assert ([face.face_id for face in second.results[0].faces], second.next_page_token) == (["h"], "")
    assert (unknown.results[0].outcome, unknown.results[0].HasField("person")) == (recognizer_pb2.OUTCOME_OK, False)


@pytest.mark.parametrize(
    ("key", "is_listed"), [("a/\u202fZo\u00eb.jpg", True), ("a\n.jpg", False), ("\x1b[2J", False), ("\u202egpj", False)]
)
async def test_objects_of_proper_names_are_listed(
    svm: EnrollmentServiceStub, enroller: ScriptedEnroller, key: str, *, is_listed: bool
) -> None:
    """A face's object is left out if its key has control characters, which no gateway passes on."""
    enroller.person_ids, enroller.face_ids = ["ada"], ("f",)
    enroller.s3_object = recognizer_pb2.S3Object(bucket="photos", key=key)
    face = (await svm.ListFaces(pb.ListFacesRequest(person_id="ada"))).results[0].faces[0]
    assert (face.face_id, face.HasField("s3_object")) == ("f", is_listed)


@pytest.mark.parametrize(("person_id", "count"), [("", 1), ("ada-lovelace", 0)])
async def test_a_name_that_stays_is_pointed_out(
    svm: EnrollmentServiceStub, enroller: ScriptedEnroller, person_id: str, count: int
) -> None:
    """Another spelling of a known name changes it only with a person_id; without, a warning says what to do."""
    enroller.known_name = "Ada Lovelace"
    result = (await svm.EnrollFaces(enrollment(person_id=person_id, display_name="ADA LOVELACE"))).results[0]
    assert ["Set person_id" in warning for warning in result.warnings] == [True] * count
    assert result.person.display_name == ("ADA LOVELACE" if person_id else "Ada Lovelace")


async def test_nobody_is_removed_without_an_id(svm: EnrollmentServiceStub) -> None:
    """A removal without a person_id is refused: it does not mean everybody."""
    refused = await refusal(svm.RemovePerson(pb.RemovePersonRequest()))
    assert code_and_reason(refused) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


async def test_people_are_listed(svm: EnrollmentServiceStub, enroller: ScriptedEnroller) -> None:
    """People are listed a page at a time."""
    enroller.person_ids = ["ada", "bea", "cat"]
    first = await svm.ListPeople(pb.ListPeopleRequest(page_size=2))
    second = await svm.ListPeople(pb.ListPeopleRequest(page_size=2, page_token=first.next_page_token))
    assert [one.person_id for one in first.results[0].people] == ["ada", "bea"]
    assert ([one.person_id for one in second.results[0].people], second.next_page_token) == (["cat"], "")


@pytest.mark.parametrize(("size", "count"), [(0, 100), (1, 1), (1000, 1000), (1001, 1000), (2**31 - 1, 1000)])
async def test_page_sizes_are_made_to_fit(
    svm: EnrollmentServiceStub, enroller: ScriptedEnroller, size: int, count: int
) -> None:
    """A page size of 0 is the default, and one over 1000 is lowered, as AIP-158 has it."""
    enroller.person_ids = [f"person-{number:04}" for number in range(1001)]
    response = await svm.ListPeople(pb.ListPeopleRequest(page_size=size))
    assert len(response.results[0].people) == count


@pytest.mark.parametrize("size", [-1, -(2**31)])
async def test_negative_page_sizes_are_refused(svm: EnrollmentServiceStub, size: int) -> None:
    """A negative page size is refused."""
    refused = await refusal(svm.ListPeople(pb.ListPeopleRequest(page_size=size)))
    assert code_and_reason(refused) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


async def test_the_enrollers_errors_are_passed_on(svm: EnrollmentServiceStub, enroller: ScriptedEnroller) -> None:
    """A call that the enroller refuses fails with the enroller's own code and reason."""
    enroller.error = NotOffered("Not here.")
    for call in (
        svm.EnrollFaces(enrollment()),
        svm.RemovePerson(pb.RemovePersonRequest(person_id="a")),
        svm.ListPeople(pb.ListPeopleRequest()),
        svm.RemoveFaces(pb.RemoveFacesRequest(faces=[pb.FaceKey(content_sha256="0" * 64)])),
        svm.ListFaces(pb.ListFacesRequest(person_id="a")),
    ):
        assert code_and_reason(await refusal(call)) == ("UNIMPLEMENTED", "NOT_OFFERED")


async def test_a_recognizer_that_does_not_enroll_has_no_such_service() -> None:
    """Without an enroller, the call is UNIMPLEMENTED, which ListRecognizers announces beforehand."""
    async with enrolling(None) as address, client(address) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.EnrollFaces(enrollment())
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED

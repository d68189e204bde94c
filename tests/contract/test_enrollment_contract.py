"""Behaviour that every EnrollmentService server shares: the gateway and each recognizer that learns faces."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from unittest import mock

import boto3
import grpc
import pytest

from local.stack import CREDENTIALS
from marquee import Client
from marquee.v1 import enrollment_pb2 as pb
from marquee.v1 import recognizer_pb2, recognizer_pb2_grpc
from marquee.v1.enrollment_pb2_grpc import EnrollmentServiceStub
from services.names import SERVERS
from tests.support.aws import TABLE, table
from tests.support.enrollers import ENROLLED, REFUSED, code_and_reason, refusal, states
from tests.support.processes import LocalSystem, server

pytestmark = pytest.mark.slow

ENROLLING = ("gateway", "svm")
TWIN = "hoppers-twin"
COLLECTION = "contract"


@pytest.fixture(scope="module")
def rekognition(system: LocalSystem) -> Iterator[str]:
    """Yield the address of a Rekognition recognizer that enrolls, beside the local system's, which has no table."""
    environment = system.environment("rekognition")
    dynamodb_url, url = system.facts["s3_url"], environment["MARQUEE_REKOGNITION_ENDPOINT_URL"]
    own = {"MARQUEE_DYNAMODB_ENDPOINT_URL": dynamodb_url, "MARQUEE_REKOGNITION_TABLE": TABLE}
    with (
        mock.patch.dict(os.environ, CREDENTIALS),
        closing(boto3.client("dynamodb", endpoint_url=dynamodb_url)) as dynamodb,
        closing(boto3.client("rekognition", endpoint_url=url)) as aws,
        table(dynamodb, TABLE, pk="HASH", sk="RANGE"),
    ):
        aws.create_collection(CollectionId=COLLECTION)
        environment |= own | {"MARQUEE_REKOGNITION_COLLECTION": COLLECTION}
        with server("services.rekognition", environment) as running, Client(running.address) as client:
            for name, picture in (("Eileen Collins", "collins.jpg"), ("Grace Hopper", "hopper.jpg")):
                client.enroll(system.picture(picture), display_name=name)
            yield running.address
        aws.delete_collection(CollectionId=COLLECTION)


@pytest.fixture(params=(*ENROLLING, "rekognition"))
async def channel(request: pytest.FixtureRequest, system: LocalSystem) -> AsyncIterator[grpc.aio.Channel]:
    name = str(request.param)
    address = request.getfixturevalue(name) if name == "rekognition" else system.address(name)
    async with grpc.aio.insecure_channel(address) as channel:
        yield channel


@pytest.fixture
async def stub(channel: grpc.aio.Channel) -> AsyncIterator[EnrollmentServiceStub]:
    """Yield a client; afterwards, remove the person that tests enroll."""
    stub = EnrollmentServiceStub(channel)
    yield stub
    await stub.RemovePerson(pb.RemovePersonRequest(person_id=TWIN))


def twin(image: recognizer_pb2.Image, **fields: object) -> pb.EnrollFacesRequest:
    """Return a request that enrolls Grace Hopper under another name."""
    return pb.EnrollFacesRequest(
        person_id=TWIN, display_name="Hopper's twin", images=[image], allow_similar=True, **fields
    )


def s3_image(key: str) -> recognizer_pb2.Image:
    return recognizer_pb2.Image(s3_object=recognizer_pb2.S3Object(bucket="marquee-demo", key=key))


async def people(stub: EnrollmentServiceStub) -> list[str]:
    """Return the ids of the people whom the recognizer knows."""
    listed = await stub.ListPeople(pb.ListPeopleRequest())
    return [person.person_id for person in of_learner(listed.results).people]


def of_learner(results: list[pb.EnrollmentResult]) -> pb.EnrollmentResult:
    """Return the result of svm, the only one that learns behind the gateway, or of the recognizer that was called."""
    return next((one for one in results if one.recognizer == "svm"), results[0])


async def test_a_person_is_known_from_one_picture(
    stub: EnrollmentServiceStub, channel: grpc.aio.Channel, system: LocalSystem
) -> None:
    """One picture suffices for a person to be recognized and listed; enrolling and removing are safe to repeat."""
    image = recognizer_pb2.Image(content=system.picture("hopper.jpg"))
    enrolled, again = await stub.EnrollFaces(twin(image)), await stub.EnrollFaces(twin(image))
    recognized = await recognizer_pb2_grpc.RecognizerServiceStub(channel).RecognizeImage(
        recognizer_pb2.RecognizeImageRequest(
            image=image, features=[recognizer_pb2.FEATURE_CELEBRITIES, recognizer_pb2.FEATURE_FACE_SEARCH]
        )
    )
    listed = await stub.ListPeople(pb.ListPeopleRequest())
    removals = [await stub.RemovePerson(pb.RemovePersonRequest(person_id=TWIN)) for _ in range(2)]
    states = [of_learner(one.results).faces[0].state for one in (enrolled, again)]
    face = of_learner(recognized.results).faces[0]
    assert states == [pb.ENROLLMENT_STATE_ENROLLED, pb.ENROLLMENT_STATE_ALREADY_ENROLLED]
    assert TWIN in [candidate.person_id for candidate in face.candidates]
    assert TWIN in [person.person_id for person in of_learner(listed.results).people]
    assert [of_learner(one.results).removed_faces for one in removals] == [1, 0]


async def test_pictures_come_from_s3_too(stub: EnrollmentServiceStub) -> None:
    """A picture can be enrolled by S3 reference, just as it can be recognized."""
    response = await stub.EnrollFaces(twin(s3_image("hopper.jpg")))
    assert of_learner(response.results).faces[0].state == pb.ENROLLMENT_STATE_ENROLLED


async def test_a_face_is_listed_and_taken_back(stub: EnrollmentServiceStub) -> None:
    """A person's faces are listed with their origin; each is removed by id or picture, and again without harm."""
    image = s3_image("hopper.jpg")
    result = of_learner((await stub.EnrollFaces(twin(image))).results)
    listed = of_learner((await stub.ListFaces(pb.ListFacesRequest(person_id=TWIN))).results)
    keys = [
        pb.FaceKey(face=pb.FaceId(recognizer=result.recognizer, face_id=result.faces[0].face_id)),
        pb.FaceKey(content_sha256=listed.faces[0].content_sha256),
    ]
    removed = of_learner((await stub.RemoveFaces(pb.RemoveFacesRequest(faces=keys, person_id=TWIN))).results)
    after = of_learner((await stub.ListFaces(pb.ListFacesRequest(person_id=TWIN))).results)
    assert [(face.face_id, face.s3_object) for face in listed.faces] == [(result.faces[0].face_id, image.s3_object)]
    assert (listed.person.person_id, listed.faces[0].create_time.seconds > 0) == (TWIN, True)
    assert [(entry.key, entry.removed_faces, entry.status.code) for entry in removed.faces] == [
        (keys[0], 1, 0),
        (keys[1], 0, 0),
    ]
    assert (removed.outcome, after.outcome, after.HasField("person")) == (
        recognizer_pb2.OUTCOME_OK,
        recognizer_pb2.OUTCOME_OK,
        False,
    )
    assert await people(stub) == ["eileen-collins", "grace-hopper"]


async def test_refuses_a_taken_name(stub: EnrollmentServiceStub) -> None:
    """Somebody else's face under the name of a known person is refused, unless the call says who is meant."""
    await stub.EnrollFaces(twin(s3_image("hopper.jpg")))
    other = pb.EnrollFacesRequest(display_name="Hopper's Twin", images=[s3_image("collins.jpg")], allow_similar=True)
    refused = of_learner((await stub.EnrollFaces(other)).results)
    meant = of_learner((await stub.EnrollFaces(twin(s3_image("collins.jpg")))).results)
    assert code_and_reason(refused.faces[0].status) == ("ALREADY_EXISTS", "NAME_TAKEN")
    assert states(meant) == [ENROLLED]


@pytest.mark.parametrize(
    "key",
    [
        pb.FaceKey(face=pb.FaceId(recognizer="nobody", face_id="f")),
        pb.FaceKey(face=pb.FaceId(recognizer="svm/nobody", face_id="f")),
    ],
)
async def test_refuses_faces_of_nobody(stub: EnrollmentServiceStub, key: pb.FaceKey) -> None:
    """A face at a recognizer that there is not is refused, and the message lists those that there are."""
    refused = await refusal(stub.RemoveFaces(pb.RemoveFacesRequest(faces=[key])))
    assert code_and_reason(refused) == ("INVALID_ARGUMENT", "UNKNOWN_RECOGNIZER")
    assert "Available: " in refused.message


@pytest.mark.parametrize(
    ("image", "code", "reason"),
    [
        (recognizer_pb2.Image(content=b"no picture"), "INVALID_ARGUMENT", "INVALID_IMAGE"),
        (s3_image("coffee.jpg"), "INVALID_ARGUMENT", "NO_FACE"),
        (s3_image("both.jpg"), "INVALID_ARGUMENT", "SEVERAL_FACES"),
        (s3_image("nothing.jpg"), "NOT_FOUND", "OBJECT_NOT_FOUND"),
    ],
)
async def test_refuses_pictures(
    stub: EnrollmentServiceStub, image: recognizer_pb2.Image, code: str, reason: str
) -> None:
    """A refused picture, even the only one, is a response entry with its own status; nobody is enrolled."""
    result = of_learner((await stub.EnrollFaces(twin(image), timeout=60)).results)
    assert (result.outcome, result.status.code) == (recognizer_pb2.OUTCOME_PARTIAL, 0)
    assert states(result) == [REFUSED]
    assert code_and_reason(result.faces[0].status) == (code, reason)
    assert result.faces[0].status.message
    assert await people(stub) == ["eileen-collins", "grace-hopper"]


async def test_refuses_a_stranger_with_a_known_face(stub: EnrollmentServiceStub) -> None:
    """A known face under a new name is refused unless allow_similar is set."""
    stranger = pb.EnrollFacesRequest(display_name="A stranger", images=[s3_image("hopper.jpg")])
    result = of_learner((await stub.EnrollFaces(stranger, timeout=60)).results)
    assert result.outcome == recognizer_pb2.OUTCOME_PARTIAL
    assert code_and_reason(result.faces[0].status) == ("ALREADY_EXISTS", "FACE_ALREADY_ENROLLED")
    assert await people(stub) == ["eileen-collins", "grace-hopper"]


@pytest.mark.parametrize(
    ("request_", "code", "reason"),
    [
        (twin(recognizer_pb2.Image()), "INVALID_ARGUMENT", "IMAGE_MISSING"),
        (twin(s3_image("hopper.jpg"), recognizers=["nobody"]), "INVALID_ARGUMENT", "UNKNOWN_RECOGNIZER"),
        (pb.EnrollFacesRequest(images=[s3_image("hopper.jpg")]), "INVALID_ARGUMENT", "INVALID_REQUEST"),
        (pb.EnrollFacesRequest(person_id="nobody", display_name="New"), "NOT_FOUND", "PERSON_NOT_FOUND"),
    ],
)
async def test_refuses(stub: EnrollmentServiceStub, request_: pb.EnrollFacesRequest, code: str, reason: str) -> None:
    """All servers report the same error for a wrong request, and nobody is enrolled."""
    refused = await refusal(stub.EnrollFaces(request_, timeout=60))
    assert code_and_reason(refused) == (code, reason)
    assert refused.message
    assert await people(stub) == ["eileen-collins", "grace-hopper"]


@pytest.mark.parametrize("server", SERVERS)
async def test_can_enroll_is_listed(system: LocalSystem, server: str) -> None:
    """ListRecognizers sets can_enroll for exactly the recognizers that serve EnrollmentService."""
    async with grpc.aio.insecure_channel(system.address(server)) as channel:
        stub = recognizer_pb2_grpc.RecognizerServiceStub(channel)
        listed = await stub.ListRecognizers(recognizer_pb2.ListRecognizersRequest())
    assert {one.name: one.can_enroll for one in listed.recognizers if one.can_enroll} == (
        {"svm": True} if server in ENROLLING else {}
    )

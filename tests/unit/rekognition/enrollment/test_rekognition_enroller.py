"""Enrolling into a collection of Rekognition's, against the local endpoint and moto's DynamoDB."""

from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from PIL import ImageFilter

from local.pictures import photo
from marquee.v1 import enrollment_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.rekognition.enrollment.enroller import RekognitionEnroller
from services.rekognition.recognizer import RekognitionRecognizer
from services.runtime.errors import InvalidRequest, PersonNotFound
from services.runtime.leaf.leaf import Leaf
from services.runtime.leaf.recognizer import Page
from services.runtime.settings import LeafSettings
from tests.support.enrollers import ALREADY, ENROLLED, REFUSED, client, code_and_reason, reasons, states
from tests.support.pictures import jpeg
from tests.support.rekognition import (
    COLLINS,
    DEMO,
    HOPPER,
    PORTRAITS,
    PRICE,
    enrollment_of,
    named,
    replica,
    searched,
)
from tests.support.servers import served, stub

pytestmark = pytest.mark.slow

Pair = tuple[RekognitionRecognizer, RekognitionEnroller]


@pytest.fixture
async def both(rekognition: SimpleNamespace, collection: str) -> AsyncIterator[Pair]:
    async with replica(rekognition, collection) as made:
        yield made


@pytest.fixture
def recognizer(both: Pair) -> RekognitionRecognizer:
    return both[0]


@pytest.fixture
def enroller(both: Pair) -> RekognitionEnroller:
    return both[1]


async def test_who_is_enrolled_is_named(enroller: RekognitionEnroller, recognizer: RekognitionRecognizer) -> None:
    """FACE_SEARCH tells the name in other pictures, of each face; the collection keeps the person_id with the face."""
    result = await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    await enroller.enroll(enrollment_of(PORTRAITS[COLLINS], person_id="c-1", name=COLLINS))
    assert states(result) == [ENROLLED]
    assert result.faces[0].box.width > 0
    assert result.faces[0].quality.sharpness > 0
    assert (result.person.person_id, result.person.display_name, result.person.face_count) == (
        "grace-hopper",
        HOPPER,
        1,
    )
    assert result.cost_micro_usd == PRICE
    assert result.model.name == "rekognition"
    search = await searched(recognizer, DEMO["both"])
    assert named(search) == [[COLLINS], [HOPPER]]
    assert {face.candidates[0].person_id for face in search.faces} == {"c-1", "grace-hopper"}


async def test_is_safe_to_repeat(enroller: RekognitionEnroller, rekognition: SimpleNamespace, collection: str) -> None:
    """A file counts once, costs once, and has one face, however often it is sent, in one call or several."""
    first = await enroller.enroll(enrollment_of(PORTRAITS[HOPPER], PORTRAITS[HOPPER]))
    again = await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    assert (states(first), states(again)) == ([ENROLLED, ALREADY], [ALREADY])
    assert again.cost_micro_usd == 0
    assert again.faces[0].face_id == first.faces[0].face_id
    assert again.person.face_count == 1
    assert rekognition.client.describe_collection(CollectionId=collection)["FaceCount"] == 1


async def test_what_somebody_else_deleted_is_enrolled_again(
    enroller: RekognitionEnroller, rekognition: SimpleNamespace, collection: str
) -> None:
    """The table alone is not believed."""
    first = await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    rekognition.client.delete_faces(CollectionId=collection, FaceIds=[first.faces[0].face_id])
    again = await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    assert states(again) == [ENROLLED]
    assert again.person.face_count == 1
    assert again.faces[0].face_id != first.faces[0].face_id
    assert states(await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))) == [ALREADY]


async def test_each_picture_is_refused_alone(
    enroller: RekognitionEnroller, rekognition: SimpleNamespace, collection: str
) -> None:
    """No face, several, blurred, no picture: each tells its reason, and nothing of them is indexed."""
    blurred = jpeg(photo(COLLINS).filter(ImageFilter.GaussianBlur(2)))
    pictures = (DEMO["coffee"], DEMO["both"], blurred, b"no picture", PORTRAITS[HOPPER])
    result = await enroller.enroll(enrollment_of(*pictures))
    assert reasons(result) == ["NO_FACE", "SEVERAL_FACES", "FACE_BLURRED", "INVALID_IMAGE", ""]
    assert states(result) == [REFUSED] * 4 + [ENROLLED]
    assert rekognition.client.describe_collection(CollectionId=collection)["FaceCount"] == 1


async def test_anothers_face_is_refused(enroller: RekognitionEnroller, recognizer: RekognitionRecognizer) -> None:
    """Unless the caller knows that they are two; the refusal names the other."""
    await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    twin = {"person_id": "twin", "name": "Her twin"}
    refused = await enroller.enroll(enrollment_of(DEMO["hopper"], **twin))
    assert reasons(refused) == ["FACE_ALREADY_ENROLLED"]
    assert HOPPER in refused.faces[0].status.message
    assert refused.cost_micro_usd == 2000
    assert states(await enroller.enroll(enrollment_of(DEMO["hopper"], **twin, similar=True))) == [ENROLLED]
    assert sorted(named(await searched(recognizer, DEMO["hopper"]))[0]) == [HOPPER, "Her twin"]


async def test_renames(enroller: RekognitionEnroller, recognizer: RekognitionRecognizer) -> None:
    """Without pictures, without cost, and at once for this replica's searches."""
    await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    assert named(await searched(recognizer, DEMO["hopper"])) == [[HOPPER]]
    renamed = await enroller.enroll(enrollment_of(name="Rear Admiral Hopper"))
    assert (renamed.person.display_name, renamed.cost_micro_usd) == ("Rear Admiral Hopper", 0)
    assert named(await searched(recognizer, DEMO["hopper"])) == [["Rear Admiral Hopper"]]
    assert (
        await enroller.enroll(enrollment_of(PORTRAITS[HOPPER], name=""))
    ).person.display_name == "Rear Admiral Hopper"


@pytest.mark.parametrize("enrollment", [enrollment_of(name="New"), enrollment_of(PORTRAITS[HOPPER], name="")])
async def test_somebody_new_needs_a_name_and_pictures(enroller: RekognitionEnroller, enrollment: object) -> None:
    """Nobody is made of half of it, and nothing is paid."""
    with pytest.raises(PersonNotFound, match="pictures and a display_name"):
        await enroller.enroll(enrollment)


async def test_removes(
    enroller: RekognitionEnroller, recognizer: RekognitionRecognizer, rekognition: SimpleNamespace, collection: str
) -> None:
    """All faces of the person, those that another program indexed under the id too; twice is once."""
    await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    await enroller.enroll(enrollment_of(PORTRAITS[COLLINS], person_id="c-1", name=COLLINS))
    stray = {"ExternalImageId": "grace-hopper", "Image": {"Bytes": DEMO["hopper"]}}
    rekognition.client.index_faces(CollectionId=collection, **stray)
    removals = [await enroller.remove("grace-hopper", "") for _ in range(2)]
    assert [one.removed_faces for one in removals] == [2, 0]
    assert named(await searched(recognizer, DEMO["both"])) == [[COLLINS], []]
    assert [one.person_id for one in (await enroller.people(Page(10, "", "")))[0]] == ["c-1"]


async def test_lists_in_pages(enroller: RekognitionEnroller) -> None:
    """By person_id, with names, faces and dates; a token goes on behind the page before."""
    people = {"c": COLLINS, "a": "A", "b": HOPPER}
    for person_id, name in people.items():
        await enroller.enroll(enrollment_of(PORTRAITS[HOPPER], person_id=person_id, name=name, similar=True))
    first, token = await enroller.people(Page(2, "", ""))
    second, end = await enroller.people(Page(2, token, ""))
    assert [(one.person_id, one.display_name) for one in (*first, *second)] == [
        ("a", "A"),
        ("b", HOPPER),
        ("c", COLLINS),
    ]
    assert (bool(token), end) == (True, "")
    assert first[0].face_count == 1
    assert first[0].create_time.seconds > 0
    with pytest.raises(InvalidRequest, match="page_token"):
        await enroller.people(Page(2, "/", ""))


async def test_tells_of_faces_that_another_user_has(
    enroller: RekognitionEnroller, rekognition: SimpleNamespace, collection: str
) -> None:
    """Rekognition does not delete them, so the removal is partial and says what to do."""
    face = (await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))).faces[0].face_id
    rekognition.client.create_user(CollectionId=collection, UserId="other")
    rekognition.client.associate_faces(CollectionId=collection, UserId="other", FaceIds=[face])
    removed = await enroller.remove("grace-hopper", "")
    assert removed.removed_faces == 0
    assert "Disassociate" in removed.warnings[0]


async def test_a_name_that_no_collection_has(recognizer: RekognitionRecognizer) -> None:
    """Is refused here, in words about collections."""
    with pytest.raises(InvalidRequest, match="A collection's name has 1 to 255"):
        await searched(recognizer, DEMO["hopper"], collection="no such/name")


async def test_over_grpc(recognizer: RekognitionRecognizer, enroller: RekognitionEnroller) -> None:
    """The service that all recognizers share: enrolled, listed, removed; a refused picture is an entry."""
    async with served(Leaf(recognizer, LeafSettings(), enroller)) as address, client(address) as enrollment:
        image = recognizer_pb2.Image(content=PORTRAITS[HOPPER])
        enrolled = await enrollment.EnrollFaces(pb.EnrollFacesRequest(display_name=HOPPER, images=[image]))
        listed = await enrollment.ListPeople(pb.ListPeopleRequest())
        coffee = recognizer_pb2.Image(content=DEMO["coffee"])
        refused = await enrollment.EnrollFaces(pb.EnrollFacesRequest(display_name="Nobody", images=[coffee]))
        removed = await enrollment.RemovePerson(pb.RemovePersonRequest(person_id="grace-hopper"))
        async with stub(address) as plain:
            shown = await plain.ListRecognizers(recognizer_pb2.ListRecognizersRequest())
    assert (enrolled.person_id, enrolled.results[0].recognizer) == ("grace-hopper", "rekognition")
    assert [one.display_name for one in listed.results[0].people] == [HOPPER]
    assert refused.results[0].outcome == recognizer_pb2.OUTCOME_PARTIAL
    assert code_and_reason(refused.results[0].faces[0].status) == ("INVALID_ARGUMENT", "NO_FACE")
    assert removed.results[0].removed_faces == 1
    assert shown.recognizers[0].can_enroll

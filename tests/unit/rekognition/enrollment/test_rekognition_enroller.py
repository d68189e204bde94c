"""Enrolling into a Rekognition collection, against the local endpoint and moto's DynamoDB."""

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
    candidate_names,
    enrollment_of,
    search_faces,
)
from tests.support.servers import served, stub

pytestmark = pytest.mark.slow


async def test_enrolled_people_are_named(enroller: RekognitionEnroller, recognizer: RekognitionRecognizer) -> None:
    """FACE_SEARCH names each enrolled person in other pictures, as one; the collection has the face's person_id."""
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
    search = await search_faces(recognizer, DEMO["both"])
    assert candidate_names(search) == [[COLLINS], [HOPPER]]
    people = {(face.candidates[0].person_id, face.candidates[0].enrolled) for face in search.faces}
    assert people == {("c-1", True), ("grace-hopper", True)}


async def test_enrolling_is_safe_to_repeat(
    enroller: RekognitionEnroller, rekognition: SimpleNamespace, collection: str
) -> None:
    """A file counts once, costs once and has one face, however often it is sent, in one call or several."""
    first = await enroller.enroll(enrollment_of(PORTRAITS[HOPPER], PORTRAITS[HOPPER]))
    again = await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    assert (states(first), states(again)) == ([ENROLLED, ALREADY], [ALREADY])
    assert again.cost_micro_usd == 0
    assert again.faces[0].face_id == first.faces[0].face_id
    assert again.person.face_count == 1
    assert rekognition.client.describe_collection(CollectionId=collection)["FaceCount"] == 1


async def test_a_face_deleted_elsewhere_is_enrolled_again(
    enroller: RekognitionEnroller, rekognition: SimpleNamespace, collection: str
) -> None:
    """A face counts as enrolled only if the collection has it, not if the table alone does."""
    first = await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    rekognition.client.delete_faces(CollectionId=collection, FaceIds=[first.faces[0].face_id])
    again = await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    assert states(again) == [ENROLLED]
    assert again.person.face_count == 1
    assert again.faces[0].face_id != first.faces[0].face_id
    assert states(await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))) == [ALREADY]


async def test_each_picture_is_refused_by_itself(
    enroller: RekognitionEnroller, rekognition: SimpleNamespace, collection: str
) -> None:
    """No face, several faces, a blurred face or no picture at all: each has its own reason, and none is indexed."""
    blurred = jpeg(photo(COLLINS).filter(ImageFilter.GaussianBlur(4)))
    pictures = (DEMO["coffee"], DEMO["both"], blurred, b"no picture", PORTRAITS[HOPPER])
    result = await enroller.enroll(enrollment_of(*pictures))
    assert reasons(result) == ["NO_FACE", "SEVERAL_FACES", "FACE_BLURRED", "INVALID_IMAGE", ""]
    assert states(result) == [REFUSED] * 4 + [ENROLLED]
    assert rekognition.client.describe_collection(CollectionId=collection)["FaceCount"] == 1


async def test_a_face_of_somebody_else_is_refused(
    enroller: RekognitionEnroller, recognizer: RekognitionRecognizer
) -> None:
    """The refusal names the other person; a caller who knows that they are two people can allow it."""
    await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    twin = {"person_id": "twin", "name": "Her twin"}
    refused = await enroller.enroll(enrollment_of(DEMO["hopper"], **twin))
    assert reasons(refused) == ["FACE_ALREADY_ENROLLED"]
    assert HOPPER in refused.faces[0].status.message
    assert refused.cost_micro_usd == 2000
    assert states(await enroller.enroll(enrollment_of(DEMO["hopper"], **twin, similar=True))) == [ENROLLED]
    assert sorted(candidate_names(await search_faces(recognizer, DEMO["hopper"]))[0]) == [HOPPER, "Her twin"]


async def test_people_are_renamed(enroller: RekognitionEnroller, recognizer: RekognitionRecognizer) -> None:
    """A call without pictures renames for free, and this replica's searches use the new name at once."""
    await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    assert candidate_names(await search_faces(recognizer, DEMO["hopper"])) == [[HOPPER]]
    renamed = await enroller.enroll(enrollment_of(name="Rear Admiral Hopper"))
    assert (renamed.person.display_name, renamed.cost_micro_usd) == ("Rear Admiral Hopper", 0)
    assert candidate_names(await search_faces(recognizer, DEMO["hopper"])) == [["Rear Admiral Hopper"]]
    assert (
        await enroller.enroll(enrollment_of(PORTRAITS[HOPPER], name=""))
    ).person.display_name == "Rear Admiral Hopper"


@pytest.mark.parametrize("enrollment", [enrollment_of(name="New"), enrollment_of(PORTRAITS[HOPPER], name="")])
async def test_somebody_new_needs_a_name_and_pictures(enroller: RekognitionEnroller, enrollment: object) -> None:
    """A name alone or pictures alone create nobody and cost nothing."""
    with pytest.raises(PersonNotFound, match="pictures and a display_name"):
        await enroller.enroll(enrollment)


async def test_people_are_removed(
    enroller: RekognitionEnroller, recognizer: RekognitionRecognizer, rekognition: SimpleNamespace, collection: str
) -> None:
    """Removing deletes all faces with the id; repeating it is a no-op."""
    await enroller.enroll(enrollment_of(PORTRAITS[HOPPER], DEMO["hopper"]))
    await enroller.enroll(enrollment_of(PORTRAITS[COLLINS], person_id="c-1", name=COLLINS))
    removals = [await enroller.remove("grace-hopper", "") for _ in range(2)]
    assert [one.removed_faces for one in removals] == [2, 0]
    assert rekognition.client.describe_collection(CollectionId=collection)["FaceCount"] == 1
    assert candidate_names(await search_faces(recognizer, DEMO["both"])) == [[COLLINS], []]
    assert [one.person_id for one in (await enroller.people(Page(10, "", "")))[0]] == ["c-1"]


async def test_people_are_listed_in_pages(enroller: RekognitionEnroller) -> None:
    """People are sorted by person_id, with names, face counts and dates; a token continues after the previous page."""
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


async def test_removal_warns_about_faces_of_another_user(
    enroller: RekognitionEnroller, rekognition: SimpleNamespace, collection: str
) -> None:
    """Rekognition does not delete such faces, so the removal is partial and says what to do."""
    face = (await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))).faces[0].face_id
    rekognition.client.create_user(CollectionId=collection, UserId="other")
    rekognition.client.associate_faces(CollectionId=collection, UserId="other", FaceIds=[face])
    removed = await enroller.remove("grace-hopper", "")
    assert removed.removed_faces == 0
    assert "Disassociate" in removed.warnings[0]


async def test_an_invalid_collection_name_is_refused(recognizer: RekognitionRecognizer) -> None:
    """The recognizer itself refuses the name, with a message about collections."""
    with pytest.raises(InvalidRequest, match="A collection's name has 1 to 255"):
        await search_faces(recognizer, DEMO["hopper"], collection="no such/name")


async def test_over_grpc(recognizer: RekognitionRecognizer, enroller: RekognitionEnroller) -> None:
    """The shared EnrollmentService enrolls, lists and removes; what is refused is an entry in the response."""
    async with served(Leaf(recognizer, LeafSettings(), enroller)) as address, client(address) as enrollment:
        image = recognizer_pb2.Image(content=PORTRAITS[HOPPER])
        enrolled = await enrollment.EnrollFaces(pb.EnrollFacesRequest(display_name=HOPPER, images=[image]))
        listing = await enrollment.ListPeople(pb.ListPeopleRequest())
        coffee = recognizer_pb2.Image(content=DEMO["coffee"])
        refused = await enrollment.EnrollFaces(pb.EnrollFacesRequest(display_name="Nobody", images=[coffee]))
        faces = await enrollment.ListFaces(pb.ListFacesRequest(person_id="grace-hopper"))
        taken = await enrollment.EnrollFaces(
            pb.EnrollFacesRequest(
                display_name=HOPPER.upper(), images=[recognizer_pb2.Image(content=PORTRAITS[COLLINS])]
            )
        )
        key = pb.FaceKey(face=pb.FaceId(recognizer="rekognition", face_id="no UUID"))
        none = await enrollment.RemoveFaces(pb.RemoveFacesRequest(faces=[key]))
        removed = await enrollment.RemovePerson(pb.RemovePersonRequest(person_id="grace-hopper"))
        async with stub(address) as plain:
            servers = await plain.ListRecognizers(recognizer_pb2.ListRecognizersRequest())
    assert (enrolled.person_id, enrolled.results[0].recognizer) == ("grace-hopper", "rekognition")
    assert [one.display_name for one in listing.results[0].people] == [HOPPER]
    assert refused.results[0].outcome == recognizer_pb2.OUTCOME_PARTIAL
    assert code_and_reason(refused.results[0].faces[0].status) == ("INVALID_ARGUMENT", "NO_FACE")
    assert [face.HasField("s3_object") for face in faces.results[0].faces] == [False]
    assert code_and_reason(taken.results[0].faces[0].status) == ("ALREADY_EXISTS", "NAME_TAKEN")
    assert [(one.removed_faces, one.status.code) for one in none.results[0].faces] == [(0, 0)]
    assert removed.results[0].removed_faces == 1
    assert servers.recognizers[0].can_enroll

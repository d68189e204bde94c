"""Enrolling into a collection of Rekognition's, against the local endpoint and moto's DynamoDB."""

from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace

import boto3
import pytest
from PIL import ImageFilter

from local.pictures import photo
from marquee.v1 import enrollment_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.rekognition.enroller import RekognitionEnroller
from services.rekognition.known_people import KnownPeople
from services.rekognition.recognizer import RekognitionRecognizer
from services.runtime import status
from services.runtime.calls import within
from services.runtime.enrollment import Page
from services.runtime.errors import CollectionNotFound, InvalidRequest, NotOffered, PersonNotFound
from services.runtime.leaf import Leaf
from services.runtime.settings import LeafSettings
from tests.unit import rekognition_people
from tests.unit.enrollers import client, code_and_reason, refusal
from tests.unit.leaves import served, stub
from tests.unit.rekognition_people import COLLINS, DEMO, HOPPER, asking, named, replica, searched
from tests.unit.rekognition_pictures import jpeg
from tests.unit.scripted_aws import Answer, scripted_aws

ENROLLED, ALREADY, REFUSED = (
    pb.ENROLLMENT_STATE_ENROLLED,
    pb.ENROLLMENT_STATE_ALREADY_ENROLLED,
    pb.ENROLLMENT_STATE_REFUSED,
)
PORTRAITS = {name: jpeg(photo(name)) for name in (COLLINS, HOPPER)}
Pair = tuple[RekognitionRecognizer, RekognitionEnroller]
DETECT, SEARCH_AND_INDEX = 1000, 2000


@pytest.fixture(scope="module")
def aws() -> Iterator[SimpleNamespace]:
    with rekognition_people.aws() as running:
        yield running


@pytest.fixture
def collection(aws: SimpleNamespace) -> Iterator[str]:
    with rekognition_people.collection(aws.client) as name:
        yield name


@pytest.fixture
async def both(aws: SimpleNamespace, collection: str) -> AsyncIterator[Pair]:
    async with replica(aws, collection) as made:
        yield made


@pytest.fixture
def recognizer(both: Pair) -> RekognitionRecognizer:
    return both[0]


@pytest.fixture
def enroller(both: Pair) -> RekognitionEnroller:
    return both[1]


def states(result: pb.EnrollmentResult) -> list[int]:
    return [face.state for face in result.faces]


def reasons(result: pb.EnrollmentResult) -> list[str]:
    return [status.reason_of(face.status) for face in result.faces]


async def test_who_is_enrolled_is_named(enroller: RekognitionEnroller, recognizer: RekognitionRecognizer) -> None:
    """FACE_SEARCH tells the name in other pictures, of each face; the collection keeps the person_id with the face."""
    result = await enroller.enroll(asking(PORTRAITS[HOPPER]))
    await enroller.enroll(asking(PORTRAITS[COLLINS], person_id="c-1", name=COLLINS))
    assert states(result) == [ENROLLED]
    assert result.faces[0].box.width > 0
    assert result.faces[0].quality.sharpness > 0
    assert (result.person.person_id, result.person.display_name, result.person.face_count) == (
        "grace-hopper",
        HOPPER,
        1,
    )
    assert result.cost_micro_usd == DETECT + SEARCH_AND_INDEX
    assert result.model.name == "rekognition"
    found = await searched(recognizer, DEMO["both"])
    assert named(found) == [[COLLINS], [HOPPER]]
    assert {face.candidates[0].person_id for face in found.faces} == {"c-1", "grace-hopper"}


async def test_is_safe_to_repeat(enroller: RekognitionEnroller, aws: SimpleNamespace, collection: str) -> None:
    """A file counts once, costs once, and has one face, however often it is sent, in one call or several."""
    first = await enroller.enroll(asking(PORTRAITS[HOPPER], PORTRAITS[HOPPER]))
    again = await enroller.enroll(asking(PORTRAITS[HOPPER]))
    assert (states(first), states(again)) == ([ENROLLED, ALREADY], [ALREADY])
    assert again.cost_micro_usd == 0
    assert again.faces[0].face_id == first.faces[0].face_id
    assert again.person.face_count == 1
    assert aws.client.describe_collection(CollectionId=collection)["FaceCount"] == 1


async def test_what_somebody_else_deleted_is_enrolled_again(
    enroller: RekognitionEnroller, aws: SimpleNamespace, collection: str
) -> None:
    """The table alone is not believed."""
    first = await enroller.enroll(asking(PORTRAITS[HOPPER]))
    aws.client.delete_faces(CollectionId=collection, FaceIds=[first.faces[0].face_id])
    again = await enroller.enroll(asking(PORTRAITS[HOPPER]))
    assert states(again) == [ENROLLED]
    assert again.person.face_count == 1
    assert again.faces[0].face_id != first.faces[0].face_id
    assert states(await enroller.enroll(asking(PORTRAITS[HOPPER]))) == [ALREADY]


async def test_each_picture_is_refused_alone(
    enroller: RekognitionEnroller, aws: SimpleNamespace, collection: str
) -> None:
    """No face, several, blurred, no picture: each tells its reason, and nothing of them is indexed."""
    blurred = jpeg(photo(COLLINS).filter(ImageFilter.GaussianBlur(2)))
    pictures = (DEMO["coffee"], DEMO["both"], blurred, b"no picture", PORTRAITS[HOPPER])
    result = await enroller.enroll(asking(*pictures))
    assert reasons(result) == ["NO_FACE", "SEVERAL_FACES", "FACE_BLURRED", "INVALID_IMAGE", ""]
    assert states(result) == [REFUSED] * 4 + [ENROLLED]
    assert aws.client.describe_collection(CollectionId=collection)["FaceCount"] == 1


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("EXCEEDS_MAX_FACES", "SEVERAL_FACES"),
        ("EXTREME_POSE", "FACE_TURNED"),
        ("SMALL_BOUNDING_BOX", "FACE_TOO_SMALL"),
        ("LOW_SHARPNESS", "FACE_BLURRED"),
        ("LOW_BRIGHTNESS", "UNFIT_FACE"),
        ("LOW_CONFIDENCE", "UNFIT_FACE"),
        ("LOW_FACE_QUALITY", "UNFIT_FACE"),
        ("SOMETHING_NEW", "UNFIT_FACE"),
    ],
)
async def test_rekognitions_reasons_are_told(aws: SimpleNamespace, reason: str, told: str) -> None:
    """Whatever Rekognition has against a face has a reason of the contract and words that say what to do."""
    answers: dict[str, Answer] = {
        "DescribeCollection": (200, {"FaceCount": 0}),
        "DetectFaces": (200, {"FaceDetails": [{}]}),
        "SearchFacesByImage": (200, {"FaceMatches": []}),
        "IndexFaces": (200, {"FaceRecords": [], "UnindexedFaces": [{"Reasons": [reason]}]}),
    }
    with scripted_aws(lambda operation, _: answers[operation]) as scripted:
        there = SimpleNamespace(url=scripted.url, table_url=aws.table_url)
        async with replica(there, "people", rekognition_quality_filter="HIGH") as (_, enroller):
            result = await enroller.enroll(asking(PORTRAITS[HOPPER]))
    assert reasons(result) == [told]
    assert result.faces[0].status.message.endswith((".", "picture."))
    assert scripted.asked[-1][1]["QualityFilter"] == "HIGH"
    assert not result.HasField("person")


async def test_anothers_face_is_refused(enroller: RekognitionEnroller, recognizer: RekognitionRecognizer) -> None:
    """Unless the caller knows that they are two; the refusal names the other."""
    await enroller.enroll(asking(PORTRAITS[HOPPER]))
    twin = {"person_id": "twin", "name": "Her twin"}
    refused = await enroller.enroll(asking(DEMO["hopper"], **twin))
    assert reasons(refused) == ["FACE_ALREADY_ENROLLED"]
    assert HOPPER in refused.faces[0].status.message
    assert refused.cost_micro_usd == 2000
    assert states(await enroller.enroll(asking(DEMO["hopper"], **twin, similar=True))) == [ENROLLED]
    assert sorted(named(await searched(recognizer, DEMO["hopper"]))[0]) == [HOPPER, "Her twin"]


async def test_renames(enroller: RekognitionEnroller, recognizer: RekognitionRecognizer) -> None:
    """Without pictures, without cost, and at once for this replica's searches."""
    await enroller.enroll(asking(PORTRAITS[HOPPER]))
    assert named(await searched(recognizer, DEMO["hopper"])) == [[HOPPER]]
    renamed = await enroller.enroll(asking(name="Rear Admiral Hopper"))
    assert (renamed.person.display_name, renamed.cost_micro_usd) == ("Rear Admiral Hopper", 0)
    assert named(await searched(recognizer, DEMO["hopper"])) == [["Rear Admiral Hopper"]]
    assert (await enroller.enroll(asking(PORTRAITS[HOPPER], name=""))).person.display_name == "Rear Admiral Hopper"


@pytest.mark.parametrize("enrollment", [asking(name="New"), asking(PORTRAITS[HOPPER], name="")])
async def test_somebody_new_needs_a_name_and_pictures(enroller: RekognitionEnroller, enrollment: object) -> None:
    """Nobody is made of half of it, and nothing is paid."""
    with pytest.raises(PersonNotFound, match="pictures and a display_name"):
        await enroller.enroll(enrollment)


async def test_removes(
    enroller: RekognitionEnroller, recognizer: RekognitionRecognizer, aws: SimpleNamespace, collection: str
) -> None:
    """All faces of the person, those that another program indexed under the id too; twice is once."""
    await enroller.enroll(asking(PORTRAITS[HOPPER]))
    await enroller.enroll(asking(PORTRAITS[COLLINS], person_id="c-1", name=COLLINS))
    stray = {"ExternalImageId": "grace-hopper", "Image": {"Bytes": DEMO["hopper"]}}
    aws.client.index_faces(CollectionId=collection, **stray)
    removals = [await enroller.remove("grace-hopper", "") for _ in range(2)]
    assert [one.removed_faces for one in removals] == [2, 0]
    assert named(await searched(recognizer, DEMO["both"])) == [[COLLINS], []]
    assert [one.person_id for one in (await enroller.people(Page(10, "", "")))[0]] == ["c-1"]


async def test_lists_in_pages(enroller: RekognitionEnroller) -> None:
    """By person_id, with names, faces and dates; a token goes on behind the page before."""
    people = {"c": COLLINS, "a": "A", "b": HOPPER}
    for person_id, name in people.items():
        await enroller.enroll(asking(PORTRAITS[HOPPER], person_id=person_id, name=name, similar=True))
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


async def test_other_replicas_know_at_once(aws: SimpleNamespace, collection: str) -> None:
    """What one has enrolled, another one finds and names."""
    async with replica(aws, collection) as (_, enroller), replica(aws, collection) as (other, _):
        await enroller.enroll(asking(PORTRAITS[HOPPER]))
        assert named(await searched(other, DEMO["hopper"])) == [[HOPPER]]


async def test_searches_users(aws: SimpleNamespace, collection: str) -> None:
    """Where set so: a person's faces become one user, which is found, paid once, and goes with the person."""
    async with replica(aws, collection, rekognition_search="users") as (recognizer, enroller):
        first = await enroller.enroll(asking(PORTRAITS[HOPPER], DEMO["hopper"]))
        again = await enroller.enroll(asking(PORTRAITS[HOPPER]))
        found = await searched(recognizer, DEMO["both"])
        removed = await enroller.remove("grace-hopper", "")
    assert (first.cost_micro_usd, again.cost_micro_usd) == (2 * (DETECT + SEARCH_AND_INDEX) + 1000, 0)
    assert not first.warnings
    assert named(found) == [[], [HOPPER]]
    assert found.cost_micro_usd == 3000
    assert removed.removed_faces == 2
    described = aws.client.describe_collection(CollectionId=collection)
    assert (described["FaceCount"], described["UserCount"]) == (0, 0)


async def test_tells_of_faces_that_another_user_has(
    enroller: RekognitionEnroller, aws: SimpleNamespace, collection: str
) -> None:
    """Rekognition does not delete them, so the removal is partial and says what to do."""
    face = (await enroller.enroll(asking(PORTRAITS[HOPPER]))).faces[0].face_id
    aws.client.create_user(CollectionId=collection, UserId="other")
    aws.client.associate_faces(CollectionId=collection, UserId="other", FaceIds=[face])
    removed = await enroller.remove("grace-hopper", "")
    assert removed.removed_faces == 0
    assert "Disassociate" in removed.warnings[0]


async def test_waits_until_a_face_is_found(aws: SimpleNamespace) -> None:
    """ListFaces is asked until it tells of the face; at the caller's deadline a warning tells that it did not."""
    listed = iter([[], [], [{"FaceId": "f-1"}]])
    record = {"Face": {"FaceId": "f-1"}, "FaceDetail": {}}

    def script(operation: str, _: object) -> Answer:
        answers: dict[str, dict[str, object]] = {
            "DescribeCollection": {"FaceCount": 0},
            "DetectFaces": {"FaceDetails": [{}]},
            "SearchFacesByImage": {"FaceMatches": []},
            "IndexFaces": {"FaceRecords": [record]},
        }
        return 200, answers[operation] if operation in answers else {"Faces": next(listed, [])}

    with scripted_aws(script) as scripted:
        there = SimpleNamespace(url=scripted.url, table_url=aws.table_url)
        async with replica(there, "waiting") as (_, enroller):
            found = await enroller.enroll(asking(PORTRAITS[HOPPER], person_id="early"))
            async with within(1.5, "rekognition"):
                late = await enroller.enroll(asking(PORTRAITS[COLLINS], person_id="late"))
    assert (states(found), found.warnings[:]) == ([ENROLLED], [])
    assert states(late) == [ENROLLED]
    assert "does not list 1" in late.warnings[0]


async def test_the_budget_holds(aws: SimpleNamespace, collection: str) -> None:
    """What is not paid for any longer is refused; what was enrolled before stays enrolled."""
    async with replica(aws, collection) as (recognizer, enroller):
        await enroller.enroll(asking(PORTRAITS[HOPPER]))
        spent = recognizer.account.ledger.spending().today_micro_usd
    async with replica(aws, collection, rekognition_daily_cap_usd=(spent + 3000) / 1e6) as (_, enroller):
        first = await enroller.enroll(asking(DEMO["hopper"]))
        second = await enroller.enroll(asking(DEMO["collins"], DEMO["hopper"]))
    assert (states(first), first.cost_micro_usd) == ([ENROLLED], 3000)
    assert reasons(second) == ["BUDGET_EXHAUSTED", ""]
    assert states(second) == [REFUSED, ALREADY]


@pytest.mark.parametrize("missing", ["rekognition_collection", "rekognition_table"])
async def test_is_offered_where_there_is_a_collection_and_a_table(
    aws: SimpleNamespace, collection: str, missing: str
) -> None:
    """Without either, the refusal names the setting, and can_enroll is false."""
    async with replica(aws, collection, **{missing: ""}) as (recognizer, enroller):
        assert not recognizer.describe().can_enroll
        with pytest.raises(NotOffered, match=f"MARQUEE_{missing.upper()}"):
            await enroller.enroll(asking(PORTRAITS[HOPPER]))


async def test_no_such_collection(aws: SimpleNamespace) -> None:
    """Is told before anything is paid."""
    async with replica(aws, "nowhere") as (recognizer, enroller):
        before = recognizer.account.ledger.spending().today_micro_usd
        with pytest.raises(CollectionNotFound):
            await enroller.enroll(asking(PORTRAITS[HOPPER]))
        with pytest.raises(CollectionNotFound):
            await enroller.remove("grace-hopper", "")
        assert recognizer.account.ledger.spending().today_micro_usd == before


async def test_a_name_that_no_collection_has(recognizer: RekognitionRecognizer) -> None:
    """Is refused here, in words about collections."""
    with pytest.raises(InvalidRequest, match="A collection has 1 to 255"):
        await searched(recognizer, DEMO["hopper"], collection="no such/name")


async def test_names_that_cannot_be_looked_up(aws: SimpleNamespace, collection: str) -> None:
    """A table that fails costs the names, not the finding."""
    async with replica(aws, collection) as (recognizer, enroller):
        await enroller.enroll(asking(PORTRAITS[HOPPER]))
        dynamodb = boto3.client("dynamodb", endpoint_url=aws.table_url)
        recognizer.account.people = KnownPeople(dynamodb, "nowhere")
        found = await searched(recognizer, DEMO["hopper"])
        dynamodb.close()
    assert named(found) == [["grace-hopper"]]
    assert "person_id" in found.warnings[0]


async def test_over_grpc(recognizer: RekognitionRecognizer, enroller: RekognitionEnroller) -> None:
    """The service that all recognizers share: enrolled, listed, removed; all pictures refused fails the call."""
    async with served(Leaf(recognizer, LeafSettings(), enroller)) as address, client(address) as enrollment:
        image = recognizer_pb2.Image(content=PORTRAITS[HOPPER])
        enrolled = await enrollment.EnrollFaces(pb.EnrollFacesRequest(display_name=HOPPER, images=[image]))
        listed = await enrollment.ListPeople(pb.ListPeopleRequest())
        coffee = recognizer_pb2.Image(content=DEMO["coffee"])
        refused = await refusal(enrollment.EnrollFaces(pb.EnrollFacesRequest(display_name="Nobody", images=[coffee])))
        removed = await enrollment.RemovePerson(pb.RemovePersonRequest(person_id="grace-hopper"))
        async with stub(address) as plain:
            shown = await plain.ListRecognizers(recognizer_pb2.ListRecognizersRequest())
    assert (enrolled.person_id, enrolled.results[0].recognizer) == ("grace-hopper", "rekognition")
    assert [one.display_name for one in listed.results[0].people] == [HOPPER]
    assert code_and_reason(refused) == ("INVALID_ARGUMENT", "NO_FACE")
    assert removed.results[0].removed_faces == 1
    assert shown.recognizers[0].can_enroll

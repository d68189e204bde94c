"""Enrolling as it is set up: several replicas, users, a budget, and what AWS does not have or says of a face."""

import time
from types import SimpleNamespace

import boto3
import pytest

from services.rekognition.table.people import EnrolledPeople
from services.runtime.errors import CollectionNotFound, NotOffered
from services.runtime.server.calls import within
from tests.support.aws import Answer, scripted_aws
from tests.support.enrollers import ALREADY, ENROLLED, REFUSED, reasons, states
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

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("reason", "expected"),
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
async def test_rekognitions_reasons_are_told(rekognition: SimpleNamespace, reason: str, expected: str) -> None:
    """Whatever Rekognition has against a face has a reason of the contract and words that say what to do."""
    answers: dict[str, Answer] = {
        "DescribeCollection": (200, {"FaceCount": 0}),
        "DetectFaces": (200, {"FaceDetails": [{}]}),
        "SearchFacesByImage": (200, {"FaceMatches": []}),
        "IndexFaces": (200, {"FaceRecords": [], "UnindexedFaces": [{"Reasons": [reason]}]}),
    }
    with scripted_aws(lambda operation, _: answers[operation]) as scripted:
        there = SimpleNamespace(url=scripted.url, table_url=rekognition.table_url)
        async with replica(there, "people", rekognition_quality_filter="HIGH") as (_, enroller):
            result = await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    assert reasons(result) == [expected]
    assert result.faces[0].status.message.endswith((".", "picture."))
    assert scripted.requests[-1][1]["QualityFilter"] == "HIGH"
    assert not result.HasField("person")


async def test_waits_until_a_face_is_found(rekognition: SimpleNamespace) -> None:
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
        there = SimpleNamespace(url=scripted.url, table_url=rekognition.table_url)
        async with replica(there, "waiting") as (_, enroller):
            result = await enroller.enroll(enrollment_of(PORTRAITS[HOPPER], person_id="early"))
            async with within(time.monotonic() + 5, "rekognition"):
                late = await enroller.enroll(enrollment_of(PORTRAITS[COLLINS], person_id="late"))
    assert (states(result), result.warnings[:]) == ([ENROLLED], [])
    assert states(late) == [ENROLLED]
    assert "does not list 1" in late.warnings[0]


async def test_other_replicas_know_at_once(rekognition: SimpleNamespace, collection: str) -> None:
    """What one has enrolled, another one finds and names."""
    async with replica(rekognition, collection) as (_, enroller), replica(rekognition, collection) as (other, _):
        await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
        assert named(await searched(other, DEMO["hopper"])) == [[HOPPER]]


async def test_searches_users(rekognition: SimpleNamespace, collection: str) -> None:
    """Where set so: a person's faces become one user, which is found, paid once, and goes with the person."""
    async with replica(rekognition, collection, rekognition_search="users") as (recognizer, enroller):
        first = await enroller.enroll(enrollment_of(PORTRAITS[HOPPER], DEMO["hopper"]))
        again = await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
        result = await searched(recognizer, DEMO["both"])
        removed = await enroller.remove("grace-hopper", "")
    assert (first.cost_micro_usd, again.cost_micro_usd) == (2 * PRICE + 1000, 0)
    assert not first.warnings
    assert named(result) == [[], [HOPPER]]
    assert result.cost_micro_usd == 3000
    assert removed.removed_faces == 2
    described = rekognition.client.describe_collection(CollectionId=collection)
    assert (described["FaceCount"], described["UserCount"]) == (0, 0)


async def test_the_budget_holds(rekognition: SimpleNamespace, collection: str) -> None:
    """What is not paid for any longer is refused; what was enrolled before stays enrolled."""
    async with replica(rekognition, collection) as (recognizer, enroller):
        await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
        spent = recognizer.account.ledger.spending().today_micro_usd
    async with replica(rekognition, collection, rekognition_daily_cap_usd=(spent + 3000) / 1e6) as (_, enroller):
        first = await enroller.enroll(enrollment_of(DEMO["hopper"]))
        second = await enroller.enroll(enrollment_of(DEMO["collins"], DEMO["hopper"]))
    assert (states(first), first.cost_micro_usd) == ([ENROLLED], 3000)
    assert reasons(second) == ["BUDGET_EXHAUSTED", ""]
    assert states(second) == [REFUSED, ALREADY]


@pytest.mark.parametrize("missing", ["rekognition_collection", "rekognition_table"])
async def test_is_offered_where_there_is_a_collection_and_a_table(
    rekognition: SimpleNamespace, collection: str, missing: str
) -> None:
    """Without either, the refusal names the setting, and can_enroll is false."""
    async with replica(rekognition, collection, **{missing: ""}) as (recognizer, enroller):
        assert not recognizer.describe().can_enroll
        with pytest.raises(NotOffered, match=f"MARQUEE_{missing.upper()}"):
            await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))


async def test_no_such_collection(rekognition: SimpleNamespace) -> None:
    """Is told before anything is paid."""
    async with replica(rekognition, "nowhere") as (recognizer, enroller):
        before = recognizer.account.ledger.spending().today_micro_usd
        with pytest.raises(CollectionNotFound):
            await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
        with pytest.raises(CollectionNotFound):
            await enroller.remove("grace-hopper", "")
        assert recognizer.account.ledger.spending().today_micro_usd == before


async def test_names_that_cannot_be_looked_up(rekognition: SimpleNamespace, collection: str) -> None:
    """A table that fails costs the names, not the finding."""
    async with replica(rekognition, collection) as (recognizer, enroller):
        await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
        dynamodb = boto3.client("dynamodb", endpoint_url=rekognition.table_url)
        recognizer.account.people = EnrolledPeople(dynamodb, "nowhere")
        result = await searched(recognizer, DEMO["hopper"])
        dynamodb.close()
    assert named(result) == [["grace-hopper"]]
    assert "person_id" in result.warnings[0]

"""Enrolling under various conditions: replicas, users, a budget, missing resources and AWS's reasons against a face."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import boto3
import pytest

from services.rekognition.enrollment.enroller import RekognitionEnroller
from services.rekognition.recognizer import RekognitionRecognizer
from services.rekognition.table.people import EnrolledPeople
from services.runtime.errors import CollectionNotFound, NotOffered
from services.runtime.server.deadline import within
from tests.support.aws import Answer, Script, ScriptedAws, scripted_aws
from tests.support.enrollers import ALREADY, ENROLLED, REFUSED, reasons, states
from tests.support.rekognition import (
    COLLINS,
    DEMO,
    HOPPER,
    PORTRAITS,
    PRICE,
    OpenReplica,
    candidate_names,
    enrollment_of,
    replica,
    search_faces,
)

pytestmark = pytest.mark.slow

UNKNOWN_FACE: dict[str, object] = {
    "DescribeCollection": {"FaceCount": 0},
    "DetectFaces": {"FaceDetails": [{}]},
    "SearchFacesByImage": {"FaceMatches": []},
}
"""Responses to the calls before IndexFaces, for a face that is not enrolled."""


@asynccontextmanager
async def scripted_enroller(
    script: Script, table_url: str, collection: str, **own: object
) -> AsyncIterator[tuple[RekognitionEnroller, ScriptedAws]]:
    """Open a replica for an AWS that answers with the script; yield its enroller and that AWS."""
    with scripted_aws(script) as scripted:
        aws = SimpleNamespace(url=scripted.url, table_url=table_url)
        async with replica(aws, collection, **own) as (_, enroller):
            yield enroller, scripted


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
async def test_rekognitions_reasons_are_translated(rekognition: SimpleNamespace, reason: str, expected: str) -> None:
    """Each of Rekognition's reasons becomes one of the contract, with a message that says what to do."""
    responses = UNKNOWN_FACE | {"IndexFaces": {"FaceRecords": [], "UnindexedFaces": [{"Reasons": [reason]}]}}

    def script(operation: str, _: object) -> Answer:
        return 200, responses[operation]

    async with scripted_enroller(script, rekognition.table_url, "people", rekognition_quality_filter="HIGH") as (
        enroller,
        scripted,
    ):
        result = await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    assert reasons(result) == [expected]
    assert result.faces[0].status.message.endswith((".", "picture."))
    assert scripted.requests[-1][1]["QualityFilter"] == "HIGH"
    assert not result.HasField("person")


async def test_enrolling_waits_until_the_face_is_listed(rekognition: SimpleNamespace) -> None:
    """ListFaces is polled until it lists the face; at the caller's deadline a warning says that it does not."""
    listings = iter([[], [], [{"FaceId": "f-1"}]])
    responses = UNKNOWN_FACE | {"IndexFaces": {"FaceRecords": [{"Face": {"FaceId": "f-1"}, "FaceDetail": {}}]}}

    def script(operation: str, _: object) -> Answer:
        return 200, responses[operation] if operation in responses else {"Faces": next(listings, [])}

    async with scripted_enroller(script, rekognition.table_url, "waiting") as (enroller, _):
        result = await enroller.enroll(enrollment_of(PORTRAITS[HOPPER], person_id="early"))
        async with within(time.monotonic() + 5, "rekognition"):
            late = await enroller.enroll(enrollment_of(PORTRAITS[COLLINS], person_id="late"))
    assert (states(result), result.warnings[:]) == ([ENROLLED], [])
    assert states(late) == [ENROLLED]
    assert "does not list 1" in late.warnings[0]


async def test_other_replicas_know_at_once(enroller: RekognitionEnroller, open_replica: OpenReplica) -> None:
    """Another replica finds and names a person as soon as one has enrolled them."""
    async with open_replica() as (other, _):
        await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
        assert candidate_names(await search_faces(other, DEMO["hopper"])) == [[HOPPER]]


async def test_faces_become_a_user(rekognition: SimpleNamespace, collection: str, open_replica: OpenReplica) -> None:
    """With the setting, a person's faces become one user, which is found, paid for once, and removed with them."""
    async with open_replica(rekognition_search="users") as (recognizer, enroller):
        first = await enroller.enroll(enrollment_of(PORTRAITS[HOPPER], DEMO["hopper"]))
        again = await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
        result = await search_faces(recognizer, DEMO["both"])
        removed = await enroller.remove("grace-hopper", "")
    assert (first.cost_micro_usd, again.cost_micro_usd) == (2 * PRICE + 1000, 0)
    assert not first.warnings
    assert candidate_names(result) == [[], [HOPPER]]
    assert result.cost_micro_usd == 3000
    assert removed.removed_faces == 2
    description = rekognition.client.describe_collection(CollectionId=collection)
    assert (description["FaceCount"], description["UserCount"]) == (0, 0)


async def test_the_budget_limits_enrolling(open_replica: OpenReplica) -> None:
    """A picture beyond the budget is refused; a picture that is already enrolled stays enrolled."""
    async with open_replica() as (recognizer, enroller):
        await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
        spent = recognizer.account.ledger.spending().today_micro_usd
    async with open_replica(rekognition_daily_cap_usd=(spent + 3000) / 1e6) as (_, enroller):
        first = await enroller.enroll(enrollment_of(DEMO["hopper"]))
        second = await enroller.enroll(enrollment_of(DEMO["collins"], DEMO["hopper"]))
    assert (states(first), first.cost_micro_usd) == ([ENROLLED], 3000)
    assert reasons(second) == ["BUDGET_EXHAUSTED", ""]
    assert states(second) == [REFUSED, ALREADY]


@pytest.mark.parametrize("missing", ["rekognition_collection", "rekognition_table"])
async def test_enrolling_needs_a_collection_and_a_table(open_replica: OpenReplica, missing: str) -> None:
    """Without either, the error names the setting, and can_enroll is false."""
    async with open_replica(**{missing: ""}) as (recognizer, enroller):
        assert not recognizer.describe().can_enroll
        with pytest.raises(NotOffered, match=f"MARQUEE_{missing.upper()}"):
            await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))


async def test_a_missing_collection_costs_nothing(rekognition: SimpleNamespace) -> None:
    """CollectionNotFound is raised before any call that costs money."""
    async with replica(rekognition, "nowhere") as (recognizer, enroller):
        before = recognizer.account.ledger.spending().today_micro_usd
        with pytest.raises(CollectionNotFound):
            await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
        with pytest.raises(CollectionNotFound):
            await enroller.remove("grace-hopper", "")
        assert recognizer.account.ledger.spending().today_micro_usd == before


async def test_a_search_without_the_table_has_no_names(
    enroller: RekognitionEnroller, recognizer: RekognitionRecognizer, rekognition: SimpleNamespace
) -> None:
    """If the table fails, the match has its person_id but no name, and a warning says so."""
    await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    dynamodb = boto3.client("dynamodb", endpoint_url=rekognition.table_url)
    recognizer.account.people = EnrolledPeople(dynamodb, "nowhere")
    result = await search_faces(recognizer, DEMO["hopper"])
    dynamodb.close()
    assert candidate_names(result) == [["grace-hopper"]]
    assert "person_id" in result.warnings[0]

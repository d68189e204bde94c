"""Single faces of a Rekognition collection: where they come from, and how one is taken back."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from marquee.v1 import enrollment_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.rekognition.enrollment.enroller import RekognitionEnroller
from services.rekognition.recognizer import RekognitionRecognizer
from services.rekognition.table.people import EnrolledPeople, digest_of
from services.runtime.errors import CollectionNotFound, InvalidRequest, NotOffered
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import FaceRemoval, Page
from tests.support.aws import TABLE, Answer
from tests.support.enrollers import code_and_reason
from tests.support.rekognition import (
    COLLINS,
    DEMO,
    HOPPER,
    PORTRAITS,
    OpenReplica,
    candidate_names,
    enrollment_of,
    replica,
    search_faces,
)
from tests.support.rekognition_collection import Scripted

pytestmark = pytest.mark.slow

ALL = Page(100, "", "")
GRACE = "grace-hopper"


@pytest.fixture
def people(rekognition: SimpleNamespace) -> Iterator[EnrolledPeople]:
    client = boto3.client("dynamodb", endpoint_url=rekognition.table_url)
    yield EnrolledPeople(client, TABLE)
    client.close()


def sha256(picture: bytes) -> str:
    return hashlib.sha256(picture).hexdigest()


def by_id(face_id: str) -> pb.FaceKey:
    return pb.FaceKey(face=pb.FaceId(face_id=face_id))


def by_picture(picture: bytes) -> pb.FaceKey:
    return pb.FaceKey(content_sha256=sha256(picture))


def removal(*keys: pb.FaceKey, person_id: str = "") -> FaceRemoval:
    return FaceRemoval(keys, person_id, "")


def counts(result: pb.FaceRemovalResult) -> list[int]:
    return [entry.removed_faces for entry in result.faces]


def errors(result: pb.FaceRemovalResult) -> list[str]:
    """Return the reasons of the entries' errors."""
    return [code_and_reason(entry.status)[1] if entry.status.code else "" for entry in result.faces]


async def ids(enroller: RekognitionEnroller, person_id: str = GRACE) -> list[str]:
    """Return the ids of the person's faces."""
    listed, _ = await enroller.faces(person_id, ALL)
    return [face.face_id for face in listed.faces]


async def known(enroller: RekognitionEnroller) -> dict[str, int]:
    """Return the numbers of faces of all who are listed."""
    return {person.person_id: person.face_count for person in (await enroller.people(ALL))[0]}


def size(rekognition: SimpleNamespace, collection: str) -> tuple[int, int]:
    """Return the numbers of faces and users."""
    description = rekognition.client.describe_collection(CollectionId=collection)
    return description["FaceCount"], description["UserCount"]


async def test_a_face_tells_where_it_comes_from(enroller: RekognitionEnroller) -> None:
    """Each face has its picture's digest and source, and the time; they are listed in the order of enrollment."""
    source = recognizer_pb2.S3Object(bucket="photos", key="a/\u202fb.jpg", version_id="7")
    from_s3 = Image(None, source, lambda _: DEMO["hopper"])
    given = await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    stored = await enroller.enroll(replace(enrollment_of(), images=[from_s3]))
    listed, token = await enroller.faces(GRACE, ALL)
    assert [face.face_id for face in listed.faces] == [given.faces[0].face_id, stored.faces[0].face_id]
    assert [face.content_sha256 for face in listed.faces] == [sha256(PORTRAITS[HOPPER]), sha256(DEMO["hopper"])]
    assert [face.HasField("s3_object") for face in listed.faces] == [False, True]
    assert listed.faces[1].s3_object == source
    assert all(abs(face.create_time.seconds - time.time()) < 600 for face in listed.faces)
    assert (listed.person.display_name, listed.person.face_count, token) == (HOPPER, 2, "")


async def test_faces_are_listed_by_page(enroller: RekognitionEnroller) -> None:
    """The token leads to the next page, unless its face was removed; unknown people are absent."""
    await enroller.enroll(enrollment_of(PORTRAITS[HOPPER], DEMO["hopper"]))
    first, token = await enroller.faces(GRACE, Page(1, "", ""))
    second, end = await enroller.faces(GRACE, Page(1, token, ""))
    assert [face.face_id for page in (first, second) for face in page.faces] == await ids(enroller)
    assert (bool(token), end) == (True, "")
    await enroller.remove_faces(removal(by_id(token)))
    for wrong in (token, "../ada"):
        with pytest.raises(InvalidRequest):
            await enroller.faces(GRACE, Page(1, wrong, ""))
    assert await enroller.faces("nobody", ALL) == (pb.FacesResult(), "")


@pytest.mark.parametrize("is_indexed", [False, True])
async def test_earlier_rows_have_no_origin(
    enroller: RekognitionEnroller,
    people: EnrolledPeople,
    rekognition: SimpleNamespace,
    collection: str,
    *,
    is_indexed: bool,
) -> None:
    """Faces of earlier versions are listed by their ids alone, and are removed by their pictures all the same."""
    portrait = DEMO["hopper"]
    face = rekognition.client.index_faces(
        CollectionId=collection, ExternalImageId=GRACE, Image={"Bytes": portrait}, MaxFaces=1
    )["FaceRecords"][0]["Face"]["FaceId"]
    people.save(collection, GRACE, HOPPER, {digest_of(sha256(portrait)): face})
    if is_indexed:
        people.faces.add(collection, [(GRACE, face)])
    listed, _ = await enroller.faces(GRACE, ALL)
    assert list(listed.faces) == [pb.PersonFace(face_id=face)]
    assert counts(await enroller.remove_faces(removal(by_picture(portrait)))) == [1]
    assert (await known(enroller), size(rekognition, collection)) == ({}, (0, 0))
    assert await ids(enroller) == []


@pytest.mark.parametrize("person_id", ["", GRACE])
@pytest.mark.parametrize("with_id", [True, False])
async def test_one_face_is_taken_back(
    enroller: RekognitionEnroller, recognizer: RekognitionRecognizer, person_id: str, *, with_id: bool
) -> None:
    """A face is removed by its id or its picture, and no other; a removal is safe to repeat and costs nothing."""
    wrong, right = PORTRAITS[COLLINS], PORTRAITS[HOPPER]
    enrolled = await enroller.enroll(enrollment_of(wrong, right))
    spent = recognizer.account.ledger.spending().today_micro_usd
    key = by_id(enrolled.faces[0].face_id) if with_id else by_picture(wrong)
    first = await enroller.remove_faces(removal(key, key, person_id=person_id))
    second = await enroller.remove_faces(removal(key, person_id=person_id))
    assert (counts(first), counts(second), list(first.warnings)) == ([1, 0], [0], [])
    assert [entry.key for entry in first.faces] == [key, key]
    assert await ids(enroller) == [enrolled.faces[1].face_id]
    assert (await known(enroller))[GRACE] == 1
    assert candidate_names(await search_faces(recognizer, DEMO["both"])) == [[], [HOPPER]]
    assert recognizer.account.ledger.spending().today_micro_usd == spent + 3000


async def test_a_person_limits_the_removal(enroller: RekognitionEnroller) -> None:
    """A picture that was enrolled for two people is removed from the one that the call names, else from both."""
    for person_id in ("p1", "p2"):
        await enroller.enroll(enrollment_of(PORTRAITS[HOPPER], DEMO["hopper"], person_id=person_id, similar=True))
    ones = await ids(enroller, "p1")
    foreign = await enroller.remove_faces(removal(*map(by_id, ones), person_id="p2"))
    one = await enroller.remove_faces(removal(by_picture(PORTRAITS[HOPPER]), person_id="p2"))
    assert (counts(foreign), counts(one), await known(enroller)) == ([0, 0], [1], {"p1": 2, "p2": 1})
    both = await enroller.remove_faces(removal(by_picture(DEMO["hopper"])))
    assert (counts(both), await known(enroller)) == ([2], {"p1": 1})
    assert list(both.warnings) == ["p2 has no face left and is no longer known."]


async def test_a_face_of_nobody_in_the_table(
    enroller: RekognitionEnroller, rekognition: SimpleNamespace, collection: str
) -> None:
    """A face that another program indexed is removed by its id, if the person is the one that Rekognition names."""
    for person_id in ("ada", "bea"):
        rekognition.client.index_faces(
            CollectionId=collection, ExternalImageId=person_id, Image={"Bytes": DEMO["hopper"]}, MaxFaces=1
        )
    faces = {face["ExternalImageId"]: face["FaceId"] for face in _faces(rekognition, collection)}
    result = await enroller.remove_faces(removal(by_id(faces["ada"]), by_id(faces["bea"]), person_id="ada"))
    assert counts(result) == [1, 0]
    assert [face["ExternalImageId"] for face in _faces(rekognition, collection)] == ["bea"]


def _faces(rekognition: SimpleNamespace, collection: str) -> list[dict[str, Any]]:
    faces: list[dict[str, Any]] = rekognition.client.list_faces(CollectionId=collection)["Faces"]
    return faces


async def test_faces_leave_their_user(open_replica: OpenReplica, rekognition: SimpleNamespace, collection: str) -> None:
    """A face is disassociated, which is paid for; the last one goes with its user, which is free."""
    async with open_replica(rekognition_search="users") as (recognizer, enroller):
        await enroller.enroll(enrollment_of(PORTRAITS[HOPPER], DEMO["hopper"]))
        spent = recognizer.account.ledger.spending().today_micro_usd
        first, last = await ids(enroller)
        assert counts(await enroller.remove_faces(removal(by_id(first)))) == [1]
        assert size(rekognition, collection) == (1, 1)
        assert recognizer.account.ledger.spending().today_micro_usd == spent + 1000
        assert counts(await enroller.remove_faces(removal(by_id(last)))) == [1]
        assert size(rekognition, collection) == (0, 0)
        assert recognizer.account.ledger.spending().today_micro_usd == spent + 1000


async def test_the_budget_limits_what_is_paid_for(
    open_replica: OpenReplica, rekognition: SimpleNamespace, collection: str
) -> None:
    """Without money for DisassociateFaces the face stays, with a status; the last one is removed all the same."""
    async with open_replica(rekognition_search="users") as (recognizer, enroller):
        await enroller.enroll(enrollment_of(PORTRAITS[HOPPER], DEMO["hopper"]))
        cap = recognizer.account.ledger.spending().today_micro_usd / 1e6
    async with open_replica(rekognition_search="users", rekognition_daily_cap_usd=cap) as (_, enroller):
        one, other = await ids(enroller)
        assert errors(await enroller.remove_faces(removal(by_id(one)))) == ["BUDGET_EXHAUSTED"]
        assert size(rekognition, collection) == (2, 1)
        assert counts(await enroller.remove_faces(removal(by_id(one), by_id(other)))) == [1, 1]
        assert (size(rekognition, collection), await known(enroller)) == ((0, 0), {})


async def test_a_person_who_gets_a_face_meanwhile_stays_known(scripted: Scripted, people: EnrolledPeople) -> None:
    """Whoever is enrolled again while their last face is removed has the new one."""
    await scripted.enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))

    def delete_faces(body: dict[str, Any]) -> Answer:
        people.save(scripted.name, GRACE, HOPPER, {"digest": "new"})
        return 200, scripted.collection.delete_faces(body)

    scripted.collection.extra["DeleteFaces"] = delete_faces
    result = await scripted.enroller.remove_faces(removal(by_picture(PORTRAITS[HOPPER])))
    assert (counts(result), list(result.warnings)) == ([1], [])
    assert await ids(scripted.enroller) == ["new"]


async def test_a_face_of_another_user_stays(
    enroller: RekognitionEnroller, rekognition: SimpleNamespace, collection: str
) -> None:
    """It has a status that names the user; the other face is removed."""
    await enroller.enroll(enrollment_of(PORTRAITS[HOPPER], DEMO["hopper"]))
    kept, other = await ids(enroller)
    rekognition.client.create_user(CollectionId=collection, UserId="other")
    rekognition.client.associate_faces(CollectionId=collection, UserId="other", FaceIds=[kept])
    result = await enroller.remove_faces(removal(by_id(kept), by_id(other), person_id=GRACE))
    assert (counts(result), errors(result)) == ([0, 1], ["MISCONFIGURED", ""])
    assert "other" in result.faces[0].status.message
    assert await ids(enroller) == [kept]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((400, {"__type": "ThrottlingException"}), "THROTTLED"),
        ((500, {}), "DEPENDENCY_UNAVAILABLE"),
        (
            (200, {"DeletedFaces": [], "UnsuccessfulFaceDeletions": [{"FaceId": "?", "Reasons": ["OTHER"]}]}),
            "GALLERY_BUSY",
        ),
    ],
)
async def test_one_face_that_fails_leaves_the_others(scripted: Scripted, answer: Answer, reason: str) -> None:
    """Whatever Rekognition says against one face is its status; the call can be repeated for it."""
    enrolled = await scripted.enroller.enroll(enrollment_of(PORTRAITS[HOPPER], DEMO["hopper"]))
    bad, good = (face.face_id for face in enrolled.faces)

    def delete_faces(body: dict[str, Any]) -> Answer:
        if bad not in body["FaceIds"]:
            return 200, scripted.collection.delete_faces(body)
        if answer[0] != 200:
            return answer
        response: Any = scripted.collection.delete_faces({"FaceIds": [one for one in body["FaceIds"] if one != bad]})
        response["UnsuccessfulFaceDeletions"] += [{"FaceId": bad, "Reasons": ["ASSOCIATED_TO_AN_EXISTING_USER"]}]
        return 200, response

    scripted.collection.extra["DeleteFaces"] = delete_faces
    keys = by_id(bad), by_id(good)
    failed = await scripted.enroller.remove_faces(removal(*keys, person_id=GRACE))
    assert (counts(failed), errors(failed)) == ([0, 1], [reason, ""])
    assert (await ids(scripted.enroller), list(scripted.collection.faces)) == ([bad], [bad])
    scripted.collection.extra.clear()
    again = await scripted.enroller.remove_faces(removal(*keys, person_id=GRACE))
    assert (counts(again), errors(again), await known(scripted.enroller)) == ([1, 0], ["", ""], {})


@pytest.mark.parametrize("person_id", ["", GRACE])
@pytest.mark.parametrize("with_id", [True, False])
@pytest.mark.parametrize("operation", ["UpdateItem", "DeleteItem"])
async def test_a_table_that_fails_is_mended_by_the_same_call(
    rekognition: SimpleNamespace, collection: str, operation: str, person_id: str, *, with_id: bool
) -> None:
    """If the table cannot be written after the face is gone, its status says so, and repeating ends the removal."""

    def fail(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="table")

    pictures = PORTRAITS[HOPPER], DEMO["hopper"]
    async with replica(rekognition, collection) as (recognizer, enroller):
        enrolled = await enroller.enroll(enrollment_of(*pictures))
        key = by_id(enrolled.faces[0].face_id) if with_id else by_picture(pictures[0])
        events = recognizer.account.people._client.meta.events
        events.register(f"before-call.dynamodb.{operation}", fail)
        failed = await enroller.remove_faces(removal(key, person_id=person_id))
        events.unregister(f"before-call.dynamodb.{operation}", fail)
        assert (errors(failed), size(rekognition, collection)) == (["DEPENDENCY_UNAVAILABLE"], (1, 0))
        again = await enroller.remove_faces(removal(key, person_id=person_id))
        assert (errors(again), counts(again)) == ([""], [1])
        assert await ids(enroller) == [enrolled.faces[1].face_id]
        assert await known(enroller) == {GRACE: 1}


async def test_a_lost_face_is_never_taken_for_none(scripted: Scripted) -> None:
    """A picture whose FaceId got lost is not said to be removed, until it is sent again."""

    def index_and_break(body: dict[str, Any]) -> Answer:
        scripted.collection.index_faces(body)
        return 500, {}

    scripted.collection.extra["IndexFaces"] = index_and_break
    await scripted.enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    for person_id in ("", GRACE):
        lost = await scripted.enroller.remove_faces(removal(by_picture(PORTRAITS[HOPPER]), person_id=person_id))
        assert (errors(lost), len(scripted.collection.faces)) == (["GALLERY_BUSY"], 1)
    scripted.collection.extra.clear()
    await scripted.enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    assert counts(await scripted.enroller.remove_faces(removal(by_picture(PORTRAITS[HOPPER])))) == [1]
    assert (scripted.collection.faces, await known(scripted.enroller)) == ({}, {})


async def test_a_removal_never_reads_the_collection(scripted: Scripted) -> None:
    """Every listing names its faces."""
    await scripted.enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    await scripted.enroller.remove_faces(removal(by_picture(PORTRAITS[HOPPER]), by_id("none")))
    assert scripted.listings() == []


async def test_faces_need_a_collection_and_a_table(rekognition: SimpleNamespace, open_replica: OpenReplica) -> None:
    """Without the table, faces are neither removed nor listed; a collection that does not exist is named."""
    async with open_replica(rekognition_table="") as (_, without):
        for call in (without.remove_faces(removal(by_id("f"))), without.faces(GRACE, ALL)):
            with pytest.raises(NotOffered):
                await call
    async with replica(rekognition, "nowhere") as (_, enroller):
        with pytest.raises(CollectionNotFound):
            await enroller.remove_faces(removal(by_picture(b"none")))

"""Removing people from a collection: OK only when their faces are gone, without ever reading the collection."""

import asyncio
import json
import time
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from services.rekognition.collections.__main__ import main
from services.rekognition.enrollment.enroller import RekognitionEnroller
from services.rekognition.recognizer import RekognitionRecognizer
from services.rekognition.table.faces import FaceIndex, Reading
from services.runtime.errors import CollectionNotIndexed, DomainError, GalleryBusy, OutOfTime
from services.runtime.server.deadline import within
from tests.support.aws import TABLE, Answer
from tests.support.processes import PATIENCE
from tests.support.rekognition import DEMO, HOPPER, PORTRAITS, enrollment_of
from tests.support.rekognition_collection import CREATED, Scripted

pytestmark = pytest.mark.slow


@pytest.fixture
def index(rekognition: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs `collections index` and returns the row that it prints."""
    monkeypatch.setenv("MARQUEE_REKOGNITION_TABLE", TABLE)
    monkeypatch.setenv("MARQUEE_DYNAMODB_ENDPOINT_URL", rekognition.table_url)

    def run(collection: str, url: str = rekognition.url, status: int = 0) -> Any:
        monkeypatch.setenv("MARQUEE_REKOGNITION_ENDPOINT_URL", url)
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_info:
            main(["index", collection, "--output", "json"])
        out, err = capsys.readouterr()
        assert exit_info.value.code == status, err
        return json.loads(out) if out else err

    return run


def stray(rekognition: SimpleNamespace, collection: str, person_id: str = "grace-hopper") -> None:
    """Index a face as another program would."""
    rekognition.client.index_faces(
        CollectionId=collection, ExternalImageId=person_id, Image={"Bytes": DEMO["hopper"]}, MaxFaces=1
    )


def faces(rekognition: SimpleNamespace, collection: str) -> int:
    return int(rekognition.client.describe_collection(CollectionId=collection)["FaceCount"])


async def test_an_old_collection_has_to_be_indexed(
    rekognition: SimpleNamespace, collection: str, enroller: RekognitionEnroller, index: Any
) -> None:
    """Until it is, removing names the command and removes nothing; then it also finds faces of other programs."""
    stray(rekognition, collection)
    await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    with pytest.raises(CollectionNotIndexed, match=f"services.rekognition.collections index {collection}"):
        await enroller.remove("grace-hopper", "")
    assert faces(rekognition, collection) == 2
    assert await asyncio.to_thread(index, collection) == {"collection": collection, "faces": 2}
    assert [(await enroller.remove("grace-hopper", "")).removed_faces for _ in range(2)] == [2, 0]
    assert faces(rekognition, collection) == 0


async def test_another_collection_of_that_name_has_to_be_indexed_again(
    rekognition: SimpleNamespace, collection: str, enroller: RekognitionEnroller, index: Any
) -> None:
    """What is known of a collection ends with it, though another program deletes and creates it."""
    await asyncio.to_thread(index, collection)
    rekognition.client.delete_collection(CollectionId=collection)
    await asyncio.sleep(0.01)  # the time of creation has milliseconds
    rekognition.client.create_collection(CollectionId=collection)
    stray(rekognition, collection)
    with pytest.raises(CollectionNotIndexed):
        await enroller.remove("grace-hopper", "")


async def test_a_removal_never_reads_the_collection(scripted: Scripted) -> None:
    """Every listing of a removal names its faces, and the last one shows that they are gone."""
    await scripted.enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    assert (await scripted.enroller.remove("grace-hopper", "")).removed_faces == 1
    assert scripted.listings() == []
    assert scripted.aws.requests[-1][0] == "ListFaces"


async def test_an_interrupted_index_goes_on(scripted: Scripted, index: Any) -> None:
    """Pages that were noted are not read again; nobody is removed before the last one was; repeating is safe."""
    scripted.collection.faces = {f"face-{number}": f"person-{number // 2}" for number in range(10)}
    scripted.collection.extra["ListFaces"] = lambda body: (
        (500, {}) if body.get("NextToken") == "6" else (200, scripted.collection.list_faces(body))
    )
    assert "Failed" in await asyncio.to_thread(index, scripted.name, scripted.aws.url, 2)
    with pytest.raises(CollectionNotIndexed):
        await scripted.enroller.remove("person-0", "")
    read = len(scripted.listings())
    scripted.collection.extra.clear()
    assert (await asyncio.to_thread(index, scripted.name, scripted.aws.url))["faces"] == 10
    assert [body.get("NextToken") for body in scripted.listings()[read:]] == ["6", "8"]
    removed = [(await scripted.enroller.remove(f"person-{number}", "")).removed_faces for number in range(5)]
    assert removed == [2] * 5
    assert (await asyncio.to_thread(index, scripted.name, scripted.aws.url))["faces"] == 0


async def test_a_forgotten_page_begins_again(scripted: Scripted, index: Any, rekognition: SimpleNamespace) -> None:
    """A token that Rekognition does not accept any more restarts the reading."""
    scripted.collection.faces = {"a": "ada", "b": "bob", "c": "cleo"}
    client = boto3.client("dynamodb", endpoint_url=rekognition.table_url)
    created = f"{CREATED['CreationTimestamp']:.3f}"
    FaceIndex(client, TABLE).save(scripted.name, created, Reading(1.0, "stale", 1))
    client.close()

    def list_faces(body: dict[str, Any]) -> Answer:
        if body.get("NextToken") == "stale":
            return 400, {"__type": "InvalidPaginationTokenException"}
        return 200, scripted.collection.list_faces(body)

    scripted.collection.extra["ListFaces"] = list_faces
    assert (await asyncio.to_thread(index, scripted.name, scripted.aws.url))["faces"] == 3


def refuse(code: str, http_status: int) -> Any:
    return lambda _: (http_status, {"__type": code})


@pytest.mark.parametrize("code", ["ThrottlingException", "InvalidParameterException"])
async def test_a_refused_indexing_leaves_no_trace(scripted: Scripted, code: str) -> None:
    """Where Rekognition surely indexed nothing, a removal is a no-op right away."""
    scripted.collection.faces["other"] = "somebody"
    scripted.collection.extra["DescribeCollection"] = lambda _: (200, {"FaceCount": 0, **CREATED})
    scripted.collection.extra["IndexFaces"] = refuse(code, 400)
    await scripted.enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    assert (await scripted.enroller.remove("grace-hopper", "")).removed_faces == 0


async def test_a_lost_face_is_never_taken_for_none(
    scripted: Scripted, index: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the FaceId of IndexFaces got lost, removing fails until the picture is sent again or the index is made."""

    def index_and_break(body: dict[str, Any]) -> Answer:
        scripted.collection.index_faces(body)
        return 500, {}

    scripted.collection.extra["IndexFaces"] = index_and_break
    await scripted.enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    with pytest.raises(GalleryBusy):
        await scripted.enroller.remove("grace-hopper", "")
    assert "DeleteUser" not in [operation for operation, *_ in scripted.aws.requests]
    monkeypatch.setattr("services.rekognition.enrollment.removal._INDEXING_SECONDS", 0)
    with pytest.raises(CollectionNotIndexed, match="sending it again"):
        await scripted.enroller.remove("grace-hopper", "")
    await asyncio.to_thread(index, scripted.name, scripted.aws.url)
    assert (await scripted.enroller.remove("grace-hopper", "")).removed_faces == 1
    assert scripted.collection.faces == {}


async def test_sending_a_lost_face_again_mends_it(scripted: Scripted) -> None:
    """Rekognition answers the same picture with the same FaceId, which is then noted."""
    scripted.collection.extra["IndexFaces"] = refuse("InternalServerError", 500)
    await scripted.enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    scripted.collection.extra.clear()
    await scripted.enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    assert (await scripted.enroller.remove("grace-hopper", "")).removed_faces == 1


async def test_a_caller_who_goes_leaves_no_lost_face(scripted: Scripted) -> None:
    """An IndexFaces that runs when its caller gives up is noted once it responds."""
    asked, go = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def index_later(body: dict[str, Any]) -> Answer:
        loop.call_soon_threadsafe(asked.set)
        asyncio.run_coroutine_threadsafe(asyncio.wait_for(go.wait(), PATIENCE), loop).result()
        return 200, scripted.collection.index_faces(body)

    scripted.collection.extra["IndexFaces"] = index_later
    enrolling = asyncio.create_task(scripted.enroller.enroll(enrollment_of(PORTRAITS[HOPPER])))
    await asyncio.wait_for(asked.wait(), PATIENCE)
    enrolling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await enrolling
    with pytest.raises(GalleryBusy):
        await scripted.enroller.remove("grace-hopper", "")
    go.set()
    async with asyncio.timeout(PATIENCE):
        await _remove(scripted.enroller)
    assert scripted.collection.faces == {}


async def _remove(enroller: RekognitionEnroller) -> None:
    """Remove the person once nobody enrolls them any more."""
    try:
        await enroller.remove("grace-hopper", "")
    except GalleryBusy:
        await asyncio.sleep(0.01)
        await _remove(enroller)


@pytest.mark.parametrize(
    ("extra", "error"),
    [
        ({"DeleteFaces": refuse("InternalServerError", 500)}, DomainError),
        ({"DeleteFaces": lambda _: (200, {"DeletedFaces": []})}, OutOfTime),
    ],
    ids=["fails", "lies"],
)
async def test_a_removal_that_fails_can_be_repeated(
    scripted: Scripted, extra: dict[str, Any], error: type[DomainError]
) -> None:
    """As long as Rekognition lists a face the call fails, and the table keeps it for the next try."""
    await scripted.enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))
    scripted.collection.extra |= extra
    with pytest.raises(error):
        async with within(time.monotonic() + 1.5, "rekognition"):
            await scripted.enroller.remove("grace-hopper", "")
    scripted.collection.extra.clear()
    assert (await scripted.enroller.remove("grace-hopper", "")).removed_faces == 1


async def test_a_face_of_another_user_stays_known(
    enroller: RekognitionEnroller, recognizer: RekognitionRecognizer, rekognition: SimpleNamespace, collection: str
) -> None:
    """A face that Rekognition keeps for another user is removed by the same call once the user is gone."""
    del recognizer
    face = (await enroller.enroll(enrollment_of(PORTRAITS[HOPPER]))).faces[0].face_id
    rekognition.client.create_user(CollectionId=collection, UserId="other")
    rekognition.client.associate_faces(CollectionId=collection, UserId="other", FaceIds=[face])
    assert (await enroller.remove("grace-hopper", "")).warnings
    rekognition.client.delete_user(CollectionId=collection, UserId="other")
    assert (await enroller.remove("grace-hopper", "")).removed_faces == 1


def test_the_index_needs_a_table(index: Any, collection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a table, the command says which setting is missing."""
    monkeypatch.delenv("MARQUEE_REKOGNITION_TABLE")
    assert "MARQUEE_REKOGNITION_TABLE" in index(collection, status=2)

"""ImportAnswers: answers of before, never over newer ones, and each once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import boto3
import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.v1 import recognizer_pb2 as v1
from services.runtime import status
from tests.support.aws import s3_store
from tests.support.library import ended, library
from tests.support.servers import LEFT, RIGHT, Scripted, candidate, face, gateway, leaf, nobody
from tests.support.servers import picture as image
from tests.support.servers import result as server_result

THEN = datetime(2024, 2, 29, 12, tzinfo=UTC)


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[LibraryServiceStub]:
    """Serve a library without workers, which may read one bucket."""
    settings = {"s3_allowed": ("photos/a/",), "library_workers": 0}
    async with library(database_url, tmp_path, nobody(), **settings) as client:
        yield client


def answer(key: str = "a/1.jpg", when: datetime = THEN, *, version: str = "", **fields: object) -> pb.ImportedAnswer:
    stamp = Timestamp()
    stamp.FromDatetime(when)
    result = v1.RecognizerResult(
        recognizer="rekognition", outcome=v1.OUTCOME_OK, performed_features=[v1.FEATURE_CELEBRITIES]
    )
    result.MergeFrom(v1.RecognizerResult(**fields))
    return pb.ImportedAnswer(
        s3_object=v1.S3Object(bucket="photos", key=key, version_id=version), result=result, create_time=stamp
    )


def people(*names: str) -> dict[str, object]:
    return {"image_candidates": [v1.Candidate(display_name=name, score=0.9) for name in names]}


async def imported(client: LibraryServiceStub, *answers: pb.ImportedAnswer, **fields: object) -> list[pb.ImportResult]:
    response = await client.ImportAnswers(pb.ImportAnswersRequest(answers=answers, **fields))
    return list(response.results)


async def shown(client: LibraryServiceStub, picture_id: str) -> pb.Picture:
    return (await client.GetPicture(pb.GetPictureRequest(picture_id=picture_id))).picture


def names(picture: pb.Picture) -> list[tuple[str, str]]:
    states = v1.VerdictState
    return [
        (states.Name(one.verdict.state).removeprefix("VERDICT_STATE_"), one.verdict.display_name)
        for one in picture.faces
    ]


async def counted(database_url: str) -> tuple[int, ...]:
    """Return how many pictures, places and answers there are."""
    tables = ("SELECT count(*) FROM picture", "SELECT count(*) FROM place", "SELECT count(*) FROM answer")
    connection = await asyncpg.connect(database_url)
    counts = [await connection.fetchval(statement) for statement in tables]
    await connection.close()
    return tuple(counts)


async def test_an_answer_makes_a_picture(client: LibraryServiceStub) -> None:
    """An unknown object gets a picture without a file, with its place, the answer as it was given, and who is named."""
    labels = [v1.Label(name="Boat", score=0.8, parents=["Vehicle"])]
    given = answer("a/../ÅÄ 🛶.jpg", **people("Raj", "Nina"), labels=labels)
    (result,) = await imported(client, given)
    assert (result.imported, result.status.code) == (True, code_pb2.OK)
    picture = await shown(client, result.picture_id)
    assert (picture.state, picture.file_name, picture.sha256) == (pb.PICTURE_STATE_IMPORTED, "ÅÄ 🛶.jpg", "")
    assert [(one.s3_object.key, one.current) for one in picture.places] == [("a/../ÅÄ 🛶.jpg", True)]
    assert names(picture) == [("IDENTIFIED", "Raj"), ("IDENTIFIED", "Nina")]
    assert (picture.answers[0].source, picture.answers[0].result) == (pb.ANSWER_SOURCE_IMPORT, given.result)
    assert picture.answers[0].create_time == given.create_time
    assert picture.job.job_id == ""


async def test_imported_faces_and_labels_are_shown(client: LibraryServiceStub) -> None:
    """Faces are named from the model's identify_score on; labels are those of the answer; nobody at all is NO_FACE."""
    model = v1.Model(identify_score=0.5)
    faces = [face(RIGHT, "Raj", 0.4), face(LEFT, "Nina", 0.9)]
    performed = [v1.FEATURE_LABELS]
    labels = [v1.Label(name="Boat", score=0.8)]
    first, second = await imported(
        client,
        answer("a/1.jpg", faces=faces, model=model, labels=labels, performed_features=performed),
        answer("a/2.jpg"),
    )
    picture = await shown(client, first.picture_id)
    assert (names(picture), [one.name for one in picture.labels]) == (
        [("IDENTIFIED", "Nina"), ("UNKNOWN", "")],
        ["Boat"],
    )
    assert names(await shown(client, second.picture_id)) == [("NO_FACE", "")]


async def test_importing_again_changes_nothing(client: LibraryServiceStub, database_url: str) -> None:
    """An answer that is there, in the same call, another, or the same repeated, is left out; so is an older one."""
    call = {"request_id": "one"}
    first = await imported(client, answer(**people("Raj")), answer(**people("Raj")), **call)
    assert [one.imported for one in first] == [True, False]
    assert await imported(client, answer(**people("Raj")), answer(**people("Raj")), **call) == first
    (older,) = await imported(client, answer(when=THEN - timedelta(days=1), **people("Nina")))
    assert (older.imported, older.picture_id) == (False, first[0].picture_id)
    assert names(await shown(client, older.picture_id)) == [("IDENTIFIED", "Raj")]
    assert await counted(database_url) == (1, 1, 1)


async def test_imports_beside_each_other_wait(client: LibraryServiceStub, database_url: str) -> None:
    """Several imports of the same answers at once, in any order, make each picture once."""
    answers = [answer(f"a/{number}.jpg", **people("Raj")) for number in range(8)]
    calls = (imported(client, *answers[turn:], *answers[:turn]) for turn in range(4))
    results = [one for call in await asyncio.gather(*calls) for one in call]
    assert (sum(one.imported for one in results), len({one.picture_id for one in results})) == (8, 8)
    assert await counted(database_url) == (8, 8, 8)


async def test_a_newer_answer_replaces_what_is_shown(client: LibraryServiceStub) -> None:
    """Faces follow the newest answer of each recognizer, keep their face_id, and answers are all kept."""
    (first,) = await imported(client, answer(faces=[face(LEFT, "Raj")]))
    before = await shown(client, first.picture_id)
    newer = answer(when=THEN + timedelta(days=1), faces=[face(LEFT, "Nina")])
    other = answer(recognizer="other", **people("Tom"))
    results = await imported(client, newer, other)
    assert {one.picture_id for one in results} == {first.picture_id}
    picture = await shown(client, first.picture_id)
    assert sorted(names(picture)) == [("IDENTIFIED", "Nina"), ("IDENTIFIED", "Tom")]
    assert before.faces[0].face_id in {one.face_id for one in picture.faces}
    assert len(picture.answers) == 3


async def test_versions_are_pictures_of_their_own(client: LibraryServiceStub) -> None:
    """Each version of an object is a picture, and one of them is where the object is."""
    results = await imported(client, *(answer(version=version, **people("Raj")) for version in ("v1", "v2")))
    pictures = [await shown(client, one.picture_id) for one in results]
    assert sorted(one.places[0].s3_object.version_id for one in pictures) == ["v1", "v2"]
    assert sorted(one.places[0].current for one in pictures) == [False, True]


async def test_a_refused_answer_fails_no_other(client: LibraryServiceStub) -> None:
    """Each has its own status: a bucket that may not be read, no recognizer, a time to come, a score that is none."""
    results = await imported(
        client,
        answer("elsewhere/1.jpg"),
        _without_recognizer(),
        answer(when=datetime.now(UTC) + timedelta(days=1)),
        answer(image_candidates=[candidate("Raj", 1.5)]),
        answer("a/good.jpg"),
    )
    reasons = [status.reason_of(one.status) for one in results]
    assert reasons == ["BUCKET_NOT_ALLOWED", *["INVALID_REQUEST"] * 3, ""]
    assert [bool(one.picture_id) for one in results] == [False] * 4 + [True]


def _without_recognizer() -> pb.ImportedAnswer:
    given = answer()
    given.result.recognizer = ""
    return given


async def test_costs_may_be_anything_but_less_than_nothing(client: LibraryServiceStub) -> None:
    """Costs that no number holds together are the greatest one; one below nothing is refused."""
    most = 2**63 - 1
    for day in range(2):
        (result,) = await imported(client, answer(when=THEN + timedelta(days=day), cost_micro_usd=most))
        assert result.imported
    assert (await shown(client, result.picture_id)).cost_micro_usd == most
    (result,) = await imported(client, answer("a/2.jpg", cost_micro_usd=-1))
    assert status.reason_of(result.status) == "INVALID_REQUEST"


async def test_with_fetch_the_object_is_queued(client: LibraryServiceStub) -> None:
    """Pictures without a file are queued once, also those that were imported before without it."""
    (first,) = await imported(client, answer())
    assert (await shown(client, first.picture_id)).state == pb.PICTURE_STATE_IMPORTED
    for _ in range(2):
        (again,) = await imported(client, answer(), fetch=True)
        assert not again.imported
    assert (await shown(client, first.picture_id)).state == pb.PICTURE_STATE_PENDING
    jobs = await client.ListJobs(pb.ListJobsRequest())
    assert [one.picture_id for one in jobs.jobs] == [first.picture_id]


async def test_a_fetched_object_is_recognized(database_url: str, tmp_path: Path) -> None:
    """The object is read and recognized; the gateway's verdicts replace those of imports, whose answers stay."""
    svm = Scripted("svm", result=server_result("svm", face(LEFT, "Nina")))
    with s3_store("photos") as s3:
        store = boto3.Session().client("s3", endpoint_url=s3)
        store.put_object(Bucket="photos", Key="a/1.jpg", Body=image())
        store.close()
        own = {"s3_allowed": ("photos",), "s3_endpoint_url": s3}
        async with (
            leaf(svm) as recognizer,
            gateway({"svm": recognizer}) as up,
            library(database_url, tmp_path, up, **own) as client,
        ):
            (first,) = await imported(client, answer(**people("Raj")), fetch=True)
            picture = await ended(client, first.picture_id)
            assert (picture.state, len(picture.sha256)) == (pb.PICTURE_STATE_RECOGNIZED, 64)
            assert names(picture) == [("IDENTIFIED", "Nina")]
            assert {one.source for one in picture.answers} == {pb.ANSWER_SOURCE_CALL, pb.ANSWER_SOURCE_IMPORT}
            before, after = (
                answer(when=when, recognizer="other", **people("Tom"))
                for when in (THEN, datetime.now(UTC) + timedelta(minutes=1))
            )
            results = await imported(client, before, after)
            assert [one.imported for one in results] == [False, True]  # the object was not there yet, and then it was
            assert {one.picture_id for one in results} == {first.picture_id}
            assert names(await shown(client, first.picture_id)) == [("IDENTIFIED", "Nina")]


async def test_an_erased_object_stays_erased(client: LibraryServiceStub) -> None:
    """What was erased is refused when its answer comes again, and fails no other."""
    (first,) = await imported(client, answer(**people("Raj")))
    await client.ErasePicture(pb.ErasePictureRequest(picture_id=first.picture_id))
    again, other = await imported(client, answer(**people("Raj")), answer("a/2.jpg", **people("Raj")))
    assert (status.reason_of(again.status), again.picture_id) == ("PICTURE_ERASED", "")
    found = await client.SearchPictures(pb.SearchPicturesRequest(query=pb.PictureQuery(text="raj")))
    assert [one.picture_id for one in found.pictures] == [other.picture_id]


async def test_a_failed_answer_is_kept_and_finds_nobody(client: LibraryServiceStub) -> None:
    """An object that could not be recognized has a picture with the reason; a success is imported over it."""
    failed = answer(when=THEN + timedelta(days=1), outcome=v1.OUTCOME_ERROR)
    (first,) = await imported(client, failed)
    assert names(await shown(client, first.picture_id)) == []
    (second,) = await imported(client, answer(**people("Raj")))
    assert second.imported
    assert names(await shown(client, first.picture_id)) == [("IDENTIFIED", "Raj")]


async def test_more_than_a_hundred_are_refused(client: LibraryServiceStub) -> None:
    """A call has its limit."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await imported(client, *(answer(f"a/{number}.jpg") for number in range(101)))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT

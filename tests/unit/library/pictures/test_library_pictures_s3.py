"""Objects in S3: queued before they are read, and known by what is in them once they are."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.v1 import recognizer_pb2
from services.runtime import status
from tests.support import library
from tests.support.aws import s3_store
from tests.support.library import refused
from tests.support.processes import PATIENCE
from tests.support.servers import Scripted, gateway, leaf, nobody, picture

BUCKETS = ("plain", "versions")


@pytest.fixture(scope="module")
def s3() -> Iterator[tuple[str, Any]]:
    with s3_store(*BUCKETS) as url:
        client = boto3.client("s3", endpoint_url=url)
        client.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
        yield url, client


@pytest.fixture
def serve(
    database_url: str, tmp_path: Path, s3: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    monkeypatch.setenv("MARQUEE_S3_ALLOWED", ",".join(BUCKETS))
    monkeypatch.setenv("MARQUEE_S3_ENDPOINT_URL", s3[0])

    def serve(address: str, **settings: object) -> Any:
        return library.library(database_url, tmp_path, address, **settings)

    return serve


def addition(key: str, bucket: str = "plain", version: str = "", **fields: object) -> pb.AddImageRequest:
    s3_object = recognizer_pb2.S3Object(bucket=bucket, key=key, version_id=version)
    return pb.AddImageRequest(image=recognizer_pb2.Image(s3_object=s3_object), **fields)


async def ended(client: LibraryServiceStub, picture_id: str) -> pb.Picture:
    async with asyncio.timeout(PATIENCE):
        while True:
            shown = (await client.GetPicture(pb.GetPictureRequest(picture_id=picture_id))).picture
            if shown.state != pb.PICTURE_STATE_PENDING:
                return shown
            await asyncio.sleep(0.02)


def places(shown: pb.Picture) -> list[tuple[str, bool]]:
    return [(one.s3_object.key or one.path, one.current) for one in shown.places]


async def test_an_object_is_queued_unread_and_then_identified(serve: Callable[..., Any], s3: tuple[str, Any]) -> None:
    """An object is PENDING without a hash; with the gateway it has hash, size, thumbnail and the object's own time."""
    s3[1].put_object(Bucket="versions", Key="a/one.jpg", Body=picture((40, 30)))
    async with serve(nobody(), library_workers=0) as client:
        added = (await client.AddImage(addition("a/one.jpg", "versions"))).picture
        assert (added.state, added.sha256, added.file_name) == (pb.PICTURE_STATE_PENDING, "", "one.jpg")
    async with leaf(Scripted("svm")) as target, gateway({"svm": target}) as address, serve(address) as client:
        shown = await ended(client, added.picture_id)
        content = await client.GetPictureContent(pb.GetPictureContentRequest(picture_id=added.picture_id))
        asked = pb.GetPictureContentRequest(picture_id=added.picture_id, variant=pb.CONTENT_VARIANT_THUMBNAIL)
        thumbnail = await client.GetPictureContent(asked)
    assert shown.state == pb.PICTURE_STATE_RECOGNIZED
    assert (shown.width, shown.height, shown.size_bytes) == (40, 30, len(picture((40, 30))))
    assert shown.taken_time_source == pb.TIME_SOURCE_OBJECT
    assert shown.object_time == shown.taken_time
    assert shown.places[0].s3_object.version_id  # the one that was read
    assert (content.content, content.media_type) == (picture((40, 30)), "image/jpeg")
    assert thumbnail.media_type == "image/webp"


async def test_an_object_with_known_bytes_becomes_a_redirect(serve: Callable[..., Any], s3: tuple[str, Any]) -> None:
    """The identifier that was given before the object was read leads to the picture that had its bytes already."""
    s3[1].put_object(Bucket="plain", Key="known.jpg", Body=picture((41, 30)))
    async with leaf(Scripted("svm")) as target, gateway({"svm": target}) as address, serve(address) as client:
        image = recognizer_pb2.Image(content=picture((41, 30)))
        first = (await client.AddImage(pb.AddImageRequest(image=image, path="p.jpg", wait=True))).picture
        second = await client.AddImage(addition("known.jpg", wait=True))
        assert not second.created  # as is known by now
        assert second.picture.picture_id == first.picture_id
        events = await client.ListEvents(pb.ListEventsRequest())
    assert sorted(places(second.picture)) == [("known.jpg", True), ("p.jpg", True)]
    assert "picture.merged" in [one.type for one in events.events]


async def test_a_redirect_that_is_recognized_again_is_shown_as_its_picture(
    serve: Callable[..., Any], s3: tuple[str, Any]
) -> None:
    """RecognizePicture with `wait` shows the picture that the object has turned out to be."""
    s3[1].put_object(Bucket="plain", Key="again.jpg", Body=picture((48, 30)))
    async with serve(nobody(), library_workers=0) as client:
        image = recognizer_pb2.Image(content=picture((48, 30)))
        first = (await client.AddImage(pb.AddImageRequest(image=image))).picture
        second = (await client.AddImage(addition("again.jpg"))).picture
    async with leaf(Scripted("svm")) as target, gateway({"svm": target}) as address, serve(address) as client:
        again = pb.RecognizePictureRequest(picture_id=second.picture_id, wait=True)
        shown = (await client.RecognizePicture(again)).picture
    assert second.picture_id != first.picture_id == shown.picture_id
    assert places(shown) == [("again.jpg", True)]


async def test_an_event_that_comes_again_adds_nothing(serve: Callable[..., Any]) -> None:
    """The same version or sequencer is the same picture; a later one is another picture, and takes the place over."""
    async with serve(nobody(), library_workers=0) as client:
        first = await client.AddImage(addition("e.jpg", sequencer="0055AED6DCD90281E5"))
        again = await client.AddImage(addition("e.jpg", sequencer="0055aed6dcd90281e5"))
        assert (again.created, again.picture.picture_id) == (False, first.picture.picture_id)
        later = await client.AddImage(addition("e.jpg", sequencer="0055AED6DCD90281E6"))
        assert later.created
        stale = await client.AddImage(addition("e.jpg", sequencer="0055AED6DCD90281E4"))
        assert (stale.created, stale.picture.picture_id) == (False, later.picture.picture_id)
        asked = pb.GetPictureRequest(picture_id=first.picture.picture_id)
        assert places((await client.GetPicture(asked)).picture) == [("e.jpg", False)]
        assert places(later.picture) == [("e.jpg", True)]
        old = await client.AddImage(addition("e.jpg", version="v0", sequencer="0055AED6DCD90281E4"))
        assert old.created  # a version of its own is still to be had
        assert places(old.picture) == [("e.jpg", False)]


async def test_only_allowed_buckets_are_added(serve: Callable[..., Any]) -> None:
    """An object that the operator does not allow, or that has no name, is refused before it is queued."""
    async with serve(nobody(), s3_allowed="plain/open/", library_workers=0) as client:
        assert (await client.AddImage(addition("open/a.jpg"))).created
        for key, bucket in (("a.jpg", "plain"), ("open/a.jpg", "other")):
            assert await refused(client.AddImage(addition(key, bucket))) == ("PERMISSION_DENIED", "BUCKET_NOT_ALLOWED")
        assert await refused(client.AddImage(addition(""))) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


async def test_an_object_that_is_no_picture_is_given_up(serve: Callable[..., Any], s3: tuple[str, Any]) -> None:
    """A missing object and one that is no picture fail for good, and the job says why."""
    s3[1].put_object(Bucket="plain", Key="text.jpg", Body=b"no picture")
    async with leaf(Scripted("svm")) as target, gateway({"svm": target}) as address, serve(address) as client:
        for key, reason in (("text.jpg", "INVALID_IMAGE"), ("missing.jpg", "OBJECT_NOT_FOUND")):
            shown = (await client.AddImage(addition(key, wait=True))).picture
            assert shown.state == pb.PICTURE_STATE_FAILED
            assert status.reason_of(shown.job.status) == reason


async def test_an_overwritten_object_is_not_shown_as_the_picture(
    serve: Callable[..., Any], s3: tuple[str, Any]
) -> None:
    """What is read where the picture was is compared with its hash: other bytes are CONTENT_MISSING."""
    s3[1].put_object(Bucket="plain", Key="over.jpg", Body=picture((42, 30)))
    async with leaf(Scripted("svm")) as target, gateway({"svm": target}) as address, serve(address) as client:
        shown = (await client.AddImage(addition("over.jpg", wait=True))).picture
        s3[1].put_object(Bucket="plain", Key="over.jpg", Body=picture((43, 30)))
        asked = pb.GetPictureContentRequest(picture_id=shown.picture_id)
        assert await refused(client.GetPictureContent(asked)) == ("FAILED_PRECONDITION", "CONTENT_MISSING")


async def test_a_copy_outlives_the_object(serve: Callable[..., Any], s3: tuple[str, Any]) -> None:
    """With MARQUEE_LIBRARY_COPY_OBJECTS the file is shown after the object is gone."""
    s3[1].put_object(Bucket="plain", Key="copied.jpg", Body=picture((44, 30)))
    async with (
        leaf(Scripted("svm")) as target,
        gateway({"svm": target}) as address,
        serve(address, library_copy_objects=True) as client,
    ):
        shown = (await client.AddImage(addition("copied.jpg", wait=True))).picture
        s3[1].delete_object(Bucket="plain", Key="copied.jpg")
        content = await client.GetPictureContent(pb.GetPictureContentRequest(picture_id=shown.picture_id))
    assert content.content == picture((44, 30))


async def test_erased_bytes_do_not_come_back_from_s3(serve: Callable[..., Any], s3: tuple[str, Any]) -> None:
    """An object with the bytes of an erased picture is queued, since it is unread, and gone once it is read."""
    s3[1].put_object(Bucket="plain", Key="back.jpg", Body=picture((45, 30)))
    async with leaf(Scripted("svm")) as target, gateway({"svm": target}) as address, serve(address) as client:
        image = recognizer_pb2.Image(content=picture((45, 30)))
        first = (await client.AddImage(pb.AddImageRequest(image=image))).picture
        await client.ErasePicture(pb.ErasePictureRequest(picture_id=first.picture_id))
        for _ in range(2):
            again = addition("back.jpg", wait=True)
            assert await refused(client.AddImage(again)) == ("FAILED_PRECONDITION", "PICTURE_ERASED")
        assert not (await client.SearchPictures(pb.SearchPicturesRequest())).pictures


async def test_objects_with_the_same_bytes_are_one_picture(serve: Callable[..., Any], s3: tuple[str, Any]) -> None:
    """Eight objects that are read at the same time, and are one file, are one picture with the categories of all."""
    for number in range(8):
        s3[1].put_object(Bucket="plain", Key=f"same/{number}.jpg", Body=picture((46, 30)))
    async with leaf(Scripted("svm")) as target, gateway({"svm": target}) as address, serve(address) as client:
        shown = await asyncio.gather(
            *(
                client.AddImage(addition(f"same/{number}.jpg", categories=[f"c{number % 2}"], wait=True))
                for number in range(8)
            )
        )
        (picture_id,) = {one.picture.picture_id for one in shown}
        whole = (await client.GetPicture(pb.GetPictureRequest(picture_id=picture_id))).picture
    assert sorted(places(whole)) == [(f"same/{number}.jpg", True) for number in range(8)]
    assert [one.name for one in whole.categories] == ["c0", "c1"]


async def test_an_imported_answer_follows_its_object(serve: Callable[..., Any], s3: tuple[str, Any]) -> None:
    """An object that was only imported is read once it is added; the picture that has its bytes gets its answer."""
    s3[1].put_object(Bucket="plain", Key="imported.jpg", Body=picture((47, 30)))
    result = recognizer_pb2.RecognizerResult(recognizer="lambda", outcome=recognizer_pb2.OUTCOME_OK)
    imported = pb.ImportedAnswer(s3_object=addition("imported.jpg").image.s3_object, result=result)
    imported.create_time.FromSeconds(1_700_000_000)
    async with leaf(Scripted("svm")) as target, gateway({"svm": target}) as address, serve(address) as client:
        (found,) = (await client.ImportAnswers(pb.ImportAnswersRequest(answers=[imported]))).results
        image = recognizer_pb2.Image(content=picture((47, 30)))
        sent = (await client.AddImage(pb.AddImageRequest(image=image, wait=True))).picture
        response = await client.AddImage(addition("imported.jpg", wait=True))
        assert not response.created
        for picture_id in (found.picture_id, sent.picture_id):
            shown = (await client.GetPicture(pb.GetPictureRequest(picture_id=picture_id))).picture
            assert shown.picture_id == sent.picture_id
            assert {one.result.recognizer for one in shown.answers} == {"lambda", "svm"}
            assert places(shown) == [("imported.jpg", True)]

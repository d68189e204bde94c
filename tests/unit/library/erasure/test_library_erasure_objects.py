"""Erasure with S3: the store's versions, and objects that pictures came from."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import boto3
import pytest

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.v1 import recognizer_pb2
from tests.support import library
from tests.support.aws import s3_store
from tests.support.library import added, refused
from tests.support.processes import PATIENCE
from tests.support.servers import Scripted, gateway, leaf, nobody, picture

ERASED = ("FAILED_PRECONDITION", "PICTURE_ERASED")


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Return the URL of an S3 with a bucket that keeps versions and one that does not."""
    with s3_store("kept", "plain") as url:
        client = boto3.client("s3", endpoint_url=url)
        client.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
        yield url


@pytest.fixture
async def bucket(database_url: str, s3: str) -> AsyncIterator[LibraryServiceStub]:
    """Return a client of a library that keeps its files in S3, and may read the buckets."""
    own: Any = {"s3_endpoint_url": s3, "s3_allowed": ("kept", "plain"), "library_workers": 0}
    async with library.library(database_url, "s3://kept/library", nobody(), **own) as client:
        yield client


def found(bucket: str, key: str, version_id: str = "", **fields: Any) -> pb.AddImageRequest:
    s3_object = recognizer_pb2.S3Object(bucket=bucket, key=key, version_id=version_id)
    return pb.AddImageRequest(image=recognizer_pb2.Image(s3_object=s3_object), **fields)


async def erase(client: LibraryServiceStub, picture_id: str) -> pb.ErasureReceipt:
    return (await client.ErasePicture(pb.ErasePictureRequest(picture_id=picture_id))).receipt


async def test_all_versions_of_a_file_are_erased(bucket: LibraryServiceStub, s3: str) -> None:
    """In a bucket that keeps versions none is left, nor a delete marker, and the receipt names each."""
    client = boto3.client("s3", endpoint_url=s3)
    shown = await added(bucket)
    key = f"library/1/{shown.sha256[:2]}/{shown.sha256}"
    client.delete_object(Bucket="kept", Key=key)
    client.put_object(Bucket="kept", Key=f"{key}.webp", Body=b"thumbnail")
    receipt = await erase(bucket, shown.picture_id)
    assert {one.partition("?")[0] for one in receipt.objects} == {f"s3://kept/{key}", f"s3://kept/{key}.webp"}
    assert len(receipt.objects) == 3
    left = client.list_object_versions(Bucket="kept", Prefix="library/")
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")


async def test_a_replayed_event_does_not_bring_an_object_back(bucket: LibraryServiceStub) -> None:
    """The object that was erased is refused, by its event or by hand; a later one, and another version, are not."""
    event = found("plain", "a.jpg", sequencer="0055AED6DCD90281E5")
    shown = (await bucket.AddImage(event)).picture
    versioned = (await bucket.AddImage(found("kept", "a.jpg", "v1"))).picture
    receipt = await erase(bucket, shown.picture_id)
    assert "Object: s3://plain/a.jpg. Delete it there, with its earlier versions." in receipt.beyond_reach
    await erase(bucket, versioned.picture_id)
    for request in (
        event,
        found("plain", "a.jpg"),
        found("plain", "a.jpg", sequencer="0055AED6DCD90281E4"),
        found("kept", "a.jpg", "v1", sequencer="FF"),
        found("kept", "a.jpg"),
    ):
        assert await refused(bucket.AddImage(request)) == ERASED
    for request in (
        found("plain", "a.jpg", sequencer="0055AED6DCD90281E6"),
        found("kept", "a.jpg", "v2"),
        found("plain", "b.jpg"),
    ):
        assert (await bucket.AddImage(request)).created


async def test_an_object_that_was_never_read_stays_away(bucket: LibraryServiceStub) -> None:
    """Of an object whose bytes and event nobody knew, an event may be the old one: it is refused, whatever it says."""
    shown = (await bucket.AddImage(found("plain", "unread.jpg"))).picture
    await erase(bucket, shown.picture_id)
    assert await refused(bucket.AddImage(found("plain", "unread.jpg", sequencer="FFFF"))) == ERASED


async def test_imports_do_not_bring_an_object_back(bucket: LibraryServiceStub) -> None:
    """An answer that was given elsewhere for an erased object is refused, and the others of its call are not."""
    shown = (await bucket.AddImage(found("kept", "c.jpg", "v1"))).picture
    await erase(bucket, shown.picture_id)
    answers = [
        pb.ImportedAnswer(
            s3_object=recognizer_pb2.S3Object(bucket="kept", key=key),
            result=recognizer_pb2.RecognizerResult(recognizer="rekognition", outcome=recognizer_pb2.OUTCOME_OK),
            create_time={"seconds": 1_700_000_000},
        )
        for key in ("c.jpg", "d.jpg")
    ]
    results = (await bucket.ImportAnswers(pb.ImportAnswersRequest(answers=answers))).results
    assert [bool(one.status.code) for one in results] == [True, False]


async def test_erased_bytes_are_known_when_an_object_has_them(
    database_url: str, database: asyncpg.Connection, s3: str, tmp_path: Path
) -> None:
    """A copy of an erased picture under another key is gone once a worker has read it; only a receipt tells of it."""
    boto3.client("s3", endpoint_url=s3).put_object(Bucket="plain", Key="copy of ada.jpg", Body=picture())
    recognizer = Scripted("svm")
    own: Any = {"s3_endpoint_url": s3, "s3_allowed": ("plain",)}
    async with (
        leaf(recognizer) as target,
        gateway({"svm": target}, s3_allowed=("plain",)) as address,
        library.library(database_url, tmp_path, address, **own) as client,
    ):
        await erase(client, (await added(client)).picture_id)
        await client.AddImage(found("plain", "copy of ada.jpg", request_id="copy"))
        async with asyncio.timeout(PATIENCE):
            while await database.fetchval("SELECT count(*) FROM picture"):  # noqa: ASYNC110 - a worker changes it
                await asyncio.sleep(0.02)
    assert await database.fetchval("SELECT count(*) FROM receipt") == 2
    assert await database.fetchval("SELECT count(*) FROM request") == 0
    assert await database.fetchval("SELECT count(*) FROM job") == 0

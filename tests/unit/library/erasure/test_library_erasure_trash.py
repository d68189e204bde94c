"""The trash: pictures go in, come out, and are the same for whoever asks twice."""

import asyncio
from datetime import timedelta
from itertools import pairwise

import asyncpg
import pytest

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from tests.support.library import added, refused


async def test_a_picture_goes_into_the_trash_and_comes_out(client: LibraryServiceStub) -> None:
    """A deleted picture says when it will be erased, 30 days later, and is as before once it is undeleted."""
    before = await added(client)
    key = {"picture_id": before.picture_id}
    deleted = (await client.DeletePicture(pb.DeletePictureRequest(**key))).picture
    assert deleted.expire_time.ToDatetime() - deleted.delete_time.ToDatetime() == timedelta(days=30)
    undeleted = (await client.UndeletePicture(pb.UndeletePictureRequest(**key))).picture
    assert undeleted.update_time.ToDatetime() > before.update_time.ToDatetime()
    undeleted.update_time.CopyFrom(before.update_time)
    assert undeleted == before


async def test_deleting_twice_changes_nothing(client: LibraryServiceStub, database: asyncpg.Connection) -> None:
    """The first call decides when the picture is erased; the second is no event, nor is undeleting what is shown."""
    key = {"picture_id": (await added(client)).picture_id}
    first = await client.DeletePicture(pb.DeletePictureRequest(**key))
    assert (await client.DeletePicture(pb.DeletePictureRequest(**key))).picture == first.picture
    first = await client.UndeletePicture(pb.UndeletePictureRequest(**key))
    assert (await client.UndeletePicture(pb.UndeletePictureRequest(**key))).picture == first.picture
    events = await database.fetch("SELECT type FROM event WHERE type LIKE 'picture.%deleted' ORDER BY event_key")
    assert [row["type"] for row in events] == ["picture.deleted", "picture.undeleted"]


async def test_a_repeated_request_is_answered_as_the_first_time(client: LibraryServiceStub) -> None:
    """A deletion that is sent again after the picture was taken out leaves it out, and answers what it answered."""
    key = {"picture_id": (await added(client)).picture_id}
    first = await client.DeletePicture(pb.DeletePictureRequest(request_id="a", **key))
    await client.UndeletePicture(pb.UndeletePictureRequest(request_id="b", **key))
    assert await client.DeletePicture(pb.DeletePictureRequest(request_id="a", **key)) == first
    assert not (await client.GetPicture(pb.GetPictureRequest(**key))).picture.HasField("delete_time")
    code = await refused(client.UndeletePicture(pb.UndeletePictureRequest(request_id="a", **key)))
    assert code == ("INVALID_ARGUMENT", "REQUEST_REUSED")


@pytest.mark.parametrize("picture_id", ["", "x", "0192f0c0-0000-7000-8000-000000000000", "'; DROP TABLE picture; --"])
async def test_an_unknown_picture_is_not_found(client: LibraryServiceStub, picture_id: str) -> None:
    """An identifier that is nobody's, or is none, is NOT_FOUND for each of the calls."""
    for call in (
        client.DeletePicture(pb.DeletePictureRequest(picture_id=picture_id)),
        client.UndeletePicture(pb.UndeletePictureRequest(picture_id=picture_id)),
        client.ErasePicture(pb.ErasePictureRequest(picture_id=picture_id)),
    ):
        assert await refused(call) == ("NOT_FOUND", "PICTURE_NOT_FOUND")


async def test_a_picture_of_another_collection_is_not_found(client: LibraryServiceStub) -> None:
    """Nobody deletes or erases what belongs to another collection."""
    key = {"picture_id": (await added(client)).picture_id, "collection": "other"}
    for call in (
        client.DeletePicture(pb.DeletePictureRequest(**key)),
        client.ErasePicture(pb.ErasePictureRequest(**key)),
    ):
        assert await refused(call) == ("NOT_FOUND", "PICTURE_NOT_FOUND")


async def test_what_has_expired_is_not_taken_out(client: LibraryServiceStub, database: asyncpg.Connection) -> None:
    """Once its time in the trash has passed a picture is as good as erased, though nobody has come for it yet."""
    key = {"picture_id": (await added(client)).picture_id}
    await client.DeletePicture(pb.DeletePictureRequest(**key))
    await database.execute("UPDATE picture SET expire_time = now()")
    code = await refused(client.UndeletePicture(pb.UndeletePictureRequest(**key)))
    assert code == ("FAILED_PRECONDITION", "PICTURE_ERASED")


async def test_a_picture_without_its_job_is_queued_when_it_is_undeleted(
    client: LibraryServiceStub, database: asyncpg.Connection
) -> None:
    """Workers leave what is in the trash; a picture that was not recognized before waits for them again then."""
    key = {"picture_id": (await added(client)).picture_id}
    await client.DeletePicture(pb.DeletePictureRequest(**key))
    await database.execute("DELETE FROM job")
    shown = (await client.UndeletePicture(pb.UndeletePictureRequest(**key))).picture
    assert shown.job.state == pb.JOB_STATE_QUEUED


async def test_calls_at_once_come_to_one_end(client: LibraryServiceStub, database: asyncpg.Connection) -> None:
    """Deletions and undeletions at the same time take turns: events alternate, and the last one is what is shown."""
    key = {"picture_id": (await added(client)).picture_id}
    calls = [client.DeletePicture(pb.DeletePictureRequest(**key)) for _ in range(4)]
    calls += [client.UndeletePicture(pb.UndeletePictureRequest(**key)) for _ in range(4)]
    await asyncio.gather(*calls)
    rows = await database.fetch("SELECT type FROM event WHERE type LIKE 'picture.%deleted' ORDER BY event_key")
    kinds = [row["type"] for row in rows]
    assert all(one != other for one, other in pairwise(kinds))
    shown = (await client.GetPicture(pb.GetPictureRequest(**key))).picture
    assert shown.HasField("delete_time") == (kinds[-1] == "picture.deleted")

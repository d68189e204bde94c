"""What AddImage, GetPicture and GetPictureContent refuse, and what is safe to repeat."""

import asyncio
import os
import shutil
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import asyncpg
import grpc
import pytest

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.v1 import recognizer_pb2
from services.library.database.database import Database
from services.library.pictures.content import Content
from services.library.settings import LibrarySettings
from services.library.store.store import Store
from services.runtime.errors import PictureNotFound
from services.runtime.limits import MAX_IMAGE_BYTES
from tests.support.library import added, blocked, break_connections, library, refused, shown_when
from tests.support.processes import PATIENCE
from tests.support.servers import Scripted, gateway, leaf, nobody, picture

INVALID = ("INVALID_ARGUMENT", "INVALID_REQUEST")


def addition(content: bytes = b"", **fields: object) -> pb.AddImageRequest:
    return pb.AddImageRequest(image=recognizer_pb2.Image(content=content or picture()), **fields)


async def test_what_is_no_picture_is_refused_at_once(client: LibraryServiceStub, tmp_path: Path) -> None:
    """A picture that nobody can read is refused by its header with the reason that a gateway has; nothing is stored."""
    for image, reason in (
        (recognizer_pb2.Image(), "IMAGE_MISSING"),
        (recognizer_pb2.Image(content=b""), "IMAGE_MISSING"),
        (recognizer_pb2.Image(content=picture()[:30]), "INVALID_IMAGE"),
        (recognizer_pb2.Image(content=b"GIF89a and more"), "INVALID_IMAGE"),
        (recognizer_pb2.Image(content=b"\0" * (MAX_IMAGE_BYTES + 1)), "IMAGE_TOO_LARGE"),
        (recognizer_pb2.Image(s3_object=recognizer_pb2.S3Object(bucket="b")), "INVALID_REQUEST"),
    ):
        assert await refused(client.AddImage(pb.AddImageRequest(image=image))) == ("INVALID_ARGUMENT", reason)
    assert not (tmp_path / "store").exists()


async def test_invalid_fields_are_refused(client: LibraryServiceStub) -> None:
    """What no field may have is INVALID_ARGUMENT."""
    wrong: tuple[dict[str, object], ...] = (
        *({"collection": "a b"}, {"features": [99]}, {"categories": [" "]}, {"request_id": "a b"}),
    )
    for fields in wrong:
        assert await refused(client.AddImage(addition(**fields))) == INVALID


@pytest.mark.parametrize("value", [99, -1, 2**31 - 1])
async def test_values_that_an_enumeration_does_not_have_are_refused(client: LibraryServiceStub, value: int) -> None:
    """An unknown value is INVALID_ARGUMENT in every request, also one that no column of the database could hold."""
    shown = await added(client)
    answer = pb.ImportedAnswer(result=recognizer_pb2.RecognizerResult(recognizer="svm", outcome=value))
    for call in (
        client.ListJobs(pb.ListJobsRequest(state=value)),
        client.RecognizePicture(pb.RecognizePictureRequest(picture_id=shown.picture_id, features=[value])),
        client.SearchPictures(pb.SearchPicturesRequest(query=pb.PictureQuery(verdict_states=[value]))),
        client.ImportAnswers(pb.ImportAnswersRequest(answers=[answer])),
    ):
        assert await refused(call) == INVALID
    nothing = pb.RecognizePictureRequest(picture_id=shown.picture_id, features=[recognizer_pb2.FEATURE_UNSPECIFIED])
    assert await refused(client.RecognizePicture(nothing)) == INVALID


async def test_who_waits_for_a_picture_that_is_erased_is_told(client: LibraryServiceStub) -> None:
    """RecognizePicture with wait is NOT_FOUND once its picture is gone, never a response without a picture."""
    shown = await added(client)
    request = pb.RecognizePictureRequest(picture_id=shown.picture_id, wait=True)
    again = asyncio.ensure_future(refused(client.RecognizePicture(request, timeout=PATIENCE)))
    await shown_when(client, shown.picture_id, lambda now: now.update_time != shown.update_time)
    await client.ErasePicture(pb.ErasePictureRequest(picture_id=shown.picture_id))
    assert await again == ("NOT_FOUND", "PICTURE_NOT_FOUND")


async def test_a_repeated_request_changes_nothing(client: LibraryServiceStub) -> None:
    """The same request_id answers what it answered first; for another picture, or with another field, it is refused."""
    first = await client.AddImage(addition(request_id="r", path="a.jpg"))
    assert await client.AddImage(addition(request_id="r", path="a.jpg")) == first
    for other in (addition(picture((9, 9)), request_id="r", path="a.jpg"), addition(request_id="r", path="b.jpg")):
        assert await refused(client.AddImage(other)) == ("INVALID_ARGUMENT", "REQUEST_REUSED")
    assert (await client.AddImage(addition(request_id="r", path="a.jpg", collection="other"))).created
    events = await client.ListEvents(pb.ListEventsRequest())
    assert [one.type for one in events.events] == ["picture.added"]


async def test_many_callers_add_one_picture_once(client: LibraryServiceStub) -> None:
    """The same file from eight callers at once is one picture, new for one of them, with the places of all."""
    responses = await asyncio.gather(*(client.AddImage(addition(path=f"{number}.jpg")) for number in range(8)))
    assert sorted(one.created for one in responses) == [False] * 7 + [True]
    (picture_id,) = {one.picture.picture_id for one in responses}
    shown = (await client.GetPicture(pb.GetPictureRequest(picture_id=picture_id))).picture
    assert sorted(one.path for one in shown.places) == [f"{number}.jpg" for number in range(8)]


async def test_many_callers_with_one_request_add_once(client: LibraryServiceStub) -> None:
    """The same request sent eight times at once has one response."""
    request = addition(request_id="r", path="a.jpg")
    responses = await asyncio.gather(*(client.AddImage(request) for _ in range(8)))
    assert all(one == responses[0] for one in responses)


async def test_what_was_erased_is_not_added_again(client: LibraryServiceStub, tmp_path: Path) -> None:
    """The bytes of an erased picture are refused, and not even stored for a moment; other collections may have them."""
    shown = await added(client, path="a.jpg")
    await client.ErasePicture(pb.ErasePictureRequest(picture_id=shown.picture_id))
    assert await refused(client.AddImage(addition())) == ("FAILED_PRECONDITION", "PICTURE_ERASED")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]  # noqa: ASYNC240 - a test
    assert (await client.AddImage(addition(collection="other"))).created


async def test_a_picture_in_the_trash_stays_there(client: LibraryServiceStub) -> None:
    """Adding it again finds it, and leaves it in the trash."""
    shown = await added(client)
    await client.DeletePicture(pb.DeletePictureRequest(picture_id=shown.picture_id))
    again = await client.AddImage(addition())
    assert not again.created
    assert again.picture.HasField("delete_time")


async def test_categories_are_made_and_kept(client: LibraryServiceStub) -> None:
    """A picture is put into the named categories by hand, of which those that are new are made."""
    shown = await added(client, categories=["Boats", "Été", "ÉTÉ"])
    hand = pb.CATEGORY_SOURCE_HAND
    assert [(one.name, one.source) for one in shown.categories] == [("Boats", hand), ("Été", hand)]


async def test_content_is_missing_until_there_is_some(client: LibraryServiceStub) -> None:
    """A picture that was sent has its file at once; its thumbnail is CONTENT_MISSING until a worker has made it."""
    shown = await added(client)
    original = await client.GetPictureContent(pb.GetPictureContentRequest(picture_id=shown.picture_id))
    assert (original.content, original.media_type) == (picture(), "image/jpeg")
    asked = pb.GetPictureContentRequest(picture_id=shown.picture_id, variant=pb.CONTENT_VARIANT_THUMBNAIL)
    assert await refused(client.GetPictureContent(asked)) == ("FAILED_PRECONDITION", "CONTENT_MISSING")
    asked = pb.GetPictureContentRequest(picture_id=shown.picture_id, collection="other")
    assert await refused(client.GetPictureContent(asked)) == ("NOT_FOUND", "PICTURE_NOT_FOUND")
    asked = pb.GetPictureContentRequest(picture_id=shown.picture_id, variant=7)
    assert await refused(client.GetPictureContent(asked)) == INVALID


async def test_waiting_returns_what_was_recognized(database_url: str, tmp_path: Path) -> None:
    """With `wait` the response has the state and what was found; a deadline that passes before gives it PENDING."""
    found = recognizer_pb2.RecognizerResult(
        outcome=recognizer_pb2.OUTCOME_OK, labels=[recognizer_pb2.Label(name="Sea")]
    )
    async with (
        leaf(Scripted("svm", result=found)) as target,
        gateway({"svm": target}) as address,
        library(database_url, tmp_path, address) as client,
    ):
        shown = await added(client, wait=True)
        assert (shown.state, [one.name for one in shown.labels]) == (pb.PICTURE_STATE_RECOGNIZED, ["Sea"])
    async with library(database_url, tmp_path, nobody(), library_workers=0) as client:
        response = await client.AddImage(addition(picture((9, 9)), wait=True), timeout=3)
        assert response.picture.state == pb.PICTURE_STATE_PENDING


async def test_the_same_pixels_are_a_list(database_url: str, tmp_path: Path) -> None:
    """Two files with the same pixels stay two pictures, each of which names the other."""
    async with (
        leaf(Scripted("svm")) as target,
        gateway({"svm": target}) as address,
        library(database_url, tmp_path, address) as client,
    ):
        first = await added(client, wait=True)
        second = await added(client, picture() + b"more", wait=True)
        shown = (await client.GetPicture(pb.GetPictureRequest(picture_id=first.picture_id))).picture
    assert first.picture_id != second.picture_id
    assert shown.pixel_sha256 == second.pixel_sha256
    assert list(shown.same_pixels) == [second.picture_id]


async def test_a_store_or_database_that_is_away_is_unavailable(database_url: str, tmp_path: Path) -> None:
    """Nothing is added while one of them is away; the call says that it may be repeated, and then it works."""
    async with library(database_url, tmp_path / "store", nobody(), library_workers=0) as client:
        (tmp_path / "store").write_text("no folder")
        assert await refused(client.AddImage(addition(request_id="r"))) == ("UNAVAILABLE", "DEPENDENCY_UNAVAILABLE")
        assert not (await client.ListEvents(pb.ListEventsRequest())).events
        (tmp_path / "store").unlink()
        assert (await client.AddImage(addition(request_id="r"))).created
        await break_connections(database_url)
        request = addition(picture((9, 9)), request_id="s")
        with suppress(grpc.aio.AioRpcError):  # unless another connection was found broken before
            await client.AddImage(request)
        assert (await client.AddImage(request)).created


async def test_a_picture_that_becomes_another_is_waited_for(client: LibraryServiceStub, database_url: str) -> None:
    """A change of a picture that becomes a redirect while the change waits for it is one of the other picture."""
    old, new = await added(client), await added(client, picture((9, 9)))
    connection = await asyncpg.connect(database_url)
    async with connection.transaction():
        merged = "UPDATE picture SET redirect_id = $2 WHERE picture_id = $1"
        await connection.execute(merged, old.picture_id, new.picture_id)
        deleted = client.DeletePicture(pb.DeletePictureRequest(picture_id=old.picture_id))  # sent at once
        await blocked(database_url)
    await connection.close()
    assert (await deleted).picture.picture_id == new.picture_id


async def test_a_picture_that_was_just_erased_has_no_file(database_url: str, tmp_path: Path) -> None:
    """Reading the file of a picture that was erased since it was looked up raises PictureNotFound."""
    database, own = Database(database_url), LibrarySettings(library_store=tmp_path.as_uri())
    with pytest.raises(PictureNotFound):
        await Content(database, Store(own.library_store), own).original(uuid4())
    await database.close()


async def test_a_lost_file_is_missing(client: LibraryServiceStub, tmp_path: Path) -> None:
    """A file that somebody took out of the store is CONTENT_MISSING; adding it again puts it back."""
    shown = await added(client)
    await asyncio.to_thread(shutil.rmtree, tmp_path / "store")
    asked = pb.GetPictureContentRequest(picture_id=shown.picture_id)
    assert await refused(client.GetPictureContent(asked)) == ("FAILED_PRECONDITION", "CONTENT_MISSING")
    assert (await added(client)).picture_id == shown.picture_id
    assert (await client.GetPictureContent(asked)).content == picture()


async def test_a_known_picture_is_not_stored_again(client: LibraryServiceStub, tmp_path: Path) -> None:
    """A file that the store has stays as it was written, since a bucket with versions would keep another one."""
    shown = await added(client)
    (path,) = (tmp_path / "store").rglob(shown.sha256)
    os.utime(path, (1, 1))
    await added(client)
    assert path.stat().st_mtime == 1

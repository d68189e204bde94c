"""Pictures that are sent, and what the library has of them then."""

import hashlib
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.v1 import recognizer_pb2
from tests.support.library import refused
from tests.support.servers import picture


def addition(content: bytes | None = None, **fields: object) -> pb.AddImageRequest:
    return pb.AddImageRequest(image=recognizer_pb2.Image(content=content or picture()), **fields)


def stored(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_a_picture_is_kept_before_it_is_recognized(client: LibraryServiceStub, tmp_path: Path) -> None:
    """A picture is PENDING with its hash, name, place and job once its file is stored, without any gateway."""
    response = await client.AddImage(addition(path="holidays/anna.jpg"))
    shown = response.picture
    assert response.created
    assert response.request_id
    assert (shown.state, shown.job.state) == (pb.PICTURE_STATE_PENDING, pb.JOB_STATE_QUEUED)
    assert (shown.sha256, shown.format) == (hashlib.sha256(picture()).hexdigest(), "JPEG")
    assert (shown.file_name, shown.size_bytes) == ("anna.jpg", len(picture()))
    assert [(one.path, one.current) for one in shown.places] == [("holidays/anna.jpg", True)]
    assert stored(tmp_path / "store") == {shown.sha256: picture()}
    again = await client.GetPicture(pb.GetPictureRequest(picture_id=shown.picture_id))
    assert again.picture == shown


async def test_the_same_file_is_one_picture_with_two_places(client: LibraryServiceStub) -> None:
    """The bytes are the picture: a second name is a second place, and neither makes a second job."""
    first = await client.AddImage(addition(path="a.jpg"))
    second = await client.AddImage(addition(path="b.jpg"))
    third = await client.AddImage(addition(path="b.jpg"))
    assert [one.created for one in (first, second, third)] == [True, False, False]
    assert len({one.picture.picture_id for one in (first, second, third)}) == 1
    assert {one.path for one in third.picture.places} == {"a.jpg", "b.jpg"}
    assert third.picture.file_name == "a.jpg"
    assert third.picture.job.job_id == first.picture.job.job_id


async def test_a_picture_of_another_collection_is_not_found(client: LibraryServiceStub) -> None:
    """Collections share nothing, and an identifier of another one is as unknown as one that is none at all."""
    own = await client.AddImage(addition(collection="own"))
    other = await client.AddImage(addition(collection="other"))
    assert other.created
    shown_id = own.picture.picture_id
    for strange in (shown_id, "", "1", "'; --", "\N{GRINNING FACE}", shown_id.upper(), f"{{{shown_id}}}"[:36]):
        asked = pb.GetPictureRequest(picture_id=strange, collection="other")
        assert await refused(client.GetPicture(asked)) == ("NOT_FOUND", "PICTURE_NOT_FOUND")


async def test_any_time_is_kept(client: LibraryServiceStub) -> None:
    """A file of the first or the last instant that a time can be of is shown with it, but for a microsecond."""
    first, last = Timestamp(seconds=-62_135_596_800), Timestamp(seconds=253_402_300_799, nanos=999_999_999)
    for number, (when, shown) in enumerate(((first, 1000), (last, 999_999_000 - 1000))):
        response = await client.AddImage(addition(picture((9 + number, 9)), object_time=when, path="a.jpg"))
        expected = Timestamp(seconds=when.seconds, nanos=shown)
        assert (response.picture.object_time, response.picture.taken_time) == (expected, expected)

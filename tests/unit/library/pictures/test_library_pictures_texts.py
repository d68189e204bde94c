"""Texts that callers give: kept and shown as they came, or refused with a reason, and never a path or a command."""

import itertools
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.v1 import recognizer_pb2
from tests.support.library import added, refused
from tests.support.servers import picture

FIELDS = ("path", "request_id", "collection", "sequencer", "categories")
HOSTILE = (
    *("'; DROP TABLE picture; --", '" OR 1=1 --', "%_\\", "$1", ":name", "{}", "\\x00", "\r\n\t", "<script>"),
    *("../../etc/passwd", "/etc/passwd", "..\\..\\boot.ini", "C:\\a.jpg", "file:///etc/passwd", "a//b", ".", "-rf"),
    *("\N{GRINNING FACE}\N{ZERO WIDTH JOINER}\N{HEAVY BLACK HEART}", "שלום עולם.jpg", "\u202egpj.exe", "e\u0301", "é"),
    *("日本語の写真.jpg", "\ufeff", "\x7f\x1b[31m", "n" * 10_000, "\N{GRINNING FACE}" * 10_000, "a/" * 5000),
)


def addition(**fields: object) -> pb.AddImageRequest:
    return pb.AddImageRequest(image=recognizer_pb2.Image(content=picture()), **fields)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


async def test_hostile_paths_are_kept_and_shown_as_they_came(client: LibraryServiceStub, tmp_path: Path) -> None:
    """Each is a place of the picture, character by character; the store has one file, named by its hash."""
    for path in HOSTILE:
        added = await client.AddImage(addition(path=path))
    shown = await client.GetPicture(pb.GetPictureRequest(picture_id=added.picture.picture_id))
    assert sorted(one.path for one in shown.picture.places) == sorted(HOSTILE)
    assert files(tmp_path) == {f"store/1/{added.picture.sha256[:2]}/{added.picture.sha256}"}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=300))
async def test_any_path_is_kept(client: LibraryServiceStub, path: str) -> None:
    """Whatever characters a path has, the picture is found at it, and its name is what follows the last slash."""
    request = pb.AddImageRequest(image=recognizer_pb2.Image(content=picture() + path.encode()), path=path)
    shown = (await client.AddImage(request)).picture
    assert shown.file_name == path.rpartition("/")[2]
    assert path in {one.path for one in shown.places} | {""}


async def test_nul_and_what_is_too_long_are_refused(client: LibraryServiceStub) -> None:
    """PostgreSQL keeps no NUL characters, and every text has its limit: both are INVALID_ARGUMENT, not a failure."""
    for field, text in itertools.product(FIELDS, ("a\0b", "n" * 10_001)):
        request = addition(**{field: [text] if field == "categories" else text})
        assert await refused(client.AddImage(request)) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


async def test_long_names_are_cut_where_they_are_shown(client: LibraryServiceStub) -> None:
    """A name of 10,000 characters is kept whole as a place; the first 1024 are the file's name."""
    path = "folder/" + "n" * 9_000 + ".jpg"
    shown = (await client.AddImage(addition(path=path))).picture
    assert shown.file_name == "n" * 1024
    assert shown.places[0].path == path


async def test_times_are_kept_to_the_microsecond(client: LibraryServiceStub) -> None:
    """From year 1 to 9999, leap days among them, a file's own time is shown as it was given."""
    for seconds in (-62_135_596_800, -1, 951_782_399, 253_402_300_799):
        when = Timestamp(seconds=seconds, nanos=123_456_000)
        shown = await added(client, picture() + str(seconds).encode(), object_time=when)
        assert shown.object_time == shown.taken_time == when
        assert shown.taken_time_source == pb.TIME_SOURCE_OBJECT


async def test_times_that_are_none_are_refused(client: LibraryServiceStub) -> None:
    """What is no Timestamp by its definition is INVALID_ARGUMENT."""
    for seconds, nanos in ((-62_135_596_801, 0), (253_402_300_800, 0), (0, -1), (0, 10**9)):
        request = addition(object_time=Timestamp(seconds=seconds, nanos=nanos))
        assert await refused(client.AddImage(request)) == ("INVALID_ARGUMENT", "INVALID_REQUEST")

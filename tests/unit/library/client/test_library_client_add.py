# ruff: noqa: ASYNC240 - the files are small
"""`marquee library add`: pictures are sent in parallel, once each, and what became of them is told."""

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import pytest

from marquee.library.async_client import AsyncLibraryClient
from marquee.library.requests import build_addition
from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceServicer
from marquee.v1.recognizer_pb2 import RecognizerResult, S3Object
from tests.support.client import lines_of, marquee
from tests.support.servers import Scripted, picture
from tests.unit.library.client.conftest import Command, serving


def _write(*names: str) -> None:
    """Write a picture of its own into each file."""
    for number, name in enumerate(names):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(picture((16 + number, 12)))


async def test_a_folder_is_added_once(command: Command) -> None:
    """A folder's pictures are added; a second time they are there already. What is no picture is refused, and why."""
    _write("trip/a.jpg", "trip/b.jpg")
    Path("trip/c.jpg").write_text("no picture")
    first, second = await command("add", "trip"), await command("add", "trip", "-o", "json")
    assert first.exit_code == 1
    *lines, summary = lines_of(first)
    assert [line.split()[::2] for line in lines] == [["added", "trip/a.jpg"], ["added", "trip/b.jpg"]]
    assert summary == "3 pictures: 2 added, 0 there already, 1 refused (invalid image 1)"
    assert first.stderr.startswith("trip/c.jpg: This is a text file")
    known = [json.loads(line) for line in second.stdout.splitlines()]
    assert [one.get("created") for one in known] == [False, False, None]
    assert known[2]["error"]["reason"] == "INVALID_IMAGE"
    assert known[0]["picture"]["places"][0]["path"] == str(Path("trip/a.jpg").absolute())


async def test_waiting_tells_who_was_recognized(command: Command) -> None:
    """With --wait the line names the people; standard input is a picture, too, and categories are made."""
    result = await command("add", "-", "--wait", "--category", "Trips", stdin=picture())
    assert result.exit_code == 0, result.stderr
    assert lines_of(result)[0].split()[::2] == ["added", "-"]
    assert lines_of(result)[0].endswith("- Anna")
    listed = await command("categories", "-o", "json")
    assert [(one["name"], one["picture_count"]) for one in json.loads(listed.stdout)] == [("Trips", 1)]


async def test_waiting_tells_why_a_picture_was_given_up(command: Command) -> None:
    """With --wait a picture that nobody can recognize, such as one cut short, is no success, and its line says why."""
    Path("cut.jpg").write_bytes(picture((400, 300))[:-200])
    added = await command("add", "cut.jpg", "--wait")
    picture_id = lines_of(added)[0].split()[1]
    again = await command("recognize", picture_id, "--wait")
    for line in (lines_of(added)[0], lines_of(again)[0]):
        assert "failed: The picture" in line
    assert (added.exit_code, again.exit_code) == (1, 1)
    assert (await command("add", "cut.jpg")).exit_code == 0


async def test_a_dry_run_sends_nothing(command: Command, recognizer: Scripted) -> None:
    """--dry-run says what is there already, and neither stores nor recognizes the rest."""
    _write("a.jpg", "b.jpg")
    await command("add", "a.jpg", "--wait")
    calls = len(recognizer.calls)
    result = await command("add", "a.jpg", "b.jpg", "--dry-run")
    assert [line.split()[0] for line in lines_of(result)[:2]] == ["known", "new"]
    assert "1 would be added, 1 there already" in result.stdout
    assert "Nothing was sent." in result.stdout
    found = await command("search", "-o", "ids")
    assert len(found.stdout.split()) == 1
    assert len(recognizer.calls) == calls


async def test_a_dry_run_knows_objects_by_their_versions(command: Command) -> None:
    """An object is there if the named version is, whether current or not, or without a name the current one."""
    versions = [S3Object(bucket="photos", key="a.jpg", version_id=version) for version in ("v1", "v2")]
    answers = [pb.ImportedAnswer(s3_object=one, result=RecognizerResult(recognizer="svm")) for one in versions]
    for answer in answers:
        answer.create_time.GetCurrentTime()
    async with AsyncLibraryClient() as library:
        results = await library.import_answers(answers)
        known = [await library.get(one.picture_id) for one in results]
    (current,) = [one.picture_id for one in known if one.places[0].current]
    urls = [f"s3://photos/{name}" for name in ("a.jpg?versionId=v1", "a.jpg?versionId=v2", "a.jpg")]
    others = [f"s3://photos/{name}" for name in ("a.jpg?versionId=v", "a.jp", "a.jpg2")]
    result = await command("add", *urls, *others, "--dry-run")
    found = [line.split()[:2] for line in lines_of(result)[:3]]
    assert found[:2] == [["known", one.picture_id] for one in results]
    assert found[2] == ["known", current]
    assert [line.split()[0] for line in lines_of(result)[3:6]] == ["new"] * 3


async def test_a_picture_in_the_trash_stays_there(command: Command) -> None:
    """Adding a picture again does not take it out of the trash, which the line says."""
    _write("a.jpg")
    picture_id = lines_of(await command("add", "a.jpg", "--wait"))[0].split()[1]
    await command("delete", picture_id)
    assert lines_of(await command("add", "a.jpg")) == [f"known {picture_id} a.jpg Anna; in the trash"]


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a file system of memory, where times have no end")  # noqa: S108
async def test_a_time_after_the_last_year_is_left_out(command: Command) -> None:
    """A file whose time no calendar has is added as others are, by the command and from Python, without that time."""
    with TemporaryDirectory(dir="/dev/shm") as folder:
        for name, seconds in {"a.jpg": 10**13, "b.jpg": 9 * 10**18}.items():
            file = Path(folder, name)
            file.write_bytes(picture((16, 12 + len(str(seconds)))))
            os.utime(file, (seconds, seconds))
            assert not build_addition(file, {}).HasField("object_time")
        result = await command("add", folder, "-o", "json")
    assert result.exit_code == 0, result.stderr
    added = [json.loads(line)["picture"] for line in result.stdout.splitlines()]
    assert [one["taken_time_source"] for one in added] == ["ADDED", "ADDED"]


class _Away(LibraryServiceServicer):
    """Has a picture added, then is away for as many calls as gRPC makes by itself, then is there again."""

    def __init__(self) -> None:
        self.requests: list[pb.AddImageRequest] = []

    def AddImage(self, request: pb.AddImageRequest, context: grpc.ServicerContext) -> pb.AddImageResponse:  # noqa: N802
        self.requests.append(request)
        if 1 < len(self.requests) < 5:
            context.abort(grpc.StatusCode.UNAVAILABLE, "The database is away.")
        return pb.AddImageResponse(picture=pb.Picture(picture_id="x"), created=True)


def test_a_library_that_goes_away_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture is sent again, with its request_id, once the library is back; each picture has one of its own."""
    monkeypatch.chdir(tmp_path)
    _write("a.jpg", "b.jpg")
    with serving(library := _Away()) as address:
        result = marquee("library", "add", "a.jpg", "b.jpg", "-j", "1", "--address", address)
    assert result.exit_code == 0, result.stderr
    assert lines_of(result)[-1] == "2 pictures: 2 added, 0 there already"
    first, *others = [request.request_id for request in library.requests]
    assert len(others) == 4
    assert first not in others
    assert len(set(others)) == 1


def test_a_library_that_never_was_there_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for an address that is wrong: the first picture's error is everybody's."""
    monkeypatch.chdir(tmp_path)
    _write("a.jpg", "b.jpg")
    result = marquee("library", "add", "a.jpg", "b.jpg", "--address", "127.0.0.1:1")
    assert result.exit_code == 3
    assert "or set MARQUEE_LIBRARY_ADDRESS" in result.stderr
    assert lines_of(result) == ["2 pictures: 0 added, 0 there already, 1 refused (unavailable 1), 1 not tried"]

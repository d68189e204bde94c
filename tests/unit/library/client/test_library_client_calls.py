# ruff: noqa: ASYNC240 - the files are small
"""The library called from Python."""

import asyncio
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

import marquee
from marquee.library.file import ExportFile
from marquee.library.v1 import library_pb2 as pb
from tests.support.servers import Scripted, picture

pytestmark = pytest.mark.usefixtures("address")


async def test_a_file_is_added_with_its_place_and_time(tmp_path: Path) -> None:
    """A picture is known by its absolute path and its file's time, and has faces, labels and answers once it waited."""
    file = tmp_path / "both.jpg"
    file.write_bytes(picture())

    def add() -> tuple[marquee.Addition, marquee.LibraryPicture, marquee.Addition]:
        with marquee.LibraryClient() as library:
            first = library.add(file, wait=True)
            return first, library.get(first.picture.picture_id), library.add(picture(), categories="Trips")

    first, shown, again = await asyncio.to_thread(add)
    changed = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    assert (first.created, again.created, again.picture.picture_id) == (True, False, shown.picture_id)
    assert (shown.state, shown.people, shown.score) == ("RECOGNIZED", ("Anna",), 0.9)
    assert [(place.location, place.object_time) for place in shown.places] == [(str(file), changed)]
    assert [answer.result.recognizer for answer in shown.answers] == ["svm"]
    assert shown.job is not None
    assert (shown.job.state, shown.job.status.code) == ("DONE", "OK")
    assert [one.name for one in again.picture.categories] == ["Trips"]
    recognition = shown.recognition()
    assert [verdict.display_name for verdict in recognition.verdicts] == ["Anna", ""]
    assert recognition.results[0].labels[0].name == "Boat"


async def test_the_same_with_asyncio() -> None:
    """AsyncLibraryClient has the same methods, and yields what is listed."""
    async with marquee.AsyncLibraryClient() as library:
        added = await library.add(picture(), wait=True)
        picture_id = added.picture.picture_id
        assert (await library.get(picture_id)).people == ("Anna",)
        assert (await library.content(picture_id)).content == picture()
        thumbnail = await library.content(picture_id, "thumbnail")
        assert (thumbnail.media_type, thumbnail.content[8:12]) == ("image/webp", b"WEBP")
        assert (await library.recognize(picture_id, wait=True)).cost_micro_usd == 14
        made = await library.set_category("Boats", [marquee.CategoryRule(label="Vehicle", min_score=0.1)])
        assert [(one.name, one.rules) async for one in library.categories()] == [("Boats", made.rules)]
        await library.delete_category(made.category_id)
        assert [one async for one in library.categories()] == []
        assert [job.state async for job in library.jobs("done", page_size=1)] == ["DONE", "DONE"]
        assert await library.job_counts() == marquee.JobCounts(0, 0)
        assert await library.retry() == 0


async def test_refusals_are_exceptions() -> None:
    """Each of the library's refusals is an exception of its own, and says its reason."""
    async with marquee.AsyncLibraryClient() as library:
        with pytest.raises(marquee.PictureNotFound) as caught:
            await library.get("nothing")
        assert (caught.value.code, caught.value.reason) == ("NOT_FOUND", "PICTURE_NOT_FOUND")
        with pytest.raises(marquee.CategoryNotFound):
            await library.delete_category("nothing")
        with pytest.raises(marquee.InvalidImage):
            await library.add(b"no picture")
        await library.add(picture(), request_id="mine")
        with pytest.raises(marquee.RequestReused):
            await library.add(picture((9, 9)), request_id="mine")
        with pytest.raises(marquee.InvalidRequest, match="choose from PENDING, RECOGNIZED"):
            _ = [one async for one in library.search(states=["lost"])]


async def test_a_call_may_be_repeated() -> None:
    """A change that is repeated with its request_id answers what it answered first."""
    async with marquee.AsyncLibraryClient() as library:
        first, second = [await library.add(picture(), request_id="mine", path="a.jpg") for _ in range(2)]
        assert first.created
        assert second == first


async def test_found_pictures_come_page_by_page() -> None:
    """A search yields all pages' pictures, in the order asked for, and an empty one nothing."""
    async with marquee.AsyncLibraryClient() as library:
        added = [(await library.add(picture((8 + one, 6)), wait=True)).picture.picture_id for one in range(5)]
        found = library.search(people="ANNA", labels=marquee.TermFilter(any_of=["vehicle", "Car"]), page_size=2)
        assert {one.picture_id async for one in found} == set(added)
        oldest = library.search(order="added_oldest", page_size=2)
        assert [one.picture_id async for one in oldest] == added
        nobody = library.search(people=marquee.PeopleFilter(none_of=["anna"]))
        assert [one async for one in nobody] == []


async def test_an_export_is_a_file(tmp_path: Path) -> None:
    """An export is written whole under its path, or into an open file, and tells how far it is."""
    progress: list[tuple[int, int]] = []
    async with marquee.AsyncLibraryClient() as library:
        await library.add(picture(), wait=True)
        summary = await library.export(tmp_path / "a.jsonl", progress=lambda *numbers: progress.append(numbers))
        opened = io.BytesIO()
        await library.export(opened, "csv", people="Anna")
    assert summary.picture_count == 1
    assert summary.export_id
    assert progress[-1] == (1, 1)
    assert b"Anna" in (tmp_path / "a.jsonl").read_bytes()
    assert b"Anna" in opened.getvalue()
    assert [path.name for path in tmp_path.glob("*.part")] == []


def test_exports_into_one_path_do_not_mix(tmp_path: Path) -> None:
    """Of two exports at a time into the same path, each appears whole when it ends."""
    target = tmp_path / "a.jsonl"
    with ExportFile(target) as first:
        first.add(pb.ExportPicturesResponse(content=b"first\n"))
        with ExportFile(target) as second:
            second.add(pb.ExportPicturesResponse(content=b"second\n"))
        assert target.read_bytes() == b"second\n"
    assert target.read_bytes() == b"first\n"
    assert list(tmp_path.iterdir()) == [target]


async def test_events_are_followed(recognizer: Scripted) -> None:
    """Events are yielded oldest first, and one who follows gets those that come later."""
    async with marquee.AsyncLibraryClient() as library:
        await library.add(picture(), wait=True)
        events = [event async for event in library.events()]
        assert [event.type for event in events] == ["picture.added", "picture.recognized"]
        page = await library.event_page()
        follower = library.events(page.next_cursor, follow=True)
        later = asyncio.create_task(anext(follower))
        added = await library.add(picture((9, 9)))
        assert (await later).picture_id == added.picture.picture_id
    assert len(recognizer.calls) >= 1


async def test_the_trash_and_its_end() -> None:
    """A deleted picture comes back if it is undeleted; an erased one has a receipt, and is refused from then on."""
    async with marquee.AsyncLibraryClient() as library:
        picture_id = (await library.add(picture(), wait=True)).picture.picture_id
        assert (await library.delete(picture_id)).expire_time is not None
        assert [one.picture_id async for one in library.search(in_trash=True)] == [picture_id]
        assert (await library.undelete(picture_id)).delete_time is None
        receipt = await library.erase(picture_id)
        assert (receipt.picture_id, bool(receipt.erased), bool(receipt.beyond_reach)) == (picture_id, True, True)
        with pytest.raises(marquee.PictureErased):
            await library.add(picture())


async def test_answers_are_imported() -> None:
    """Answers of elsewhere have a result each."""
    answer = pb.ImportedAnswer()
    answer.s3_object.bucket, answer.s3_object.key, answer.result.recognizer = "photos", "a.jpg", "rekognition"
    answer.create_time.GetCurrentTime()
    async with marquee.AsyncLibraryClient() as library:
        results = await library.import_answers([answer, pb.ImportedAnswer()])
    assert [result.imported for result in results] == [True, False]
    assert results[1].status.code == "INVALID_ARGUMENT"

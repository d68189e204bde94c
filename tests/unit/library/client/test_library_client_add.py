# ruff: noqa: ASYNC240 - the files are small
"""`marquee library add`: pictures are sent in parallel, once each, and what became of them is told."""

import json
from pathlib import Path

from tests.support.client import lines_of
from tests.support.servers import Scripted, picture
from tests.unit.library.client.conftest import Command


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


async def test_a_picture_in_the_trash_stays_there(command: Command) -> None:
    """Adding a picture again does not take it out of the trash, which the line says."""
    _write("a.jpg")
    picture_id = lines_of(await command("add", "a.jpg"))[0].split()[1]
    await command("delete", picture_id)
    assert lines_of(await command("add", "a.jpg")) == [f"known {picture_id} a.jpg in the trash"]

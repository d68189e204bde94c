# ruff: noqa: ASYNC240 - the files are small
"""Subcommands that change pictures, categories and jobs, and show what happened."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceServicer
from services.runtime.errors import InvalidImage
from tests.support.client import lines_of
from tests.support.processes import PATIENCE, ROOT, spawn
from tests.support.servers import Scripted, picture
from tests.unit.library.client.conftest import Command, serving

_NOBODY = "0195f3a0-0000-7000-8000-000000000000"


async def _added(command: Command) -> str:
    Path("both.jpg").write_bytes(picture())
    return lines_of(await command("add", "both.jpg", "--wait"))[0].split()[1]


async def test_pictures_go_to_the_trash_and_come_back(command: Command) -> None:
    """Each picture has a line; one that is not there fails alone, and makes the exit code 1."""
    picture_id = await _added(command)
    deleted = await command("delete", _NOBODY, picture_id)
    assert deleted.exit_code == 1
    assert lines_of(deleted)[0].startswith(f"{picture_id} in the trash, erased on ")
    assert deleted.stderr.startswith(f"{_NOBODY}: ")
    assert lines_of(await command("search", "--trash", "-o", "ids")) == [picture_id]
    assert "It is in the trash since" in (await command("show", picture_id)).stdout
    assert lines_of(await command("undelete", picture_id)) == [f"{picture_id} recognized: Anna"]


async def test_erasing_asks_and_gives_a_receipt(command: Command) -> None:
    """Without a terminal it needs --yes; the receipt has what was erased and what is beyond reach."""
    picture_id = await _added(command)
    await command("export", "-o", "a.csv")
    asked = await command("erase", picture_id)
    assert (asked.exit_code, "pass --yes" in asked.stderr) == (2, True)
    erased = await command("erase", picture_id, "--yes")
    assert erased.exit_code == 0, erased.stderr
    assert lines_of(erased)[0].startswith(f"{picture_id} erased receipt ")
    assert "Perhaps in the export " in erased.stdout
    assert "Beyond reach: " in erased.stdout
    again = await command("add", "both.jpg")
    assert (again.exit_code, "erased" in again.stderr) == (1, True)


async def test_categories_are_set_and_deleted_by_name(command: Command) -> None:
    """A category has rules, keeps them under another name, and is found by its name in any case."""
    picture_id = await _added(command)
    await command("categories", "set", "Boats", "--label", "Vehicle", "--person", "Anna", "--min-score", "0.25")
    renamed = await command("categories", "set", "BOATS", "--rename", "Ships", "-o", "json")
    (category,) = json.loads(renamed.stdout)
    assert (category["name"], len(category["rules"])) == ("Ships", 2)
    put = await command("categorize", picture_id, "--add", "Favourites")
    assert "Favourites" in lines_of(put)[0]
    table = lines_of(await command("categories"))
    assert table[0] == "Category Pictures Rules ID Since"
    assert table[1].startswith("Favourites 1 by hand ")
    assert "label Vehicle from 0.25" in table[2]
    assert "person Anna from 0.25" in table[3]
    assert lines_of(await command("categories", "delete", "favourites")) == [
        "Favourites is deleted; its pictures stay."
    ]
    missing = await command("categories", "delete", "favourites")
    assert (missing.exit_code, missing.stderr) == (
        1,
        "There is no category favourites. `marquee library categories` lists those that there are.\n",
    )


async def test_jobs_that_were_given_up_are_tried_again(command: Command, recognizer: Scripted) -> None:
    """A job's reason is listed with how many wait and were given up; retry tries it again, a dry run does not."""
    recognizer.error = InvalidImage("This is no picture.")
    picture_id = await _added(command)
    _, row, count = lines_of(await command("jobs", "--state", "dead"))
    assert picture_id in row
    assert row.endswith("INVALID_ARGUMENT: This is no picture.")
    assert count.startswith("0 jobs waiting or running, 1 given up; ")
    recognizer.error = None
    assert lines_of(await command("retry", "--dry-run"))[0].startswith("1 job would be tried again")
    assert lines_of(await command("retry")) == ["1 job is tried again."]
    assert lines_of(await command("add", "both.jpg", "--wait"))[0].endswith("both.jpg Anna")
    (job,) = [json.loads(line) for line in (await command("jobs", "-o", "json")).stdout.splitlines()]
    assert (job["state"], job["picture_id"]) == ("DONE", picture_id)


async def test_pictures_are_recognized_again(command: Command) -> None:
    """--wait tells who is recognized now; the answers before are kept, and paid."""
    picture_id = await _added(command)
    assert lines_of(await command("recognize", picture_id, "--wait")) == [f"{picture_id} recognized: Anna"]
    assert json.loads((await command("show", picture_id, "-o", "json")).stdout)["cost_micro_usd"] == 14


async def test_events_go_on_where_they_were(command: Command) -> None:
    """Events are listed oldest first, and the cursor that is printed goes on behind them."""
    picture_id = await _added(command)
    first = await command("events")
    assert [line.split()[2:4] for line in lines_of(first)] == [
        ["picture.added", picture_id],
        ["picture.recognized", picture_id],
    ]
    cursor = first.stderr.split()[-1]
    await command("delete", picture_id)
    later = await command("events", "--cursor", cursor, "-o", "json")
    assert [json.loads(line)["type"] for line in later.stdout.splitlines()] == ["picture.deleted"]
    assert lines_of(await command("events", "-n", "1")) == lines_of(first)[:1]


class _Eventful(LibraryServiceServicer):
    """Has one event a page: the first, the second."""

    def ListEvents(self, request: pb.ListEventsRequest, _context: object) -> pb.ListEventsResponse:  # noqa: N802
        number = min(int(request.cursor or 0) + 1, 3)
        events = [pb.Event(event_id=number, type="picture.added")] if number < 3 else []
        return pb.ListEventsResponse(events=events, next_cursor=str(number))


def test_who_follows_events_ends_it_with_ctrl_c() -> None:
    """Events are printed as they come; Ctrl-C ends the command well, and says where to go on."""
    with serving(_Eventful()) as address:
        command = [sys.executable, "-m", "marquee", "library", "events", "--follow", "--address", address]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        with spawn(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(2):
                assert b"picture.added" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert re.fullmatch(rb"Go on with --cursor [123]\n", stderr)

# ruff: noqa: ASYNC240 - the files are small
"""`marquee library search`, `show` and `export`: pictures are found, looked at, and taken along."""

import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from marquee.cli.library import options
from marquee.library.requests import build_query
from marquee.library.v1 import library_pb2 as pb
from marquee.v1 import recognizer_pb2
from tests.support.client import lines_of
from tests.support.servers import picture
from tests.unit.library.client.conftest import Command

_QUERY = f"""
    --person Anna --any-person Ben --any-person Cleo --no-person Dora --only-person Anna --min-people 1 --max-people 2
    --label Boat --any-label Sea --no-label Car --category Trips --any-category A --no-category B
    --recognizer svm --any-recognizer keras --no-recognizer rekognition --verdict identified --verdict no-face
    --state partial --taken-from 2024-02 --taken-before 2024-02-29T23:59+01:00 --added-from 2024 --added-before 2025
    --min-score 0.5 --max-score 0.9 --text anna --file-name a --min-cost 0.001 --max-cost 2 --trash --sha256 {"AB" * 32}
    --place s3://photos/
"""


async def _added(command: Command, name: str = "both.jpg") -> str:
    Path(name).write_bytes(picture())
    return lines_of(await command("add", name, "--wait"))[0].split()[1]


async def test_found_pictures_are_a_table(command: Command) -> None:
    """A row has the picture's id, state, people, labels and name; the last line counts them."""
    picture_id = await _added(command)
    result = await command("search", "--person", "ANNA", "--label", "vehicle")
    assert result.exit_code == 0
    header, row, count = lines_of(result)
    assert header == "Picture Taken State People Labels File"
    assert row.startswith(f"{picture_id} ")
    assert row.endswith("recognized Anna 0.90, 1 unknown Boat both.jpg")
    assert count == "1 picture"
    assert lines_of(await command("search", "--no-person", "Anna")) == ["No picture fits."]


async def test_only_so_many_are_shown(command: Command) -> None:
    """--limit cuts the list and says that there are more; ids and JSON have a line each."""
    for number in range(3):
        Path(f"{number}.jpg").write_bytes(picture((16 + number, 12)))
    await command("add", ".", "--wait")
    assert lines_of(await command("search", "-n", "2"))[-1] == "2 pictures, and more: --limit 0 shows all"
    names = [
        json.loads(line)["file_name"] for line in (await command("search", "-o", "json", "-n0")).stdout.splitlines()
    ]
    assert sorted(names) == ["0.jpg", "1.jpg", "2.jpg"]
    ids = (await command("search", "-o", "ids", "--order", "added-oldest")).stdout
    assert len(ids.split()) == 3
    again = await command("recognize", "--ids-from", "-", "--dry-run", stdin=ids.encode())
    assert "3 pictures would be recognized again" in again.stdout
    assert "$0.000021" in again.stdout


async def test_each_part_of_a_query_has_an_option(command: Command) -> None:
    """The library takes a query with every option, which finds nothing here."""
    result = await command("search", *_QUERY.split())
    assert (result.exit_code, result.stdout, result.stderr) == (0, "No picture fits.\n", "")


async def test_a_wrong_option_says_what_is_right(command: Command) -> None:
    """A state, an order and a time that are none are usage errors, which list what there is; so is an empty span."""
    for arguments, advice in (
        (["--state", "lost"], "pending, recognized, partial, failed, imported"),
        (["--order", "best"], "taken-newest"),
        (["--taken-from", "2023-02-29"], "2024-02-29T18:30+01:00"),
        (["--min-cost", "cheap"], "dollars"),
        (["--taken-from", "2025", "--taken-before", "2024"], "--taken-before: nothing can fit"),
        (["--added-from", "2025", "--added-before", "2025"], "--added-before: nothing can fit"),
        (["--min-score", "0.9", "--max-score", "0.1"], "--max-score: nothing can fit"),
        (["--min-people", "2", "--max-people", "1"], "--max-people: nothing can fit"),
        (["--min-cost", "2", "--max-cost", "1"], "--max-cost: nothing can fit"),
    ):
        result = await command("search", *arguments)
        assert result.exit_code == 2
        assert advice in " ".join(result.stderr.split())


async def test_a_picture_is_shown_with_all_that_is_known(command: Command, tmp_path: Path) -> None:
    """Faces, labels, answers, places and the job are shown; the file is saved, and drawn into."""
    picture_id = await _added(command)
    result = await command("show", picture_id, "--save", "copy.jpg", "--draw", "drawn.png")
    assert result.exit_code == 0, result.stderr
    lines = lines_of(result)
    assert lines[0] == f"both.jpg {picture_id}"
    assert lines[1].startswith("recognized, 8x6 JPEG")
    assert any(line.startswith("1 Anna 0.90 recognizers identified svm 0.90 ") for line in lines)
    assert "Boat 0.50 Vehicle" in lines
    assert any(line.startswith("svm ok") and "$0.000007" in line for line in lines)
    assert any(line.startswith(str(tmp_path / "here/both.jpg")) for line in lines)
    assert any(line.startswith("Job: ") and line.endswith("done, 1 attempt") for line in lines)
    assert Path("copy.jpg").read_bytes() == picture()
    with Image.open("drawn.png") as drawn:
        assert drawn.width == 8
    missing = await command("show", "0195f3a0-0000-7000-8000-000000000000", "-o", "json")
    assert missing.exit_code == 1
    assert json.loads(missing.stdout)["error"]["reason"] == "PICTURE_NOT_FOUND"


async def test_an_export_is_a_file_by_its_name(command: Command) -> None:
    """A .csv is CSV, another file JSON Lines, - standard output; standard error says how many pictures it has."""
    await _added(command)
    result = await command("export", "-o", "a.csv", "--person", "Anna")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("1 picture in a.csv; the export is ")
    assert any("Anna" in row.values() for row in csv.DictReader(io.StringIO(Path("a.csv").read_text("utf-8"))))
    await command("export", "-o", "a.jsonl")
    assert json.loads(Path("a.jsonl").read_text("utf-8"))["file_name"] == "both.jpg"
    assert (await command("export")).stdout == Path("a.jsonl").read_text("utf-8")
    refused = await command("export", "-o", "no/such/folder.csv")
    assert (refused.exit_code, "no/such/folder.csv: No such file" in refused.stderr) == (1, True)


@pytest.mark.parametrize("text", ["2024", "2024-01", "2024-01-01", "2024-01-01T00:00", "2024-01-01T01:00+01:00"])
def test_a_time_may_be_short(text: str) -> None:
    """A year, a month and a date are their first moments, in UTC."""
    assert options.parse_time(text).isoformat() == "2024-01-01T00:00:00+00:00"


def test_an_empty_query_is_empty() -> None:
    """Options that are not given ask for nothing; those that are become the contract's fields."""
    assert build_query(options.query()) == pb.PictureQuery()
    query = build_query(options.query(only_person=["Ada"], max_people=0, min_score=0, trash=True, verdict=["UNKNOWN"]))
    assert query == pb.PictureQuery(
        people=pb.PeopleFilter(only=["Ada"], count=pb.CountRange(max=0)),
        score=pb.ScoreRange(min=0),
        verdict_states=[recognizer_pb2.VERDICT_STATE_UNKNOWN],
        in_trash=True,
    )

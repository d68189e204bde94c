"""Tests of the command's output for answers and file names that are made to break it."""

import csv
import io
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.rpc import code_pb2

from marquee.v1 import recognizer_pb2 as pb
from tests.support.client import Peer, marquee, refusal, serving, two_people
from tests.support.evil import EVIL, controls, spoil, strict
from tests.support.pictures import encode_noise
from tests.support.processes import ROOT, run

pytestmark = pytest.mark.usefixtures("peer")

FILES = ("a.jpg", "=1+1.jpg", "Zoë\u202e.jpg", os.fsdecode(b"caf\xe9\x1b[2J.jpg"))


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Peer]:
    """Run a server at MARQUEE_ADDRESS whose answer is hostile, with FILES in the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        Path(name).write_bytes(encode_noise("JPEG"))
    answer = two_people()
    spoil(answer)
    answer.verdicts[0].score = answer.results[0].labels[0].score = math.nan
    answer.verdicts[0].box.left, answer.verdicts[0].box.width, answer.verdicts[1].box.left = math.nan, math.inf, -0.25
    answer.results[0].outcome = answer.verdicts[1].state = 99  # type: ignore[assignment]
    listing = pb.ListRecognizersResponse(recognizers=[pb.Recognizer(name=EVIL)])
    listing.recognizers[0].state = 99  # type: ignore[assignment]
    with serving(Peer(answer=answer, listing=listing)) as peer:
        monkeypatch.setenv("MARQUEE_ADDRESS", peer.address)
        yield peer


@pytest.mark.parametrize("arguments", [("recognize", *FILES), ("recognizers",)])
def test_tables_pass_nothing_to_the_terminal(arguments: tuple[str, ...]) -> None:
    """Names, labels, warnings, formats and file names show no control, bidi or markup character."""
    result = marquee(*arguments)
    assert result.exit_code == 0, result.output
    assert controls(result.stdout + result.stderr) == set()
    assert "Eve[bold]" in result.stdout


@pytest.mark.parametrize("arguments", [("recognize", *FILES), ("recognize", "a.jpg"), ("recognizers",)])
def test_json_is_valid_whatever_the_answer(arguments: tuple[str, ...]) -> None:
    """NaN and infinity are null, control characters are escaped, and undecodable file names are valid text."""
    stdout = marquee(*arguments, "-o", "json").stdout
    lines = stdout.splitlines() if len(arguments) > 2 else [stdout]
    values = [strict(line) for line in lines]
    assert len(values) == max(1, len(arguments) - 1)
    assert controls(stdout) == set()
    if arguments[0] == "recognize":
        verdict = values[0]["verdicts"][0]
        assert (verdict["display_name"], verdict["score"], verdict["box"]["left"]) == (EVIL, None, None)


@pytest.mark.parametrize("parser", [["node", "-e", "JSON.parse(require('fs').readFileSync(0))"], ["jq", "-e", "."]])
def test_other_parsers_read_the_json(parser: list[str]) -> None:
    """Node and jq read it, too."""
    if shutil.which(parser[0]) is None:
        pytest.skip(f"needs {parser[0]}: apt-get install nodejs jq")
    stdout = marquee("recognize", FILES[-1], "-o", "json").stdout
    assert subprocess.run(parser, input=stdout.encode(), check=False, stdout=subprocess.DEVNULL).returncode == 0


def test_csv_quotes_controls_and_disarms_formulas() -> None:
    """Each face is one row of a parser, numbers are numbers, and no cell is a formula or controls a terminal."""
    stdout = marquee("recognize", *FILES, "-o", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(stdout, newline="")))
    assert len(rows) == 2 * len(FILES)
    assert controls(stdout, allowed="\r\n") == set()
    assert rows[0]["name"].startswith("'=Eve[bold]")
    assert (rows[0]["score"], rows[0]["left"], rows[0]["top"]) == ("", "", "0.2")
    assert rows[1]["left"] == "-0.25"
    assert rows[2]["file"] == "'=1+1.jpg"
    assert not any(cell.startswith(("=", "@", "+", "\t", "\r")) for row in rows for cell in row.values())


@pytest.mark.parametrize("start", ["=", "＝", "@", " =", "\u00a0+", "\t=", "\n-", "\n"])  # noqa: RUF001 - full-width
def test_no_name_is_a_formula(start: str, peer: Peer) -> None:
    """A name that a spreadsheet would compute begins with an apostrophe, as would one that it trims first."""
    peer.answer.verdicts[0].display_name = f"{start}HYPERLINK(A1)"
    stdout = marquee("recognize", "a.jpg", "-o", "csv").stdout
    assert next(csv.DictReader(io.StringIO(stdout, newline="")))["name"] == f"'{start}HYPERLINK(A1)"


@pytest.mark.parametrize("output", ["table", "json", "csv"])
def test_a_terminal_without_unicode_gets_all_output(output: str) -> None:
    """With LANG=C and an ASCII encoding nothing ends in UnicodeEncodeError, and JSON stays valid."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    result = run([sys.executable, "-m", "marquee", "recognize", *FILES, "-o", output], cwd=Path.cwd(), env=environment)
    assert (result.returncode, result.stderr) == (0, "")
    if output == "json":
        assert len([strict(line) for line in result.stdout.splitlines()]) == len(FILES)


@pytest.mark.parametrize(
    "arguments",
    [
        ("recognize", "no\x1b[31m\u202e.jpg"),
        ("recognize", "a.jpg", "--draw", "no\x1b[31m.gif"),
        ("recognize", "a.jpg", "--draw", "x" * 5000),
        ("recognize", "a.jpg", "--recognizer", os.fsdecode(b"\xff\x1b")),
        ("recognize", os.fsdecode(b"s3://bucket/\xff")),
        ("recognize", "a.jpg", "--timeout", "nan"),
        ("recognize", "a.jpg", "--timeout", "inf"),
        ("recognize", "x" * 5000),
        ("recognize", "a.jpg", "--address", "https://\x1b[31m"),
        ("recognize", "a.jpg", "--feature", "\x1b[31m"),
        ("enroll", "no\x1b[31m.jpg", "--name", "Ada"),
        ("enroll", "x" * 5000, "--name", "Ada"),
        ("no\x1b[31m",),
        ("--no\x1b[31m",),
    ],
)
def test_usage_errors_pass_nothing_to_the_terminal(arguments: tuple[str, ...]) -> None:
    """What the caller wrote is shown without its control characters."""
    result = marquee(*arguments)
    assert result.exit_code == 2
    assert controls(result.output) == set()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("recognizers --address 127.0.0.1:1", "UNAVAILABLE"),
        ("people --address 127.0.0.1:1", "UNAVAILABLE"),
        ("cost --address 127.0.0.1:1", "UNAVAILABLE"),
        ("remove ada --yes --address 127.0.0.1:1", "UNAVAILABLE"),
        ("recognize a.jpg --address 127.0.0.1:1", "UNAVAILABLE"),
        ("recognize no.jpg", "INVALID_ARGUMENT"),
        ("cost --recognizer nobody", "INVALID_ARGUMENT"),
    ],
)
def test_errors_are_json_too(arguments: str, code: str) -> None:
    """With -o json an error is an object on standard output, as well as a line on standard error."""
    result = marquee(*arguments.split(), "-o", "json")
    assert result.exit_code != 0
    assert strict(result.stdout)["error"]["code"] == code
    assert result.stderr


def test_a_drawing_that_fails_keeps_the_recognition() -> None:
    """What was recognized, and perhaps paid for, is printed; the error says what could not be drawn."""
    Path("text.jpg").write_text("no picture")
    result = marquee("recognize", "text.jpg", "--draw", "out.png", "-o", "json")
    value = strict(result.stdout)
    assert len(value["verdicts"]) == 2
    assert "cannot be drawn" in value["error"]["message"]
    assert result.exit_code == 1


def test_every_picture_of_the_folder_can_be_drawn() -> None:
    """Neither boxes of NaN nor file names with escapes end the command."""
    result = marquee("recognize", *FILES, "--draw", "drawn/")
    assert (result.exit_code, result.stderr) == (0, "")
    assert len(list(Path("drawn").iterdir())) == len(FILES)


def test_a_servers_error_passes_nothing_to_the_terminal(peer: Peer) -> None:
    """An error whose text is hostile is one clean line."""
    peer.refusals[b""] = refusal(code_pb2.INVALID_ARGUMENT, "INVALID_IMAGE", EVIL)
    result = marquee("recognize", "a.jpg")
    assert result.exit_code == 1
    assert controls(result.stderr) == set()

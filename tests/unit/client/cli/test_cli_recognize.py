"""Tests of `marquee recognize`, with a real server."""

import csv
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from google.rpc import code_pb2
from PIL import Image
from typer.testing import Result

from marquee.v1 import recognizer_pb2 as pb
from tests.support.client import Peer, lines_of, marquee, refusal, serving, two_people
from tests.support.processes import wait_until


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Peer]:
    """Run a server at MARQUEE_ADDRESS, with a.jpg, b.jpg, c.jpg and bad.jpg in the working directory."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate("abc"):
        Image.new("RGB", (64, 48), (80 * number, 90, 90)).save(f"{name}.jpg")
    Path("bad.jpg").write_bytes(b"no picture")
    with serving(Peer(answer=two_people())) as peer:
        peer.refusals[b"no picture"] = refusal(code_pb2.INVALID_ARGUMENT, "INVALID_IMAGE", "This is no picture.")
        monkeypatch.setenv("MARQUEE_ADDRESS", peer.address)
        yield peer


def _recognize(*arguments: str, stdin: bytes | None = None) -> Result:
    return marquee("recognize", *arguments, stdin=stdin)


def test_the_table_shows_verdicts_recognizers_and_failures(peer: Peer) -> None:  # noqa: ARG001 - starts the server
    """The table has a line per verdict and recognizer; a failed one has its message, but the exit code is 0."""
    result = _recognize("a.jpg")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert lines[0] == ["a.jpg", "640x480", "JPEG,", "130", "ms,", "$0.002"]
    assert ["identified", "Eileen", "Collins", "0.97", "rekognition", "0.97"] in lines
    assert ["rekognition", "ok", "123", "Eileen", "Collins", "0.97,", "an", "unknown", "face"] in lines
    assert ["svm", "error", "UNAVAILABLE:", "svm", "does", "not", "answer."] in lines
    assert ["Labels:", "Person", "0.99"] in lines
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize("gateway", ["gateway", ""])
def test_an_unsure_name_is_no_verdict(peer: Peer, gateway: str) -> None:
    """A candidate below its model's identify_score is shown as perhaps the person, whoever answers."""
    peer.answer.gateway = gateway
    peer.answer.results[0].model.identify_score = 0.98
    del peer.answer.verdicts[:]
    if gateway:
        peer.answer.verdicts.add(state=pb.VERDICT_STATE_UNKNOWN)
    words = _recognize("a.jpg").stdout.split()
    assert "identified" not in words
    assert "perhaps Eileen Collins 0.97, an unknown face" in " ".join(words)


def test_the_table_says_what_a_verdict_was_made_from(peer: Peer) -> None:
    """A person whose name is another face's is shown beside it, and so is that a table of calibration is too old."""
    verdict = peer.answer.verdicts[0]
    verdict.basis = pb.VERDICT_BASIS_STALE_CALIBRATION
    peer.answer.verdicts.add(state=pb.VERDICT_STATE_UNKNOWN, support=verdict.support)
    lines = _recognize("a.jpg").stdout.splitlines()
    assert any(line.split() == ["unknown", "rekognition", "Eileen", "Collins", "0.97"] for line in lines)
    assert "  By scores: the gateway's table of calibration is for other models" in lines


def test_strict_makes_a_failed_recognizer_a_failure(peer: Peer) -> None:
    """With --strict, a failed recognizer makes the exit code 1; SKIPPED is not a failure."""
    assert _recognize("a.jpg", "--strict").exit_code == 1
    peer.answer.results[1].CopyFrom(pb.RecognizerResult(recognizer="svm", outcome=pb.OUTCOME_SKIPPED))
    assert _recognize("a.jpg", "--strict").exit_code == 0


def test_who_was_left_out_says_why(peer: Peer) -> None:
    """A recognizer that a policy left out shows the reason, and the title what that saved."""
    skipped = pb.RecognizerResult(recognizer="svm", outcome=pb.OUTCOME_SKIPPED, status={"message": "Not asked: sure."})
    peer.answer.results[1].CopyFrom(skipped)
    peer.answer.saved_micro_usd = 1000
    output = _recognize("a.jpg").stdout
    assert "Not asked: sure." in output
    assert "$0.001 saved" in output


def test_what_was_remembered_says_so(peer: Peer) -> None:
    """A result that the gateway had already is marked."""
    assert "remembered" not in _recognize("a.jpg").stdout
    peer.answer.results[0].from_cache = True
    assert "remembered" in _recognize("a.jpg").stdout


def test_names_cannot_control_the_terminal(peer: Peer) -> None:
    """Control characters and markup from a server are shown, not interpreted."""
    peer.answer.verdicts[0].display_name = "\x1b[31mEve[bold]"
    assert "\ufffd[31mEve[bold]" in _recognize("a.jpg").stdout


def test_json_is_one_object_per_picture(peer: Peer) -> None:  # noqa: ARG001 - starts the server
    """One picture gives an indented object; several give one line each, in order, including errors."""
    one = json.loads(_recognize("a.jpg", "-o", "json").stdout)
    assert (one["file"], one["verdicts"][0]["display_name"]) == ("a.jpg", "Eileen Collins")
    result = _recognize("c.jpg", "bad.jpg", "a.jpg", "-o", "json")
    several = [json.loads(line) for line in result.stdout.splitlines()]
    assert [entry["file"] for entry in several] == ["c.jpg", "bad.jpg", "a.jpg"]
    assert several[1]["error"]["reason"] == "INVALID_IMAGE"
    assert result.stderr == "bad.jpg: This is no picture.\n"
    assert result.exit_code == 1


def test_csv_has_a_row_per_face(peer: Peer) -> None:  # noqa: ARG001 - starts the server
    """The CSV has a header, a row per verdict with its box, and a row per failed picture."""
    result = _recognize("a.jpg", "bad.jpg", "--output", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [(row["file"], row["state"], row["name"], row["score"], row["left"]) for row in rows] == [
        ("a.jpg", "IDENTIFIED", "Eileen Collins", "0.97", "0.1"),
        ("a.jpg", "UNKNOWN", "", "", "0.6"),
        ("bad.jpg", "", "", "", ""),
    ]
    assert rows[2]["error"] == "This is no picture."


def _street() -> list[pb.Label]:
    """Return two cars and a person in boxes, and twelve labels without one."""
    boxes = [pb.BoundingBox(left=left, top=0.5, width=0.25, height=0.25) for left in (0, 0.5)]
    cars = [pb.LabelInstance(box=box, score=score) for box, score in zip(boxes, (0.75, 0.5), strict=True)]
    car = pb.Label(name="Car", score=0.875, parents=["Vehicle"], categories=["Transport"], instances=cars)
    return [car, *(pb.Label(name=f"Thing {number}", score=0.25) for number in range(12))]


def test_the_table_shows_labels_and_how_many_it_leaves_out(peer: Peer) -> None:
    """Labels have their boxes' count, parents and categories; beyond ten, or --max-labels, the rest is counted."""
    del peer.answer.labels[:]
    peer.answer.labels.extend(_street())
    lines = lines_of(_recognize("a.jpg"))
    assert lines[lines.index("Label Score Boxes Parents Categories") + 1] == "Car 0.88 2 Vehicle Transport"
    assert "… and 3 more labels: -o json has all" in lines
    more = _recognize("a.jpg", "--max-labels", "13").stdout
    assert "Thing 11" in more
    assert "more label" not in more


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("faces", [("Eileen Collins", "0.97", "0.1"), ("", "", "0.6")]),
        ("labels", [("Car", "0.75", "0.0"), ("Car", "0.5", "0.5"), ("Thing 0", "0.25", "")]),
        ("all", [("Eileen Collins", "0.97", "0.1"), ("", "", "0.6"), ("Car", "0.75", "0.0"), ("Car", "0.5", "0.5")]),
    ],
)
def test_csv_has_rows_of_faces_or_labels(peer: Peer, rows: str, expected: list[tuple[str, str, str]]) -> None:
    """A label has a row for each of its boxes, or one without a box; columns of faces come first."""
    del peer.answer.labels[:]
    peer.answer.labels.extend(_street())
    lines = list(csv.DictReader(io.StringIO(_recognize("a.jpg", "-o", "csv", "--rows", rows).stdout)))
    assert [(row["name"], row["score"], row["left"]) for row in lines][: len(expected)] == expected
    if rows != "faces":
        car = next(row for row in lines if row["name"] == "Car")
        assert (car["label_score"], car["parents"], car["categories"]) == ("0.875", "Vehicle", "Transport")
    if rows != "labels":
        assert ",".join(lines[0]).startswith("file,state,name,person_id,score,left,top,width,height,support,error")


def test_faces_are_shown_without_verdicts(peer: Peer) -> None:
    """Without verdicts, the recognizer's faces are shown."""
    del peer.answer.verdicts[:]
    rows = csv.DictReader(io.StringIO(_recognize("a.jpg", "-o", "csv").stdout))
    assert [(row["state"], row["name"]) for row in rows] == [("IDENTIFIED", "Eileen Collins"), ("UNKNOWN", "")]


def test_options_reach_the_server(peer: Peer) -> None:
    """Each option sets its field of the request."""
    options = "--recognizer svm --recognizer keras --feature Labels --feature text --max-labels 3 --min-score 0.5"
    boxes = "--face-box 0.25,0.5,0.125,0.25 --face-box 0,0,1,1"
    policy = "--policy first-confident --require svm --require region/keras --no-cache"
    assert _recognize("a.jpg", *options.split(), *boxes.split(), *policy.split()).exit_code == 0
    request = peer.requests[0]
    assert (list(request.recognizers), request.no_cache) == (["svm", "keras"], True)
    assert (request.policy, list(request.required)) == (pb.POLICY_FIRST_CONFIDENT, ["svm", "region/keras"])
    assert list(request.features) == [pb.FEATURE_LABELS, pb.FEATURE_TEXT]
    assert (request.max_labels, request.min_score) == (3, 0.5)
    assert [(box.left, box.top, box.width, box.height) for box in request.face_boxes] == [
        (0.25, 0.5, 0.125, 0.25),
        (0, 0, 1, 1),
    ]


def test_standard_input_and_s3_objects_are_pictures(peer: Peer) -> None:
    """The argument - sends standard input, and an s3:// URL sends the object's name."""
    assert _recognize("-", "s3://bucket/key.jpg", "-j", "1", stdin=b"piped").exit_code == 0
    assert peer.requests[0].image.content == b"piped"
    assert peer.requests[1].image.s3_object == pb.S3Object(bucket="bucket", key="key.jpg")


def test_jobs_limits_the_pictures_in_flight(peer: Peer) -> None:
    """With two jobs, two of three pictures are sent before there is a response."""
    peer.hold = threading.Event()
    with ThreadPoolExecutor(1) as executor:
        future = executor.submit(_recognize, "a.jpg", "b.jpg", "c.jpg", "--jobs", "2")
        wait_until(lambda: len(peer.requests) == 2)
        time.sleep(0.2)  # enough for a third to arrive
        in_flight = len(peer.requests)
        peer.hold.set()
        assert future.result().exit_code == 0
    assert (in_flight, len(peer.requests)) == (2, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("no.jpg", "no.jpg is not a file"),
        ("no", "no is not a file"),
        ("- -", "only once"),
        ("a.jpg --feature faecs", "choose from celebrities"),
        ("a.jpg --policy best", "choose from all, first_confident, cascade"),
        ("a.jpg --max-labels -1", "--max-labels"),
        ("a.jpg --face-box 1,2,3", "--face-box"),
        ("a.jpg --face-box left,0,1,1", "--face-box"),
        ("a.jpg --timeout 0", "greater than 0"),
        ("a.jpg --colors known=red", "identified, unknown, disagree, label"),
        ("a.jpg --colors unknown=reddish", "is not a color"),
        ("a.jpg --draw out.jpg", "neither .png nor .svg"),
        ("a.jpg b.jpg --draw out.png", "{stem}"),
        ("s3://bucket --draw out.png", "needs a bucket and a key"),
        ("a.jpg --boxes labels", "give --draw, too"),
        ("a.jpg --colors unknown=red", "give --draw, too"),
        ("a.jpg --label-position bottom", "give --draw, too"),
        ("a.jpg --rows labels", "give --output csv, too"),
    ],
)
def test_a_usage_error_exits_with_2_before_any_call(peer: Peer, arguments: str, message: str) -> None:
    """The message says what is wrong, and nothing is sent."""
    result = _recognize(*arguments.split())
    assert result.exit_code == 2
    assert message in result.stderr
    assert peer.requests == []


def test_a_usage_error_from_the_server_exits_with_2_at_once(peer: Peer) -> None:
    """An unknown recognizer applies to every picture, so it is reported once."""
    peer.refusals[b""] = refusal(code_pb2.INVALID_ARGUMENT, "UNKNOWN_RECOGNIZER", "There is no recognizer 'x'.")
    result = _recognize("a.jpg", "b.jpg", "c.jpg", "--recognizer", "x", "-j", "1")
    assert result.exit_code == 2
    assert result.stderr == "a.jpg: There is no recognizer 'x'.\n"


def test_no_server_exits_with_3_and_says_what_to_do(peer: Peer) -> None:  # noqa: ARG001 - writes the pictures
    """A missing server is reported once, however many pictures there are."""
    result = _recognize("a.jpg", "b.jpg", "--address", "127.0.0.1:1")
    assert result.exit_code == 3
    assert result.stderr.startswith(
        "Cannot connect to 127.0.0.1:1: start a server with `make demo`, or set MARQUEE_ADDRESS."
    )
    assert result.stderr.count("\n") == 1


def test_draw_writes_one_file_per_picture(peer: Peer) -> None:  # noqa: ARG001 - starts the server
    """In the target, {stem} stands for the picture's name; a folder gets PNGs."""
    assert _recognize("a.jpg", "b.jpg", "--draw", "drawn/{stem}.svg").exit_code == 0
    assert _recognize("a.jpg", "b.jpg", "--draw", "drawn/").exit_code == 0
    assert sorted(path.name for path in Path("drawn").iterdir()) == ["a.png", "a.svg", "b.png", "b.svg"]


def test_a_file_that_cannot_be_read_fails_alone(peer: Peer) -> None:  # noqa: ARG001 - starts the server
    """The error names the unreadable file, the others are recognized, and the exit code is 1."""
    with socket.socket(socket.AF_UNIX) as no_file:
        no_file.bind("z.jpg")
        result = _recognize("z.jpg", "b.jpg")
    assert result.exit_code == 1
    assert result.stderr == "z.jpg: No such device or address\n"
    assert "b.jpg" in result.stdout

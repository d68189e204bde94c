"""Lines of exported files: nothing is lost in JSON Lines, and nothing in CSV is a formula."""

import csv
import io
import json
import re
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from marquee.library.v1 import library_pb2 as pb
from marquee.v1 import recognizer_pb2 as v1
from services.library.exchange import json_lines, table
from tests.support.processes import ROOT
from tests.support.servers import LEFT, RIGHT, box, candidate

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def time(*parts: int) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(datetime(*parts, tzinfo=UTC))
    return stamp


def verdict(name: str, score: float = 0.9) -> v1.Verdict:
    support = [v1.Support(recognizer="svm", candidate=candidate(name, score))] if name else []
    named = {"state": v1.VERDICT_STATE_IDENTIFIED, "display_name": name, "person_id": name, "score": score}
    return v1.Verdict(box=box(LEFT), support=support, **named)


def rows(picture: pb.Picture) -> list[dict[str, str]]:
    text = (table.head() + table.rows(picture)).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_page_lists_the_columns() -> None:
    """docs/export.md has the keys of JSON Lines and the columns of CSV, in their order."""
    keys, columns = (
        [name for row in re.findall(r"^\| (`.*?) \|", part, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]
        for part in re.split("^### ", (ROOT / "docs/export.md").read_text(), flags=re.MULTILINE)[1:3]
    )
    assert columns == list(table.COLUMNS)
    assert set(keys) == {field.name for field in pb.Picture.DESCRIPTOR.fields} - {"same_pixels"}


def test_a_line_has_everything_by_the_contracts_names() -> None:
    """Enums are short names, times ISO 8601, absent messages null, 64-bit numbers are numbers."""
    picture = pb.Picture(
        picture_id="id",
        state=pb.PICTURE_STATE_RECOGNIZED,
        size_bytes=2**40,
        taken_time=time(2024, 2, 29, 23, 59, 59),
        taken_time_source=pb.TIME_SOURCE_EXIF,
        places=[pb.Place(path="../a.jpg", current=True), pb.Place(s3_object=v1.S3Object(bucket="b", key="k"))],
        faces=[pb.PictureFace(face_id="f", verdict=verdict("Ada"))],
        answers=[pb.Answer(result=v1.RecognizerResult(recognizer="svm", outcome=v1.OUTCOME_OK, labels=[v1.Label()]))],
        same_pixels=["other"],
    )
    line = json.loads(json_lines.line(picture))
    assert (line["state"], line["taken_time"], line["taken_time_source"]) == (
        "RECOGNIZED",
        "2024-02-29T23:59:59Z",
        "EXIF",
    )
    assert (line["size_bytes"], line["delete_time"], line["job"]) == (2**40, None, None)
    assert [(one["s3_object"], one["path"]) for one in line["places"]] == [
        (None, "../a.jpg"),
        ({"bucket": "b", "key": "k", "version_id": ""}, None),
    ]
    assert line["faces"][0]["verdict"]["box"] == dict(zip(("left", "top", "width", "height"), LEFT, strict=True))
    assert line["faces"][0]["verdict"]["score"] == 0.9
    assert set(line["answers"][0]["result"]) == {"recognizer", "outcome", "model", "cost_micro_usd"}
    assert set(line) == {field.name for field in pb.Picture.DESCRIPTOR.fields} - {"same_pixels"}


@given(TEXT, st.floats(width=32))
def test_json_lines_keep_every_text_in_one_line(text: str, score: float) -> None:
    """Whatever a text holds, it comes back as it was, from one line; a score that is no number is null."""
    line = json_lines.line(pb.Picture(file_name=text, labels=[v1.Label(name=text, score=score)])).decode()
    assert len(line.splitlines()) == 1
    read = json.loads(line)
    assert (read["file_name"], read["labels"][0]["name"]) == (text, text)


def test_csv_has_a_row_for_each_face_and_one_without_any() -> None:
    """Each row repeats the picture; a picture without faces has a row; those who disagree are all named.

    A face has the library's name and state: who was decided, and nobody once a name was refused or it is no face.
    """
    two = v1.Verdict(
        state=v1.VERDICT_STATE_DISAGREE,
        box=box(RIGHT),
        support=[v1.Support(candidate=candidate("Ada")), v1.Support(candidate=candidate("Bea"))],
    )
    picture = pb.Picture(
        picture_id="id",
        state=pb.PICTURE_STATE_PARTIAL,
        categories=[pb.PictureCategory(name="A"), pb.PictureCategory(name="B")],
        labels=[v1.Label(name="Boat", score=0.75)],
        answers=[
            pb.Answer(result=v1.RecognizerResult(recognizer="svm", outcome=v1.OUTCOME_TIMEOUT)),
            pb.Answer(result=v1.RecognizerResult(recognizer="svm", outcome=v1.OUTCOME_OK)),
            pb.Answer(result=v1.RecognizerResult(recognizer="keras", outcome=v1.OUTCOME_OK)),
        ],
    )
    (alone,) = rows(picture)
    assert (alone["picture_state"], alone["categories"], alone["labels"], alone["recognizers"], alone["name"]) == (
        *("PARTIAL", "A; B", "Boat 0.75", "keras"),
        "",
    )
    own = {"person_id": "1", "display_name": "Eve", "score": 1, "source": pb.ASSIGNMENT_SOURCE_DECISION}
    picture.faces.add(verdict=verdict("Ada"), **own)
    picture.faces.add(verdict=two)
    picture.faces.add(verdict=verdict("Ada"))
    picture.faces.add(verdict=two, state=pb.FACE_STATE_NOT_A_FACE)
    assert [(row["picture_id"], row["state"], row["name"], row["score"], row["left"]) for row in rows(picture)] == [
        ("id", "IDENTIFIED", "Eve", "1.0", "0.1"),
        ("id", "DISAGREE", "Ada or Bea", "", "0.6"),
        ("id", "UNKNOWN", "", "", "0.1"),
        ("id", "NO_FACE", "", "", "0.6"),
    ]


@given(st.sampled_from(["=", "+", "-", "@", "\t=", " \n=", "|", "a;=", '"', ",", "\r\n", ""]), TEXT)
def test_no_text_is_a_formula_or_leaves_its_cell(prefix: str, rest: str) -> None:
    """Names of files, places, people and categories that a spreadsheet would compute are quoted, in one row."""
    name = prefix + rest
    picture = pb.Picture(
        file_name=name,
        places=[pb.Place(path=name)],
        categories=[pb.PictureCategory(name=name)],
        faces=[pb.PictureFace(verdict=verdict(name))],
    )
    (row,) = rows(picture)
    assert set(row) == set(table.COLUMNS)
    for value in row.values():
        assert not value.lstrip().startswith(("=", "+", "-", "@", "|")), value

"""Files to take away."""

import base64
import csv
import io
import json

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.fusion import verdict as fusion
from services.web.pages.results import files
from tests.support.servers import LEFT, NEAR_LEFT, RIGHT, candidate, face, result


def answer(*results: pb.RecognizerResult) -> pb.RecognizeImageResponse:
    return pb.RecognizeImageResponse(request_id="r", results=results, verdicts=fusion.verdicts(results))


def rows(answer: pb.RecognizeImageResponse, name: str = "a.jpg") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(files.csv_of(name, answer))))


def test_json_is_the_contracts() -> None:
    """The JSON to take away parses as the response."""
    whole = answer(result("svm", face(LEFT, "Raj")))
    assert json_format.Parse(files.json_of(whole), pb.RecognizeImageResponse()) == whole
    assert json.loads(files.json_of(whole))["requestId"] == "r"


def test_csv_has_a_row_for_each_face_and_recognizer() -> None:
    """Faces are counted from left to right; who did not find one has a row that says so."""
    table = rows(
        answer(result("svm", face(LEFT, "Raj", 0.93), face(RIGHT)), result("keras", face(NEAR_LEFT, "Raj", 0.5)))
    )
    assert [(row["face"], row["recognizer"], row["verdict_name"], row["name"], row["opinion"]) for row in table] == [
        ("1", "svm", "Raj", "Raj", "Agrees"),
        ("1", "keras", "Raj", "Raj", "Agrees"),
        ("2", "svm", "", "", "Does not know this face"),
        ("2", "keras", "", "", "Did not find this face"),
    ]
    assert (table[0]["left"], table[0]["score"], table[0]["verdict"]) == ("0.1", "0.93", "IDENTIFIED")


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([result("svm")], [("NO_FACE", "svm", "")]),
        ([result("svm", image_candidates=[candidate("Raj")])], [("IDENTIFIED", "svm", "Raj")]),
        ([pb.RecognizerResult(recognizer="svm", outcome=pb.OUTCOME_ERROR)], [("", "svm", "")]),
        ([], []),
    ],
)
def test_csv_of_pictures_without_boxes(
    results: list[pb.RecognizerResult], expected: list[tuple[str, str, str]]
) -> None:
    """Every recognizer has a row even if there is no face to speak of."""
    assert [(row["verdict"], row["recognizer"], row["name"]) for row in rows(answer(*results))] == expected


@given(
    st.sampled_from(["=", "+", "-", "@", "\t=", " \n=", "＝", "|", "%", "a;=", ";; @"]),  # noqa: RUF001 - as spreadsheets read them
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
def test_no_cell_is_a_formula(prefix: str, rest: str) -> None:
    """Names of files, people and recognizers that a spreadsheet would compute are quoted, and stay in their cell."""
    name = f"{prefix}{rest}"
    table = rows(answer(result(name or "x", face(LEFT, name))), name)
    assert len(table) == 1
    for value in ";".join(table[0].values()).split(";"):
        assert not value.lstrip().startswith(("=", "+", "-", "@", "＝", "|", "%")), value  # noqa: RUF001
        assert "\n" not in value


def test_links_hold_the_file() -> None:
    """A link works without the server and without scripts: its address is the content."""
    url = files.data_url("text/csv", "a,ß")
    head, _, body = url.partition(",")
    assert (head, base64.b64decode(body).decode()) == ("data:text/csv;base64", "a,ß")

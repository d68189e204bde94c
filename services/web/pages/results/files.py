"""A result to take away: JSON as the HTTP API prints it, and CSV with a row for each face and recognizer. Pure."""

import base64
import csv
import io
import math
from collections.abc import Iterator
from typing import TypeAlias

from google.protobuf import json_format

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.messages.cells import cell
from services.web.pages import words
from services.web.pages.results import faces, findings
from services.web.pages.results.faces import Group

_COLUMNS = (
    *("file", "face", "left", "top", "width", "height", "verdict", "verdict_name", "verdict_score"),
    *("recognizer", "outcome", "opinion", "name", "person_id", "score", "problem"),
)
_Row: TypeAlias = dict[str, object]


def json_of(answer: pb.RecognizeImageResponse) -> str:
    """Return the answer as JSON."""
    return json_format.MessageToJson(answer, ensure_ascii=False)


def csv_of(file_name: str, answer: pb.RecognizeImageResponse) -> str:
    """Return a table with a header. No cell is a formula; a recognizer without any face has a row, too."""
    table = io.StringIO()
    writer = csv.DictWriter(table, _COLUMNS, restval="", lineterminator="\r\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writeheader()
    for row in _rows(answer):
        cells = {"file": file_name, **row}
        writer.writerow({column: cell(value) for column, value in cells.items()})
    return table.getvalue()


def data_url(media_type: str, content: str) -> str:
    """Return an address that holds the text itself."""
    return f"data:{media_type};base64,{base64.b64encode(content.encode()).decode()}"


def _rows(answer: pb.RecognizeImageResponse) -> Iterator[_Row]:
    groups = faces.groups_of(answer.results, answer.verdicts)
    for number, group in enumerate(groups, 1):
        for result in answer.results:
            yield {"face": number, **_place(group.box), **_verdict(group.verdict), **_result(result, group)}
    for verdict in answer.verdicts:
        if not verdict.HasField("box"):
            for result in answer.results:
                yield _verdict(verdict) | _result(result, None)
    if not groups and not answer.verdicts:
        yield from (_result(result, None) for result in answer.results)


def _place(box: pb.BoundingBox) -> _Row:
    return dict(zip(("left", "top", "width", "height"), findings.place(box), strict=True))


def _verdict(verdict: pb.Verdict) -> _Row:
    return {
        "verdict": pb.VerdictState.Name(verdict.state).removeprefix("VERDICT_STATE_"),
        "verdict_name": words.name_of(verdict),
        "verdict_score": _score(verdict.score) if verdict.state == pb.VERDICT_STATE_IDENTIFIED else "",
    }


def _result(result: pb.RecognizerResult, group: Group | None) -> _Row:
    face = group.faces.get(result.recognizer) if group else None
    best = findings.best(face.candidates if face else result.image_candidates if group is None else ())
    row: _Row = {
        "recognizer": result.recognizer,
        "outcome": pb.Outcome.Name(result.outcome).removeprefix("OUTCOME_"),
        "problem": result.status.message,
    }
    if group is not None and faces.looks_for_faces(result):
        row["opinion"] = faces.opinion(group, result).words
    if best is None:
        return row
    return row | {"name": best.display_name, "person_id": best.person_id, "score": _score(best.score)}


def _score(score: float) -> float:
    return round(score, 4) if math.isfinite(score) else 0.0

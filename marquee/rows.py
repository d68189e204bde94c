"""Faces and labels as rows, for CSV files, notebooks and tables."""

import math
from collections.abc import Iterator, Mapping

from marquee.enrollment import EnrolledFace, Enrollment, EnrollmentResult, FacesResult, PeopleResult
from marquee.enums import Feature, Findings, VerdictState
from marquee.records import Cell
from marquee.results import Box, Candidate, Label, Recognition, Recognizer, RecognizerResult, Support, Verdict

_BOX = ("left", "top", "width", "height")
_FACE = ("state", "name", "person_id", "score", *_BOX, "support")
_LABEL = ("name", "score", *_BOX, "label_score", "parents", "categories")


COLUMNS: Mapping[Findings, tuple[str, ...]] = {
    Findings.FACES: _FACE,
    Findings.LABELS: _LABEL,
    Findings.ALL: (*_FACE, "kind", *(column for column in _LABEL if column not in _FACE)),
}
"""Columns of the rows.

state, name, person_id: the verdict on a face; a label has its name alone.
score: of the verdict if it is IDENTIFIED; of the label's instance in this row, else of the label.
left, top, width, height: fractions of the upright picture; None without a box.
support: "recognizer=name score; …".
kind: face or label.
label_score: of the label as a whole.
parents, categories: "one; another".
"""


def rows_of(recognition: Recognition, findings: Findings = Findings.FACES) -> list[dict[str, Cell]]:
    """Return a row for each face, and for each instance of a label or label without one, with their COLUMNS."""
    faces = () if findings is Findings.LABELS else verdicts_of(recognition)
    labels = () if findings is Findings.FACES else labels_of(recognition)
    rows = [*map(_face_row, faces), *(row for label in labels for row in _label_rows(label))]
    return [{column: _cell(row.get(column)) for column in COLUMNS[findings]} for row in rows]


def verdicts_of(recognition: Recognition) -> tuple[Verdict, ...]:
    """Return the gateway's verdicts, else one for each face of a single recognizer."""
    return recognition.verdicts or tuple(verdict for result in recognition.results for verdict in _verdicts(result))


def labels_of(recognition: Recognition) -> tuple[Label, ...]:
    """Return the gateway's merged labels, else those of a single recognizer."""
    return recognition.labels or tuple(label for result in recognition.results for label in result.labels)


def name_of(verdict: Verdict) -> str:
    """Return the person's name; for DISAGREE all names; else nothing."""
    if verdict.state is VerdictState.DISAGREE:
        return " or ".join(dict.fromkeys(support.candidate.display_name for support in verdict.support))
    return verdict.display_name


def is_sure(candidate: Candidate, result: RecognizerResult) -> bool:
    """Return whether the candidate reaches its model's identify_score."""
    return candidate.score >= ((result.model and result.model.identify_score) or 0)


def recognizer_rows(recognizer: Recognizer) -> list[dict[str, Cell]]:
    """Return the recognizer's row.

    name, state, message: as listed, the message why it is UNAVAILABLE. features, models: "one; another".
    prices: "FEATURE dollars; …" per picture. can_enroll, takes_face_boxes. smallest_face: share of the longer side.
    spent_today, spent_month, daily_cap: dollars, None where unknown, free or without a cap.
    """
    spent = recognizer.spending
    return [
        {
            "name": recognizer.name,
            "state": str(recognizer.state),
            "message": recognizer.status.message if recognizer.status else "",
            "features": "; ".join(recognizer.features),
            "models": "; ".join(f"{model.name} {model.version}" for model in recognizer.models),
            "prices": "; ".join(f"{price.feature} {_dollars(price.micro_usd)}" for price in recognizer.prices),
            "can_enroll": recognizer.can_enroll,
            "takes_face_boxes": recognizer.takes_face_boxes,
            "smallest_face": recognizer.smallest_face,
            "spent_today": _dollars(spent.today_micro_usd) if spent else None,
            "spent_month": _dollars(spent.month_micro_usd) if spent else None,
            "daily_cap": _dollars(spent.daily_cap_micro_usd) if spent else None,
        }
    ]


def people_rows(result: PeopleResult) -> list[dict[str, Cell]]:
    """Return a row for each person: recognizer, person_id, name, faces, trained, create_time."""
    return [
        {
            "recognizer": result.recognizer,
            "person_id": person.person_id,
            "name": person.display_name,
            "faces": person.face_count,
            "trained": person.trained,
            "create_time": person.create_time,
        }
        for person in result.people
    ]


def faces_rows(result: FacesResult) -> list[dict[str, Cell]]:
    """Return a row for each face: recognizer, person_id, name, face_id, content_sha256, s3_object, create_time."""
    return [
        {
            "recognizer": result.recognizer,
            "person_id": result.person.person_id if result.person else None,
            "name": result.person.display_name if result.person else None,
            "face_id": face.face_id,
            "content_sha256": face.content_sha256,
            "s3_object": f"s3://{face.s3_object.bucket}/{face.s3_object.key}" if face.s3_object else None,
            "create_time": face.create_time,
        }
        for face in result.faces
    ]


def enrollment_rows(enrollment: Enrollment) -> list[dict[str, Cell]]:
    """Return a row for each picture at each recognizer, and one for a recognizer that took none.

    recognizer, outcome: of it. picture: 1 for the first. state, face_id, message: of the picture, else the
    recognizer's message. left, top, width, height: fractions of the upright picture; None without a box.
    """
    return [row for result in enrollment.results for row in _enrollment_rows(result)]


def _enrollment_rows(result: EnrollmentResult) -> Iterator[dict[str, Cell]]:
    for number, face in enumerate(result.faces, 1):
        yield _enrolled_row(result, number, face)
    if not result.faces:
        yield _enrolled_row(result, None, None)


def _enrolled_row(result: EnrollmentResult, number: int | None, face: EnrolledFace | None) -> dict[str, Cell]:
    return {
        "recognizer": result.recognizer,
        "outcome": str(result.outcome),
        "picture": number,
        "state": str(face.state) if face else None,
        "face_id": face.face_id if face else None,
        "message": (face.status if face else result.status).message,
        **dict.fromkeys(_BOX),
        **_box_cells(face.box if face else None),
    }


def _dollars(micro_usd: int | None) -> float | None:
    return None if micro_usd is None else micro_usd / 1e6


def _face_row(verdict: Verdict) -> dict[str, Cell]:
    return {
        "kind": "face",
        "state": str(verdict.state),
        "name": name_of(verdict),
        "person_id": verdict.person_id,
        "score": verdict.score if verdict.state is VerdictState.IDENTIFIED else None,
        "support": "; ".join(f"{s.recognizer}={s.candidate.display_name} {s.candidate.score}" for s in verdict.support),
        **_box_cells(verdict.box),
    }


def _label_rows(label: Label) -> Iterator[dict[str, Cell]]:
    row: dict[str, Cell] = {
        "kind": "label",
        "name": label.name,
        "score": label.score,
        "label_score": label.score,
        "parents": "; ".join(label.parents),
        "categories": "; ".join(label.categories),
    }
    for instance in label.instances:
        yield {**row, "score": instance.score, **_box_cells(instance.box)}
    if not label.instances:
        yield row


def _box_cells(box: Box | None) -> dict[str, Cell]:
    return dict(box.to_dict()) if box else {}


def _cell(value: Cell) -> Cell:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _verdicts(result: RecognizerResult) -> Iterator[Verdict]:
    for face in result.faces:
        yield _verdict(result, face.box, face.candidates[0] if face.candidates else None)
    for candidate in result.image_candidates:
        yield _verdict(result, None, candidate)
    if Feature.CELEBRITIES in result.performed_features and not (result.faces or result.image_candidates):
        yield Verdict(None, VerdictState.NO_FACE, "", "", 0, ())


def _verdict(result: RecognizerResult, box: Box | None, best: Candidate | None) -> Verdict:
    if best is None or not is_sure(best, result):
        return Verdict(box, VerdictState.UNKNOWN, "", "", 0, ())
    group = result.model.evidence_group if result.model else ""
    support = (Support(result.recognizer, best, group),)
    return Verdict(box, VerdictState.IDENTIFIED, best.person_id, best.display_name, best.score, support)

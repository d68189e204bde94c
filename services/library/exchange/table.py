"""Pictures as CSV: a row for each face, as `marquee recognize --output csv` has it, and one without any face. Pure."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from marquee.library.v1 import library_pb2 as pb
from marquee.v1 import recognizer_pb2 as v1
from services.library.exchange.json_lines import name_of, score_of, time_of
from services.runtime.messages.cells import cell

COLUMNS = (
    *("picture_id", "picture_state", "file_name", "place", "sha256", "format", "picture_width", "picture_height"),
    *(
        "size_bytes",
        "taken_time",
        "taken_time_source",
        "create_time",
        "expire_time",
        "categories",
        "labels",
        "moderation",
    ),
    *("texts", "recognizers", "cost_micro_usd", "face_id", "state", "name", "person_id", "score"),
    *("left", "top", "width", "height", "support"),
)
"""Those up to cost_micro_usd are the picture's, the others the face's; docs/export.md says what they hold."""
_Row: TypeAlias = dict[str, object]


def head() -> bytes:
    """Return the line of titles."""
    return _written([dict(zip(COLUMNS, COLUMNS, strict=True))])


def rows(picture: pb.Picture) -> bytes:
    """Return the picture's rows. No cell is a formula or has a line break."""
    shared = _picture(picture)
    return _written([shared | _face(face) for face in picture.faces] or [shared])


def _written(rows: Iterable[_Row]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\r\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerows({name: cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode()


def _picture(picture: pb.Picture) -> _Row:
    return {
        "picture_id": picture.picture_id,
        "picture_state": _name(picture, "state"),
        "file_name": picture.file_name,
        "place": next(map(_place, picture.places), ""),
        "sha256": picture.sha256,
        "format": picture.format,
        "picture_width": picture.width or "",
        "picture_height": picture.height or "",
        "size_bytes": picture.size_bytes or "",
        "taken_time": time_of(picture.taken_time),
        "taken_time_source": _name(picture, "taken_time_source"),
        "create_time": time_of(picture.create_time),
        "expire_time": time_of(picture.expire_time) if picture.HasField("expire_time") else "",
        "categories": _joined(one.name for one in picture.categories),
        "labels": _joined(f"{one.name} {score_of(one.score)}" for one in picture.labels),
        "texts": _joined(one.content for one in picture.texts if one.type != v1.TEXT_TYPE_WORD),
        "moderation": _joined(f"{one.name} {score_of(one.score)}" for one in picture.moderation_labels),
        "recognizers": _joined(dict.fromkeys(_recognizers(picture.answers))),
        "cost_micro_usd": picture.cost_micro_usd,
    }


def _face(face: pb.PictureFace) -> _Row:
    verdict, state = face.verdict, _state(face)
    row: _Row = {
        "face_id": face.face_id,
        "state": name_of(v1.VerdictState.DESCRIPTOR, state),
        "name": _names(verdict) if state == v1.VERDICT_STATE_DISAGREE else face.display_name,
        "person_id": face.person_id,
        "score": score_of(face.score) if face.source else "",
        "support": _joined(
            f"{one.recognizer}={one.candidate.display_name} {score_of(one.candidate.score)}" for one in verdict.support
        ),
    }
    if verdict.HasField("box"):
        row |= {name: score_of(getattr(verdict.box, name)) for name in ("left", "top", "width", "height")}
    return row


def _state(face: pb.PictureFace) -> int:
    """Return what the verdict would be by what was decided and refused."""
    if face.source:
        return v1.VERDICT_STATE_IDENTIFIED
    if face.state == pb.FACE_STATE_NOT_A_FACE:
        return v1.VERDICT_STATE_NO_FACE
    is_open = face.state in {pb.FACE_STATE_UNSPECIFIED, pb.FACE_STATE_NEW, pb.FACE_STATE_TRIED}
    is_named = face.verdict.state == v1.VERDICT_STATE_IDENTIFIED
    return face.verdict.state if is_open and not is_named else v1.VERDICT_STATE_UNKNOWN


def _names(verdict: v1.Verdict) -> str:
    return " or ".join(dict.fromkeys(one.candidate.display_name for one in verdict.support))


def _place(place: pb.Place) -> str:
    if not place.HasField("s3_object"):
        return place.path
    version = f"?versionId={place.s3_object.version_id}" if place.s3_object.version_id else ""
    return f"s3://{place.s3_object.bucket}/{place.s3_object.key}{version}"


def _recognizers(answers: Iterable[pb.Answer]) -> Iterator[str]:
    """Yield the names of those whose newest answer is no failure; answers are newest first."""
    outcomes: dict[str, int] = {}
    for answer in answers:
        outcomes.setdefault(answer.result.recognizer, answer.result.outcome)
    return (name for name, outcome in outcomes.items() if outcome in (v1.OUTCOME_OK, v1.OUTCOME_PARTIAL))


def _joined(texts: Iterable[str]) -> str:
    return "; ".join(texts)


def _name(message: pb.Picture, field: str) -> str:
    enum = message.DESCRIPTOR.fields_by_name[field].enum_type
    return name_of(enum, getattr(message, field)) if enum else ""

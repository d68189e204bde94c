"""What the gateway found in a picture, written down in one transaction.

Answers are added, faces keep their identifiers where they are found again, and labels, texts, categories and what
search looks at follow.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import grpc
from google.rpc import status_pb2
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from uuid6 import uuid7

from marquee.library.v1.library_pb2 import (
    PICTURE_STATE_FAILED,
    PICTURE_STATE_PARTIAL,
    PICTURE_STATE_PENDING,
    PICTURE_STATE_RECOGNIZED,
    PictureState,
)
from marquee.v1 import recognizer_pb2 as pb
from services.library.categories import rules
from services.library.database.change import Change
from services.library.database.people_tables import decision
from services.library.database.tables import answer, face, picture
from services.library.faces import vectors
from services.library.people import opinions
from services.library.people.faces import settle
from services.library.search import terms
from services.library.work import answers
from services.library.work.answers import VALID, stored
from services.library.work.matching import Known, match
from services.library.work.queue import Claim
from services.runtime import status

_Code = grpc.StatusCode
TRANSIENT = frozenset((_Code.UNAVAILABLE, _Code.RESOURCE_EXHAUSTED, _Code.DEADLINE_EXCEEDED, _Code.ABORTED))
"""Codes of what may well succeed later."""
_FAILED = (pb.OUTCOME_ERROR, pb.OUTCOME_TIMEOUT, pb.OUTCOME_SHED)
_FACES = frozenset((pb.FEATURE_CELEBRITIES, pb.FEATURE_FACES, pb.FEATURE_FACE_SEARCH))
_MOST_FACES = 1000


def failures(response: pb.RecognizeImageResponse, *, transient: bool = False) -> dict[str, status_pb2.Status]:
    """Return what recognizers failed with, by their names; only what may succeed later, if so asked."""
    failed = {one.recognizer: one.status for one in response.results if one.outcome in _FAILED}
    return {name: one for name, one in failed.items() if not transient or status.code_of(one) in TRANSIENT}


async def record(change: Change, claim: Claim, response: pb.RecognizeImageResponse, *, is_last: bool) -> None:
    """Write down the response to the claim's call, whose picture is held.

    Unless it is the last one, failures are left out, and the picture stays PENDING.
    """
    connection, picture_id = change.connection, claim.picture_id
    await answers.append(connection, picture_id, await _new(change, claim, response, is_last=is_last))
    if _FACES & {feature for one in response.results if one.outcome in VALID for feature in one.performed_features}:
        await write_faces(change, picture_id, response.verdicts)
        await vectors.store(change, picture_id, response.results)
    failed = PICTURE_STATE_PARTIAL if failures(response) else PICTURE_STATE_RECOGNIZED
    state = failed if is_last else PICTURE_STATE_PENDING
    await _show(change, picture_id, state, response.image)
    await answers.conclude(connection, picture_id)
    await rules.apply(connection, change.collection_id, [picture_id])
    await terms.index(connection, change.collection_id, [picture_id])
    names = [one.recognizer for one in response.results if one.outcome in VALID]
    await _record(change, claim, "picture.recognized", state, {"recognizers": names})


async def give_up(change: Change, claim: Claim, failure: status_pb2.Status) -> None:
    """Write down that the picture, which is held, is not recognized, or not again."""
    valid = select(answer.c.answer_id).where(answer.c.picture_id == claim.picture_id, answer.c.outcome.in_(VALID))
    has_answers = (await change.connection.execute(valid.limit(1))).first() is not None
    state = PICTURE_STATE_PARTIAL if has_answers else PICTURE_STATE_FAILED
    await _show(change, claim.picture_id, state, pb.ImageInfo())
    await terms.index(change.connection, change.collection_id, [claim.picture_id])
    why = {"reason": status.reason_of(failure), "message": failure.message}
    await _record(change, claim, "picture.failed", state, why)


async def _new(
    change: Change, claim: Claim, response: pb.RecognizeImageResponse, *, is_last: bool
) -> list[pb.RecognizerResult]:
    """Return the results to keep: without failures that are tried again, and what is repeated of this job."""
    columns = answer.c
    kept = select(columns.recognizer).where(
        columns.picture_id == claim.picture_id,
        columns.create_time >= claim.create_time,
        columns.outcome == pb.OUTCOME_OK,
    )
    known = set((await change.connection.execute(kept)).scalars())
    return [
        one
        for one in response.results
        if (is_last or one.outcome not in _FAILED) and not (_is_free(one) and stored(one.recognizer) in known)
    ]


def _is_free(result: pb.RecognizerResult) -> bool:
    """Return whether nobody paid for it: the cache repeats it, or a recognizer whose answers are not kept."""
    return result.from_cache or not result.cost_micro_usd


async def write_faces(change: Change, picture_id: UUID, verdicts: Sequence[pb.Verdict]) -> None:
    """Replace the faces of a picture, which is held, by what verdicts say; those found again keep their face_id.

    A face that was decided, drawn or erased stays where nothing is found again. Whom they show, `settle` says.
    """
    columns, connection = face.c, change.connection
    rows = (await connection.execute(select(face).where(columns.picture_id == picture_id))).all()
    known = [Known(row.face_id, row.current, pb.Verdict.FromString(row.verdict)) for row in rows]
    found = match(known, verdicts[:_MOST_FACES])
    decided = select(decision.c.face_id).where(decision.c.face_id == columns.face_id).exists()
    own = update(face).where(columns.picture_id == picture_id, ~columns.drawn, ~columns.erased, ~decided)
    await connection.execute(own.values(current=False))
    erased = {row.face_id for row in rows if row.erased}
    shown = [(found.get(position), one) for position, one in enumerate(verdicts[:_MOST_FACES])]
    shown = [(face_id, _box_of(one) if face_id in erased else one) for face_id, one in shown]
    faces = [_face(picture_id, position, one, face_id) for position, (face_id, one) in enumerate(shown)]
    if faces:
        statement = insert(face)
        replaced = {name: statement.excluded[name] for name in ("position", "current", "verdict")}
        again = statement.on_conflict_do_update(index_elements=[columns.face_id], set_=replaced)
        await connection.execute(again, faces)
    said = {row["face_id"]: one for row, (_, one) in zip(faces, shown, strict=True)}
    await opinions.write(change, {face_id: one for face_id, one in said.items() if face_id not in erased})
    await settle(connection, [picture_id])


def _box_of(verdict: pb.Verdict) -> pb.Verdict:
    return pb.Verdict(box=verdict.box, state=pb.VERDICT_STATE_UNKNOWN)


def _face(picture_id: UUID, position: int, verdict: pb.Verdict, face_id: UUID | None) -> dict[str, Any]:
    return {
        "face_id": face_id or UUID(bytes=uuid7().bytes),
        "picture_id": picture_id,
        "position": position,
        "current": True,
        "state": verdict.state,
        "verdict": verdict.SerializeToString(),
    }


async def _show(change: Change, picture_id: UUID, state: int, image: pb.ImageInfo) -> None:
    facts = {"format": image.format, "width": image.width, "height": image.height} if image.width else {}
    values = {"state": state, "update_time": func.now(), **facts}
    await change.connection.execute(update(picture).where(picture.c.picture_id == picture_id).values(values))


async def _record(change: Change, claim: Claim, kind: str, state: int, data: Mapping[str, Any]) -> None:
    name = PictureState.Name(PictureState.ValueType(state)).removeprefix("PICTURE_STATE_")
    facts = {key: stored(value) if isinstance(value, str) else value for key, value in data.items()}
    await change.record(kind, claim.picture_id, {"job_id": str(claim.job_id), "state": name, **facts})

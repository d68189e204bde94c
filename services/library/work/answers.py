"""What a picture's answers amount to: labels, texts and moderation labels.

Of each recognizer the newest answer counts that performed the feature, so that asking for one feature more takes
nothing away.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid6 import uuid7

from marquee.library.v1.library_pb2 import AnswerSource
from marquee.v1 import recognizer_pb2 as pb
from services.library.database.tables import answer, label, text_
from services.runtime.boxes import iou

T = TypeVar("T", pb.Label, pb.ModerationLabel)
VALID = (pb.OUTCOME_OK, pb.OUTCOME_PARTIAL)
"""Outcomes of answers that are no failure, and not left out."""
_MOST_ANSWERS = 200
_MOST = 1000
_SAME_TEXT = 0.5
"""Least IoU of the same text, read twice."""


async def append(
    connection: AsyncConnection,
    picture_id: UUID,
    results: Iterable[pb.RecognizerResult],
    source: AnswerSource.ValueType | None = None,
    create_time: datetime | None = None,
) -> None:
    """Keep answers, of the source, or that which each says of itself; None: they are given now.

    Vectors of faces are left out: faces/vectors.py has them.
    """
    time = {} if create_time is None else {"create_time": create_time}
    rows = [_row(picture_id, result, source) | time for result in results]
    if rows:
        await connection.execute(insert(answer), rows)


async def conclude(connection: AsyncConnection, picture_id: UUID) -> None:
    """Replace the picture's labels, texts and moderation labels by what its answers say now.

    The caller has categories applied and the picture indexed, in the same transaction.
    """
    results = await _results(connection, picture_id)
    labels = best(_of(results, pb.FEATURE_LABELS, "labels"))
    moderation = best(_of(results, pb.FEATURE_MODERATION, "moderation_labels"))
    texts = distinct(_of(results, pb.FEATURE_TEXT, "texts"))
    await connection.execute(delete(label).where(label.c.picture_id == picture_id))
    await connection.execute(delete(text_).where(text_.c.picture_id == picture_id))
    rows = [_label(picture_id, position, one) for position, one in enumerate(labels)]
    rows += [_label(picture_id, position, one) for position, one in enumerate(moderation)]
    if rows:
        await connection.execute(insert(label), rows)
    if texts:
        await connection.execute(insert(text_), [_text(picture_id, *one) for one in enumerate(texts)])


def best(labels: Iterable[T]) -> list[T]:
    """Return each name once, with its best score, best first."""
    merged: dict[str, T] = {}
    for one in sorted(labels, key=lambda one: -one.score):
        merged.setdefault(one.name, one)
    return list(merged.values())[:_MOST]


def distinct(texts: Iterable[pb.Text]) -> list[pb.Text]:
    """Return the texts without what several recognizers read at the same place."""
    known: dict[tuple[str, int], list[pb.Text]] = {}
    kept: list[pb.Text] = []
    for one in texts:
        same = known.setdefault((one.content.casefold(), one.type), [])
        if not any(iou(one.box, other.box) >= _SAME_TEXT for other in same):
            same.append(one)
            kept.append(one)
    return kept[:_MOST]


def stored(text: str) -> str:
    """Return the text as a column can hold it: PostgreSQL has no NUL."""
    return text.replace("\0", "\ufffd")


async def _results(connection: AsyncConnection, picture_id: UUID) -> list[pb.RecognizerResult]:
    """Return the picture's valid answers, newest first."""
    columns = answer.c
    newest = select(columns.result).where(columns.picture_id == picture_id, columns.outcome.in_(VALID))
    ordered = newest.order_by(columns.create_time.desc(), columns.answer_id.desc()).limit(_MOST_ANSWERS)
    return [pb.RecognizerResult.FromString(one) for one in (await connection.execute(ordered)).scalars()]


def _of(results: Sequence[pb.RecognizerResult], feature: pb.Feature.ValueType, field: str) -> list[Any]:
    """Return the entries of a field, of each recognizer's newest answer to the feature."""
    seen: set[str] = set()
    entries: list[Any] = []
    for result in results:
        performed = result.performed_features
        if result.recognizer not in seen and (feature in performed or not performed):
            seen.add(result.recognizer)
            entries += getattr(result, field)
    return entries


def _row(picture_id: UUID, result: pb.RecognizerResult, source: AnswerSource.ValueType | None) -> dict[str, Any]:
    own = AnswerSource.ANSWER_SOURCE_CACHE if result.from_cache else AnswerSource.ANSWER_SOURCE_CALL
    return {
        "answer_id": UUID(bytes=uuid7().bytes),
        "picture_id": picture_id,
        "recognizer": stored(result.recognizer),
        "model": stored(result.model.name),
        "version": stored(result.model.version),
        "source": source or own,
        "outcome": result.outcome,
        "cost_micro_usd": result.cost_micro_usd,
        "result": _without_vectors(result).SerializeToString(),
    }


def _without_vectors(result: pb.RecognizerResult) -> pb.RecognizerResult:
    if not any(one.HasField("embedding") for one in result.faces):
        return result
    own = pb.RecognizerResult()
    own.CopyFrom(result)
    for one in own.faces:
        one.ClearField("embedding")
    return own


def _label(picture_id: UUID, position: int, one: pb.Label | pb.ModerationLabel) -> dict[str, Any]:
    return {
        "picture_id": picture_id,
        "moderation": isinstance(one, pb.ModerationLabel),
        "position": position,
        "name": stored(one.name),
        "score": one.score,
        "content": one.SerializeToString(),
    }


def _text(picture_id: UUID, position: int, one: pb.Text) -> dict[str, Any]:
    own = {"content": stored(one.content), "score": one.score, "found": one.SerializeToString()}
    return {"picture_id": picture_id, "position": position, **own}

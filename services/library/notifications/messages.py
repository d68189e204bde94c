"""Messages, made of what the library knows as they are sent: what was erased or corrected meanwhile is in none."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import library_pb2
from marquee.library.v1 import notification_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.library.database.database import Database
from services.library.database.notification_tables import (
    notification_occurrence,
    notification_rule,
    notification_sighting,
)
from services.library.database.tables import collection, face, picture
from services.library.notifications.channels import drawing
from services.library.notifications.channels.message import Message
from services.library.notifications.queue import Claim
from services.library.search.folding import fold
from services.library.store.store import Store, thumbnail
from services.runtime.errors import DomainError
from services.runtime.status import CONTROL_IN_NAME

logger = structlog.get_logger()
_MOST_PICTURES = 10
_MOST_TITLE = 200
_IDENTIFIED = recognizer_pb2.VERDICT_STATE_IDENTIFIED


class _Facts(NamedTuple):
    """What a message is made of."""

    occurrence: Row[Any]
    pictures: Sequence[Row[Any]]
    faces: Mapping[UUID, Sequence[Row[Any]]]


class Messages:
    """What deliveries say."""

    def __init__(self, database: Database, store: Store) -> None:
        self._database = database
        self._store = store

    async def of(self, claim: Claim, *, with_picture: bool) -> tuple[Message, str] | None:
        """Return the message and its collection; None: nothing is left to tell."""
        async with self._database.begin() as connection:
            facts = await _facts(connection, claim.occurrence_id)
        if facts is None or (title := _title(facts)) is None:
            return None
        message = Message(
            delivery_id=str(claim.delivery_id),
            type=_type(facts.occurrence.trigger),
            time=facts.occurrence.last_time,
            title=_clean(title)[:_MOST_TITLE],
            lines=[_clean(line) for line in _lines(facts)],
            data=_data(facts),
            picture=await self._picture(facts) if with_picture and facts.pictures else None,
        )
        return message, facts.occurrence.collection

    async def _picture(self, facts: _Facts) -> bytes | None:
        """Return the last picture with its boxes; None: there is no thumbnail, or it cannot be had now."""
        row = facts.pictures[0]
        try:
            small = await self._store.read(thumbnail(row.collection_id, bytes(row.sha256))) if row.thumbnail else None
        except DomainError as exc:
            logger.warning("notification without its picture", error=exc.message)
            return None
        if small is None:
            return None
        verdicts = [
            (recognizer_pb2.Verdict.FromString(one.verdict), one) for one in facts.faces.get(row.picture_id, ())
        ]
        marks = [drawing.Mark(verdict.box, _name(one)) for verdict, one in verdicts if verdict.HasField("box")]
        return await asyncio.to_thread(drawing.drawn, small, marks)


async def _facts(connection: AsyncConnection, occurrence_id: UUID) -> _Facts | None:
    own, rule = notification_occurrence, notification_rule
    found = (
        select(own, rule.c.name, rule.c.trigger, rule.c.subject.label("wanted"), collection.c.name.label("collection"))
        .join_from(own, rule, own.c.rule_id == rule.c.rule_id)
        .join(collection, collection.c.collection_id == rule.c.collection_id)
        .where(own.c.occurrence_id == occurrence_id)
    )
    occurrence = (await connection.execute(found)).one_or_none()
    if occurrence is None:
        return None
    its = notification_sighting
    shown = (picture.c.delete_time.is_(None), picture.c.redirect_id.is_(None))
    newest = (
        select(picture)
        .join_from(its, picture, its.c.picture_id == picture.c.picture_id)
        .where(its.c.occurrence_id == occurrence_id, *shown)
        .order_by(its.c.position.desc())
        .limit(_MOST_PICTURES)
    )
    pictures = (await connection.execute(newest)).all()
    ids = [row.picture_id for row in pictures]
    current = select(face).where(face.c.picture_id.in_(ids), face.c.current).order_by(face.c.position)
    faces: dict[UUID, list[Row[Any]]] = {}
    for row in await connection.execute(current):
        faces.setdefault(row.picture_id, []).append(row)
    return _Facts(occurrence, pictures, faces)


def _type(trigger: int) -> str:
    name = pb.NotificationTrigger.Name(pb.NotificationTrigger.ValueType(trigger))
    return name.lower().replace("_trigger_", ".")


def _title(facts: _Facts) -> str | None:
    """Return what happened; None: it has turned out not to be so, or is gone."""
    one = facts.occurrence
    if one.trigger == pb.NOTIFICATION_TRIGGER_BUDGET:
        share, cap = one.data["spent_micro_usd"] / one.data["cap_micro_usd"], one.data["cap_micro_usd"] / 1e6
        return f"{one.data['recognizer']} has spent {share:.0%} of today's {cap:.2f} dollars"
    person = _person(facts)
    if not facts.pictures or not _is_still_so(facts, person):
        return None
    more = f" and {one.picture_count - 1} more" if one.picture_count > 1 else ""
    what = f"{facts.pictures[0].file_name or 'a picture'}{more}"
    is_or_are = "are" if more else "is"
    titles = {
        pb.NOTIFICATION_TRIGGER_PICTURE: f"{what} {is_or_are} processed",
        pb.NOTIFICATION_TRIGGER_LABEL: f"{one.wanted} was seen in {what}",
        pb.NOTIFICATION_TRIGGER_PERSON: f"{person} was seen in {what}",
        pb.NOTIFICATION_TRIGGER_UNKNOWN: f"Somebody unknown was seen in {what}",
        pb.NOTIFICATION_TRIGGER_NOBODY: f"Nobody was seen in {what}",
        pb.NOTIFICATION_TRIGGER_DISAGREEMENT: f"Recognizers disagree about {what}",
        pb.NOTIFICATION_TRIGGER_CATEGORY: f"{what} {is_or_are} in {one.wanted}",
    }
    return titles[one.trigger]


def _is_still_so(facts: _Facts, person: str) -> bool:
    """Return whether faces that were corrected since still show whom the message is about."""
    states = {one.state for faces in facts.faces.values() for one in faces}
    match facts.occurrence.trigger:
        case pb.NOTIFICATION_TRIGGER_PERSON:
            return bool(person)
        case pb.NOTIFICATION_TRIGGER_UNKNOWN:
            return recognizer_pb2.VERDICT_STATE_UNKNOWN in states
    return True


def _person(facts: _Facts) -> str:
    """Return the name of whom the occurrence is about; empty: they are in none of its pictures any more."""
    faces = (one for row in facts.pictures for one in facts.faces.get(row.picture_id, ()))
    same = (one for one in faces if one.state == _IDENTIFIED and _key(one) == facts.occurrence.subject)
    return next((_name(one) for one in same), "")


def _key(row: Row[Any]) -> str:
    return row.person_id or fold(row.display_name)


def _name(row: Row[Any]) -> str:
    return (row.display_name or row.person_id) if row.state == _IDENTIFIED else ""


def _lines(facts: _Facts) -> list[str]:
    one = facts.occurrence
    lines = [_picture_line(row, facts.faces.get(row.picture_id, ())) for row in facts.pictures]
    if (hidden := one.picture_count - len(facts.pictures)) > 0 and facts.pictures:
        lines.append(f"… and {hidden} more")
    if one.picture_count > 1:
        lines.append(f"From {_time(one.first_time)} to {_time(one.last_time)}")
    return [*lines, f"Collection {one.collection}, rule {one.name}"]


def _picture_line(row: Row[Any], faces: Sequence[Row[Any]]) -> str:
    named = [f"{_name(one)} ({one.score:.2f})" for one in faces if _name(one)]
    unknown = sum(one.state == recognizer_pb2.VERDICT_STATE_UNKNOWN for one in faces)
    disputed = sum(one.state == recognizer_pb2.VERDICT_STATE_DISAGREE for one in faces)
    others = [f"{count} {word}" for count, word in ((unknown, "unknown"), (disputed, "disputed")) if count]
    people = ", ".join((*named, *others)) or "nobody"
    if row.state == library_pb2.PICTURE_STATE_FAILED:
        people = "not recognized"
    return f"{row.file_name or row.picture_id}: {people}, taken {_time(row.taken_time)}"


def _data(facts: _Facts) -> dict[str, Any]:
    one = facts.occurrence
    data = {
        "collection": one.collection,
        "rule": {"rule_id": str(one.rule_id), "name": one.name},
        "occurrence_id": str(one.occurrence_id),
        "first_time": one.first_time.isoformat(),
        "last_time": one.last_time.isoformat(),
    }
    if one.trigger == pb.NOTIFICATION_TRIGGER_BUDGET:
        return {**data, "budget": dict(one.data)}
    pictures = [_picture_data(row, facts.faces.get(row.picture_id, ())) for row in facts.pictures]
    return {**data, "subject": one.wanted, "picture_count": one.picture_count, "pictures": pictures}


def _picture_data(row: Row[Any], faces: Sequence[Row[Any]]) -> dict[str, Any]:
    return {
        "picture_id": str(row.picture_id),
        "file_name": row.file_name,
        "state": library_pb2.PictureState.Name(row.state).removeprefix("PICTURE_STATE_"),
        "taken_time": row.taken_time.isoformat(),
        "faces": [
            {
                "face_id": str(one.face_id),
                "state": recognizer_pb2.VerdictState.Name(one.state).removeprefix("VERDICT_STATE_"),
                "person_id": one.person_id,
                "display_name": one.display_name,
                "score": round(one.score, 4),
            }
            for one in faces
        ],
    }


def _time(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"


def _clean(text: str) -> str:
    """Return the text without what would break a header, or turn a line around."""
    return CONTROL_IN_NAME.sub("\ufffd", text)

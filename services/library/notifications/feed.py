"""The feed: new events are held against the rules, and what fits becomes an occurrence with its deliveries.

A transaction moves the cursor and writes what it found, so each event counts once, whenever a process is killed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import exists, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid6 import uuid7

from marquee.library.v1 import notification_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.library.database.database import Database
from services.library.database.notification_tables import (
    notification_cursor,
    notification_delivery,
    notification_occurrence,
    notification_rule,
    notification_sighting,
)
from services.library.database.people_tables import face_vector
from services.library.database.tables import category, event, face, label, picture, picture_category
from services.library.notifications import conditions
from services.library.notifications.conditions import Seen, SeenFace, SeenLabel
from services.library.pictures.events import number
from services.library.search.folding import fold
from services.library.work.worker import forever

logger = structlog.get_logger()
_LOCK = 0x6E6F7466
"""Advisory lock of the replica that reads."""
_BATCH = 200
_SECONDS = 1.0
_GROUPED = "picture.grouped"
_RECOGNIZED = ("picture.recognized", _GROUPED)
_TYPES = (*_RECOGNIZED, "picture.failed", "picture.categorized")
_OF_FACES = (pb.NOTIFICATION_TRIGGER_PERSON, pb.NOTIFICATION_TRIGGER_UNKNOWN)
"""What may only be known once faces were compared with others."""
_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:lock)")


class Sighting(NamedTuple):
    """Something that a rule tells of."""

    rule: Any
    """The rule's row."""
    subject: str
    time: datetime
    picture_id: UUID | None = None
    position: int = 0


class Feed:
    """What makes occurrences of events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Read events, again and again, until cancelled."""
        await forever(self.turn, "feed of notifications", _SECONDS)

    async def turn(self) -> bool:
        """Read some events, unless another replica does; return whether there may be more."""
        async with self._database.begin() as connection:
            await number(connection)
        async with self._database.begin() as connection:
            if not (await connection.execute(_TRY_LOCK, {"lock": _LOCK})).scalar():
                return False
            after = (await connection.execute(select(notification_cursor.c.position))).scalar_one()
            new = select(event).where(event.c.position > after).order_by(event.c.position).limit(_BATCH)
            events = (await connection.execute(new)).all()
            if not events:
                return False
            await _tell(connection, events)
            await connection.execute(update(notification_cursor).values(position=events[-1].position))
        return len(events) == _BATCH


async def open_occurrence(
    connection: AsyncConnection, sighting: Sighting, end: datetime, data: Mapping[str, Any] | None = None
) -> UUID:
    """Begin an occurrence, which lasts until `end`, and queue its deliveries: a digest's are due at the end."""
    rule, occurrence_id = sighting.rule, UUID(bytes=uuid7().bytes)
    values = {"occurrence_id": occurrence_id, "rule_id": rule.rule_id, "subject": sighting.subject}
    count = 0 if sighting.picture_id is None else 1
    times = {"first_time": sighting.time, "last_time": sighting.time, "end_time": end}
    own = {"picture_count": count, "data": dict(data or {})}
    await connection.execute(insert(notification_occurrence).values(**values, **times, **own))
    due = end if rule.digest_seconds else func.now()
    for channel in rule.channels:
        key = {"delivery_id": UUID(bytes=uuid7().bytes), "occurrence_id": occurrence_id, "channel": channel}
        state = {"state": pb.DELIVERY_STATE_QUEUED, "next_attempt_time": due, "collection_id": rule.collection_id}
        await connection.execute(insert(notification_delivery).values(**key, **state))
    return occurrence_id


async def _tell(connection: AsyncConnection, events: Sequence[Any]) -> None:
    about = [one for one in events if _is_final(one)]
    collections = {one.collection_id for one in about}
    columns = notification_rule.c
    own = (columns.collection_id.in_(collections), columns.enabled, columns.trigger != pb.NOTIFICATION_TRIGGER_BUDGET)
    rules = (await connection.execute(select(notification_rule).where(*own))).all() if about else []
    if not rules:
        return
    known = await _seen(connection, {one.picture_id for one in about})
    for one in about:
        if one.picture_id in known:
            await _hold(connection, one, rules, known[one.picture_id])


async def _hold(connection: AsyncConnection, one: Any, rules: Iterable[Any], known: Seen) -> None:
    """Hold a picture's event against the collection's rules."""
    seen = replace(known, is_recognized=one.type in _RECOGNIZED)
    for rule in rules:
        if not _concerns(rule, one):
            continue
        what = conditions.Rule(rule.trigger, rule.folded_subject, rule.subject, rule.min_score)
        for subject in conditions.subjects(what, seen):
            sighting = Sighting(rule, subject, one.create_time, one.picture_id, one.position)
            await _note(connection, sighting)


def _is_final(one: Any) -> bool:
    """Return whether the event may be of interest: not of an import, and not while recognizers are asked again."""
    is_open = one.data.get("source") == "IMPORT" or one.data.get("state") == "PENDING"
    return one.type in _TYPES and one.picture_id is not None and not is_open


def _concerns(rule: Any, one: Any) -> bool:
    if rule.collection_id != one.collection_id or rule.begin_time > one.create_time:
        return False
    if one.type == _GROUPED:
        return rule.trigger in _OF_FACES
    return one.type != "picture.categorized" or _has_entered(rule, one)


def _has_entered(rule: Any, one: Any) -> bool:
    """Return whether the rule is about a category that somebody has just put the picture into."""
    added = {fold(name) for name in one.data.get("added", ())}
    return rule.trigger == pb.NOTIFICATION_TRIGGER_CATEGORY and rule.folded_subject in added


async def _note(connection: AsyncConnection, sighting: Sighting) -> None:
    """Count the sighting with the occurrence that lasts, or begin one; nothing if the picture was told of before."""
    rule, columns = sighting.rule, notification_sighting.c
    key = {"picture_id": sighting.picture_id, "rule_id": rule.rule_id, "subject": sighting.subject}
    before = select(columns.rule_id).where(*(columns[name] == value for name, value in key.items()))
    if (await connection.execute(before)).first() is not None:
        return
    window = timedelta(seconds=max(rule.quiet_seconds, rule.digest_seconds))
    occurrence_id = await _joined(connection, sighting) if window else None
    if occurrence_id is None:
        occurrence_id = await open_occurrence(connection, sighting, sighting.time + window)
    values = {"occurrence_id": occurrence_id, "position": sighting.position}
    await connection.execute(insert(notification_sighting).values(**key, **values))


async def _joined(connection: AsyncConnection, sighting: Sighting) -> UUID | None:
    """Count the sighting with the occurrence that lasts, and return it; None: there is none."""
    columns = notification_occurrence.c
    its = (columns.rule_id == sighting.rule.rule_id, columns.subject == sighting.subject)
    lasts = select(columns.occurrence_id).where(*its, columns.end_time > sighting.time)
    found = (await connection.execute(lasts.order_by(columns.end_time.desc()).limit(1))).scalar_one_or_none()
    if found is None:
        return None
    last = func.greatest(columns.last_time, sighting.time)
    counted = update(notification_occurrence).where(columns.occurrence_id == found)
    await connection.execute(counted.values(picture_count=columns.picture_count + 1, last_time=last))
    return UUID(int=found.int)


async def _seen(connection: AsyncConnection, picture_ids: Iterable[UUID]) -> dict[UUID, Seen]:
    """Return what is known of pictures; those that are gone, or in the trash, are left out."""
    ids = list(picture_ids)
    shown = (picture.c.picture_id.in_(ids), picture.c.delete_time.is_(None), picture.c.redirect_id.is_(None))
    found = (await connection.execute(select(picture.c.picture_id).where(*shown))).scalars().all()
    waits = face.c.tried_time.is_(None) & exists().where(face_vector.c.face_id == face.c.face_id)
    faces = select(face, waits.label("waits")).where(face.c.picture_id.in_(ids), face.c.current)
    labels = select(label.c.picture_id, label.c.moderation, label.c.content).where(label.c.picture_id.in_(ids))
    inside = (picture_category.c.picture_id.in_(ids), picture_category.c.present)
    categories = select(picture_category.c.picture_id, category.c.folded_name).join(category).where(*inside)
    seen_faces = _by_picture(await connection.execute(faces), _face)
    seen_labels = _by_picture(await connection.execute(labels), _labels)
    folded = _by_picture(await connection.execute(categories), lambda row: [row.folded_name])
    return {
        one: Seen(one, True, seen_faces.get(one, ()), seen_labels.get(one, ()), frozenset(folded.get(one, ())))  # noqa: FBT003
        for one in found
    }


def _by_picture(rows: Iterable[Any], make: Any) -> dict[UUID, list[Any]]:
    found: dict[UUID, list[Any]] = {}
    for row in rows:
        found.setdefault(row.picture_id, []).extend(make(row))
    return found


def _face(row: Any) -> list[SeenFace]:
    """Return the face; none that is UNKNOWN for now alone, until it is compared with others."""
    if row.waits and row.state == recognizer_pb2.VERDICT_STATE_UNKNOWN:
        return []
    return [SeenFace(row.state, row.person_id, fold(row.display_name), row.score)]


def _labels(row: Any) -> list[SeenLabel]:
    """Return the label, and its parents with its score."""
    if row.moderation:
        one: Any = recognizer_pb2.ModerationLabel.FromString(row.content)
        names = (one.name, one.parent)
    else:
        one = recognizer_pb2.Label.FromString(row.content)
        names = (one.name, *one.parents)
    return [SeenLabel(fold(name), one.score) for name in names if name]

"""Faces: their rows follow from what machines say, what was decided and what was refused."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, literal, or_, select, text, union, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import library_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.library.categories import rules
from services.library.database.change import Change
from services.library.database.database import announce
from services.library.database.people_tables import DecisionKind, decision, face_refusal, opinion, person, stale_picture
from services.library.database.tables import face, picture
from services.library.people.resolution import Assignment, Facts, Opinion, resolve
from services.library.search import terms
from services.library.work.signals import FACES

AT_ONCE = 500
"""Pictures that follow a change in its transaction; others do within a minute."""
_FACES = text("""
SELECT face.picture_id, face.face_id, verdict, erased,
  CASE WHEN named.delete_time IS NULL THEN decision.kind END AS kind,
  CASE WHEN named.delete_time IS NULL THEN named.person_id END AS decided_id,
  ARRAY(
    SELECT ROW(named.person_id, named.display_name, opinion.score, opinion.source)
    FROM opinion JOIN person USING (person_id)
    JOIN person AS named ON named.person_id = coalesce(person.merged_id, person.person_id)
    WHERE opinion.face_id = face.face_id AND band = 1 AND named.delete_time IS NULL
  ) AS opinions,
  ARRAY(
    SELECT coalesce(person.merged_id, person.person_id) FROM face_refusal JOIN person USING (person_id)
    WHERE face_refusal.face_id = face.face_id
  ) AS refused,
  named.display_name AS decided_name
FROM face
LEFT JOIN decision USING (face_id)
LEFT JOIN person AS whose ON whose.person_id = decision.person_id
LEFT JOIN person AS named ON named.person_id = coalesce(whose.merged_id, whose.person_id)
WHERE face.picture_id = ANY(:ids) AND current
ORDER BY face.picture_id, face_id
""").bindparams(bindparam("ids", type_=ARRAY(Uuid)))
_COLUMNS = ("state", "person_id", "display_name", "score", "source")


async def settle(connection: AsyncConnection, picture_ids: Sequence[UUID]) -> None:
    """Have the faces of pictures, which are locked, show whom the facts say.

    The caller has categories applied and the pictures indexed, in the same transaction; `refresh` does all of it.
    """
    rows = (await connection.execute(_FACES, {"ids": list(picture_ids)})).all()
    by_picture: dict[UUID, list[Any]] = {}
    for row in rows:
        by_picture.setdefault(row.picture_id, []).append(row)
    values = [one for faces in by_picture.values() for one in _settled(faces)]
    if values:
        await connection.execute(_UPDATE, values)


async def facts_of(connection: AsyncConnection, picture_id: UUID) -> list[Facts]:
    """Return the facts about a picture's faces."""
    return [_facts(row) for row in await connection.execute(_FACES, {"ids": [picture_id]})]


async def refresh(change: Change, picture_ids: Iterable[UUID]) -> None:
    """Have pictures follow a change of people: the first of them now, others within a minute."""
    connection = change.connection
    ids = sorted(set(picture_ids))
    now, later = ids[:AT_ONCE], ids[AT_ONCE:]
    if later:
        rows = [{"picture_id": one, "collection_id": change.collection_id} for one in later]
        await connection.execute(insert(stale_picture).on_conflict_do_nothing(), rows)
    locked = await lock(connection, now)
    await settle(connection, locked)
    await rules.apply(connection, change.collection_id, locked)
    await terms.index(connection, change.collection_id, locked)
    announce(connection, FACES)


async def lock(connection: AsyncConnection, picture_ids: Iterable[UUID]) -> list[UUID]:
    """Lock the pictures until the transaction ends; return those that there are, in their order."""
    its = picture.c.picture_id == any_(literal(sorted(set(picture_ids)), ARRAY(Uuid)))
    rows = select(picture.c.picture_id).where(its).order_by(picture.c.picture_id).with_for_update(key_share=True)
    return [UUID(int=one.int) for one in (await connection.execute(rows)).scalars()]


async def pictures_about(connection: AsyncConnection, person_ids: Iterable[UUID]) -> list[UUID]:
    """Return the pictures that show any of these people, or may once facts about them change.

    Those who were merged into them are among them.
    """
    given = any_(literal(list(person_ids), ARRAY(Uuid)))
    either = select(person.c.person_id).where(or_(person.c.person_id == given, person.c.merged_id == given))
    ids = list((await connection.execute(either)).scalars())
    named = any_(literal([str(one) for one in ids], ARRAY(face.c.person_id.type)))
    about = any_(literal(ids, ARRAY(Uuid)))
    facts = [select(table.c.face_id).where(table.c.person_id == about) for table in (opinion, decision, face_refusal)]
    shown = select(face.c.picture_id).where(face.c.person_id == named, face.c.source != 0)
    concerned = select(face.c.picture_id).where(face.c.face_id.in_(union(*facts)))
    return [UUID(int=one.int) for one in (await connection.execute(union(shown, concerned))).scalars()]


def is_shown() -> Any:
    """Return the condition that a face's picture is there and not in the trash; `picture` is joined."""
    return picture.c.delete_time.is_(None) & picture.c.redirect_id.is_(None)


_UPDATE = (
    update(face)
    .where(
        face.c.face_id == bindparam("own_id"),
        or_(*(face.c[name].is_distinct_from(bindparam(f"new_{name}")) for name in _COLUMNS)),
    )
    .values({name: bindparam(f"new_{name}") for name in _COLUMNS})
)


def _settled(rows: Sequence[Any]) -> Iterable[dict[str, Any]]:
    """Yield the columns of the faces of one picture."""
    names = {one[0]: one[1] for row in rows for one in row.opinions}
    names |= {row.decided_id: row.decided_name for row in rows if row.decided_id}
    found = resolve(map(_facts, rows))
    for row in rows:
        yield {"own_id": row.face_id, **_columns(row, found.get(row.face_id), names)}


def _facts(row: Any) -> Facts:
    opinions = [Opinion(person_id, score, source) for person_id, _, score, source in row.opinions]
    is_decided = row.kind is not None or row.erased
    return Facts(row.face_id, is_decided, row.decided_id, opinions, frozenset(row.refused))


def _columns(row: Any, found: Assignment | None, names: dict[UUID, str]) -> dict[str, Any]:
    verdict = recognizer_pb2.Verdict.FromString(row.verdict)
    if found is not None:
        by_recognizers = found.source == pb.ASSIGNMENT_SOURCE_RECOGNIZERS
        values: tuple[object, ...] = (
            recognizer_pb2.VERDICT_STATE_IDENTIFIED,
            str(found.person_id),
            names[found.person_id],
            verdict.score if by_recognizers else found.score,
            found.source,
        )
    else:
        values = (_state(row, verdict), "", "", 0.0, pb.ASSIGNMENT_SOURCE_UNSPECIFIED)
    return {f"new_{name}": value for name, value in zip(_COLUMNS, values, strict=True)}


def _state(row: Any, verdict: recognizer_pb2.Verdict) -> int:
    """Return the state of a face that shows nobody who is known."""
    if row.kind == DecisionKind.NOT_A_FACE:
        return recognizer_pb2.VERDICT_STATE_NO_FACE
    if row.kind is not None or row.erased or verdict.state == recognizer_pb2.VERDICT_STATE_IDENTIFIED:
        return recognizer_pb2.VERDICT_STATE_UNKNOWN
    return verdict.state

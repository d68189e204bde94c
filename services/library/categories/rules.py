"""Rules of categories, and the pictures that follow them.

A transaction locks its pictures' rows first, and then the collection's rules. So rules never change beneath pictures
that are being put into categories: what a change misses does not exist.
"""

from collections.abc import Collection, Sequence
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import ARRAY, Select, Text, any_, cast, delete, func, insert, literal, or_, select, union, update
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import library_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.library.database.database import Database
from services.library.database.tables import (
    RuleKind,
    category,
    category_rule,
    deleted_category,
    face,
    label,
    picture,
    picture_category,
)
from services.library.search import people, terms
from services.library.search.folding import fold
from services.library.search.terms import TermKind

_LOCK = 0x63617467
_BATCH = 500

Membership: TypeAlias = tuple[UUID, UUID]
"""picture_id and category_id."""
_Value: TypeAlias = tuple[TermKind, str]
"""What a rule looks for in a picture."""


async def lock(connection: AsyncConnection, collection_id: int) -> None:
    """Have the collection's rules for this transaction alone, which changes them and locks no picture."""
    await connection.execute(select(func.pg_advisory_xact_lock(_LOCK, collection_id)))


async def hold(connection: AsyncConnection, collection_id: int) -> None:
    """Keep the collection's categories and rules as they are until the transaction ends, which has its pictures."""
    await connection.execute(select(func.pg_advisory_xact_lock_shared(_LOCK, collection_id)))


async def apply(connection: AsyncConnection, collection_id: int, picture_ids: Sequence[UUID]) -> None:
    """Put pictures into the categories whose rules fit their faces and labels, and out of those that fit no longer.

    What was decided by hand stays. The caller has locked the pictures' rows, and indexes them afterwards.
    """
    await hold(connection, collection_id)
    by_rule, by_hand = await _memberships(connection, picture_ids)
    fitting = await _fitting(connection, collection_id, picture_ids) - by_hand
    await _leave(connection, by_rule - fitting)
    await _enter(connection, sorted(fitting - by_rule))


async def apply_some(database: Database) -> bool:
    """Have some pictures follow categories that were changed or deleted; return whether there may be more to do."""
    async with database.begin() as connection:
        return await _follow_change(connection) or await _follow_deletion(connection)


async def _memberships(
    connection: AsyncConnection, picture_ids: Sequence[UUID]
) -> tuple[set[Membership], set[Membership]]:
    """Return who is where by rule, and what was decided by hand."""
    columns = picture_category.c
    wanted = select(columns.picture_id, columns.category_id, columns.source).where(columns.picture_id.in_(picture_ids))
    rows = (await connection.execute(wanted)).all()
    by_rule = {(row.picture_id, row.category_id) for row in rows if row.source == pb.CATEGORY_SOURCE_RULE}
    return by_rule, {(row.picture_id, row.category_id) for row in rows} - by_rule


async def _fitting(connection: AsyncConnection, collection_id: int, picture_ids: Sequence[UUID]) -> set[Membership]:
    """Return which picture some rule of which category fits."""
    values = await _values(connection, picture_ids)
    by_value: dict[_Value, list[Any]] = {}
    for rule in await _rules(connection, collection_id, {text for _, (_, text), _ in values}):
        for value in _looked_for(rule):
            by_value.setdefault(value, []).append(rule)
    return {
        (picture_id, rule.category_id)
        for picture_id, value, score in values
        for rule in by_value.get(value, ())
        if score >= rule.min_score
    }


async def _rules(connection: AsyncConnection, collection_id: int, texts: Collection[str]) -> Sequence[Any]:
    """Return the collection's rules that name any of these; of the others there may be many."""
    columns, named = category_rule.c, any_(literal(list(texts), ARRAY(Text)))
    wanted = select(category_rule).join(category).where(category.c.collection_id == collection_id)
    either = or_(columns.value == named, columns.folded_value == named)
    return (await connection.execute(wanted.where(either))).all() if texts else ()


def _looked_for(rule: Any) -> list[_Value]:
    """Return the values any of which the rule, a row, fits."""
    if rule.kind == RuleKind.LABEL:
        return [(TermKind.LABEL, rule.folded_value)]
    return [(TermKind.PERSON, rule.value), (TermKind.NAME, rule.folded_value)]


async def _values(connection: AsyncConnection, picture_ids: Sequence[UUID]) -> list[tuple[UUID, _Value, float]]:
    """Return what rules look at: people by identifier and name, labels and their parents, with their scores."""
    wanted = select(face.c.picture_id, face.c.person_id, face.c.display_name, face.c.score).where(
        face.c.picture_id.in_(picture_ids), face.c.current, face.c.state == recognizer_pb2.VERDICT_STATE_IDENTIFIED
    )
    named = (await connection.execute(wanted)).all()
    known = await people.known_as(connection, {row.person_id for row in named})
    values = [
        (row.picture_id, value, row.score)
        for row in named
        for value in {
            (TermKind.PERSON, row.person_id),
            (TermKind.NAME, fold(row.display_name)),
            *known.get(row.person_id, ()),
        }
    ]
    wanted = select(label.c.picture_id, label.c.moderation, label.c.score, label.c.content).where(
        label.c.picture_id.in_(picture_ids)
    )
    return values + [
        (row.picture_id, (TermKind.LABEL, fold(name)), row.score)
        for row in await connection.execute(wanted)
        for name in terms.names_of(row.content, moderation=row.moderation)
    ]


async def _leave(connection: AsyncConnection, memberships: set[Membership]) -> None:
    by_category: dict[UUID, list[UUID]] = {}
    for picture_id, category_id in memberships:
        by_category.setdefault(category_id, []).append(picture_id)
    columns = picture_category.c
    for category_id, picture_ids in by_category.items():
        gone = delete(picture_category).where(columns.category_id == category_id, columns.picture_id.in_(picture_ids))
        await connection.execute(gone)


async def _enter(connection: AsyncConnection, memberships: Sequence[Membership]) -> None:
    rows = [
        {"picture_id": picture_id, "category_id": category_id, "source": pb.CATEGORY_SOURCE_RULE}
        for picture_id, category_id in memberships
    ]
    if rows:
        await connection.execute(insert(picture_category), rows)


async def _follow_change(connection: AsyncConnection) -> bool:
    """Have the next pictures follow a category whose name or rules were changed; return whether there is one."""
    columns = category.c
    changed = select(category).where(~columns.applied).order_by(columns.category_id).limit(1)
    row = (await connection.execute(changed)).first()
    if row is None:
        return False
    found = (await connection.execute(await _concerned(connection, row))).scalars().all()
    picture_ids = await _lock(connection, found)
    await apply(connection, row.collection_id, picture_ids)
    await terms.index(connection, row.collection_id, picture_ids)
    is_last = len(found) < _BATCH
    unchanged = update(category).where(columns.category_id == row.category_id, columns.revision == row.revision)
    await connection.execute(unchanged.values(applied=is_last, applied_id=None if is_last else found[-1]))
    return True


async def _concerned(connection: AsyncConnection, row: Any) -> Any:
    """Return the query for the next pictures that are in the category, or that one of its rules may fit."""
    inside = select(picture_category.c.picture_id).where(picture_category.c.category_id == row.category_id)
    rules = await connection.execute(select(category_rule).where(category_rule.c.category_id == row.category_id))
    looked_for = {value for rule in rules for value in _looked_for(rule)}
    texts = {text for kind, text in looked_for if kind is not TermKind.LABEL}
    meant = await people.meant(connection, row.collection_id, texts)
    looked_for |= {(TermKind.PERSON, person_id) for ids in meant.values() for person_id in ids}
    wanted = sorted(terms.term(kind, row.collection_id, text) for kind, text in looked_for)
    queries = [inside, *_having(row.collection_id, wanted)] if wanted else [inside]
    found = union(*(_next(query, row.applied_id) for query in queries)).subquery()
    return _next(select(found.c.picture_id))


def _next(query: Select[Any], after: UUID | None = None) -> Select[Any]:
    """Select the next picture_ids that a query finds; the index of which spares finding all of them each time."""
    (picture_id,) = query.selected_columns
    following = query if after is None else query.where(picture_id > after)
    return following.order_by(picture_id).limit(_BATCH)


async def _follow_deletion(connection: AsyncConnection) -> bool:
    """Have the next pictures forget the name of a deleted category; return whether there is one."""
    columns = deleted_category.c
    row = (await connection.execute(select(deleted_category).order_by(columns.category_id).limit(1))).first()
    if row is None:
        return False
    named = [terms.term(TermKind.CATEGORY, row.collection_id, row.category_id)]
    for query in _having(row.collection_id, named):
        if found := (await connection.execute(query.limit(_BATCH))).scalars().all():
            await terms.index(connection, row.collection_id, found)
            return True
    await connection.execute(delete(deleted_category).where(columns.category_id == row.category_id))
    return True


def _having(collection_id: int, wanted: Sequence[str]) -> list[Any]:
    """Return the queries for pictures that have one of the terms: those to be searched, and those in the trash."""
    columns = picture.c
    query = " | ".join(f"'{term}'" for term in wanted)
    own = (columns.collection_id == collection_id) & columns.terms.op("@@")(cast(query, TSQUERY))
    shown = columns.delete_time.is_(None) & columns.redirect_id.is_(None)
    return [select(columns.picture_id).where(own, each) for each in (shown, columns.delete_time.is_not(None))]


async def _lock(connection: AsyncConnection, picture_ids: Sequence[UUID]) -> Sequence[UUID]:
    """Return those of the pictures that are not gone meanwhile, whose rows are locked as `terms.index` does it."""
    rows = select(picture.c.picture_id).where(picture.c.picture_id.in_(picture_ids)).order_by(picture.c.picture_id)
    return (await connection.execute(rows.with_for_update(key_share=True))).scalars().all()

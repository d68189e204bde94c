"""Conditions: what a query asks of rows, told apart by how the database finds out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import REAL, ColumnElement, and_, cast, func, literal, or_, select, text
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import library_pb2 as pb
from services.library.database.identifiers import uuids_of
from services.library.database.tables import PlaceKind, category, picture, place
from services.library.search import people
from services.library.search.expression import (
    Expression,
    Meant,
    check_values,
    expression,
    only_hashes,
    words_expression,
)
from services.library.search.folding import beginnings, fold
from services.library.search.paging import Order
from services.library.search.terms import TermKind, term
from services.runtime.errors import InvalidRequest

_INDEXED_CHARACTERS = 256
"""Of names and keys."""
_LONG = 4
"""Characters of a word's beginning that are worth an index: fewer begin too many words."""
_SHA256_BYTES = 32
_S3 = "s3://"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ESCAPES = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})


@dataclass
class Conditions:
    """Conditions of a query; all of them hold for what it finds."""

    shown: list[ColumnElement[bool]]
    """That a picture is in the collection, and in the trash or not."""
    span: list[ColumnElement[bool]] = field(default_factory=list)
    """Those by which the order's index begins and ends."""
    indexed: list[ColumnElement[bool]] = field(default_factory=list)
    """Those for which there are indexes, which may find few pictures or nearly all."""
    filters: list[ColumnElement[bool]] = field(default_factory=list)
    """All others, those of `indexed` in full included."""
    in_trash: bool = False
    is_single: bool = False
    """Whether one picture fits at most."""

    @property
    def every(self) -> list[ColumnElement[bool]]:
        """All of them."""
        return [*self.shown, *self.span, *self.filters]


async def conditions(
    connection: AsyncConnection, collection_id: int, query: pb.PictureQuery, order: Order
) -> Conditions:
    """Return the query's conditions. Raises InvalidRequest."""
    entries = {*query.categories.all_of, *query.categories.any_of, *query.categories.none_of}
    categories = await _categories(connection, collection_id, entries) if entries else {}
    query, meant = await _with_people(connection, collection_id, query)
    columns = picture.c
    deleted = columns.delete_time
    result = Conditions(
        [
            columns.collection_id == collection_id,
            columns.redirect_id.is_(None),
            deleted.is_not(None) if query.in_trash else deleted.is_(None),
        ],
        in_trash=query.in_trash,
    )
    _add_terms(result, expression(query, collection_id, Meant(categories, meant)), query, collection_id)
    _add_text(result, query, collection_id)
    _add_times(result, query, order)
    _add_columns(result, query)
    _add_states(result, query, order)
    _add_place(result, query.place_prefix, collection_id)
    return result


async def _with_people(
    connection: AsyncConnection, collection_id: int, query: pb.PictureQuery
) -> tuple[pb.PictureQuery, dict[str, list[str]]]:
    """Return the query, and the person_ids that each entry of its people means; of `only` they are entries, too."""
    asked = query.people
    meant = await people.meant(connection, collection_id, {*asked.all_of, *asked.any_of, *asked.none_of, *asked.only})
    more = dict.fromkeys(person_id for entry in asked.only for person_id in meant[entry] if person_id not in asked.only)
    if not more:
        return query, meant
    result = pb.PictureQuery()
    result.CopyFrom(query)
    result.people.only.extend(more)
    return result, meant


async def _categories(connection: AsyncConnection, collection_id: int, entries: set[str]) -> dict[str, list[str]]:
    """Return the identifiers of the categories that each entry means, by identifier or name."""
    columns = category.c
    folded = {entry: fold(entry) for entry in entries}
    is_meant = or_(columns.category_id.in_(uuids_of(entries)), columns.folded_name.in_(set(folded.values())))
    found = select(columns.category_id, columns.folded_name).where(columns.collection_id == collection_id, is_meant)
    rows = [(str(row.category_id), row.folded_name) for row in await connection.execute(found)]
    return {
        entry: [category_id for category_id, name in rows if entry == category_id or name == folded[entry]]
        for entry in entries
    }


def _add_terms(result: Conditions, wanted: Expression, query: pb.PictureQuery, collection_id: int) -> None:
    if wanted.of_rows:
        result.filters.append(_matches(picture.c.terms, wanted.of_rows))
    if wanted.of_index:
        result.indexed.append(_matches(picture.c.terms, wanted.of_index))
    if len(query.people.only) > 1:
        result.filters.append(_nobody_else(query.people.only, collection_id))


def _nobody_else(only: Sequence[str], collection_id: int) -> ColumnElement[bool]:
    ids, names = only_hashes(only, collection_id)
    terms = func.unnest(func.tsvector_to_array(picture.c.terms)).column_valued("one")
    others = select(literal(1)).where(
        func.left(terms, 1) == TermKind.IDENTITY.value,
        func.substr(terms, 2, 11).not_in(ids),
        func.substr(terms, 13, 11).not_in(names),
    )
    return ~others.exists()


def _add_text(result: Conditions, query: pb.PictureQuery, collection_id: int) -> None:
    if not query.text:
        return
    wanted = beginnings(query.text)
    if not wanted:
        result.filters.append(literal(value=False))
        return
    result.filters.append(_matches(picture.c.words, words_expression(wanted)))
    least = min(_LONG, max(map(len, wanted)))
    long = [word for word in wanted if len(word) >= least]
    own = f"'{term(TermKind.PICTURE, collection_id, '')}'"
    result.indexed += [_matches(picture.c.words, words_expression(long)), _matches(picture.c.terms, own)]


def _matches(column: Any, query: str) -> ColumnElement[bool]:
    """Return the condition that a tsvector fits, in a form that hides from the planner how many do.

    It would take words to be independent of each other, and walk through everything for two that never meet.
    """
    matches: ColumnElement[bool] = column.op("@@")(select(cast(query, TSQUERY)).scalar_subquery())
    return matches


def _add_times(result: Conditions, query: pb.PictureQuery, order: Order) -> None:
    for name, column in (("taken", picture.c.taken_time), ("added", picture.c.create_time)):
        span = getattr(query, name)
        bounds = [column >= _time(span.begin)] * span.HasField("begin")
        bounds += [column < _time(span.end)] * span.HasField("end")
        if column is order.column:
            result.span += bounds
        else:
            result.filters += bounds
            result.indexed += bounds


def _time(time: Timestamp) -> datetime:
    """Return the first time of the database's, which has microseconds, that is not before."""
    try:
        return _EPOCH + timedelta(microseconds=-(-time.ToNanoseconds() // 1000))
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def _add_columns(result: Conditions, query: pb.PictureQuery) -> None:
    columns, score, cost = picture.c, query.score, query.cost
    result.filters += [columns.score >= cast(score.min, REAL)] * score.HasField("min")
    result.filters += [columns.score <= cast(score.max, REAL)] * score.HasField("max")
    result.filters += [columns.cost_micro_usd >= cost.min_micro_usd] * cost.HasField("min_micro_usd")
    result.filters += [columns.cost_micro_usd <= cost.max_micro_usd] * cost.HasField("max_micro_usd")
    if query.sha256:
        result.is_single = True
        _add(result, columns.sha256 == _sha256(query.sha256))
    if query.file_name:
        _add(result, _begins(columns.folded_name, fold(query.file_name)))


def _sha256(value: str) -> bytes:
    try:
        digest = bytes.fromhex(value)
    except ValueError:
        digest = b""
    if len(digest) != _SHA256_BYTES or value.lower() != digest.hex():
        raise InvalidRequest("query.sha256 must be 64 hexadecimal digits.", field="query.sha256")
    return digest


def _add_states(result: Conditions, query: pb.PictureQuery, order: Order) -> None:
    known = set(pb.PictureState.values()) - {pb.PICTURE_STATE_UNSPECIFIED}
    check_values(query.states, known, "query.states")
    states = set(query.states)
    if len(states) == 1 and order.column is picture.c.taken_time and not query.in_trash:
        result.span.append(picture.c.state == states.pop())
    elif states:
        _add(result, picture.c.state.in_(sorted(states)))


def _add_place(result: Conditions, prefix: str, collection_id: int) -> None:
    if not prefix:
        return
    own = and_(place.c.collection_id == collection_id, *_at(prefix))
    # The limit keeps the planner from looking up all such places before the first picture.
    found = select(literal(value=True)).where(place.c.picture_id == picture.c.picture_id, own).limit(1)
    result.filters.append(found.scalar_subquery())
    result.indexed.append(picture.c.picture_id.in_(select(place.c.picture_id).where(own)))


def _at(prefix: str) -> list[ColumnElement[bool]]:
    columns = place.c
    if not prefix.startswith(_S3):
        return [columns.kind == PlaceKind.PATH, _begins(columns.key, prefix)]
    bucket, slash, key = prefix.removeprefix(_S3).partition("/")
    of_bucket = columns.bucket == bucket if slash else columns.bucket.like(f"{bucket.translate(_ESCAPES)}%")
    return [columns.kind == PlaceKind.S3, of_bucket, *([_begins(columns.key, key)] if key else [])]


def _begins(column: Any, prefix: str) -> ColumnElement[bool]:
    """Return the condition that a text begins so, for an index of its first characters."""
    first = func.left(column, text(str(_INDEXED_CHARACTERS))).like(
        f"{prefix[:_INDEXED_CHARACTERS].translate(_ESCAPES)}%"
    )
    return and_(first, func.starts_with(column, prefix)) if len(prefix) > _INDEXED_CHARACTERS else first


def _add(result: Conditions, condition: ColumnElement[bool]) -> None:
    result.filters.append(condition)
    result.indexed.append(condition)

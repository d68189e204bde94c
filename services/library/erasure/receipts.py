"""Receipts: what an erasure reached, and what it cannot reach."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import ARRAY, CollectionAggregate, Uuid, any_, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import library_pb2 as pb
from services.library.database.tables import (
    PlaceKind,
    answer,
    event,
    export,
    face,
    job,
    metadata,
    picture,
    place,
    request,
)
from services.library.exchange.export import RECORD_LOCK
from services.library.pictures.view import timestamp

LEASE = "lease"
"""What of an erasure tells that a worker had the picture."""
_MOST = 1000
"""Entries of a list."""
_MOST_CHARACTERS = 2000
_MOST_EXPORTS = 10_000
_BACKUPS = (
    "Backups of the database and of the store that were made before: they hold it until they are overwritten. Whoever "
    "restores one erases it again."
)
_GATEWAYS = "Gateways: their caches keep answers, without the picture, for 300 s by default."
_RECOGNIZERS = (
    "Recognizers: faces that were enrolled from this picture stay enrolled. RemoveFaces takes them out, by the file's "
    "SHA-256."
)
_PROGRAMS = "Programs that copied events, pictures or what a search found."

Ids: TypeAlias = CollectionAggregate[Any]
"""What the picture_id of each of some pictures equals."""


def ids_of(picture_ids: Sequence[UUID]) -> Ids:
    """Return the identifiers as one parameter, since a picture may have more redirects than a statement parameters."""
    return any_(literal(picture_ids, ARRAY(Uuid)))


async def count(connection: AsyncConnection, ids: Ids) -> dict[str, int]:
    """Return how many rows the database has of these pictures, by table."""
    tables = [
        table for table in metadata.sorted_tables if table is not picture and _is_of(table, "picture_id", picture)
    ]
    counts = [
        select(func.count()).where(table.c.picture_id == ids).scalar_subquery().label(table.name)
        for table in (picture, *tables, event, request)
    ]
    of_faces = select(face.c.face_id).where(face.c.picture_id == ids)
    counts += [
        select(func.count()).where(table.c.face_id.in_(of_faces)).scalar_subquery().label(table.name)
        for table in metadata.sorted_tables
        if table not in tables and _is_of(table, "face_id", face)
    ]
    counts.append(select(func.count()).where(*_running(ids)).scalar_subquery().label(LEASE))
    row = (await connection.execute(select(*counts))).mappings().one()
    return {name: number for name, number in row.items() if number}


async def exports(connection: AsyncConnection, row: Any, ids: Ids) -> list[pb.ExportRecord]:
    """Return the exports that had the picture, or may have had it, also by one of its redirects, newest first.

    Only what never changes about a picture excludes it: what an export's query asks for may have been so then. A hash
    in a query is taken out of it.
    """
    await connection.execute(select(func.pg_advisory_xact_lock_shared(RECORD_LOCK, row.collection_id)))
    added = picture.c.create_time
    between = select(func.min(added), func.max(added)).where(picture.c.picture_id == ids)
    first, last = (await connection.execute(between)).one()
    columns = export.c
    since = or_(columns.end_time.is_(None), columns.end_time >= first)
    found = select(export).where(columns.collection_id == row.collection_id, since)
    made = await connection.execute(found.order_by(columns.create_time.desc()).limit(_MOST_EXPORTS))
    records = []
    for one in made.all():
        query = pb.PictureQuery.FromString(one.query)
        if not _may_have(query, row.sha256, first, last):
            continue
        if query.sha256:
            query.ClearField("sha256")
            own = update(export).where(columns.export_id == one.export_id)
            await connection.execute(own.values(query=query.SerializeToString()))
        create_time = timestamp(one.create_time)
        records.append(pb.ExportRecord(export_id=str(one.export_id), create_time=create_time, caller=one.caller))
    return records


async def beyond_reach(connection: AsyncConnection, ids: Ids) -> list[str]:
    """Return what is known of these pictures elsewhere, and what to do about it."""
    found = select(place.c.kind, place.c.bucket, place.c.key, place.c.version_id).where(place.c.picture_id == ids)
    places = (await connection.execute(found.order_by(place.c.create_time).limit(_MOST))).all()
    running = select(job.c.job_id).where(*_running(ids))
    called = select(answer.c.recognizer).where(answer.c.picture_id == ids, answer.c.source == pb.ANSWER_SOURCE_CALL)
    names = sorted(set((await connection.execute(called)).scalars()))
    entries = [_BACKUPS, _GATEWAYS, _RECOGNIZERS, _PROGRAMS]
    if (await connection.execute(running)).first():
        entries.append("A call that was under way: its answer is thrown away once it comes.")
    if names:
        entries.append(f"What recognizers keep of pictures that they are sent: {', '.join(names)}.")
    return [entry[:_MOST_CHARACTERS] for entry in (*entries, *map(_place, places))][:_MOST]


def brief(receipt: pb.ErasureReceipt) -> pb.ErasureReceipt:
    """Return the receipt without the names of files and places, which may tell whom a picture shows."""
    general = [entry for entry in receipt.beyond_reach if not entry.startswith(_OWN)]
    result = pb.ErasureReceipt()
    result.CopyFrom(receipt)
    del result.objects[:]
    result.beyond_reach[:] = general
    return result


_OBJECT, _FILE = "Object: ", "File: "
_OWN = (_OBJECT, _FILE)


def _running(ids: Ids) -> tuple[Any, ...]:
    return job.c.picture_id == ids, job.c.state == pb.JOB_STATE_RUNNING


def _place(row: Any) -> str:
    if row.kind == PlaceKind.S3:
        version = f", version {row.version_id}" if row.version_id else ""
        return f"{_OBJECT}s3://{row.bucket}/{row.key}{version}. Delete it there, with its earlier versions."
    return f"{_FILE}{row.key}, where it was sent from."


def _is_of(table: Any, key: str, owner: Any) -> bool:
    """Return whether the table's rows go with those of the owner."""
    return key in table.c and any(one.column.table is owner for one in table.c[key].foreign_keys)


def _may_have(query: pb.PictureQuery, sha256: bytes | None, first: datetime, last: datetime) -> bool:
    if query.sha256 and sha256 and query.sha256.lower() != sha256.hex():
        return False
    added = query.added
    is_early = added.HasField("begin") and _nanoseconds(last) < added.begin.ToNanoseconds()
    is_late = added.HasField("end") and _nanoseconds(first) >= added.end.ToNanoseconds()
    return not is_early and not is_late


def _nanoseconds(when: datetime) -> int:
    moment = Timestamp()
    moment.FromDatetime(when)
    return moment.ToNanoseconds()


def capped(entries: Iterable[Any]) -> list[Any]:
    """Return as many entries as a receipt may have."""
    return list(entries)[:_MOST]

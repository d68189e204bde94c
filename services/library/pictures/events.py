"""Events, as others read them."""

from typing import Any

from google.protobuf import json_format
from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import library_pb2 as pb
from services.library.database.database import Database
from services.library.database.tables import event
from services.library.pictures.view import timestamp
from services.runtime import requests
from services.runtime.errors import InvalidRequest

_LOCK = 0x6D617265
"""Advisory lock of who gives positions."""
_BATCH = 10_000
"""More wait for the next call."""
_NUMBERED = text("""
UPDATE event SET position = numbered.position FROM (
  SELECT event_key, row_number() OVER (ORDER BY event_key) + (SELECT coalesce(max(position), 0) FROM event) AS position
  FROM (SELECT event_key FROM event WHERE position IS NULL ORDER BY event_key LIMIT :batch) AS new
) AS numbered
WHERE event.event_key = numbered.event_key
""")


class Events:
    """ListEvents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, request: pb.ListEventsRequest) -> pb.ListEventsResponse:
        """Return events from a cursor on. Raises InvalidRequest."""
        after, size = _position(request.cursor), requests.page_size_of(request)
        collection_id = await self._database.collection_id(request.collection, make=False)
        async with self._database.begin() as connection:
            await number(connection)
            columns = event.c
            its = (columns.collection_id == collection_id, columns.position > after)
            found = await connection.execute(select(event).where(*its).order_by(columns.position).limit(size))
            events = [_event(row) for row in found]
        cursor = str(events[-1].event_id) if events else request.cursor
        return pb.ListEventsResponse(events=events, next_cursor=cursor or "0")


async def number(connection: AsyncConnection) -> None:
    """Give positions to events that are committed.

    Their keys are given while transactions run, which end in another order: a reader who went by them would pass over
    the events of those that are late. Positions are given by one reader at a time, who sees all that were given before,
    so whatever gets one later gets a greater one.
    """
    new = select(event.c.event_key).where(event.c.position.is_(None)).limit(1)
    if (await connection.execute(new)).first() is None:
        return
    await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    await connection.execute(_NUMBERED, {"batch": _BATCH})


def _event(row: Row[Any]) -> pb.Event:
    shown = pb.Event(
        event_id=row.position,
        type=row.type,
        create_time=timestamp(row.create_time),
        picture_id=str(row.picture_id or ""),
        caller=row.caller,
    )
    json_format.ParseDict(row.data, shown.data)
    return shown


def _position(cursor: str) -> int:
    if not cursor:
        return 0
    if not (cursor.isascii() and cursor.isdecimal() and int(cursor) < 1 << 63):
        raise InvalidRequest("cursor is not the next_cursor of an earlier call.", field="cursor")
    return int(cursor)

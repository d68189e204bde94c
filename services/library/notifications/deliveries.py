"""Deliveries, as callers see them; and channels, listed and tested."""

import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from google.rpc import status_pb2
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid6 import uuid7

from marquee.library.v1 import notification_pb2 as pb
from services.library.database.change import Change, Changes
from services.library.database.database import Database
from services.library.database.notification_tables import notification_delivery
from services.library.notifications.channels import drawing
from services.library.notifications.channels.channels import SEND_SECONDS, Channels
from services.library.notifications.channels.message import Message, Undelivered
from services.library.notifications.queue import status_of
from services.library.pictures.view import timestamp
from services.runtime import requests
from services.runtime.errors import InvalidRequest
from services.runtime.server.deadline import deadline

_RESERVE_SECONDS = 0.5
"""Of a call's deadline, for its answer."""
_LEAST_SECONDS = 0.1
_SHOWN = text("""
SELECT delivery_id, delivery.channel, state, attempts, status, delivery.create_time, next_attempt_time,
  delivery.end_time, occurrence_id, rule_id, rule.name, trigger, picture_count, first_time, last_time, ids
FROM notification_delivery AS delivery
JOIN notification_occurrence AS occurrence USING (occurrence_id)
JOIN notification_rule AS rule USING (rule_id)
CROSS JOIN LATERAL (
  SELECT ARRAY(
    SELECT picture_id FROM notification_sighting AS sighting
    WHERE sighting.occurrence_id = delivery.occurrence_id ORDER BY position DESC LIMIT 10
  ) AS ids
) AS pictures
WHERE delivery.collection_id = :collection AND (:state = 0 OR state = :state)
  AND (CAST(:before AS uuid) IS NULL OR delivery_id < :before)
ORDER BY delivery_id DESC LIMIT :count
""")
_OPEN = (pb.DELIVERY_STATE_QUEUED, pb.DELIVERY_STATE_SENDING)
_columns = notification_delivery.c


class Outbox:
    """ListDeliveries, RetryDeliveries, ListChannels and TestChannel."""

    def __init__(self, database: Database, changes: Changes, channels: Channels) -> None:
        self._database = database
        self._changes = changes
        self._channels = channels

    async def list(self, request: pb.ListDeliveriesRequest) -> pb.ListDeliveriesResponse:
        """Return a page of deliveries. Raises InvalidRequest."""
        size = requests.page_size_of(request)
        collection_id = await self._database.collection_id(request.collection, make=False)
        values = {
            "collection": collection_id,
            "state": request.state,
            "before": _position(request.page_token),
            "count": size + 1,
        }
        async with self._database.begin() as connection:
            rows = (await connection.execute(_SHOWN, values)).all()
            pending = await _count(connection, collection_id, _OPEN)
            dead = await _count(connection, collection_id, (pb.DELIVERY_STATE_DEAD,))
        found = [_delivery(row) for row in rows[:size]]
        token = found[-1].delivery_id if len(rows) > size else ""
        return pb.ListDeliveriesResponse(
            deliveries=found, next_page_token=token, pending_count=pending, dead_count=dead
        )

    async def retry(self, request: pb.RetryDeliveriesRequest) -> pb.RetryDeliveriesResponse:
        """Queue deliveries again that were given up."""
        ids = [one for one in map(_parsed, request.delivery_ids) if one is not None]

        async def make(change: Change) -> pb.RetryDeliveriesResponse:
            own = (_columns.collection_id == change.collection_id, _columns.state == pb.DELIVERY_STATE_DEAD)
            chosen = (_columns.delivery_id.in_(ids),) if request.delivery_ids else ()
            fresh = {"attempts": 0, "end_time": None, "next_attempt_time": func.now()}
            again = update(notification_delivery).where(*own, *chosen).values(state=pb.DELIVERY_STATE_QUEUED, **fresh)
            return pb.RetryDeliveriesResponse(delivery_count=(await change.connection.execute(again)).rowcount)

        return await self._changes.once(request, pb.RetryDeliveriesResponse, make)

    async def channels(self, request: pb.ListChannelsRequest) -> pb.ListChannelsResponse:
        """Return the channels that the collection may use."""
        found = self._channels.of(request.collection).items()
        return pb.ListChannelsResponse(channels=[pb.Channel(name=name, type=one.type) for name, one in found])

    async def test(self, request: pb.TestChannelRequest) -> pb.TestChannelResponse:
        """Send a message by a channel. Raises InvalidRequest."""
        channel = self._channels.get(request.channel, request.collection)
        message = _sample(request.collection, request.channel, with_picture=channel.takes_picture)
        left = max(_LEAST_SECONDS, deadline() - time.monotonic() - _RESERVE_SECONDS)
        begin, failure = time.perf_counter(), status_pb2.Status()
        try:
            await self._channels.send(channel, message, min(SEND_SECONDS, left))
        except Undelivered as exc:
            failure = status_of(exc.message)
        duration = Duration()
        duration.FromNanoseconds(int((time.perf_counter() - begin) * 1e9))
        return pb.TestChannelResponse(status=failure, delivery_id=message.delivery_id, duration=duration)


def _sample(collection: str, channel: str, *, with_picture: bool) -> Message:
    return Message(
        delivery_id=str(uuid7()),
        type="notification.test",
        time=datetime.now(UTC),
        title="Marquee tests this channel",
        lines=(f"It is the channel {channel}, which the collection {collection} may use.",),
        data={"collection": collection, "channel": channel},
        picture=drawing.sample() if with_picture else None,
    )


def _delivery(row: Any) -> pb.Delivery:
    occurrence = pb.NotificationOccurrence(
        occurrence_id=str(row.occurrence_id),
        rule_id=str(row.rule_id),
        rule_name=row.name,
        trigger=row.trigger,
        picture_count=row.picture_count,
        picture_ids=map(str, row.ids),
        first_time=timestamp(row.first_time),
        last_time=timestamp(row.last_time),
    )
    return pb.Delivery(
        delivery_id=str(row.delivery_id),
        occurrence=occurrence,
        channel=row.channel,
        state=row.state,
        attempts=row.attempts,
        status=status_pb2.Status.FromString(row.status) if row.status else None,
        create_time=timestamp(row.create_time),
        next_attempt_time=timestamp(row.next_attempt_time),
        end_time=timestamp(row.end_time),
    )


async def _count(connection: AsyncConnection, collection_id: int, states: tuple[int, ...]) -> int:
    counted = select(func.count()).where(_columns.collection_id == collection_id, _columns.state.in_(states))
    return int((await connection.execute(counted)).scalar_one())


def _position(token: str) -> UUID | None:
    if token and (found := _parsed(token)) is None:
        raise InvalidRequest("page_token is none of this method's.", field="page_token")
    return found if token else None


def _parsed(value: str) -> UUID | None:
    try:
        return UUID(value)
    except ValueError:
        return None

"""The queue of messages to send, in the database.

A sender claims deliveries for a time, a lease. If it dies, or is held up, another one sends them again, with the same
identifier, by which a receiver knows them.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import grpc
from google.rpc import status_pb2
from sqlalchemy import ARRAY, Integer, Text, bindparam, delete, func, text, update

from marquee.library.v1 import notification_pb2 as pb
from services.library.database.database import Database
from services.library.database.notification_tables import notification_delivery
from services.library.notifications.channels.message import Undelivered
from services.runtime import status

_FIRST_SECONDS, _FACTOR, _MOST_SECONDS = 5.0, 3.0, 4 * 3600.0
_MOST_ASKED = 24 * 3600.0
"""Of a Retry-After."""
_REASON = "NOTIFICATION_FAILED"
_RELEASE = text("""
UPDATE notification_delivery SET state = 1, lease_token = NULL, lease_time = NULL, next_attempt_time = now()
WHERE state = 2 AND lease_time < now()
""")
_CLAIM = text("""
WITH due AS (
  SELECT one.delivery_id FROM unnest(:channels, :counts) AS wanted (channel, count) CROSS JOIN LATERAL (
    SELECT delivery_id FROM notification_delivery AS delivery
    WHERE state = 1 AND delivery.channel = wanted.channel AND next_attempt_time <= now()
    ORDER BY next_attempt_time LIMIT wanted.count FOR UPDATE SKIP LOCKED
  ) AS one
)
UPDATE notification_delivery AS delivery SET
  state = 2, lease_token = gen_random_uuid(), lease_time = now() + make_interval(secs => :seconds),
  attempts = attempts + 1, next_attempt_time = NULL
FROM due WHERE delivery.delivery_id = due.delivery_id
RETURNING delivery.delivery_id, delivery.occurrence_id, delivery.lease_token AS token, delivery.channel,
  delivery.attempts, delivery.create_time
""").bindparams(bindparam("channels", type_=ARRAY(Text)), bindparam("counts", type_=ARRAY(Integer)))
_ORPHANS = text("""
UPDATE notification_delivery SET state = 4, next_attempt_time = NULL, end_time = now(), status = :status
WHERE state = 1 AND next_attempt_time < now() - interval '1 hour' AND channel <> ALL(:channels)
""").bindparams(bindparam("channels", type_=ARRAY(Text)))
_OLD = text("""
DELETE FROM notification_occurrence WHERE occurrence_id = ANY(ARRAY(
  SELECT occurrence_id FROM notification_occurrence AS old WHERE end_time < now() - interval '30 days'
  AND NOT EXISTS (SELECT FROM notification_delivery WHERE occurrence_id = old.occurrence_id AND state IN (1, 2))
  ORDER BY end_time LIMIT :most
))
""")
_MOST_OLD = 1000


class Claim(NamedTuple):
    """A delivery that a sender has."""

    delivery_id: UUID
    occurrence_id: UUID
    token: UUID
    channel: str
    attempts: int
    create_time: Any


class Deliveries:
    """The queue. Methods raise DependencyUnavailable."""

    def __init__(self, database: Database, lease_seconds: float, attempts: int) -> None:
        self.database = database
        self.lease_seconds = lease_seconds
        self._attempts = attempts

    async def claim(self, wanted: Mapping[str, int]) -> list[Claim]:
        """Return deliveries that are due, up to so many of each channel."""
        values = {"channels": list(wanted), "counts": list(wanted.values()), "seconds": self.lease_seconds}
        async with self.database.begin() as connection:
            await connection.execute(_RELEASE)
            rows = (await connection.execute(_CLAIM, values)).mappings()
            return [Claim(**row) for row in rows]

    async def sent(self, claim: Claim) -> bool:
        """Note that the message was taken; return whether the delivery was still the sender's."""
        ended = {"state": pb.DELIVERY_STATE_SENT, "end_time": func.now(), "status": b""}
        return await self._write(claim, ended)

    async def failed(self, claim: Claim, failure: Undelivered) -> str:
        """Have the message sent again after a while, or give it up; return "failed", "dead" or "lost"."""
        is_last = failure.is_hopeless or claim.attempts >= self._attempts
        content = status_of(failure.message).SerializeToString()
        if is_last:
            values = {"state": pb.DELIVERY_STATE_DEAD, "end_time": func.now(), "status": content}
        else:
            again = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, pause(claim.attempts, failure.retry_after))
            values = {"state": pb.DELIVERY_STATE_QUEUED, "next_attempt_time": again, "status": content}
        if not await self._write(claim, values):
            return "lost"
        return "dead" if is_last else "failed"

    async def drop(self, claim: Claim) -> None:
        """Delete a delivery of which nothing is left to tell."""
        async with self.database.begin() as connection:
            await connection.execute(delete(notification_delivery).where(*_held(claim)))

    async def prune(self, channels: Iterable[str]) -> bool:
        """Delete what is 30 days old, give up what waits for a channel that there is no more; return whether more."""
        content = status_of("The operator's file has no such channel any more.").SerializeToString()
        async with self.database.begin() as connection:
            await connection.execute(_ORPHANS, {"channels": list(channels), "status": content})
            return (await connection.execute(_OLD, {"most": _MOST_OLD})).rowcount >= _MOST_OLD

    async def _write(self, claim: Claim, values: Mapping[str, Any]) -> bool:
        free = {"lease_token": None, "lease_time": None}
        async with self.database.begin() as connection:
            written = update(notification_delivery).where(*_held(claim)).values(**free, **values)
            return (await connection.execute(written)).rowcount > 0


def pause(attempts: int, asked: float | None = None) -> float:
    """Return the seconds until the next attempt: three times those before, not those of others; or as was asked."""
    seconds = min(_MOST_SECONDS, _FIRST_SECONDS * _FACTOR ** min(attempts - 1, 16))
    return max(seconds * random.uniform(0.5, 1), min(asked or 0.0, _MOST_ASKED))  # noqa: S311 - no secret


def status_of(message: str) -> status_pb2.Status:
    """Return the status of a delivery that failed with this message."""
    return status.make(grpc.StatusCode.UNAVAILABLE, _REASON, message)


def _held(claim: Claim) -> Sequence[Any]:
    columns = notification_delivery.c
    return columns.delivery_id == claim.delivery_id, columns.lease_token == claim.token

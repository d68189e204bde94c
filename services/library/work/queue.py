"""The queue of pictures to recognize, in the database.

A worker claims jobs for a time, a lease, which it renews while it lives. Each claim has a token of its own, and only
who has the row's token may write: a worker that was taken for dead comes too late, and changes nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from google.rpc import status_pb2
from sqlalchemy import ARRAY, Integer, RowMapping, Uuid, bindparam, cast, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid6 import uuid7

from marquee.library.v1.library_pb2 import JOB_STATE_QUEUED, JOB_STATE_RUNNING
from services.library.database.database import Database, announce
from services.library.database.tables import job, picture
from services.runtime.doors.caller import current

QUEUED = "queued"
"""News that there are jobs to claim. All other news are the picture_ids of jobs that have ended."""
OPEN = (JOB_STATE_QUEUED, JOB_STATE_RUNNING)
_CLAIMED = """
  state = 2, lease_token = gen_random_uuid(), lease_time = now() + make_interval(secs => :seconds),
  attempts = job.attempts + 1, next_attempt_time = NULL
FROM due WHERE job.job_id = due.job_id
RETURNING job.job_id, job.picture_id, job.collection_id, job.lease_token, job.features, job.recognizers, job.caller,
  job.daily_micro_usd, job.attempts, job.failures, job.create_time, due.calling AS repeated"""
_CLAIM_EXPIRED = text(f"""
WITH due AS (
  SELECT job_id, calling FROM job WHERE state = 2 AND lease_time < now()
  ORDER BY lease_time LIMIT :count FOR UPDATE SKIP LOCKED
)
UPDATE job SET repeated_calls = repeated_calls + job.calling::int, failures = failures + 1, calling = false, {_CLAIMED}
""")  # noqa: S608 - of constants alone, as the next one
_CLAIM_DUE = text(f"""
WITH due AS (
  SELECT job_id, calling FROM job WHERE state = 1 AND next_attempt_time <= now()
  ORDER BY next_attempt_time LIMIT :count FOR UPDATE SKIP LOCKED
)
UPDATE job SET {_CLAIMED}
""")  # noqa: S608
_RENEW = text("""
UPDATE job SET lease_time = now() + make_interval(secs => :seconds)
FROM unnest(:jobs, :tokens) AS held (job_id, token)
WHERE job.job_id = held.job_id AND job.lease_token = held.token AND state = 2
RETURNING job.job_id
""").bindparams(bindparam("jobs", type_=ARRAY(Uuid)), bindparam("tokens", type_=ARRAY(Uuid)))
_REPEATED = job.c.repeated_calls + cast(job.c.calling, Integer)


class LeaseLost(Exception):
    """The job is another worker's by now, or is gone with its picture."""


@dataclass(frozen=True)
class Claim:
    """A job that a worker has."""

    job_id: UUID
    picture_id: UUID
    collection_id: int
    token: UUID
    features: Sequence[int]
    recognizers: Sequence[str]
    caller: str
    daily_micro_usd: int | None
    attempts: int
    failures: int
    create_time: Any
    repeated: bool
    """Whether the worker that had it before died during a call."""


class Setback(NamedTuple):
    """What kept an attempt from its end."""

    status: status_pb2.Status
    seconds: float
    """Until the next attempt."""
    is_failure: bool = True
    """Whether it counts against the limit of attempts."""
    is_unanswered: bool = False
    """Whether the gateway was called and has not answered."""


async def enqueue(
    connection: AsyncConnection,
    collection_id: int,
    picture_id: UUID,
    *,
    features: Iterable[int] = (),
    recognizers: Iterable[str] = (),
) -> None:
    """Queue the picture for who calls now; one that waits already or is worked on stays so."""
    who = current()
    row = {"job_id": UUID(bytes=uuid7().bytes), "collection_id": collection_id, "picture_id": picture_id}
    order = {"features": list(features), "recognizers": list(recognizers), "state": JOB_STATE_QUEUED}
    whose = {"caller": who.name, "daily_micro_usd": who.daily_micro_usd, "next_attempt_time": func.now()}
    statement = insert(job).values(**row, **order, **whose)
    is_open = text("state IN (1, 2)")
    await connection.execute(statement.on_conflict_do_nothing(index_elements=[job.c.picture_id], index_where=is_open))
    announce(connection, QUEUED)


class Queue:
    """The queue, as workers see it. Methods raise DependencyUnavailable, and LeaseLost where they write."""

    def __init__(self, database: Database, lease_seconds: float) -> None:
        self.database = database
        self.lease_seconds = lease_seconds

    async def claim(self, count: int) -> list[Claim]:
        """Return up to `count` jobs that are due; first those whose worker died."""
        claims: list[Claim] = []
        async with self.database.begin() as connection:
            for statement in (_CLAIM_EXPIRED, _CLAIM_DUE):
                if left := count - len(claims):
                    rows = await connection.execute(statement, {"count": left, "seconds": self.lease_seconds})
                    claims += [_claim(row) for row in rows.mappings()]
        return claims

    async def renew(self, claims: Collection[Claim]) -> set[UUID]:
        """Renew the leases; return the jobs that are still the worker's."""
        held = {"jobs": [one.job_id for one in claims], "tokens": [one.token for one in claims]}
        async with self.database.begin() as connection:
            return set((await connection.execute(_RENEW, {**held, "seconds": self.lease_seconds})).scalars())

    async def begin_call(self, claim: Claim) -> None:
        """Write down that the gateway is called, so that a call without an end is known to have been one."""
        async with self.database.begin() as connection:
            await _write(connection, claim, {"calling": True})

    async def delay(self, claim: Claim, setback: Setback) -> None:
        """Have the job tried again after a while, and say why."""
        async with self.database.begin() as connection:
            await delay(connection, claim, setback)

    async def hand_back(self, claim: Claim) -> bool:
        """Leave the job to any worker, at once; return whether the gateway was called for it."""
        async with self.database.begin() as connection:
            calling = (await connection.execute(select(job.c.calling).where(*_held(claim)))).scalar()
            await _write(connection, claim, _released(JOB_STATE_QUEUED) | {"repeated_calls": _REPEATED})
            announce(connection, QUEUED)
        return bool(calling)

    async def drop(self, claim: Claim) -> None:
        """Delete the job."""
        async with self.database.begin() as connection:
            await connection.execute(delete(job).where(*_held(claim)))
            announce(connection, str(claim.picture_id))


async def hold(connection: AsyncConnection, claim: Claim) -> RowMapping:
    """Return the picture's row, held until the transaction ends, if the job is still the worker's. Raises LeaseLost."""
    shown = select(picture).where(picture.c.picture_id == claim.picture_id).with_for_update(key_share=True)
    row = (await connection.execute(shown)).mappings().one_or_none()
    mine = select(job.c.job_id).where(*_held(claim)).with_for_update()
    if row is None or (await connection.execute(mine)).first() is None:
        raise LeaseLost
    return row


async def delay(connection: AsyncConnection, claim: Claim, setback: Setback) -> None:
    """Do what Queue.delay does, in a transaction."""
    again = {
        "next_attempt_time": func.now() + func.make_interval(0, 0, 0, 0, 0, 0, setback.seconds),
        "status": setback.status.SerializeToString(),
        "failures": job.c.failures + int(setback.is_failure),
    }
    if setback.is_unanswered:
        again["repeated_calls"] = _REPEATED
    await _write(connection, claim, _released(JOB_STATE_QUEUED) | again)


async def end(connection: AsyncConnection, claim: Claim, state: int, status: status_pb2.Status | None = None) -> None:
    """End the job, which is DONE or DEAD, with what it failed with. Raises LeaseLost."""
    content = b"" if status is None else status.SerializeToString()
    last = {"next_attempt_time": None, "end_time": func.now(), "status": content}
    await _write(connection, claim, _released(state) | last)
    announce(connection, str(claim.picture_id))


async def _write(connection: AsyncConnection, claim: Claim, values: Mapping[str, Any]) -> None:
    written = await connection.execute(update(job).where(*_held(claim)).values(**values).returning(job.c.job_id))
    if written.first() is None:
        raise LeaseLost


def _held(claim: Claim) -> tuple[Any, ...]:
    return job.c.job_id == claim.job_id, job.c.lease_token == claim.token


def _released(state: int) -> dict[str, Any]:
    free = {"lease_token": None, "lease_time": None, "calling": False}
    return {"state": state, "next_attempt_time": func.now(), **free}


def _claim(row: RowMapping) -> Claim:
    return Claim(**{"token" if key == "lease_token" else key: value for key, value in row.items()})

"""Metrics of the queue and of its workers."""

import asyncio

from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from services.library.database.database import Database
from services.runtime.errors import DependencyUnavailable
from services.runtime.server.metrics import BUCKETS

OUTCOMES = ("recognized", "partial", "merged", "delayed", "failed", "dead", "lost", "trashed")
_SECONDS = 10.0
_STATES = ("queued", "running", "dead")
_jobs = Gauge("marquee_library_jobs", "Jobs in the database by state; all replicas show the same.", ("state",))
_oldest = Gauge(
    "marquee_library_oldest_pending_seconds", "Age of the oldest job that has not ended; all replicas show the same."
)
attempts = Counter("marquee_library_attempts", "Total attempts to recognize a picture, by outcome.", ("outcome",))
repeated = Counter(
    "marquee_library_repeated_calls",
    "Total calls to the gateway given up without an answer, so that recognizers may be paid twice.",
)
seconds = Histogram("marquee_library_call_seconds", "Duration of calls to the gateway, in seconds.", buckets=BUCKETS)
_COUNTS = text("""
SELECT (SELECT count(*) FROM job WHERE state = 1) AS queued, (SELECT count(*) FROM job WHERE state = 2) AS running,
  (SELECT count(*) FROM job WHERE state = 4) AS dead,
  (SELECT extract(epoch FROM now() - min(create_time)) FROM job WHERE state IN (1, 2)) AS seconds
""")
"""Each part reads one index, in which finished jobs are not."""


def begin() -> None:
    """Show all series from 0 on, so that Prometheus sees the first of each, too."""
    for outcome in OUTCOMES:
        attempts.labels(outcome)
    for state in _STATES:
        _jobs.labels(state)


async def watch(database: Database) -> None:
    """Count the jobs every 10 s until cancelled."""
    begin()
    while True:
        try:
            await _count(database)
        except (DependencyUnavailable, SQLAlchemyError):
            _oldest.set(float("nan"))  # not known: no alert of a queue that may be empty
        await asyncio.sleep(_SECONDS)


async def _count(database: Database) -> None:
    async with database.begin() as connection:
        row = (await connection.execute(_COUNTS)).one()
    for state in _STATES:
        _jobs.labels(state).set(getattr(row, state))
    _oldest.set(float(row.seconds or 0))

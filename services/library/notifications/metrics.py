"""Metrics of what is sent."""

import asyncio

from prometheus_client import Counter, Gauge
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from services.library.database.database import Database
from services.library.notifications.channels.channels import TYPES
from services.runtime.errors import DependencyUnavailable

OUTCOMES = ("sent", "failed", "dead", "lost", "dropped")
_SECONDS = 10.0
_STATES = ("queued", "dead")
attempts = Counter(
    "marquee_library_delivery_attempts",
    "Total attempts to send a notification, by type of channel and outcome.",
    ("type", "outcome"),
)
_deliveries = Gauge(
    "marquee_library_deliveries", "Notifications in the database by state; all replicas show the same.", ("state",)
)
_COUNTS = text("""
SELECT (SELECT count(*) FROM notification_delivery WHERE state = 1) AS queued,
  (SELECT count(*) FROM notification_delivery WHERE state = 4) AS dead
""")


async def watch(database: Database) -> None:
    """Count the deliveries every 10 s until cancelled, and show all series from 0 on."""
    for kind in TYPES:
        for outcome in OUTCOMES:
            attempts.labels(kind, outcome)
    while True:
        try:
            async with database.begin() as connection:
                row = (await connection.execute(_COUNTS)).one()
            for state in _STATES:
                _deliveries.labels(state).set(getattr(row, state))
        except (DependencyUnavailable, SQLAlchemyError):
            for state in _STATES:
                _deliveries.labels(state).set(float("nan"))
        await asyncio.sleep(_SECONDS)

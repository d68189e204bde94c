"""What recognizers have spent, held against the rules that tell of it, once a day each."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import notification_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.library.database.database import Database
from services.library.database.notification_tables import notification_occurrence, notification_rule
from services.library.notifications.feed import Sighting, open_occurrence
from services.library.search.folding import fold
from services.library.work.worker import forever

logger = structlog.get_logger()
_LOCK = 0x6E6F7462
_SECONDS = 60.0
_TRIGGER = pb.NOTIFICATION_TRIGGER_BUDGET


class Budget:
    """What looks at the spending. `recognizers` asks the gateway for its recognizers."""

    def __init__(
        self, database: Database, recognizers: Callable[[], Awaitable[recognizer_pb2.ListRecognizersResponse]]
    ) -> None:
        self._database = database
        self._recognizers = recognizers

    async def run(self, seconds: float = _SECONDS) -> None:
        """Look once a minute until cancelled."""
        await forever(self.turn, "look at spending", seconds)

    async def turn(self) -> None:
        """Begin the occurrences that there are not yet; ask nobody if no rule is about budgets."""
        columns = notification_rule.c
        wanted = select(notification_rule).where(columns.trigger == _TRIGGER, columns.enabled)
        async with self._database.begin() as connection:
            rules = (await connection.execute(wanted)).all()
        if not rules:
            return
        response = await self._recognizers()
        if response.spending_withheld:
            logger.warning("spending is withheld", error="the library's token at the gateway lacks the scope admin")
        async with self._database.begin() as connection:
            await connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            for rule in rules:
                await _tell(connection, rule, response.recognizers)


async def _tell(connection: AsyncConnection, rule: Any, recognizers: Iterable[recognizer_pb2.Recognizer]) -> None:
    now = datetime.now(UTC)
    end = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    for one in recognizers:
        if not _fits(rule, one):
            continue
        subject, columns = f"{one.name} {now:%Y-%m-%d}", notification_occurrence.c
        known = select(columns.occurrence_id).where(columns.rule_id == rule.rule_id, columns.subject == subject)
        if (await connection.execute(known.limit(1))).first() is None:
            money = {
                "recognizer": one.name,
                "spent_micro_usd": one.spending.today_micro_usd,
                "cap_micro_usd": one.spending.daily_cap_micro_usd,
            }
            await open_occurrence(connection, Sighting(rule, subject, now), end, money)


def _fits(rule: Any, one: recognizer_pb2.Recognizer) -> bool:
    cap = one.spending.daily_cap_micro_usd
    is_meant = not rule.folded_subject or rule.folded_subject == fold(one.name)
    return is_meant and cap > 0 and one.spending.today_micro_usd >= rule.budget_share * cap

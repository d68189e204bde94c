"""The AWS account as this replica may use it: calls, money and quotas, in step with the other replicas."""

import asyncio
import math
from contextlib import suppress

import structlog
from prometheus_client import Gauge

from services.rekognition.aws.calls import Calls, Rates, connect
from services.rekognition.budget.ledger import Ledger, ProcessLedger, TableLedger
from services.rekognition.budget.prices import REGION, dollars
from services.rekognition.settings import RekognitionSettings
from services.rekognition.table import client as table_client
from services.rekognition.table.people import EnrolledPeople
from services.rekognition.table.replicas import Replicas
from services.runtime.errors import DomainError

logger = structlog.get_logger()
_REFRESH_SECONDS = 5
_spent = Gauge(
    "marquee_rekognition_spent_today_dollars",
    "US dollars spent since midnight UTC, by all replicas or, without a table, by this one.",
    ("scope",),
)
_cap = Gauge(
    "marquee_rekognition_cap_dollars",
    "US dollars that may be spent a day, by all replicas or, without a table, by this one.",
    ("scope",),
)


class Account:
    """Calls, ledger, people. The constructor blocks; it raises Misconfigured and DependencyUnavailable."""

    def __init__(self, settings: RekognitionSettings) -> None:
        client = connect(settings)
        region, cap = client.meta.region_name, settings.daily_cap_micro_usd(client.meta.endpoint_url)
        replicas = settings.rekognition_replicas
        self.ledger: Ledger = ProcessLedger(cap, replicas=replicas)
        self.people: EnrolledPeople | None = None
        self.collections: dict[str, float] = {}
        """Until when, on time.monotonic()'s clock, collections are taken to exist."""
        self._rates = Rates(settings.rekognition_rate, settings.rekognition_rates, replicas, region)
        self._replicas: Replicas | None = None
        if settings.rekognition_table:
            table = table_client.connect(settings)
            self.ledger = TableLedger(table, settings.rekognition_table, cap)
            self.people = EnrolledPeople(table, settings.rekognition_table)
            self._replicas = Replicas(table, settings.rekognition_table)
        self.calls = Calls(client, settings, self.ledger, self._rates)
        self._refreshing: asyncio.Task[None] | None = None
        self.refresh()

    def refresh(self) -> None:
        """Read what others have spent and how many replicas there are. Blocks; raises what the constructor does."""
        self.ledger.refresh()
        if self._replicas is not None:
            self._rates.share(self._replicas.beat())

    def announce(self, settings: RekognitionSettings) -> None:
        """Log the cap, so that nobody learns of it by reaching it; export it, and what is spent of it, until closed."""
        spending = self.ledger.spending()
        capped, scope = spending.HasField("daily_cap_micro_usd"), "replica" if spending.replicas else "all"
        cap, whole = spending.daily_cap_micro_usd, settings.daily_cap_micro_usd(self.calls.endpoint_url)
        logger.info(
            "daily cap on what Rekognition costs",
            cap="unlimited" if whole is None else dollars(whole),
            cap_here=dollars(cap) if capped else "unlimited",
            by_default=settings.rekognition_daily_cap_usd is None,
            table=settings.rekognition_table or None,
        )
        if self.calls.region != REGION and not settings.rekognition_prices:
            logger.warning(
                "Rekognition's prices here may be higher; set MARQUEE_REKOGNITION_PRICES",
                region=self.calls.region,
                prices_of=REGION,
            )
        _cap.labels(scope).set(cap / 1e6 if capped else math.inf)
        _spent.labels(scope).set_function(lambda: self.ledger.spending().today_micro_usd / 1e6)

    def start_refreshing(self) -> None:
        """Refresh every few seconds from now on."""
        self._refreshing = asyncio.create_task(self._refresh_forever())

    async def close(self) -> None:
        """Leave this replica's share to the others; running calls end by themselves."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            with suppress(asyncio.CancelledError):
                await self._refreshing
        if self._replicas is not None:
            with suppress(DomainError):  # the others notice within half a minute
                await asyncio.to_thread(self._replicas.leave)
        self.calls.close()
        _spent.clear()
        _cap.clear()

    async def _refresh_forever(self) -> None:
        while True:
            await asyncio.sleep(_REFRESH_SECONDS)
            try:
                await asyncio.to_thread(self.refresh)
            except DomainError as exc:
                logger.warning("not in step with other replicas", error=exc.message)

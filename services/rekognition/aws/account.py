"""The AWS account as this replica may use it: calls, money and quotas, in step with the other replicas."""

import asyncio
from contextlib import suppress

import structlog

from services.rekognition.aws.calls import Calls, Rates, connect
from services.rekognition.budget.ledger import Ledger, ProcessLedger, TableLedger
from services.rekognition.settings import RekognitionSettings
from services.rekognition.table import client as table_client
from services.rekognition.table.people import EnrolledPeople
from services.rekognition.table.replicas import Replicas
from services.runtime.errors import DomainError

logger = structlog.get_logger()
_REFRESH_SECONDS = 5


class Account:
    """Calls, ledger, people. The constructor blocks; it raises Misconfigured and DependencyUnavailable."""

    def __init__(self, settings: RekognitionSettings) -> None:
        self.ledger: Ledger = ProcessLedger(settings.daily_cap_micro_usd)
        self.people: EnrolledPeople | None = None
        self.collections: dict[str, float] = {}
        """Until when, on time.monotonic()'s clock, collections are taken to exist."""
        self._rates = Rates(settings.rekognition_rate, settings.rekognition_rates, settings.rekognition_replicas)
        self._replicas: Replicas | None = None
        client = connect(settings)
        if settings.rekognition_table:
            table = table_client.connect(settings)
            self.ledger = TableLedger(table, settings.rekognition_table, settings.daily_cap_micro_usd)
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

    async def _refresh_forever(self) -> None:
        while True:
            await asyncio.sleep(_REFRESH_SECONDS)
            try:
                await asyncio.to_thread(self.refresh)
            except DomainError as exc:
                logger.warning("not in step with other replicas", error=exc.message)

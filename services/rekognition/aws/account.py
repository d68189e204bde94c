"""The AWS account as this replica may use it: calls, money and quotas, in step with the other replicas."""

import asyncio
from contextlib import suppress

import structlog

from services.rekognition.aws.calls import Calls
from services.rekognition.aws.client import connect, connect_table
from services.rekognition.budget.ledger import Ledger, ProcessLedger
from services.rekognition.budget.rates import Rates
from services.rekognition.settings import RekognitionSettings
from services.rekognition.table.people import KnownPeople
from services.rekognition.table.replicas import Replicas, TableLedger
from services.runtime.errors import DomainError

logger = structlog.get_logger()
_STEP_SECONDS = 5


class Account:
    """Opened in a thread, since it blocks; raises Misconfigured where AWS cannot be used, and DependencyUnavailable."""

    def __init__(self, settings: RekognitionSettings) -> None:
        self.ledger: Ledger = ProcessLedger(settings.daily_cap_micro_usd)
        self.people: KnownPeople | None = None
        self._rates = Rates(settings.rekognition_rate, settings.rekognition_rates, settings.rekognition_replicas)
        self._replicas: Replicas | None = None
        client = connect(settings)
        if settings.rekognition_table:
            table = connect_table(settings)
            self.ledger = TableLedger(table, settings.rekognition_table, settings.daily_cap_micro_usd)
            self.people = KnownPeople(table, settings.rekognition_table)
            self._replicas = Replicas(table, settings.rekognition_table)
        self.calls = Calls(client, settings, self.ledger, self._rates)
        self._sharing: asyncio.Task[None] | None = None
        self.step()

    def step(self) -> None:
        """Looks what others have spent and how many they are. Blocks; raises as the constructor."""
        self.ledger.refresh()
        if self._replicas is not None:
            self._rates.share(self._replicas.beat())

    def keep_up(self) -> None:
        """From now on looks every few seconds what others have spent and how many they are."""
        self._sharing = asyncio.create_task(self._keep_up())

    async def close(self) -> None:
        """Leaves the other replicas this one's share; running calls end by themselves."""
        if self._sharing is not None:
            self._sharing.cancel()
            with suppress(asyncio.CancelledError):
                await self._sharing
        if self._replicas is not None:
            with suppress(DomainError):  # the others find out within half a minute
                await asyncio.to_thread(self._replicas.leave)
        self.calls.close()

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(_STEP_SECONDS)
            try:
                await asyncio.to_thread(self.step)
            except DomainError as exc:
                logger.warning("not in step with other replicas", error=exc.message)

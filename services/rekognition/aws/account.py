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
_STEP_SECONDS = 5


class Account:
    """Calls, ledger and people. The constructor blocks; it raises Misconfigured and DependencyUnavailable."""

    def __init__(self, settings: RekognitionSettings) -> None:
        self.ledger: Ledger = ProcessLedger(settings.daily_cap_micro_usd)
        self.people: EnrolledPeople | None = None
        self._rates = Rates(settings.rekognition_rate, settings.rekognition_rates, settings.rekognition_replicas)
        self._replicas: Replicas | None = None
        client = connect(settings)
        if settings.rekognition_table:
            table = table_client.connect(settings)
            self.ledger = TableLedger(table, settings.rekognition_table, settings.daily_cap_micro_usd)
            self.people = EnrolledPeople(table, settings.rekognition_table)
            self._replicas = Replicas(table, settings.rekognition_table)
        self.calls = Calls(client, settings, self.ledger, self._rates)
        self._sync: asyncio.Task[None] | None = None
        self.step()

    def step(self) -> None:
        """Read what others have spent and how many replicas there are. Blocks; raises as the constructor."""
        self.ledger.refresh()
        if self._replicas is not None:
            self._rates.share(self._replicas.beat())

    def keep_up(self) -> None:
        """Take a step every few seconds from now on."""
        self._sync = asyncio.create_task(self._keep_up())

    async def close(self) -> None:
        """Leave this replica's share to the others; running calls end by themselves."""
        if self._sync is not None:
            self._sync.cancel()
            with suppress(asyncio.CancelledError):
                await self._sync
        if self._replicas is not None:
            with suppress(DomainError):  # the others notice within half a minute
                await asyncio.to_thread(self._replicas.leave)
        self.calls.close()

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(_STEP_SECONDS)
            try:
                await asyncio.to_thread(self.step)
            except DomainError as exc:
                logger.warning("not in step with other replicas", error=exc.message)

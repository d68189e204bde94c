"""The worker of a replica: claims jobs as it has places, keeps their leases, and gives back what it cannot finish."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress

import structlog
from structlog.contextvars import bind_contextvars

from services.library.work import metrics
from services.library.work.queue import Claim, LeaseLost, Queue
from services.library.work.signals import POLL_SECONDS, Signals
from services.runtime.errors import DependencyUnavailable, DomainError

logger = structlog.get_logger()
_RENEWALS = 3
"""Of a lease, in its time. One that fails is made again after POLL_SECONDS."""
_FINISH_SECONDS = 5.0
_CANCEL_SECONDS = 1.0


class Worker:
    """A worker with so many places. `make` is an attempt: Attempt.make."""

    def __init__(self, queue: Queue, signals: Signals, places: int, make: Callable[[Claim], Awaitable[str]]) -> None:
        self._queue = queue
        self._signals = signals
        self._places = places
        self._make = make
        self._running: dict[asyncio.Task[None], Claim] = {}
        self._claiming: asyncio.Task[list[Claim]] | None = None
        self._loops: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to work, unless there is no place for it."""
        loops = (self._fill, self._renew) if self._places else ()
        self._loops = [asyncio.create_task(forever(one, "worker", POLL_SECONDS)) for one in loops]

    async def close(self) -> None:
        """Let attempts that run end within 5 s, and hand the others back, which are any worker's at once."""
        await end(self._loops)
        if self._claiming is not None:
            await asyncio.wait((self._claiming,))
        if self._running:
            await asyncio.wait(self._running, timeout=_FINISH_SECONDS)
        left = dict(self._running)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for claim in left.values():
            with suppress(LeaseLost, DependencyUnavailable):
                metrics.repeated.inc(int(await self._queue.hand_back(claim)))

    async def _fill(self) -> bool:
        """Claim jobs for all free places, and wait for more of what was missing: jobs, or places."""
        if not (free := self._places - len(self._running)):
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            return True
        self._claiming = asyncio.create_task(self._queue.claim(free))
        self._claiming.add_done_callback(self._begin)  # also of a claim that nobody waits for any more
        if len(await asyncio.shield(self._claiming)) < free:
            await self._signals.queued()
        return True

    def _begin(self, claiming: asyncio.Task[list[Claim]]) -> None:
        for claim in () if claiming.cancelled() or claiming.exception() else claiming.result():
            task = asyncio.create_task(self._work(claim))
            self._running[task] = claim
            task.add_done_callback(self._running.pop)

    async def _work(self, claim: Claim) -> None:
        bind_contextvars(job_id=str(claim.job_id), picture_id=str(claim.picture_id))
        if claim.repeated:
            metrics.repeated.inc()
        outcome = "lost"
        try:
            outcome = await self._make(claim)
        except asyncio.CancelledError:
            logger.warning("job lost", error="its lease has ended, or this replica does")
            raise
        except Exception as exc:
            is_foreseen = isinstance(exc, LeaseLost | DependencyUnavailable)
            error = str(exc) or "another worker has the job, or its picture is gone"
            logger.warning("job lost", error=error, exc_info=not is_foreseen)
        finally:
            metrics.attempts.labels(outcome).inc()
            logger.info("job attempted", outcome=outcome, attempt=claim.attempts)

    async def _renew(self) -> bool:
        """Renew the leases of what runs, stop what is no longer this worker's, and rest."""
        if held := dict(self._running):
            kept = await self._queue.renew(held.values())
            for task, claim in held.items():
                if claim.job_id not in kept:
                    task.cancel()
        await asyncio.sleep(self._queue.lease_seconds / _RENEWALS)
        return True


async def end(loops: Collection[asyncio.Task[None]]) -> None:
    """Cancel tasks until they end: an error, as one lets go of a connection that broke, hides that it was cancelled."""
    while running := [loop for loop in loops if not loop.done()]:
        for loop in running:
            loop.cancel()
        await asyncio.wait(running, timeout=_CANCEL_SECONDS)


async def forever(step: Callable[[], Awaitable[object]], what: str, seconds: float) -> None:
    """Do a step of what is told, again and again, until cancelled; wait so long, unless it returns that there is more.

    A step that fails is logged, and made again after the wait.
    """
    while True:
        more: object = False
        try:
            more = await step()
        except DomainError as exc:
            logger.warning("step waits", step=what, error=exc.message)
        except Exception:
            logger.exception("step failed", step=what)
        await asyncio.sleep(0 if more else seconds)

"""The sender of a replica: claims deliveries as it has places, and has each channel send its own.

A channel that does not answer keeps a few places, and none of the others'.
"""

import asyncio
from collections import Counter

import structlog
from structlog.contextvars import bind_contextvars

from services.library.notifications import metrics
from services.library.notifications.channels.channels import Channel, Channels
from services.library.notifications.channels.message import Undelivered
from services.library.notifications.messages import Messages
from services.library.notifications.queue import Claim, Deliveries
from services.library.work.worker import end, forever
from services.runtime.errors import DependencyUnavailable

logger = structlog.get_logger()
_PLACES = 4
"""Of a channel."""
_SECONDS = 1.0
_SEND_SHARE = 0.5
"""Of a lease: whoever sends for longer would have another one send, too."""
_MOST_SEND_SECONDS = 20.0


class Sender:
    """What sends deliveries."""

    def __init__(self, queue: Deliveries, channels: Channels, messages: Messages) -> None:
        self._queue = queue
        self._channels = channels
        self._messages = messages
        self._running: dict[asyncio.Task[None], str] = {}

    async def run(self) -> None:
        """Send what is due until cancelled; what is being sent then is another's once its lease ends."""
        try:
            await forever(self._fill, "sender of notifications", _SECONDS)
        finally:
            await end(self._running)

    async def prune(self) -> bool:
        """Do what Deliveries.prune does, unless there is no file of channels here."""
        return await self._queue.prune(self._channels.all) if self._channels.files() else False

    async def _fill(self) -> None:
        """Claim deliveries until no channel has both a place and something due."""
        while wanted := self._free():
            claims = await self._queue.claim(wanted)
            for claim in claims:
                task = asyncio.create_task(self._work(claim))
                self._running[task] = claim.channel
                task.add_done_callback(self._running.pop)
            if not claims:
                return
            await asyncio.wait(self._running, timeout=_SECONDS, return_when=asyncio.FIRST_COMPLETED)

    def _free(self) -> dict[str, int]:
        busy = Counter(self._running.values())
        return {name: _PLACES - busy[name] for name in self._channels.all if busy[name] < _PLACES}

    async def _work(self, claim: Claim) -> None:
        bind_contextvars(delivery_id=str(claim.delivery_id), channel=claim.channel)
        channel = self._channels.all.get(claim.channel)
        if channel is None:  # gone since; its lease ends
            return
        outcome = "lost"
        try:
            outcome = await self._send(claim, channel)
        except DependencyUnavailable as exc:
            logger.warning("notification waits", error=exc.message)
        except Exception:
            logger.exception("notification failed")
            failure = Undelivered("The library failed to make the message; its log says why.")
            outcome = await self._queue.failed(claim, failure)
        metrics.attempts.labels(channel.type, outcome).inc()
        logger.info("notification attempted", outcome=outcome, attempt=claim.attempts)

    async def _send(self, claim: Claim, channel: Channel) -> str:
        made = await self._messages.of(claim, with_picture=channel.takes_picture)
        if made is None:
            await self._queue.drop(claim)
            return "dropped"
        message, collection = made
        seconds = min(_MOST_SEND_SECONDS, self._queue.lease_seconds * _SEND_SHARE)
        if claim.channel not in self._channels.of(collection):
            failure = Undelivered("The collection may not use the channel any more.", is_hopeless=True)
            return await self._queue.failed(claim, failure)
        try:
            await self._channels.send(channel, message, seconds)
        except Undelivered as exc:
            logger.warning("notification not taken", error=exc.message)
            return await self._queue.failed(claim, exc)
        return "sent" if await self._queue.sent(claim) else "lost"

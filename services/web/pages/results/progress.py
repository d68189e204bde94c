"""A picture while recognizers answer: what has come so far, and how long that took."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TypeAlias

import structlog
from google.rpc import status_pb2

from marquee.v1 import recognizer_pb2 as pb
from services.runtime import status
from services.runtime.errors import DomainError
from services.runtime.status import StatusError
from services.web.pages.results import view
from services.web.pages.results.view import Result

logger = structlog.get_logger()
Arrival: TypeAlias = pb.RecognizeImageResponse | status_pb2.Status | None
"""What a call brings: a message, or at last how it failed, or None: it is done."""


class Progress:
    """All that is known of a picture by now."""

    def __init__(self, key: str, file_name: str, roster: Sequence[pb.Recognizer]) -> None:
        self.answer = pb.RecognizeImageResponse()
        """What all messages so far amount to."""
        self.file_name = file_name
        self.is_over = False
        self._key = key
        self._roster = roster
        self._failed: status_pb2.Status | None = None
        self._begin = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self._begin

    @property
    def is_slow(self) -> bool:
        """Whether it has taken so long that the page says who is awaited."""
        return self.seconds >= view.SLOW_SECONDS

    def add(self, arrivals: Iterable[Arrival]) -> None:
        """Take in what has come."""
        for one in arrivals:
            if isinstance(one, pb.RecognizeImageResponse):
                self.answer.MergeFrom(one)
            else:
                self._failed, self.is_over = one, True

    def result(self) -> Result:
        """Return what the page shows."""
        return view.result(
            self._key,
            self.file_name,
            self.answer,
            self._roster,
            is_done=self.is_over and self._failed is None,
            failed=self._failed,
            seconds=self.seconds,
        )


class Arrivals:
    """What a call brings, as it comes. Made inside the event loop; the call ends with `cancel`, if not before."""

    def __init__(self, messages: AsyncIterator[pb.RecognizeImageResponse]) -> None:
        self._queue: asyncio.Queue[Arrival] = asyncio.Queue()
        self._calling = asyncio.create_task(self._call(messages))

    async def next(self, seconds: float) -> list[Arrival]:
        """Return all that has arrived, nothing if nothing does within the seconds."""
        try:
            news = [await asyncio.wait_for(self._queue.get(), seconds)]
        except TimeoutError:
            return []
        while not self._queue.empty():
            news.append(self._queue.get_nowait())
        return news

    def cancel(self) -> None:
        """End the call."""
        self._calling.cancel()

    async def _call(self, messages: AsyncIterator[pb.RecognizeImageResponse]) -> None:
        try:
            async for message in messages:
                self._queue.put_nowait(message)
        except Exception as exc:
            if not isinstance(exc, DomainError | StatusError):
                logger.exception("unforeseen")
            self._queue.put_nowait(status.from_exception(exc))
        else:
            self._queue.put_nowait(None)

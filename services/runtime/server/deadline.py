"""The deadline of a call: its caller's, or without one the default."""

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, TypeAlias, cast

import grpc

from services.runtime.errors import OutOfTime
from services.runtime.limits import DEFAULT_DEADLINE_SECONDS, LONG_METHODS, MAX_DEADLINE_SECONDS

_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
_deadline: ContextVar[float] = ContextVar("deadline")


def seconds_left(context: _Context, method: str = "") -> float:
    """Return the seconds until the caller's deadline, or without one until the method's default; 0 if it has passed.

    A day at most: gRPC counts nanoseconds, and fails calls whose deadline is centuries away.
    """
    left = cast("float | None", context.time_remaining())
    if left is None and method in LONG_METHODS:
        return MAX_DEADLINE_SECONDS
    return max(0.0, deadline() - time.monotonic()) if left is None else min(left, MAX_DEADLINE_SECONDS)


def deadline() -> float:
    """Return the deadline that `within` set, on time.monotonic()'s clock; outside of it, the default from now."""
    return _deadline.get(time.monotonic() + DEFAULT_DEADLINE_SECONDS)


def within(deadline: float, name: str) -> AbstractAsyncContextManager[None]:
    """Cancel the body at the deadline, on time.monotonic()'s clock. Raises OutOfTime, which names the recognizer."""
    return _Within(deadline, name)


class _Within(AbstractAsyncContextManager[None]):
    """See `within`. Every call is in one, and a generator would take twice the time."""

    def __init__(self, deadline: float, name: str) -> None:
        self._deadline, self._name = deadline, name
        self._timeout = asyncio.timeout_at(deadline)  # the event loop's clock is time.monotonic()'s

    async def __aenter__(self) -> None:
        self._token = _deadline.set(self._deadline)
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _deadline.reset(self._token)
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError:
            raise OutOfTime(f"{self._name} did not finish before the call's deadline.") from None

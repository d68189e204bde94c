"""What gRPC hands to a server with every call."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias, cast

import grpc

from services.runtime.errors import OutOfTime
from services.runtime.limits import DEFAULT_DEADLINE_SECONDS

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_deadline: ContextVar[float] = ContextVar("deadline")


def seconds_left(context: Context) -> float:
    """Seconds until the caller gives up, 0 when it already has; the default where it set no deadline."""
    left = cast("float | None", context.time_remaining())
    return DEFAULT_DEADLINE_SECONDS if left is None else left


def deadline() -> float:
    """When what `within` runs is given up, on time.monotonic()'s clock; outside of it, the default from now."""
    return _deadline.get(time.monotonic() + DEFAULT_DEADLINE_SECONDS)


@asynccontextmanager
async def within(seconds: float, name: str) -> AsyncIterator[None]:
    """Gives up what is inside after so many seconds. Raises OutOfTime, which names the recognizer."""
    before = _deadline.set(time.monotonic() + seconds)
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise OutOfTime(f"{name} was not done within the call's deadline.") from None
    finally:
        _deadline.reset(before)

"""What gRPC hands to a server with every call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, cast

import grpc

from services.runtime.errors import OutOfTime
from services.runtime.limits import DEFAULT_DEADLINE_SECONDS

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


def seconds_left(context: Context) -> float:
    """Seconds until the caller gives up, 0 when it already has; the default where it set no deadline."""
    left = cast("float | None", context.time_remaining())
    return DEFAULT_DEADLINE_SECONDS if left is None else left


@asynccontextmanager
async def within(seconds: float, name: str) -> AsyncIterator[None]:
    """Gives up what is inside after so many seconds. Raises OutOfTime, which names the recognizer."""
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise OutOfTime(f"{name} was not done within the call's deadline.") from None

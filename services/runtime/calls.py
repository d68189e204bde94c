"""What gRPC hands to a server with every call."""

from typing import Any, TypeAlias, cast

import grpc

from services.runtime.limits import DEFAULT_DEADLINE_SECONDS

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


def seconds_left(context: Context) -> float:
    """Seconds until the caller gives up, 0 when it already has; the default where it set no deadline."""
    left = cast("float | None", context.time_remaining())
    return DEFAULT_DEADLINE_SECONDS if left is None else left

"""How TensorFlow Serving refuses a call."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc


class Refused(Exception):
    """A call that ends with a status; `text` is worded as TensorFlow Serving words it."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def invalid(text: str) -> Refused:
    """The request cannot be served, whatever the server does."""
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, text)


@asynccontextmanager
async def refusals(context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[None]:
    """Ends the call with the status of a Refused raised within."""
    try:
        yield
    except Refused as exc:
        await context.abort(exc.code, exc.text)

"""Errors with which TensorFlow Serving refuses calls."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc


class Refusal(Exception):
    """A call that ends with a status; `text` is worded as TensorFlow Serving words it."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def invalid(text: str) -> Refusal:
    """Return an INVALID_ARGUMENT."""
    return Refusal(grpc.StatusCode.INVALID_ARGUMENT, text)


@asynccontextmanager
async def abort_on_refusal(context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[None]:
    """End the call with the status of a Refusal raised within."""
    try:
        yield
    except Refusal as exc:
        await context.abort(exc.code, exc.text)

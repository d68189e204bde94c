"""Errors with which TensorFlow Serving refuses calls."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

_MAX_TEXT = 1024


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
    """End the call with the status of a Refusal raised within; the text is cut as in grpc_status_util.cc:24-36."""
    try:
        yield
    except Refusal as exc:
        text = exc.text if len(exc.text) <= _MAX_TEXT else f"{exc.text[:_MAX_TEXT]}...TRUNCATED"
        await context.abort(exc.code, text)

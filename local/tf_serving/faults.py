"""Trouble that the server makes on purpose, so that clients can be tried."""

import argparse
import asyncio
import random
from dataclasses import dataclass, field

import grpc

from local.tf_serving.errors import Refused


@dataclass
class Faults:
    """What happens to calls of Predict; may be changed while serving."""

    seconds: float = 0
    """Each waits so long."""
    code: grpc.StatusCode | None = None
    """Some end with this instead."""
    share: float = 1
    """How many of them: 0 to 1."""
    text: str = "injected by --inject_error"
    """What it says."""
    chance: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - which calls fail is no secret

    async def happen(self) -> None:
        """Waits, or raises Refused, or neither."""
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if self.code is not None and self.chance.random() < self.share:
            raise Refused(self.code, self.text)


def read_error(text: str) -> tuple[grpc.StatusCode, float]:
    """`CODE` or `CODE:SHARE`. Raises ArgumentTypeError."""
    name, _, share = text.partition(":")
    try:
        code, likely = grpc.StatusCode[name], float(share or 1)
    except (KeyError, ValueError):
        raise argparse.ArgumentTypeError(f"{text!r} is not CODE or CODE:SHARE, such as UNAVAILABLE:0.1") from None
    if not 0 <= likely <= 1:
        raise argparse.ArgumentTypeError(f"{share} is no share: 0 to 1")
    return code, likely

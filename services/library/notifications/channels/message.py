"""A message, as every channel gets it, and why one could not be sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Message:
    """A message."""

    delivery_id: str
    """By which a receiver knows one that comes twice."""
    type: str
    """Such as "notification.person"; docs/notifications.md lists them."""
    time: datetime
    title: str
    lines: Sequence[str]
    data: Mapping[str, Any] = field(default_factory=dict)
    """The same for programs, as JSON has it."""
    picture: bytes | None = None
    """JPEG with the boxes of its faces."""

    @property
    def body(self) -> str:
        """The lines as one text."""
        return "\n".join(self.lines)


class Undelivered(Exception):
    """The message was not taken. The text, which names no secret, is for those who read the library.

    `retry_after` is in seconds. `is_hopeless`: another attempt fails the same way.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, is_hopeless: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        self.is_hopeless = is_hopeless

"""A picture while recognizers answer: what has come so far, and how long that took."""

import time
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from google.rpc import status_pb2

from marquee.v1 import recognizer_pb2 as pb
from services.web.pages.results import view
from services.web.pages.results.view import Result

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

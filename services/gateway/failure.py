"""When nobody could answer, the call fails, and tells why."""

from collections.abc import Sequence
from typing import Protocol

import grpc
from google.rpc import status_pb2

from marquee.v1 import recognizer_pb2 as pb
from services.runtime import status

_ANSWERED = frozenset((pb.OUTCOME_OK, pb.OUTCOME_PARTIAL))


class Result(Protocol):
    """What results of all calls have in common."""

    recognizer: str
    outcome: pb.Outcome.ValueType

    @property
    def status(self) -> status_pb2.Status:
        """OK, or why it failed."""


def raise_if_nobody_answered(results: Sequence[Result], request_id: str = "") -> None:
    """Raises StatusError where recognizers failed and none answered.

    The code is theirs where all failed alike, so that a bad picture is INVALID_ARGUMENT, else UNAVAILABLE.
    Each recognizer's status stands in the details, with its name before its message.
    """
    failed = {result.recognizer: result.status for result in results if result.outcome != pb.OUTCOME_SKIPPED}
    if not failed or any(result.outcome in _ANSWERED for result in results):
        return
    otherwise = (grpc.StatusCode.UNAVAILABLE, "NO_RECOGNIZER_ANSWERED")
    metadata = {"request_id": request_id} if request_id else {}
    raise status.StatusError(status.join(failed, "No recognizer answered.", otherwise, **metadata))

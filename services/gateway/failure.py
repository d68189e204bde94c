"""When nobody could answer, the call fails, and tells why."""

from collections.abc import Iterable, Sequence

import grpc
from google.protobuf import any_pb2
from google.rpc import status_pb2

from marquee.v1 import recognizer_pb2 as pb
from services.runtime import status

_ANSWERED = frozenset((pb.OUTCOME_OK, pb.OUTCOME_PARTIAL))


def raise_if_nobody_answered(results: Sequence[pb.RecognizerResult], request_id: str) -> None:
    """Raises StatusError where recognizers failed and none answered.

    The code is theirs where all failed alike, so that a bad picture is INVALID_ARGUMENT, else UNAVAILABLE.
    Each recognizer's status stands in the details, with its name before its message.
    """
    failed = [result for result in results if result.outcome != pb.OUTCOME_SKIPPED]
    if failed and not any(result.outcome in _ANSWERED for result in failed):
        raise status.StatusError(_sum_up(failed, request_id))


def _sum_up(failed: Sequence[pb.RecognizerResult], request_id: str) -> status_pb2.Status:
    codes = {status.code_of(result.status) for result in failed}
    reasons = {status.reason_of(result.status) for result in failed}
    messages = {result.status.message for result in failed}
    alone = len(codes) == 1
    summary = status.make(
        codes.pop() if alone else grpc.StatusCode.UNAVAILABLE,
        reasons.pop() if alone and len(reasons) == 1 else "NO_RECOGNIZER_ANSWERED",
        messages.pop() if len(messages) == 1 else "No recognizer answered. " + " ".join(_lines(failed)),
        request_id=request_id,
    )
    for result in failed:
        summary.details.append(_named(result))
    return summary


def _lines(failed: Iterable[pb.RecognizerResult]) -> Iterable[str]:
    return (f"{result.recognizer}: {result.status.message}" for result in failed)


def _named(result: pb.RecognizerResult) -> any_pb2.Any:
    named = status_pb2.Status()
    named.CopyFrom(result.status)
    named.message = f"{result.recognizer}: {result.status.message}"
    packed = any_pb2.Any()
    packed.Pack(named)
    return packed

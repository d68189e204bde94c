"""Required recognizers: those without whose result a call fails. Pure."""

from collections.abc import Iterable, Mapping, Sequence

import grpc
from google.rpc import status_pb2

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.fusion.verdict import VALID
from services.runtime import status
from services.runtime.errors import InvalidRequest, RequiredMissing
from services.runtime.requests import check_names


def check_required(request: pb.RecognizeImageRequest, available: Sequence[str]) -> None:
    """Raise UnknownRecognizer, or InvalidRequest for a required recognizer that the request leaves out."""
    check_names([name.partition("/")[0] for name in request.required], available, "required")
    for name in request.required if request.recognizers else ():
        if not any(is_within(name, other) for other in request.recognizers):
            raise InvalidRequest(f"required names {name!r}, which recognizers leaves out.", field="required")


def is_within(name: str, other: str) -> bool:
    """Return whether a recognizer is the other one or behind it."""
    return f"{name}/".startswith(f"{other}/")


def missing(required: Iterable[str], results: Sequence[pb.RecognizerResult]) -> Mapping[str, status_pb2.Status]:
    """Return why each required recognizer that is missing is so, by its name.

    A gateway is there if nothing behind it has failed and something has answered.
    """
    reasons: dict[str, status_pb2.Status] = {}
    for name in dict.fromkeys(required):
        own = [one for one in results if is_within(one.recognizer, name) or is_within(name, one.recognizer)]
        reasons |= {one.recognizer: one.status for one in own if one.outcome not in VALID | {pb.OUTCOME_SKIPPED}}
        if all(one.outcome == pb.OUTCOME_SKIPPED for one in own):
            why = next((one.status.message for one in own if one.status.message), "is not among the results")
            reasons[name] = status.from_exception(RequiredMissing(f"{why}.", recognizer=name))
    return reasons


def failure(reasons: Mapping[str, status_pb2.Status], request_id: str) -> status.StatusError:
    """Return how the call fails, naming those that are missing; the code is theirs if they failed alike."""
    summary, default = "Required, and missing:", (grpc.StatusCode.UNAVAILABLE, status.TABLE[RequiredMissing][1])
    return status.StatusError(status.join(reasons, summary, default, is_named=True, request_id=request_id))

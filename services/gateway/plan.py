"""Whom to ask, for what, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.backend import Backend
from services.runtime.requests import check_names

_RESERVE_SHARE = 0.1
_RESERVE_MOST = 0.25


@dataclass(frozen=True)
class Ask:
    """One recognizer's part of a call."""

    backend: Backend
    request: pb.RecognizeImageRequest
    timeout: float
    hops: int

    async def send(self) -> pb.RecognizeImageResponse:
        """Asks."""
        return await self.backend.recognize(self.request, self.timeout, self.hops)


def plan(request: pb.RecognizeImageRequest, backends: Mapping[str, Backend], left: float, hops: int) -> list[Ask]:
    """An Ask for every recognizer that the request wants, in the configured order.

    `left` are the seconds until the caller gives up; each recognizer gets a little less, so that the
    answer leaves in time even when one of them hangs. Raises UnknownRecognizer.
    """
    known = tuple(backends)
    check_names([_outer(name) for name in request.recognizers], known)
    check_names([_outer(name) for name in request.recognizer_options], known, "recognizer_options")
    wanted = {_outer(name) for name in request.recognizers} or set(known)
    budget = left - min(left * _RESERVE_SHARE, _RESERVE_MOST)
    asks = []
    for name, backend in backends.items():
        if name in wanted:
            own = request.recognizer_options.get(name, pb.RecognizerOptions())
            asks.append(Ask(backend, _copy(request, name, own), _timeout(backend, own, budget), hops))
    return asks


def _timeout(backend: Backend, own: pb.RecognizerOptions, budget: float) -> float:
    asked = own.timeout.ToNanoseconds() / 1e9 if own.HasField("timeout") else backend.timeout
    return min(asked, backend.timeout, budget)


def _copy(request: pb.RecognizeImageRequest, name: str, own: pb.RecognizerOptions) -> pb.RecognizeImageRequest:
    """The request as this recognizer gets it: what concerns others is cleared, its own options applied."""
    copy = pb.RecognizeImageRequest()
    copy.CopyFrom(request)
    copy.ClearField("policy")
    copy.ClearField("recognizers")
    copy.ClearField("recognizer_options")
    if name not in request.recognizers:
        copy.recognizers.extend(_inner(one) for one in request.recognizers if one.startswith(f"{name}/"))
    for one, options in request.recognizer_options.items():
        if one.startswith(f"{name}/"):
            copy.recognizer_options[_inner(one)].CopyFrom(options)
    if own.HasField("min_score"):
        copy.min_score = own.min_score
    return copy


def _outer(name: str) -> str:
    return name.partition("/")[0]


def _inner(name: str) -> str:
    return name.partition("/")[2]

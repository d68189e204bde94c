"""Whom to ask, for what, and for how long."""

from collections.abc import Mapping, Sequence
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
    request: bytes
    """A RecognizeImageRequest; those who are asked the same share it, since a picture is large."""
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
    check_names([_outer(name) for name in request.recognizer_options], tuple(backends), "recognizer_options")
    rest, picture = _apart(request)
    asks, messages = [], dict[bytes, bytes]()
    for backend in chosen(request.recognizers, backends):
        own = request.recognizer_options.get(backend.name, pb.RecognizerOptions())
        asked = _asked(rest, backend.name, own).SerializeToString()
        if asked not in messages:
            messages[asked] = asked + picture
        asks.append(Ask(backend, messages[asked], _timeout(backend, own, budget(left)), hops))
    return asks


def chosen(names: Sequence[str], backends: Mapping[str, Backend]) -> list[Backend]:
    """The backends that the names mean, in the configured order; all where there are none. Raises UnknownRecognizer."""
    check_names([_outer(name) for name in names], tuple(backends))
    wanted = {_outer(name) for name in names} or set(backends)
    return [backend for name, backend in backends.items() if name in wanted]


def budget(left: float) -> float:
    """Seconds that a recognizer may take of those until the caller gives up."""
    return left - min(left * _RESERVE_SHARE, _RESERVE_MOST)


def inner_names(names: Sequence[str], backend: str) -> list[str]:
    """Those of the names that mean something behind this backend; none where it is asked for as a whole."""
    return [] if backend in names else [_inner(name) for name in names if _outer(name) == backend]


def _timeout(backend: Backend, own: pb.RecognizerOptions, most: float) -> float:
    asked = own.timeout.ToNanoseconds() / 1e9 if own.HasField("timeout") else backend.timeout
    return min(asked, backend.timeout, most)


def _apart(request: pb.RecognizeImageRequest) -> tuple[pb.RecognizeImageRequest, bytes]:
    """What is asked, and the picture as a message that can be appended to it."""
    rest = pb.RecognizeImageRequest()
    rest.CopyFrom(request)
    rest.ClearField("image")
    return rest, pb.RecognizeImageRequest(image=request.image).SerializeToString()


def _asked(rest: pb.RecognizeImageRequest, name: str, own: pb.RecognizerOptions) -> pb.RecognizeImageRequest:
    """What this recognizer is asked: what concerns others is cleared, its own options applied."""
    copy = pb.RecognizeImageRequest()
    copy.CopyFrom(rest)
    copy.ClearField("policy")
    copy.ClearField("recognizer_options")
    copy.recognizers[:] = inner_names(rest.recognizers, name)
    for one, options in rest.recognizer_options.items():
        if one.startswith(f"{name}/"):
            copy.recognizer_options[_inner(one)].CopyFrom(options)
    if own.HasField("min_score"):
        copy.min_score = own.min_score
    return copy


def _outer(name: str) -> str:
    return name.partition("/")[0]


def _inner(name: str) -> str:
    return name.partition("/")[2]

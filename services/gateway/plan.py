"""Which recognizers to call, with what, and for how long."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marquee.v1 import enrollment_pb2
from marquee.v1 import recognizer_pb2 as pb
from services.gateway.backends.backend import RECOGNIZE_IMAGE, REMOVE_FACES, Backend, Method
from services.runtime.errors import InvalidRequest
from services.runtime.messages.envelope import Envelope
from services.runtime.requests import check_names
from services.runtime.server.admission import hold

_RESERVE_SHARE = 0.1
_MAX_RESERVE = 0.25


@dataclass(frozen=True)
class BackendCall:
    """One recognizer's part of a call."""

    backend: Backend
    method: Method
    request: bytes
    """Shared by all calls whose requests are equal, since pictures are large."""
    timeout: float
    hops: int

    async def send(self) -> Any:
        """Return the backend's response."""
        return await self.backend.call(self.method, self.request, self.timeout, self.hops)


def plan_recognition(
    envelope: Envelope[pb.RecognizeImageRequest], backends: Mapping[str, Backend], left: float, hops: int
) -> list[BackendCall]:
    """Return a call for each recognizer that the request names, in the configured order.

    `left` are the seconds until the caller gives up; each recognizer gets a little less, so that the response leaves
    in time even if one of them hangs. Raises UnknownRecognizer, Overloaded.
    """
    request = envelope.request
    check_names([_outer(name) for name in request.recognizer_options], tuple(backends), "recognizer_options")
    messages, calls = Messages(envelope, "image"), []
    for backend in _select(request.recognizers, backends):
        options = request.recognizer_options.get(backend.name, pb.RecognizerOptions())
        message = messages.around(_recognition(messages.rest, backend.name, options))
        calls.append(BackendCall(backend, RECOGNIZE_IMAGE, message, _timeout(backend, options, left), hops))
    return calls


def plan_enrollment(
    method: Method, envelope: Envelope[Any], backends: Mapping[str, Backend], left: float, hops: int
) -> list[BackendCall]:
    """Return a call of an EnrollmentService method for each recognizer that the request names.

    Many pictures take long: a recognizer gets all of the caller's time, not the timeout for one picture. Raises
    UnknownRecognizer, Overloaded.
    """
    messages, calls = Messages(envelope, "images"), []
    for backend in _select(messages.rest.recognizers, backends):
        own = _copy(messages.rest)
        own.recognizers[:] = _inner_names(messages.rest.recognizers, backend.name)
        calls.append(BackendCall(backend, method, messages.around(own), _usable(left), hops))
    return calls


def plan_face_removal(
    request: enrollment_pb2.RemoveFacesRequest, backends: Mapping[str, Backend], left: float, hops: int
) -> list[BackendCall]:
    """Return a call of RemoveFaces for each recognizer that a key concerns, with its keys alone, as it names them.

    Raises UnknownRecognizer, InvalidRequest.
    """
    _check_owners(request, backends)
    calls = []
    for backend in _select(request.recognizers, backends):
        own = _copy(request)
        own.recognizers[:] = _inner_names(request.recognizers, backend.name)
        own.ClearField("faces")
        own.faces.extend(inner_key(key) for key in request.faces if _concerns(key, backend))
        if own.faces:
            calls.append(BackendCall(backend, REMOVE_FACES, own.SerializeToString(), _usable(left), hops))
    return calls


def inner_key(key: enrollment_pb2.FaceKey) -> enrollment_pb2.FaceKey:
    """Return the key as the recognizer that it goes to names it."""
    if not key.HasField("face"):
        return key
    face = enrollment_pb2.FaceId(recognizer=_inner(key.face.recognizer), face_id=key.face.face_id)
    return enrollment_pb2.FaceKey(face=face)


def _check_owners(request: enrollment_pb2.RemoveFacesRequest, backends: Mapping[str, Backend]) -> None:
    """Raise UnknownRecognizer, or InvalidRequest for a face at a recognizer that the request leaves out."""
    owners = [key.face.recognizer for key in request.faces if key.HasField("face")]
    check_names([_outer(owner) for owner in owners], tuple(backends), "faces.face.recognizer")
    for owner in owners if request.recognizers else ():
        if not any(f"{owner}/".startswith(f"{name}/") for name in request.recognizers):
            raise InvalidRequest(
                f"faces has one at {owner!r}, which recognizers leaves out.", field="faces.face.recognizer"
            )


def _concerns(key: enrollment_pb2.FaceKey, backend: Backend) -> bool:
    return not key.HasField("face") or _outer(key.face.recognizer) == backend.name


class Messages:
    """Serialized requests around the same pictures, each in memory once however many recognizers get it."""

    def __init__(self, envelope: Envelope[Any], field: str) -> None:
        self._pictures = [picture.field for picture in envelope.pictures]
        self._size = sum(map(len, self._pictures))
        self.rest = _copy(envelope.request)
        """The request without its pictures."""
        if envelope.pictures:
            self.rest.ClearField(field)
        self._messages: dict[bytes, bytes] = {}

    def around(self, rest: Any) -> bytes:
        """Return `rest` and the pictures as one serialized message. Raises Overloaded.

        Counts it, and the copy that gRPC keeps until the recognizer has read it.
        """
        head = rest.SerializeToString()
        size = len(head) + self._size
        if head not in self._messages:
            hold(size)
            self._messages[head] = b"".join((head, *self._pictures))
        hold(size)
        return self._messages[head]


def _select(names: Sequence[str], backends: Mapping[str, Backend]) -> list[Backend]:
    """Return the named backends in the configured order; all if there are no names. Raises UnknownRecognizer."""
    check_names([_outer(name) for name in names], tuple(backends))
    outer = {_outer(name) for name in names} or set(backends)
    return [backend for name, backend in backends.items() if name in outer]


def _usable(left: float) -> float:
    """Return the seconds that a recognizer may take of those until the caller gives up."""
    return left - min(left * _RESERVE_SHARE, _MAX_RESERVE)


def _timeout(backend: Backend, options: pb.RecognizerOptions, left: float) -> float:
    requested = options.timeout.ToNanoseconds() / 1e9 if options.HasField("timeout") else backend.timeout
    return min(requested, backend.timeout, _usable(left))


def _recognition(rest: pb.RecognizeImageRequest, name: str, options: pb.RecognizerOptions) -> pb.RecognizeImageRequest:
    """Return what this recognizer gets: its own options applied, other recognizers' cleared."""
    own: pb.RecognizeImageRequest = _copy(rest)
    own.ClearField("policy")
    own.ClearField("recognizer_options")
    own.recognizers[:] = _inner_names(rest.recognizers, name)
    for key, inner_options in rest.recognizer_options.items():
        if key.startswith(f"{name}/"):
            own.recognizer_options[_inner(key)].CopyFrom(inner_options)
    if options.HasField("min_score"):
        own.min_score = options.min_score
    return own


def _copy(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _inner_names(names: Sequence[str], backend: str) -> list[str]:
    """Return the names of recognizers behind this backend; none if the backend itself is named."""
    return [] if backend in names else [_inner(name) for name in names if _outer(name) == backend]


def _outer(name: str) -> str:
    return name.partition("/")[0]


def _inner(name: str) -> str:
    return name.partition("/")[2]

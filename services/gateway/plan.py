"""Which recognizers to call, with what, and for how long."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from marquee.v1 import enrollment_pb2
from marquee.v1 import recognizer_pb2 as pb
from services.gateway.backends import answer
from services.gateway.backends.backend import RECOGNIZE_IMAGE, REMOVE_FACES, Backend, Method
from services.gateway.backends.models import Told
from services.gateway.cache.cache import Cache
from services.gateway.cache.question import Question, bill_if_late, late
from services.gateway.config import Veto
from services.gateway.policy.course import Member
from services.gateway.policy.required import check_required, is_within
from services.gateway.policy.veto import is_asked
from services.runtime.errors import InvalidRequest
from services.runtime.messages.envelope import Envelope
from services.runtime.requests import check_names, features_of
from services.runtime.server.admission import hold


@dataclass(frozen=True)
class BackendCall:
    """One recognizer's part of a call."""

    backend: Backend
    method: Method
    request: bytes
    """Shared by all calls whose requests are equal, since pictures are large."""
    timeout: float
    """Seconds that it may take at most, however many are left."""
    hops: int

    async def send(self) -> Any:
        """Return the backend's response."""
        return await self.backend.call(self.method, self.request, self.timeout, self.hops)


@dataclass(frozen=True)
class RecognitionCall(BackendCall):
    """One recognizer's part of a recognition, whose answer may be there already."""

    face_boxes: int
    key: bytes | None
    """See Question."""
    cache: Cache
    price: int
    """What it may be billed, in millionths of a US dollar."""
    build: Callable[[], bytes] | None = None
    """Makes the request, should it be needed although the answer was kept when it was planned. Raises Overloaded."""

    @property
    def is_kept(self) -> bool:
        """Whether the answer is in the cache."""
        return self.cache.holds(self.backend, self.key)

    def ask(self, left: float) -> asyncio.Future[pb.RecognizeImageResponse]:
        """Return the backend's response to come, within so many seconds. To end it early, `give_up`."""
        timeout = min(self.timeout, left)
        ask = partial(self._ask, timeout)
        return self.cache.ask(Question(self.backend, self.key, timeout, len(self.request), self.price, ask))

    def give_up(self, running: asyncio.Future[pb.RecognizeImageResponse]) -> int:
        """Cancel the call; return what it may be billed all the same: once, however many have waited for it."""
        if running.done():
            return running.result().cost_micro_usd
        return self.cache.leave(running, self.price)

    def late(self, running: asyncio.Future[pb.RecognizeImageResponse]) -> pb.RecognizeImageResponse:
        """Give up the call; return the response of a backend that did not answer in time."""
        return late(self.backend, self.give_up(running))

    async def _ask(self, timeout: float) -> pb.RecognizeImageResponse:
        request = self.build() if self.build else self.request
        response: pb.RecognizeImageResponse = await self.backend.call(self.method, request, timeout, self.hops)
        for result in response.results:
            answer.check_described(result, self.face_boxes)
        return bill_if_late(response, self.price)


@dataclass(frozen=True)
class RecognitionPlan:
    """Who may be called for a picture."""

    calls: Sequence[RecognitionCall]
    """In the configured order."""
    members: Sequence[Member]
    """Of each call, what its policy has to know."""
    veto: Veto | None
    """The veto, if its recognizer is asked for LABELS in its favor."""


def plan_recognition(
    envelope: Envelope[pb.RecognizeImageRequest],
    backends: Mapping[str, Backend],
    hops: int,
    veto: Veto | None = None,
    cache: Cache | None = None,
) -> RecognitionPlan:
    """Return a call for each recognizer that the request names.

    Raises UnknownRecognizer, Overloaded, and InvalidRequest for required recognizers that it leaves out.
    """
    request, names = envelope.request, tuple(backends)
    check_names([_outer(name) for name in request.recognizer_options], names, "recognizer_options")
    check_required(request, names)
    chosen, required = _select(request.recognizers, backends), {_outer(name) for name in request.required}
    members = [Member(one.name, one.name in required, one.is_paid) for one in chosen]
    if veto is not None and not is_asked(veto, request.policy, features_of(request), members):
        veto = None
    messages, calls = Messages(envelope, "image"), []
    cache = cache or Cache()
    keys, boxes = cache.keys(request, *envelope.pictures), len(request.face_boxes)
    price_of = partial(Told.price_of, features=features_of(request), names=request.recognizers)
    for backend, own in zip(chosen, _recognitions(messages.rest, chosen, veto), strict=True):
        timeout = _timeout(backend, request.recognizer_options.get(backend.name))
        key = keys.of(own, backend.name, backend.config.target) if keys else None
        build = partial(messages.around, own) if cache.holds(backend, key) else None
        message = b"" if build else messages.around(own)
        price = price_of(backend.told) if backend.is_paid else 0
        calls.append(RecognitionCall(backend, RECOGNIZE_IMAGE, message, timeout, hops, boxes, key, cache, price, build))
    return RecognitionPlan(calls, members, veto)


def plan_enrollment(
    method: Method, envelope: Envelope[Any], backends: Mapping[str, Backend], left: float, hops: int
) -> list[BackendCall]:
    """Return a call of an EnrollmentService method for each recognizer that the request names.

    Many pictures take long: a recognizer gets all of the caller's time that is `left`, not the timeout for one picture.
    Raises UnknownRecognizer, Overloaded.
    """
    messages, calls = Messages(envelope, "images"), []
    for backend in _select(messages.rest.recognizers, backends):
        own = _copy(messages.rest)
        own.recognizers[:] = _inner_names(messages.rest.recognizers, backend.name)
        calls.append(BackendCall(backend, method, messages.around(own.SerializeToString()), left, hops))
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
            calls.append(BackendCall(backend, REMOVE_FACES, own.SerializeToString(), left, hops))
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
        if not any(is_within(owner, name) for name in request.recognizers):
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

    def around(self, rest: bytes) -> bytes:
        """Return a serialized message without pictures and the pictures as one message. Raises Overloaded.

        Counts it, and the copy that gRPC keeps until the recognizer has read it.
        """
        size = len(rest) + self._size
        message = self._messages.get(rest)
        if message is None:
            hold(size)
            self._messages[rest] = message = b"".join((rest, *self._pictures))
        hold(size)
        return message


def _select(names: Sequence[str], backends: Mapping[str, Backend]) -> list[Backend]:
    """Return the named backends in the configured order; all if there are no names. Raises UnknownRecognizer."""
    if not names:
        return list(backends.values())
    outer = [_outer(name) for name in names]
    check_names(outer, tuple(backends))
    return [backend for name, backend in backends.items() if name in outer]


def _timeout(backend: Backend, options: pb.RecognizerOptions | None) -> float:
    if options is None or not options.HasField("timeout"):
        return backend.timeout
    return min(options.timeout.ToNanoseconds() / 1e9, backend.timeout)


def _recognitions(rest: pb.RecognizeImageRequest, backends: Sequence[Backend], veto: Veto | None) -> list[bytes]:
    """Return what each recognizer gets, serialized: made once for all who get the same, as they mostly do."""
    names = (*rest.recognizers, *rest.required, *rest.recognizer_options)
    made: dict[tuple[object, ...], bytes] = {}
    recognitions = []
    for backend in backends:
        name = backend.name
        keeps_policy = backend.told.is_gateway and name not in rest.required  # if it is required, so are all behind it
        has_veto = veto is not None and veto.recognizer == name
        embeds = rest.include_embeddings and backend.told.may_give_embeddings
        own = (keeps_policy, has_veto, embeds, *(one for one in names if _outer(one) == name))
        if own not in made:
            message = _recognition(rest, name, keeps_policy=keeps_policy, has_veto=has_veto)
            message.include_embeddings = embeds  # else an answer that costs money is not kept, for nothing
            made[own] = message.SerializeToString()
        recognitions.append(made[own])
    return recognitions


def _recognition(
    rest: pb.RecognizeImageRequest, name: str, *, keeps_policy: bool, has_veto: bool
) -> pb.RecognizeImageRequest:
    """Return what this recognizer gets: its own options, and no min_score, since verdicts are made of all scores."""
    own: pb.RecognizeImageRequest = _copy(rest)
    if not keeps_policy:
        own.ClearField("policy")
    own.ClearField("recognizer_options")
    own.ClearField("min_score")
    own.recognizers[:] = _inner_names(rest.recognizers, name)
    own.required[:] = _inner_names(rest.required, name)
    if has_veto:
        own.features[:] = (*features_of(rest), pb.FEATURE_LABELS)
    for key, inner_options in rest.recognizer_options.items():
        if key.startswith(f"{name}/"):
            own.recognizer_options[_inner(key)].CopyFrom(inner_options)
            own.recognizer_options[_inner(key)].ClearField("min_score")
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

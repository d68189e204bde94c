"""What a recognizer is asked, and what tells it apart from other questions, whose answers may differ."""

import hashlib
from collections.abc import Callable, Coroutine, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.backends.backend import RECOGNIZE_IMAGE, Backend
from services.runtime import requests
from services.runtime.messages.envelope import Picture

Answer: TypeAlias = pb.RecognizeImageResponse


class Question(NamedTuple):
    """What a recognizer is asked, and how."""

    backend: Backend
    key: bytes | None
    """What tells it apart from others; None if its answer must not be kept."""
    timeout: float
    size: int
    """Bytes of its request."""
    price: int
    """What it may be billed, in millionths of a US dollar."""
    ask: Callable[[], Coroutine[Any, Any, Answer]]
    """Asks the recognizer. Never raises because of it."""


def late(backend: Backend, price: int) -> Answer:
    """Return the answer of a recognizer that did not give one in time, and may be billed this."""
    return bill_if_late(backend.late(RECOGNIZE_IMAGE), price)


def bill_if_late(answer: Answer, price: int) -> Answer:
    """Have the answer of a recognizer that was late cost its price; a gateway tells what those behind it cost."""
    if price and not answer.gateway and any(result.outcome == pb.OUTCOME_TIMEOUT for result in answer.results):
        answer.results[0].cost_micro_usd = answer.cost_micro_usd = price
    return answer


class Keys:
    """Keys of what one request asks of recognizers. Pure."""

    def __init__(self, request: pb.RecognizeImageRequest, picture: Picture | None) -> None:
        self._picture = _digest(request.image, picture) if _is_kept(request) else b""
        self._last: tuple[bytes | None, bytes] = None, b""
        """What was asked last, and its digest: most recognizers are asked the same."""

    def of(self, asked: bytes, *whom: str) -> bytes | None:
        """Return the key of what is asked of a recognizer, who is told apart by these words; None if nothing is kept.

        What is asked is a serialized request; whatever else it says is in the key, also what this gateway does not
        know.
        """
        if not self._picture:
            return None
        if asked != self._last[0]:
            self._last = asked, self._digest_of(asked)
        return hashlib.sha256(self._last[1] + _framed_words(whom)).digest() if self._last[1] else None

    def of_response(self, request: pb.RecognizeImageRequest, rules: int) -> bytes | None:
        """Return the key of the response to the caller, by rules of that number; None if nothing is kept."""
        if not self._picture or request.include_embeddings:
            return None
        own = pb.RecognizeImageRequest()
        own.CopyFrom(request)
        own.ClearField("request_id")
        own.ClearField("image")
        return _hash(self._picture, b"response", b"%d" % rules, own.SerializeToString(deterministic=True))

    def _digest_of(self, asked: bytes) -> bytes:
        """Return what stands for the question; nothing if it asks for embeddings, which are nobody's to keep."""
        own = pb.RecognizeImageRequest.FromString(asked)
        return b"" if own.include_embeddings else _hash(self._picture, _plain(own))


def _plain(own: pb.RecognizeImageRequest) -> bytes:
    """Return what is asked in the one form that all ways of saying it have, without the picture; it is changed."""
    features, max_labels = sorted(requests.features_of(own)), requests.max_labels_of(own)
    own.ClearField("request_id")
    own.ClearField("image")
    own.features[:] = features
    own.max_labels = max_labels
    return own.SerializeToString(deterministic=True)


def _is_kept(request: pb.RecognizeImageRequest) -> bool:
    """Return whether answers may be kept: collections change unseen."""
    return not (request.no_cache or pb.FEATURE_FACE_SEARCH in request.features)


def _digest(image: pb.Image, picture: Picture | None) -> bytes:
    """Return what stands for the picture; nothing for an S3 object without a version, which may change."""
    if picture is not None and picture.content is not None:
        return picture.sha256
    if not image.s3_object.version_id:
        return b""
    return _hash(image.s3_object.SerializeToString(deterministic=True))


def _hash(*parts: bytes) -> bytes:
    return hashlib.sha256(_framed(*parts)).digest()


def _framed(*parts: bytes) -> bytes:
    """Return the parts as bytes that none others have, also none that only begin and end elsewhere."""
    return b"".join([b"%d:%b" % (len(part), part) for part in parts])


@lru_cache(maxsize=256)  # of recognizers' names and targets
def _framed_words(words: Sequence[str]) -> bytes:
    return _framed(*(word.encode() for word in words))

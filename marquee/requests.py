"""From what a caller writes to a request of the contract."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from google.protobuf.duration_pb2 import Duration

from marquee.enums import Feature, Policy
from marquee.errors import InvalidRequest
from marquee.sources import Source, image_of
from marquee.v1 import recognizer_pb2 as pb


@dataclass(frozen=True, slots=True)
class RecognizerOptions:
    """What one recognizer should do differently from the rest of the call."""

    timeout: float | None = None
    """Seconds; never more than the operator allows."""
    min_score: float | None = None
    """Replaces the call's, 0 to 1."""


class CallOptions(TypedDict, total=False):
    """What a call may ask for besides the picture."""

    recognizers: Sequence[str]
    """Names as `recognizers()` lists them. Empty: all."""
    features: Sequence[Feature | str]
    """What to find, in any case of letters. Empty: CELEBRITIES and LABELS."""
    max_labels: int | None
    """Most labels of a recognizer, 1 to 1000. None: 10."""
    min_score: float | None
    """Leaves out what has a lower score, 0 to 1. None: leaves out nothing."""
    policy: Policy | str
    """ALL unless said otherwise. UNIMPLEMENTED where the server does not offer it."""
    collection: str
    """Where FACE_SEARCH looks. Empty: the operator's default."""
    include_embeddings: bool
    no_cache: bool
    """Neither read the answer from a cache nor put it there."""
    recognizer_options: Mapping[str, RecognizerOptions]
    """By name."""
    request_id: str
    """Names the call in logs, 1 to 128 of A-Z a-z 0-9 . _ : - . Empty: made here."""


def build_request(  # noqa: PLR0913 - each is an option of the call
    source: Source,
    *,
    recognizers: Sequence[str] = (),
    features: Sequence[Feature | str] = (),
    policy: Policy | str = Policy.ALL,
    recognizer_options: Mapping[str, RecognizerOptions] | None = None,
    request_id: str = "",
    max_labels: int | None = None,
    min_score: float | None = None,
    collection: str = "",
    include_embeddings: bool = False,
    no_cache: bool = False,
) -> pb.RecognizeImageRequest:
    """The request of a call; CallOptions tells what each option means. Raises InvalidRequest, OSError."""
    return pb.RecognizeImageRequest(
        request_id=request_id or uuid.uuid4().hex,
        image=image_of(source),
        recognizers=listed(recognizers),
        features=[pb.Feature.Value(f"FEATURE_{_member(Feature, name)}") for name in listed(features)],
        max_labels=max_labels,
        min_score=min_score,
        policy=pb.Policy.Value(f"POLICY_{_member(Policy, policy)}"),
        collection=collection,
        include_embeddings=include_embeddings,
        no_cache=no_cache,
        recognizer_options={name: _options(options) for name, options in (recognizer_options or {}).items()},
    )


def listed(names: Sequence[str]) -> Sequence[str]:
    """A lone string is one name, not a sequence of letters."""
    return (names,) if isinstance(names, str) else names


def _member(kind: type[Feature] | type[Policy], name: str) -> str:
    known = [member.value for member in kind if member.value != "UNSPECIFIED"]
    if name.upper() not in known:
        word = kind.__name__.lower()
        raise InvalidRequest(
            f"There is no {word} {name!r}; there is: {', '.join(known)}.",
            code="INVALID_ARGUMENT",
            reason="INVALID_REQUEST",
            metadata={"field": word},
        )
    return name.upper()


def _options(options: RecognizerOptions) -> pb.RecognizerOptions:
    message = pb.RecognizerOptions(min_score=options.min_score)
    if options.timeout is not None:
        message.timeout.CopyFrom(_duration(options.timeout))
    return message


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration

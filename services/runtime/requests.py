"""Checks a request before any work is done. Pure, and the same in the gateway and in every leaf."""

import re
import uuid
from collections.abc import Sequence
from typing import TypeAlias

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import BucketNotAllowed, ImageMissing, InvalidRequest, UnknownRecognizer, UnsupportedPolicy
from services.runtime.limits import DEFAULT_MAX_LABELS, MAX_MAX_LABELS, check_size

Feature: TypeAlias = "pb.Feature.ValueType"
Policy: TypeAlias = "pb.Policy.ValueType"

DEFAULT_FEATURES = (pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def check_request(
    request: pb.RecognizeImageRequest, s3_allowed: Sequence[str], policies: Sequence[Policy] = (pb.POLICY_ALL,)
) -> None:
    """Raises the DomainError that says what is wrong with the request, if anything is."""
    _check_features(request)
    _check_numbers(request)
    _check_policy(request.policy, policies)
    check_image(request.image, s3_allowed)


def request_id_of(asked: str) -> str:
    """The id that the request asks for, or a new one where it is empty. Raises InvalidRequest."""
    if not asked:
        return uuid.uuid4().hex
    if not _REQUEST_ID.fullmatch(asked):
        raise InvalidRequest("request_id has 1 to 128 characters of A-Z a-z 0-9 . _ : -", field="request_id")
    return asked


def features_of(request: pb.RecognizeImageRequest) -> tuple[Feature, ...]:
    """What is asked for, each feature once, in the order asked."""
    return tuple(dict.fromkeys(request.features)) or DEFAULT_FEATURES


def max_labels_of(request: pb.RecognizeImageRequest) -> int:
    """How many labels are asked for."""
    return request.max_labels if request.HasField("max_labels") else DEFAULT_MAX_LABELS


def check_names(asked: Sequence[str], known: Sequence[str], field: str = "recognizers") -> None:
    """Refuses a name that is not known here, and tells which ones are."""
    for name in asked:
        if name not in known:
            raise UnknownRecognizer(f"There is no recognizer {name!r} here; there is: {', '.join(known)}.", field=field)


def check_image(image: pb.Image, s3_allowed: Sequence[str]) -> None:
    """Refuses a picture that is missing, too large or not allowed; its bytes are not looked into."""
    source = image.WhichOneof("source")
    if source is None:
        raise ImageMissing("The request has no picture: set image.content or image.s3_object.", field="image")
    if source == "content":
        check_size(len(image.content))
    else:
        _check_object(image.s3_object, s3_allowed)


def _check_object(s3_object: pb.S3Object, s3_allowed: Sequence[str]) -> None:
    if not s3_object.bucket or not s3_object.key:
        raise InvalidRequest("image.s3_object needs a bucket and a key.", field="image.s3_object")
    if not any(_allows(entry, s3_object) for entry in s3_allowed):
        raise BucketNotAllowed(
            f"Objects of bucket {s3_object.bucket!r} with this key may not be read. "
            "An operator allows buckets and prefixes with MARQUEE_S3_ALLOWED.",
            bucket=s3_object.bucket,
        )


def _allows(entry: str, s3_object: pb.S3Object) -> bool:
    bucket, _, prefix = entry.partition("/")
    return s3_object.bucket == bucket and s3_object.key.startswith(prefix)


def _check_features(request: pb.RecognizeImageRequest) -> None:
    for feature in request.features:
        if feature == pb.FEATURE_UNSPECIFIED or feature not in pb.Feature.values():
            raise InvalidRequest(
                f"features holds {feature}, which is none of: {', '.join(pb.Feature.keys()[1:])}.", field="features"
            )


def _check_numbers(request: pb.RecognizeImageRequest) -> None:
    if not 1 <= max_labels_of(request) <= MAX_MAX_LABELS:
        raise InvalidRequest(
            f"max_labels is {request.max_labels}; it must be 1 to {MAX_MAX_LABELS}.", field="max_labels"
        )
    _check_score(request.min_score, "min_score")
    for name, options in request.recognizer_options.items():
        _check_score(options.min_score, f"recognizer_options[{name}].min_score")
        if options.HasField("timeout") and options.timeout.ToNanoseconds() <= 0:
            raise InvalidRequest(f"recognizer_options[{name}].timeout must be more than 0.", field="recognizer_options")


def _check_score(score: float, field: str) -> None:
    if not 0 <= score <= 1:
        raise InvalidRequest(f"{field} is {score}; it must be 0 to 1.", field=field)


def _check_policy(policy: Policy, offered: Sequence[Policy]) -> None:
    if (policy or pb.POLICY_ALL) not in offered:
        name = pb.Policy.Name(policy) if policy in pb.Policy.values() else str(policy)
        raise UnsupportedPolicy(
            f"This server does not offer {name}; it offers: {', '.join(pb.Policy.Name(p) for p in offered)}."
        )

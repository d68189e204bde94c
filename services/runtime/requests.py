"""Validation of requests, the same in the gateway and in every leaf. Pure."""

import math
import re
import uuid
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Protocol, TypeAlias

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from marquee.library.v1 import library_pb2
from marquee.v1 import enrollment_pb2
from marquee.v1 import recognizer_pb2 as pb
from services.runtime import boxes, limits, people
from services.runtime.bounds.limit import MAX_NAME
from services.runtime.errors import (
    BucketNotAllowed,
    ImageMissing,
    ImageTooLarge,
    InvalidRequest,
    UnknownRecognizer,
    UnsupportedPolicy,
)
from services.runtime.limits import (
    DEFAULT_MAX_LABELS,
    DEFAULT_PAGE_SIZE,
    MAX_IMAGE_BYTES,
    MAX_MAX_LABELS,
    MAX_PAGE_SIZE,
)

Feature: TypeAlias = "pb.Feature.ValueType"
Policy: TypeAlias = "pb.Policy.ValueType"


class _Listing(Protocol):
    """A request for a page."""

    page_size: int


_FEATURES = frozenset(pb.Feature.values()) - {pb.FEATURE_UNSPECIFIED}
DEFAULT_FEATURES = (pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS)
FACE_FEATURES = frozenset((pb.FEATURE_CELEBRITIES, pb.FEATURE_FACES, pb.FEATURE_FACE_SEARCH))
"""Those that describe faces."""
_REQUEST_ID = re.compile(rf"[A-Za-z0-9._:-]{{1,{MAX_NAME}}}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COLLECTION = re.compile(r"[A-Za-z0-9_.-]*")
_MAX_SECONDS = 315_576_000_000
_MAX_NANOS = 999_999_999
"""Of a Duration, by its definition."""
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
"""Of a Timestamp, by its definition."""


def check_request(
    request: pb.RecognizeImageRequest,
    s3_allowed: Sequence[str],
    policies: Sequence[Policy] = (pb.POLICY_ALL,),
    sizes: Sequence[int] | None = None,
) -> None:
    """Raise the DomainError for the first invalid field, if any.

    `sizes` are those of the pictures' content if the request was parsed without it.
    """
    _check_limits(request)
    _check_collection(request.collection)
    check_features(request)
    _check_numbers(request)
    _check_face_boxes(request.face_boxes)
    _check_policy(request.policy, policies)
    _check_images([request.image], s3_allowed, sizes)


def check_enrollment(
    request: enrollment_pb2.EnrollFacesRequest, s3_allowed: Sequence[str], sizes: Sequence[int] | None = None
) -> None:
    """Raise the DomainError for the first invalid field, if any; for `sizes` see `check_request`."""
    _check_limits(request)
    _check_collection(request.collection)
    people.check_display_name(request.display_name)
    people.check_person_id(person_id_of(request))
    if not request.images and not request.display_name:
        raise InvalidRequest("Nothing to do: set images, or display_name to rename the person.", field="images")
    _check_images(request.images, s3_allowed, sizes)


def check_removal(request: enrollment_pb2.RemovePersonRequest) -> None:
    """Raise InvalidRequest for the first invalid field, if any."""
    _check_limits(request)
    _check_collection(request.collection)
    people.check_person_id(request.person_id)


def check_face_removal(request: enrollment_pb2.RemoveFacesRequest) -> None:
    """Raise InvalidRequest for the first invalid field, if any."""
    _check_limits(request)
    _check_collection(request.collection)
    if request.person_id:
        people.check_person_id(request.person_id)
    if not request.faces:
        raise InvalidRequest("Nothing to do: set faces.", field="faces")
    for key in request.faces:
        _check_face_key(key)


def check_listing(request: enrollment_pb2.ListPeopleRequest | enrollment_pb2.ListFacesRequest) -> None:
    """Raise InvalidRequest for the first invalid field, if any."""
    _check_limits(request)
    _check_collection(request.collection)
    if isinstance(request, enrollment_pb2.ListFacesRequest):
        people.check_person_id(request.person_id)
    _check_page_size(request)


def check_library(request: Any) -> None:
    """Raise InvalidRequest for what no request of the library may have.

    That is text over its limit or with a NUL character, which PostgreSQL cannot keep, times and numbers that are none,
    and values that their enumeration does not have.
    """
    _check_limits(request)
    _check_collection(request.collection)
    _check_values(request, "")
    if hasattr(request, "page_size"):
        _check_page_size(request)


def check_addition(request: library_pb2.AddImageRequest, s3_allowed: Sequence[str]) -> None:
    """Raise the DomainError for the first invalid field that `check_library` has not found, if any."""
    check_features(request)
    _check_images([request.image], s3_allowed, None)


def check_features(
    request: pb.RecognizeImageRequest | library_pb2.AddImageRequest | library_pb2.RecognizePictureRequest,
) -> None:
    """Raise InvalidRequest for what is no feature."""
    for feature in request.features:
        if feature not in _FEATURES:
            raise InvalidRequest(
                f"features contains {feature}, which is not one of: {', '.join(pb.Feature.keys()[1:])}.",
                field="features",
            )


def check_object(s3_object: pb.S3Object, s3_allowed: Sequence[str], field: str = "image.s3_object") -> None:
    """Raise InvalidRequest for what names no object, BucketNotAllowed for one that the operator does not allow."""
    if not s3_object.bucket or not s3_object.key:
        raise InvalidRequest(f"{field} needs a bucket and a key.", field=field)
    if not any(_allows(entry, s3_object) for entry in s3_allowed):
        raise BucketNotAllowed(
            f"Reading this object of bucket {s3_object.bucket!r} is not allowed. "
            "An operator allows buckets and prefixes with MARQUEE_S3_ALLOWED.",
            bucket=s3_object.bucket,
        )


def min_score_of(request: pb.RecognizeImageRequest, recognizer: str) -> float:
    """Return the min_score for results of the recognizer: its own, or that of a gateway before it, or the call's."""
    while request.recognizer_options and recognizer:
        options = request.recognizer_options.get(recognizer)
        if options is not None and options.HasField("min_score"):
            return options.min_score
        recognizer = recognizer.rpartition("/")[0]
    return request.min_score


def drop_low_scores(result: pb.RecognizerResult, min_score: float) -> None:
    """Remove the candidates, labels and texts with less than this score."""
    everything: tuple[Any, ...] = (
        *(face.candidates for face in result.faces),
        result.image_candidates,
        result.labels,
        result.texts,
        result.moderation_labels,
    )
    for items in everything if min_score > 0 else ():
        kept = [item for item in items if item.score >= min_score]
        if len(kept) < len(items):
            del items[:]  # a repeated field of messages takes no slice assignment
            items.extend(kept)


def check_names(names: Sequence[str], available: Sequence[str], field: str = "recognizers") -> None:
    """Raise UnknownRecognizer for the first name that is not available; the message lists those that are."""
    for name in names:
        if name not in available:
            raise UnknownRecognizer(
                f"There is no recognizer {name!r} here. Available: {', '.join(available)}.", field=field
            )


def request_id_of(request_id: str) -> str:
    """Return the request_id, or a new one if it is empty. Raises InvalidRequest."""
    if not request_id:
        return uuid.uuid4().hex
    if not _REQUEST_ID.fullmatch(request_id):
        raise InvalidRequest(
            f"request_id must be 1 to {MAX_NAME} characters of A-Z a-z 0-9 . _ : -", field="request_id"
        )
    return request_id


def features_of(request: pb.RecognizeImageRequest) -> tuple[Feature, ...]:
    """Return the requested features, each once, in the request's order."""
    return tuple(dict.fromkeys(request.features)) or DEFAULT_FEATURES


def max_labels_of(request: pb.RecognizeImageRequest) -> int:
    """Return the requested number of labels."""
    return request.max_labels if request.HasField("max_labels") else DEFAULT_MAX_LABELS


def person_id_of(request: enrollment_pb2.EnrollFacesRequest) -> str:
    """Return the request's person_id, or the one made from its display_name. Raises InvalidRequest without both."""
    person_id = request.person_id or people.person_id_of(request.display_name)
    if not person_id:
        raise InvalidRequest("Set person_id, or a display_name with letters to make it from.", field="person_id")
    return person_id


def page_size_of(request: _Listing) -> int:
    """Return the number of entries per page: the default for 0, and never more than the limit (AIP-158)."""
    return min(request.page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def check_size(length: int) -> None:
    """Raise ImageMissing for a picture of 0 bytes, ImageTooLarge for one over the limit."""
    if length == 0:
        raise ImageMissing("The picture has 0 bytes.")
    if length > MAX_IMAGE_BYTES:
        raise ImageTooLarge(f"The picture has {length} bytes; the limit is {MAX_IMAGE_BYTES} (15 MiB).")


def _check_limits(request: Message) -> None:
    if excess := limits.excess(request):
        raise InvalidRequest(excess.message, field=excess.field)


def _check_page_size(request: _Listing) -> None:
    if request.page_size < 0:
        raise InvalidRequest(f"page_size is {request.page_size}; it must not be negative.", field="page_size")


def _check_values(message: Message, path: str) -> None:
    for name, field in _fields_to_check(message.DESCRIPTOR):
        if field.has_presence and not message.HasField(name):
            continue
        values = getattr(message, name)
        for value in values if field.is_repeated else (values,):
            if isinstance(value, str):
                if "\0" in value:
                    raise InvalidRequest(f"{path}{name} has a NUL character.", field=f"{path}{name}")
            elif isinstance(value, float):
                if not math.isfinite(value):
                    raise InvalidRequest(f"{path}{name} is no number.", field=f"{path}{name}")
            elif field.enum_type is not None:
                _check_member(value, field.enum_type, f"{path}{name}")
            elif isinstance(value, Timestamp):
                _check_time(value, f"{path}{name}")
            else:
                _check_values(value, f"{path}{name}.")


@cache
def _fields_to_check(message: Descriptor) -> Sequence[tuple[str, FieldDescriptor]]:
    """Return the fields of texts, floats, enumerations and messages, not those of bytes: reading them copies them."""
    kinds = FieldDescriptor
    checked = (kinds.TYPE_STRING, kinds.TYPE_FLOAT, kinds.TYPE_ENUM, kinds.TYPE_MESSAGE)
    fields = [field for field in message.fields if field.type in checked and not _is_map(field)]
    return [(field.name, field) for field in fields]


def _check_member(value: int, enum: EnumDescriptor, path: str) -> None:
    if value not in enum.values_by_number:
        raise InvalidRequest(f"{path} is {value}, which is no {enum.name}.", field=path)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _check_time(when: Timestamp, field: str) -> None:
    if not (_FIRST_SECOND <= when.seconds <= _LAST_SECOND and 0 <= when.nanos <= _MAX_NANOS):
        raise InvalidRequest(f"{field} is no time of the years 1 to 9999.", field=field)


def _check_collection(collection: str) -> None:
    if not _COLLECTION.fullmatch(collection):
        raise InvalidRequest("collection must be of A-Z a-z 0-9 _ . -", field="collection")


def _check_face_key(key: enrollment_pb2.FaceKey) -> None:
    kind = key.WhichOneof("key")
    if kind is None:
        raise InvalidRequest("Each of faces needs a face or a content_sha256.", field="faces")
    if kind == "face" and not (key.face.face_id and key.face.face_id.isprintable()):
        raise InvalidRequest("faces.face needs a face_id of printable characters.", field="faces.face.face_id")
    if kind == "content_sha256" and not _SHA256.fullmatch(key.content_sha256):
        raise InvalidRequest(
            "faces.content_sha256 must be 64 lowercase hexadecimal digits.", field="faces.content_sha256"
        )


def _check_images(images: Sequence[pb.Image], s3_allowed: Sequence[str], sizes: Sequence[int] | None) -> None:
    for number, image in enumerate(images):
        _check_image(image, s3_allowed, sizes[number] if sizes else len(image.content))


def _check_image(image: pb.Image, s3_allowed: Sequence[str], size: int) -> None:
    """Refuse a picture that is missing, too large or not allowed, without looking into its bytes."""
    source = image.WhichOneof("source")
    if source is None:
        raise ImageMissing("The request has no picture: set image.content or image.s3_object.", field="image")
    if source == "content":
        check_size(size)
    else:
        check_object(image.s3_object, s3_allowed)


def _allows(entry: str, s3_object: pb.S3Object) -> bool:
    bucket, _, prefix = entry.partition("/")
    return s3_object.bucket == bucket and s3_object.key.startswith(prefix)


def _check_numbers(request: pb.RecognizeImageRequest) -> None:
    if not 1 <= max_labels_of(request) <= MAX_MAX_LABELS:
        raise InvalidRequest(
            f"max_labels is {request.max_labels}; it must be 1 to {MAX_MAX_LABELS}.", field="max_labels"
        )
    _check_score(request.min_score, "min_score")
    for name, options in request.recognizer_options.items():
        _check_score(options.min_score, f"recognizer_options[{name}].min_score")
        if options.HasField("timeout") and not _is_positive(options.timeout):
            raise InvalidRequest(
                f"recognizer_options[{name}].timeout must be a duration greater than 0.", field="recognizer_options"
            )


def _check_face_boxes(face_boxes: Iterable[pb.BoundingBox]) -> None:
    for number, box in enumerate(face_boxes):
        if not boxes.is_inside(box):
            raise InvalidRequest(
                f"face_boxes[{number}] is no part of the picture: left {box.left:g}, top {box.top:g}, width "
                f"{box.width:g}, height {box.height:g}. They are fractions of it, 0 to 1.",
                field="face_boxes",
            )


def _is_positive(duration: Duration) -> bool:
    is_valid = 0 <= duration.seconds <= _MAX_SECONDS and 0 <= duration.nanos <= _MAX_NANOS
    return is_valid and duration.ToNanoseconds() > 0


def _check_score(score: float, field: str) -> None:
    if not 0 <= score <= 1:
        raise InvalidRequest(f"{field} is {score}; it must be 0 to 1.", field=field)


def _check_policy(policy: Policy, available: Sequence[Policy]) -> None:
    if (policy or pb.POLICY_ALL) not in available:
        name = pb.Policy.Name(policy) if policy in pb.Policy.values() else str(policy)
        raise UnsupportedPolicy(
            f"This server does not offer {name}; it offers: {', '.join(pb.Policy.Name(p) for p in available)}."
        )

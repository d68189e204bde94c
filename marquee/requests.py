"""Requests of the contract, built from the arguments of the client's methods."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from os import PathLike
from typing import TypedDict

from google.protobuf.duration_pb2 import Duration

from marquee.channels.connection import MAX_MESSAGE_BYTES, check_timeout
from marquee.enrollment import FaceId
from marquee.enums import Feature, Policy
from marquee.errors import InvalidRequest
from marquee.results import Box
from marquee.sources import Source, image_of
from marquee.v1 import enrollment_pb2
from marquee.v1 import recognizer_pb2 as pb

_PAGE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class RecognizerOptions:
    """Options of a call for one recognizer."""

    timeout: float | None = None
    """Seconds; at most what the operator allows."""
    min_score: float | None = None
    """Overrides the call's, 0 to 1."""


class CallOptions(TypedDict, total=False):
    """Options of `recognize` and `stream`."""

    recognizers: Sequence[str]
    """Names as listed by `recognizers()`. Empty: all."""
    features: Sequence[Feature | str]
    """What to find; case-insensitive. Empty: CELEBRITIES and LABELS."""
    max_labels: int | None
    """Maximum number of labels per recognizer, 1 to 1000. None: 10."""
    min_score: float | None
    """Omit results with a lower score, 0 to 1. None: omit nothing."""
    policy: Policy | str
    """When recognizers are called, and when the answer is complete. Default: ALL. Only a gateway has others."""
    required: Sequence[str]
    """Names of recognizers without whose result the call fails; they are called whatever the policy."""
    collection: str
    """Collection that FACE_SEARCH searches. Empty: the operator's default."""
    include_embeddings: bool
    """Return each face's embedding."""
    no_cache: bool
    """Neither read the response from a cache nor store it there."""
    recognizer_options: Mapping[str, RecognizerOptions]
    """By recognizer name."""
    face_boxes: Sequence[Box | tuple[float, float, float, float]]
    """Faces to describe instead of detecting some, at most 64: (left, top, width, height) in fractions of the upright
    picture. Empty: faces are detected. Only recognizers with `takes_face_boxes` describe such faces."""
    request_id: str
    """Identifies the call in logs: 1 to 128 characters of A-Z a-z 0-9 . _ : - . Empty: generated."""


class PeopleOptions(TypedDict, total=False):
    """Options of `people` and `list_faces`."""

    collection: str
    """Empty: the operator's default. A recognizer without collections skips a call that names one."""
    recognizers: Sequence[str]
    """Names as listed by `recognizers()`. Empty: all that enroll."""


class RemovalOptions(PeopleOptions, total=False):
    """Options of `remove_person`."""

    request_id: str
    """Identifies the call in logs: 1 to 128 characters of A-Z a-z 0-9 . _ : - . Empty: generated."""


class FaceRemovalOptions(RemovalOptions, total=False):
    """Options of `remove_faces`."""

    person_id: str
    """Whose faces they must be. Empty: anybody's."""


class EnrollmentOptions(RemovalOptions, total=False):
    """Options of `enroll`."""

    display_name: str
    """Human-readable name. Required for a new person; a different one renames a known person if person_id is given."""
    person_id: str
    """Permanent identifier of the person. Empty: made from display_name, the same for the same name."""
    allow_similar: bool
    """Also enroll a face that matches another person's, such as a twin's."""
    allow_different: bool
    """Also enroll a face that does not match those of the person known by display_name, though person_id is empty."""


def build_request(  # noqa: PLR0913 - each is an option of the call
    source: Source,
    *,
    recognizers: Sequence[str] = (),
    features: Sequence[Feature | str] = (),
    policy: Policy | str = Policy.ALL,
    required: Sequence[str] = (),
    recognizer_options: Mapping[str, RecognizerOptions] | None = None,
    request_id: str = "",
    max_labels: int | None = None,
    min_score: float | None = None,
    collection: str = "",
    include_embeddings: bool = False,
    no_cache: bool = False,
    face_boxes: Sequence[Box | tuple[float, float, float, float]] = (),
) -> pb.RecognizeImageRequest:
    """Build a recognition's request; see CallOptions. Raises InvalidRequest, OSError."""
    return pb.RecognizeImageRequest(
        request_id=request_id or os.urandom(16).hex(),
        image=image_of(source),
        recognizers=names_of(recognizers),
        features=[pb.Feature.Value(f"FEATURE_{member_of(Feature, name)}") for name in names_of(features)],
        max_labels=max_labels,
        min_score=min_score,
        policy=pb.Policy.Value(f"POLICY_{member_of(Policy, policy)}"),
        required=names_of(required),
        collection=collection,
        include_embeddings=include_embeddings,
        no_cache=no_cache,
        recognizer_options={name: _options(options) for name, options in (recognizer_options or {}).items()},
        face_boxes=[box_of(box) for box in face_boxes],
    )


def build_enrollment(  # noqa: PLR0913 - each is an option of the call
    sources: Sequence[Source] | Source,
    *,
    display_name: str = "",
    person_id: str = "",
    allow_similar: bool = False,
    allow_different: bool = False,
    collection: str = "",
    recognizers: Sequence[str] = (),
    request_id: str = "",
) -> enrollment_pb2.EnrollFacesRequest:
    """Build an enrollment's request; see EnrollmentOptions. Raises InvalidRequest, ImageTooLarge, OSError."""
    request = enrollment_pb2.EnrollFacesRequest(
        request_id=request_id or os.urandom(16).hex(),
        person_id=person_id,
        display_name=display_name,
        collection=collection,
        recognizers=names_of(recognizers),
        allow_similar=allow_similar,
        allow_different=allow_different,
    )
    for source in _sources(sources):
        request.images.append(image_of(source))
        _check_size(request)
    return request


def build_removal(
    person_id: str, *, collection: str = "", recognizers: Sequence[str] = (), request_id: str = ""
) -> enrollment_pb2.RemovePersonRequest:
    """Build a removal's request; see RemovalOptions."""
    return enrollment_pb2.RemovePersonRequest(
        request_id=request_id or os.urandom(16).hex(),
        person_id=person_id,
        collection=collection,
        recognizers=names_of(recognizers),
    )


def build_face_removal(
    faces: Sequence[FaceId | str] | FaceId | str,
    *,
    person_id: str = "",
    collection: str = "",
    recognizers: Sequence[str] = (),
    request_id: str = "",
) -> enrollment_pb2.RemoveFacesRequest:
    """Build the request to remove faces, each named by its id or its picture's SHA-256; see FaceRemovalOptions."""
    keys = (faces,) if isinstance(faces, FaceId | str) else faces
    return enrollment_pb2.RemoveFacesRequest(
        request_id=request_id or os.urandom(16).hex(),
        faces=map(_face_key, keys),
        person_id=person_id,
        collection=collection,
        recognizers=names_of(recognizers),
    )


def build_face_listing(
    person_id: str, *, collection: str = "", recognizers: Sequence[str] = ()
) -> enrollment_pb2.ListFacesRequest:
    """Build the request for the first page of a person's faces, of the maximum size; see PeopleOptions."""
    return enrollment_pb2.ListFacesRequest(
        person_id=person_id, page_size=_PAGE_SIZE, collection=collection, recognizers=names_of(recognizers)
    )


def build_listing(*, collection: str = "", recognizers: Sequence[str] = ()) -> enrollment_pb2.ListPeopleRequest:
    """Build the request for the first page of people, of the maximum size; see PeopleOptions."""
    return enrollment_pb2.ListPeopleRequest(
        page_size=_PAGE_SIZE, collection=collection, recognizers=names_of(recognizers)
    )


def names_of(names: Sequence[str]) -> Sequence[str]:
    """Return the names; a single string is one name, not a sequence of letters."""
    return (names,) if isinstance(names, str) else names


def member_of(kind: type[StrEnum], name: str) -> str:
    """Return the name as the kind has it, in any case. Raises InvalidRequest, which lists those that there are."""
    names = [member.value for member in kind if member.value != "UNSPECIFIED"]
    if name.upper() not in names:
        field = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()
        raise InvalidRequest(
            f"Unknown {field.replace('_', ' ')} {name!r}; choose from {', '.join(names)}.",
            code="INVALID_ARGUMENT",
            reason="INVALID_REQUEST",
            metadata={"field": field},
        )
    return name.upper()


def _face_key(face: FaceId | str) -> enrollment_pb2.FaceKey:
    if isinstance(face, str):
        return enrollment_pb2.FaceKey(content_sha256=face)
    return enrollment_pb2.FaceKey(face=enrollment_pb2.FaceId(recognizer=face.recognizer, face_id=face.face_id))


def _sources(sources: Sequence[Source] | Source) -> Sequence[Source]:
    """Return the sources; a single picture is one source, not a sequence of letters or bytes."""
    single = isinstance(sources, str | PathLike | bytes | bytearray | memoryview)
    return (sources,) if single else sources  # type: ignore[return-value]  # mypy does not see the check


def _check_size(request: enrollment_pb2.EnrollFacesRequest) -> None:
    """Refuse to send what the server could not receive."""
    if request.ByteSize() > MAX_MESSAGE_BYTES:
        raise InvalidRequest(
            f"The first {len(request.images)} pictures exceed 16 MiB in total, the limit per call: "
            "enroll fewer at a time, or smaller ones.",
            code="INVALID_ARGUMENT",
            reason="INVALID_REQUEST",
            metadata={"field": "images"},
        )


def _options(options: RecognizerOptions) -> pb.RecognizerOptions:
    message = pb.RecognizerOptions(min_score=options.min_score)
    if (timeout := check_timeout(options.timeout)) is not None:
        message.timeout.CopyFrom(_duration(timeout))
    return message


def box_of(box: Box | tuple[float, float, float, float]) -> pb.BoundingBox:
    """Return the box, or left, top, width and height, as a message."""
    if isinstance(box, Box):
        return pb.BoundingBox(**box.to_dict())
    left, top, width, height = box
    return pb.BoundingBox(left=left, top=top, width=width, height=height)


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration

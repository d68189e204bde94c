"""Results that all recognizers and enrollers fill in alike, and their common refusals. Pure."""

from collections.abc import MutableSequence, Sequence
from typing import Protocol, TypeVar

from google.rpc import code_pb2, status_pb2

from marquee.v1 import enrollment_pb2
from marquee.v1 import recognizer_pb2 as pb
from services.runtime import status
from services.runtime.errors import DomainError, FaceAlreadyEnrolled, NoFace, PersonNotFound, SeveralFaces
from services.runtime.leaf.recognizer import Options


def finish(result: pb.RecognizerResult, name: str, options: Options, seconds: float) -> pb.RecognizerResult:
    """Fill in name, outcome, features and time; sort; drop low scores and labels past max_labels."""
    result.recognizer = name
    result.status.SetInParent()
    result.outcome = pb.OUTCOME_PARTIAL if result.feature_errors else pb.OUTCOME_OK
    failed = {error.feature for error in result.feature_errors}
    result.performed_features[:] = [feature for feature in options.features if feature not in failed]
    result.timings.recognizer.FromNanoseconds(int(seconds * 1e9))
    _filter(result, options)
    return result


def skipped_result(name: str, reason: str) -> pb.RecognizerResult:
    """Return the result of a recognizer that supports none of the requested features."""
    return pb.RecognizerResult(
        recognizer=name, outcome=pb.OUTCOME_SKIPPED, status=status_pb2.Status(code=code_pb2.OK, message=reason)
    )


def refused_face(error: DomainError) -> enrollment_pb2.EnrolledFace:
    """Return the entry of a picture that is not enrolled."""
    return enrollment_pb2.EnrolledFace(
        state=enrollment_pb2.ENROLLMENT_STATE_REFUSED, status=status.from_exception(error)
    )


def check_one_face(faces: Sequence[object]) -> None:
    """Raise NoFace or SeveralFaces unless there is exactly one."""
    if not faces:
        raise NoFace("There is no face in the picture. Use one in which the person looks into the camera.")
    if len(faces) > 1:
        raise SeveralFaces(f"There are {len(faces)} faces in the picture. Crop it to the person's face.")


def face_already_enrolled(person_id: str, display_name: str) -> FaceAlreadyEnrolled:
    """Return the error for a face that is taken for this person's, who is not the one being enrolled."""
    return FaceAlreadyEnrolled(
        f"This face is already enrolled as {display_name} ({person_id}). Enroll it under that person_id, remove that "
        "person first, or set allow_similar if they are two people.",
        person_id=person_id,
        display_name=display_name,
    )


def person_not_found(person_id: str) -> PersonNotFound:
    """Return the error for an unknown person whose pictures or display name are missing."""
    return PersonNotFound(
        f"There is no person with person_id {person_id}. Send pictures and a display_name to enroll somebody new."
    )


class _Scored(Protocol):
    score: float


T = TypeVar("T", bound=_Scored)


def _filter(result: pb.RecognizerResult, options: Options) -> None:
    result.faces.sort(key=lambda face: (face.box.left, face.box.top))
    for face in result.faces:
        _best(face.candidates, options.min_score)
    _best(result.image_candidates, options.min_score)
    _best(result.labels, options.min_score)
    del result.labels[options.max_labels :]
    _best(result.moderation_labels, options.min_score)
    _replace(result.texts, [text for text in result.texts if text.score >= options.min_score])


def _best(items: MutableSequence[T], min_score: float) -> None:
    _replace(items, sorted((item for item in items if item.score >= min_score), key=lambda item: -item.score))


def _replace(items: MutableSequence[T], new: list[T]) -> None:
    del items[:]  # a repeated field of messages takes no slice assignment
    items.extend(new)

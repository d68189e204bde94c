"""A picture that somebody is enrolled from: whether it is good enough, and what Rekognition has against it."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.runtime.errors import (
    DomainError,
    FaceBlurred,
    FaceTooSmall,
    FaceTurned,
    NoFace,
    SeveralFaces,
    UnfitFace,
)
from services.runtime.leaf.recognizer import face_already_enrolled

_REFUSALS: Mapping[str, tuple[type[DomainError], str]] = {
    "EXCEEDS_MAX_FACES": (SeveralFaces, "There is more than one face in the picture. Cut out the one of the person."),
    "EXTREME_POSE": (
        FaceTurned,
        "The face is turned away too far. Use a picture in which the person looks into the camera.",
    ),
    "SMALL_BOUNDING_BOX": (FaceTooSmall, "The face is too small. Use a larger picture or come closer."),
    "LOW_SHARPNESS": (FaceBlurred, "The face is blurred. Use a picture in focus."),
    "LOW_BRIGHTNESS": (UnfitFace, "The face is too dark. Use a picture with more light on it."),
    "LOW_CONFIDENCE": (UnfitFace, "Rekognition is not sure that this is a face. Use a clearer picture."),
    "LOW_FACE_QUALITY": (UnfitFace, "The face cannot be seen well enough. Use a clear picture of the whole face."),
}
"""Rekognition's reasons; the first that fits is told."""


def check_not_another(person_id: str, taken_for: str, names: Mapping[str, str]) -> None:
    """Raises FaceAlreadyEnrolled where the face is taken for another person's; "" is nobody."""
    if taken_for in ("", person_id):
        return
    raise face_already_enrolled(taken_for, names.get(taken_for, taken_for))


def indexed(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The FaceRecord of IndexFaces' answer. Raises the UnfitFace that tells why there is none."""
    if answer["FaceRecords"]:
        record: Mapping[str, Any] = answer["FaceRecords"][0]
        return record
    reasons = [reason for one in answer.get("UnindexedFaces", []) for reason in one.get("Reasons", [])]
    kind, message = next((told for reason, told in _REFUSALS.items() if reason in reasons), _unknown(reasons))
    raise kind(message)


def _unknown(reasons: Sequence[str]) -> tuple[type[DomainError], str]:
    if not reasons:
        return NoFace, "Rekognition finds no face in the picture that it could enroll."
    return UnfitFace, f"Rekognition does not enroll this face: {', '.join(reasons)}. Use a clearer picture."

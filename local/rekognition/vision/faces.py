"""A face as Rekognition describes it: box, confidence, landmarks, pose and quality, and the quality filter.

Measured are the centers of the eyes, their corners, the tip of the nose, the corners of the mouth, the head's pose from
these points, brightness and sharpness. No model here tells age, gender, smile or glasses: these attributes come from
annotations. Without an annotation they are unknown, but present if the request asks for them, because programs read
them: confidence 0, the emotion UNKNOWN, an age of 0 to 120.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from local.rekognition.vision.view import View
from services.runtime.images.faces import Face
from services.svm.faces.quality import landmarks, measure

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import (
        ComparedFaceTypeDef,
        FaceDetailTypeDef,
        LandmarkTypeDef,
    )

ATTRIBUTES = {
    "AGE_RANGE": "AgeRange",
    "BEARD": "Beard",
    "EMOTIONS": "Emotions",
    "EYE_DIRECTION": "EyeDirection",
    "EYEGLASSES": "Eyeglasses",
    "EYES_OPEN": "EyesOpen",
    "GENDER": "Gender",
    "MOUTH_OPEN": "MouthOpen",
    "MUSTACHE": "Mustache",
    "FACE_OCCLUDED": "FaceOccluded",
    "SMILE": "Smile",
    "SUNGLASSES": "Sunglasses",
}
"""DetectFaces' attributes and the members that hold them."""
_UNKNOWN: dict[str, Any] = {
    **{name: {"Value": False, "Confidence": 0.0} for name in ATTRIBUTES.values()},
    "AgeRange": {"Low": 0, "High": 120},
    "Emotions": [{"Type": "UNKNOWN", "Confidence": 100.0}],
    "EyeDirection": {"Yaw": 0.0, "Pitch": 0.0, "Confidence": 0.0},
    "Gender": {"Value": "Female", "Confidence": 0.0},
}
_EVEN = 0.86
"""The score of confidence 50: the least with which the detector takes something for a face."""
_STEEPNESS = 400.0
"""Puts confidence 99 at the score 0.8715, which 280 of 289 faces of the measured photos reach."""


@dataclass(frozen=True)
class Thresholds:
    """What a face must reach to pass a quality filter."""

    confidence: float
    side: int
    """Pixels of the face's shorter side in the original picture."""
    brightness: float
    sharpness: float
    max_yaw: float
    """Degrees to either side."""


_MEDIUM = Thresholds(confidence=75, side=40, brightness=15, sharpness=10, max_yaw=60)
THRESHOLDS = {
    "LOW": Thresholds(confidence=60, side=24, brightness=8, sharpness=4, max_yaw=75),
    "MEDIUM": _MEDIUM,
    "AUTO": _MEDIUM,
    "HIGH": Thresholds(confidence=95, side=64, brightness=25, sharpness=20, max_yaw=40),
}
"""By QualityFilter; NONE accepts every face. Amazon does not publish its thresholds; these are the endpoint's own."""


def compared_face(view: View, index: int) -> "ComparedFaceTypeDef":
    """Return a face as CompareFaces describes it."""
    face = view.faces[index]
    measured = measure(view.detection, face)
    pose = measured.pose
    return {
        "BoundingBox": view.box(face),
        "Confidence": confidence(face),
        "Landmarks": _landmarks(view, face),
        "Pose": {"Roll": pose.roll, "Yaw": pose.yaw, "Pitch": pose.pitch},
        "Quality": {"Brightness": 100 * measured.brightness, "Sharpness": 100 * measured.sharpness},
    }


def celebrity_face(view: View, index: int, annotation: Mapping[str, Any]) -> "ComparedFaceTypeDef":
    """Return a face as RecognizeCelebrities describes it, which always tells a smile and emotions."""
    return {**compared_face(view, index), **_attributes({"Emotions", "Smile"}, annotation)}  # type: ignore[typeddict-item]  # checked against the model when it leaves


def face_detail(
    view: View, index: int, attributes: Collection[str] = (), annotation: Mapping[str, Any] | None = None
) -> "FaceDetailTypeDef":
    """Return a face as DetectFaces describes it, with the requested attributes as far as they are annotated."""
    everything = "ALL" in attributes
    members = set(ATTRIBUTES.values()) if everything else {ATTRIBUTES[one] for one in attributes if one in ATTRIBUTES}
    detail: dict[str, Any] = {**compared_face(view, index)}
    if everything:
        detail["Landmarks"] += _eye_corners(view, view.faces[index])
    return {**detail, **_attributes(members, annotation or {})}  # type: ignore[typeddict-item]  # checked against the model when it leaves


def _attributes(members: Collection[str], annotation: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _complete(_UNKNOWN[name], annotation.get(name)) for name in sorted(members)}


def _complete(unknown: Any, annotated: Any) -> Any:
    """Return what is annotated of an attribute, and what is not as unknown."""
    if isinstance(annotated, Mapping):
        return {**unknown, **annotated}
    return annotated or unknown


def confidence(face: Face) -> float:
    """Return 0 to 100, which grows with the detector's score."""
    return 100 / (1 + math.exp(_STEEPNESS * (_EVEN - face.score)))


def good_faces(view: View, quality_filter: str) -> list[int]:
    """Return the indexes of the faces that pass the quality filter, largest first."""
    return [index for index in view.by_area() if not quality_faults(view, index, quality_filter)]


def quality_faults(view: View, index: int, quality_filter: str) -> list[str]:
    """Return Rekognition's reasons why the face fails the quality filter; none if it passes."""
    thresholds = THRESHOLDS.get(quality_filter)
    return list(_faults(view, index, thresholds)) if thresholds else []


def _faults(view: View, index: int, thresholds: Thresholds) -> Iterator[str]:
    face = view.faces[index]
    measured = measure(view.detection, face)
    if confidence(face) < thresholds.confidence:
        yield "LOW_CONFIDENCE"
    if min(face.width, face.height) * view.scale < thresholds.side:
        yield "SMALL_BOUNDING_BOX"
    if 100 * measured.brightness < thresholds.brightness:
        yield "LOW_BRIGHTNESS"
    if 100 * measured.sharpness < thresholds.sharpness:
        yield "LOW_SHARPNESS"
    if abs(measured.pose.yaw) > thresholds.max_yaw:
        yield "EXTREME_POSE"


def _landmarks(view: View, face: Face) -> "list[LandmarkTypeDef]":
    """Return eyes, mouth and nose, in Amazon's order."""
    points = ({"Type": point.type, "X": point.x, "Y": point.y} for point in landmarks(view.detection, face))
    return sorted(points, key=itemgetter("Type"))  # type: ignore[arg-type]  # one of LandmarkType


def _eye_corners(view: View, face: Face) -> "list[LandmarkTypeDef]":
    return [{"Type": name, "X": x, "Y": y} for name, (x, y) in view.eye_corners(face).items()]  # type: ignore[typeddict-item]  # one of LandmarkType

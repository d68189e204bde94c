"""A face as Rekognition describes it: box, confidence, landmarks, pose and quality, and the quality filter.

Measured are the corners and centers of the eyes, the base of the nose, the head's pose from these
points, brightness and sharpness. dlib's free models give no mouth, age, gender, smile or glasses:
these attributes come from annotations. Without an annotation they are unknown, but present if the
request asks for them, because programs read them: confidence 0, the emotion UNKNOWN, an age of 0 to 120.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from local.rekognition.vision.view import Eyes, View
from services.runtime.images.faces import Face
from services.svm.faces.quality import quality

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import (
        ComparedFaceTypeDef,
        FaceDetailTypeDef,
        ImageQualityTypeDef,
        LandmarkTypeDef,
        PoseTypeDef,
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
_EYES = 88.0
"""Millimetres between the outer corners of an adult's eyes."""
_DOWN, _FORWARD = 48.7, 22.0
"""Millimetres from there to the base of the nose; down is the median of 154 measured faces."""


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
    face, eyes = view.faces[index], view.eyes[index]
    return {
        "BoundingBox": view.box(face),
        "Confidence": confidence(face),
        "Landmarks": list(_landmarks(view, eyes, corners=False)),
        "Pose": _pose(eyes),
        "Quality": _quality(view, face),
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
    detail["Landmarks"] = list(_landmarks(view, view.eyes[index], corners=everything))
    return {**detail, **_attributes(members, annotation or {})}  # type: ignore[typeddict-item]  # checked against the model when it leaves


def _attributes(members: Collection[str], annotation: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _complete(_UNKNOWN[name], annotation.get(name)) for name in sorted(members)}


def _complete(unknown: Any, annotated: Any) -> Any:
    """Return what is annotated of an attribute, and what is not as unknown."""
    if isinstance(annotated, Mapping):
        return {**unknown, **annotated}
    return annotated or unknown


def confidence(face: Face) -> float:
    """Return 0 to 100, from the detector's score."""
    return 100 * face.score


def good_faces(view: View, quality_filter: str) -> list[int]:
    """Return the indexes of the faces that pass the quality filter, largest first."""
    return [index for index in view.by_area() if not quality_faults(view, index, quality_filter)]


def quality_faults(view: View, index: int, quality_filter: str) -> list[str]:
    """Return Rekognition's reasons why the face fails the quality filter; none if it passes."""
    thresholds = THRESHOLDS.get(quality_filter)
    return list(_faults(view, index, thresholds)) if thresholds else []


def _faults(view: View, index: int, thresholds: Thresholds) -> Iterator[str]:
    face = view.faces[index]
    measured = _quality(view, face)
    if confidence(face) < thresholds.confidence:
        yield "LOW_CONFIDENCE"
    if min(face.width, face.height) * view.scale < thresholds.side:
        yield "SMALL_BOUNDING_BOX"
    if measured["Brightness"] < thresholds.brightness:
        yield "LOW_BRIGHTNESS"
    if measured["Sharpness"] < thresholds.sharpness:
        yield "LOW_SHARPNESS"
    if abs(_pose(view.eyes[index])["Yaw"]) > thresholds.max_yaw:
        yield "EXTREME_POSE"


def _quality(view: View, face: Face) -> "ImageQualityTypeDef":
    """Return brightness and sharpness, 0 to 100."""
    crop = quality(view.crop(face))
    return {"Brightness": 100 * crop.brightness, "Sharpness": 100 * crop.sharpness}


def _pose(eyes: Eyes) -> "PoseTypeDef":
    """Return roll, yaw and pitch in degrees, positive clockwise, to the picture's right and up.

    They follow from the place of the nose below the eyes, for an adult's head seen from a distance.
    """
    outer = eyes.right[1] - eyes.left[0]
    roll = math.atan2(outer[1], outer[0])
    width = math.hypot(*outer) or 1.0
    right, down = _rotate(eyes.nose - (eyes.left.mean(axis=0) + eyes.right.mean(axis=0)) / 2, roll) / width
    yaw = math.atan(right * _EYES / _FORWARD)
    reach = math.hypot(_DOWN, _FORWARD)
    pitch = math.acos(max(-1.0, min(1.0, down * _EYES * math.cos(yaw) / reach))) - math.atan2(_FORWARD, _DOWN)
    return {"Roll": math.degrees(roll), "Yaw": math.degrees(yaw), "Pitch": math.degrees(pitch)}


def _rotate(point: npt.NDArray[np.float64], angle: float) -> npt.NDArray[np.float64]:
    x, y = point
    return np.array([x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)])


def _landmarks(view: View, eyes: Eyes, *, corners: bool) -> "Iterator[LandmarkTypeDef]":
    height, width = view.pixels.shape[:2]
    points: dict[str, Any] = {
        "eyeLeft": eyes.left.mean(axis=0),
        "eyeRight": eyes.right.mean(axis=0),
        "nose": eyes.nose,
    }
    if corners:
        points |= dict(zip(("leftEyeLeft", "leftEyeRight"), eyes.left, strict=True))
        points |= dict(zip(("rightEyeLeft", "rightEyeRight"), eyes.right, strict=True))
    for kind, (x, y) in points.items():
        yield {"Type": kind, "X": float(x) / width, "Y": float(y) / height}  # type: ignore[typeddict-item]  # one of LandmarkType

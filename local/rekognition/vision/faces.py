"""A face as Rekognition describes it: box, confidence, landmarks, pose and quality.

Measured here are the eyes' corners and middles, the nose's base, the head's pose from these five
points, brightness and sharpness. dlib's free models see no mouth, age, gender, smile or glasses:
those attributes come from annotations. Where nothing is told they say that nothing is known, because
programs read what they have asked for: confidence 0, the emotion UNKNOWN, an age of 0 to 120.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from local.rekognition.vision.vision import Eyes, View
from services.svm.faces.dlib_faces import DetectedFace
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
"""What DetectFaces is asked for → the member that tells it."""
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
"""Millimetres from there to the nose's base; down is the median of 154 measured faces."""


def compared(view: View, index: int) -> "ComparedFaceTypeDef":
    """A face as CompareFaces and RecognizeCelebrities tell it."""
    face, eyes = view.faces[index], view.eyes[index]
    return {
        "BoundingBox": view.box(face),
        "Confidence": confidence(face),
        "Landmarks": list(_landmarks(view, eyes, closely=False)),
        "Pose": pose(eyes),
        "Quality": measured_quality(view, face),
    }


def detailed(
    view: View, index: int, asked: Collection[str] = (), told: Mapping[str, Any] | None = None
) -> "FaceDetailTypeDef":
    """A face as DetectFaces tells it, with the attributes `asked` for, as far as they are annotated in `told`."""
    everything = "ALL" in asked
    wanted = set(ATTRIBUTES.values()) if everything else {ATTRIBUTES[name] for name in asked if name in ATTRIBUTES}
    detail: dict[str, Any] = {**compared(view, index)}
    detail["Landmarks"] = list(_landmarks(view, view.eyes[index], closely=everything))
    return {**detail, **{name: (told or {}).get(name, _UNKNOWN[name]) for name in sorted(wanted)}}  # type: ignore[typeddict-item]  # checked against the model when it leaves


def confidence(face: DetectedFace) -> float:
    """0 to 100, from the detector's score: 50 at 0, 92 at 0.5, 99 at 1."""
    return 100 / (1 + math.exp(-5 * face.score))


def measured_quality(view: View, face: DetectedFace) -> "ImageQualityTypeDef":
    """Brightness and sharpness, 0 to 100."""
    seen = quality(view.crop(face))
    return {"Brightness": 100 * seen.brightness, "Sharpness": 100 * seen.sharpness}


def pose(eyes: Eyes) -> "PoseTypeDef":
    """Roll, yaw and pitch in degrees, positive clockwise, to the picture's right and up.

    From where the nose's base is seen below the eyes, as an adult's head would show it from afar.
    """
    outer = eyes.right[1] - eyes.left[0]
    roll = math.atan2(outer[1], outer[0])
    width = math.hypot(*outer) or 1.0
    right, down = _turned(eyes.nose - (eyes.left.mean(axis=0) + eyes.right.mean(axis=0)) / 2, roll) / width
    yaw = math.atan(right * _EYES / _FORWARD)
    reach = math.hypot(_DOWN, _FORWARD)
    pitch = math.acos(max(-1.0, min(1.0, down * _EYES * math.cos(yaw) / reach))) - math.atan2(_FORWARD, _DOWN)
    return {"Roll": math.degrees(roll), "Yaw": math.degrees(yaw), "Pitch": math.degrees(pitch)}


def _turned(point: npt.NDArray[np.float64], angle: float) -> npt.NDArray[np.float64]:
    x, y = point
    return np.array([x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)])


def _landmarks(view: View, eyes: Eyes, *, closely: bool) -> "Iterator[LandmarkTypeDef]":
    height, width = view.pixels.shape[:2]
    points: dict[str, Any] = {
        "eyeLeft": eyes.left.mean(axis=0),
        "eyeRight": eyes.right.mean(axis=0),
        "nose": eyes.nose,
    }
    corners = dict(zip(("leftEyeLeft", "leftEyeRight"), eyes.left, strict=True))
    corners |= dict(zip(("rightEyeLeft", "rightEyeRight"), eyes.right, strict=True))
    for kind, (x, y) in (points | (corners if closely else {})).items():
        yield {"Type": kind, "X": float(x) / width, "Y": float(y) / height}  # type: ignore[typeddict-item]  # one of LandmarkType

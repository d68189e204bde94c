"""Quality of faces: sharpness, brightness, pose, landmarks, and whether a picture carries a face's name."""

import math

import cv2
import numpy as np

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import FaceBlurred, FaceTooSmall, FaceTurned
from services.runtime.images.faces import Detection, Face
from services.runtime.images.image import Pixels

MIN_SIDE = 48
"""Pixels. The embedding of a smaller face moves by more than 0.3, half of what separates people."""
MIN_SHARPNESS = 0.15
"""Blurred below this, it moves as much (bench/svm_portraits.py); faces of the measured photos have 0.26 and more."""
MAX_TURN = 40
"""Degrees sideways or up."""
_TYPES = ("eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight")
"""Left and right are the picture's: the person's right eye is its left one."""
_SIDE = 128
_HALF_SHARP = 100.0
"""The variance of the Laplacian, at 128x128 pixels, of a face that is half sharp."""
_NOSE_DEPTH, _MOUTH_DEPTH = 0.65, 0.2
"""How far the tip of the nose and the mouth stand before the eyes, in distances between the eyes."""
_NOSE_DROP, _MOUTH_DROP = 0.6, 1.03
"""How far below the eyes they are, likewise: medians of 95 faces that look ahead."""


def measure(detection: Detection, face: Face) -> pb.FaceQuality:
    """Return sharpness and brightness of a face, and its pose if its points are known."""
    measures = quality(face.framed("haar").crop(detection.pixels))
    if face.points:
        measures.pose.CopyFrom(_pose(face, detection.turns))
    return measures


def quality(face: Pixels) -> pb.FaceQuality:
    """Measure an RGB face: brightness is the mean grey; sharpness grows with the strength of fine detail."""
    small = cv2.cvtColor(cv2.resize(face, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    detail = cv2.Laplacian(small, cv2.CV_32F).var()
    return pb.FaceQuality(sharpness=detail / (detail + _HALF_SHARP), brightness=small.mean() / 255)


def landmarks(detection: Detection, face: Face) -> list[pb.Landmark]:
    """Return the face's points in fractions of the upright picture; none if they are unknown."""
    height, width = detection.pixels.shape[:2]
    places = (detection.place(x / width, y / height) for x, y in face.points)
    return [pb.Landmark(type=name, x=x, y=y) for name, (x, y) in zip(_TYPES, places, strict=False)]


def check_face(face: Face, measures: pb.FaceQuality) -> None:
    """Raise FaceTooSmall, FaceBlurred or FaceTurned unless the picture carries the face's name."""
    side = face.framed("haar").width
    if side < MIN_SIDE:
        raise FaceTooSmall(
            f"The face is {side} pixels wide; the minimum is {MIN_SIDE}. Use a larger picture or come closer."
        )
    if measures.sharpness < MIN_SHARPNESS:
        raise FaceBlurred(
            f"The face is blurred: its sharpness is {measures.sharpness:.2f}; the minimum is {MIN_SHARPNESS}. "
            "Use a picture in focus."
        )
    aside, up = measures.pose.yaw, measures.pose.pitch
    if max(abs(aside), abs(up)) > MAX_TURN:
        raise FaceTurned(
            f"The face is turned {aside:.0f} degrees sideways and {up:.0f} up; the maximum is {MAX_TURN}. "
            "Use a picture in which the person looks into the camera."
        )


def _pose(face: Face, turns: int) -> pb.Pose:
    """Return the head's angles in the upright picture, good to about ten degrees."""
    right, left, nose, *corners = np.array(face.points)
    across, middle = left - right, (left + right) / 2
    apart = max(1.0, float(np.hypot(*across)))
    along = across / apart
    down = np.array((-along[1], along[0]))
    aside, below = float((nose - middle) @ along), float((nose - middle) @ down)
    ratio = below / max(1.0, float((np.mean(corners, axis=0) - middle) @ down))
    roll = math.degrees(math.atan2(across[1], across[0])) + 90 * turns
    return pb.Pose(
        roll=(roll + 180) % 360 - 180,
        yaw=math.degrees(math.atan2(aside, _NOSE_DEPTH * apart)),
        pitch=math.degrees(math.atan((_NOSE_DROP - _MOUTH_DROP * ratio) / (_NOSE_DEPTH - _MOUTH_DEPTH * ratio))),
    )

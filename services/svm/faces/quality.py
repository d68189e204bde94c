"""Quality of faces: sharpness, brightness, pose and landmarks."""

import math
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.images.faces import Detection, Face
from services.runtime.images.image import Pixels

Numbers: TypeAlias = npt.NDArray[Any]
_TYPES = ("eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight")
"""Left and right are the picture's: the person's right eye is its left one."""
_SIDE = 128
_SMOOTHING = 1.5
"""Of a Gaussian in pixels, so that noise hardly counts as detail."""
_NOISE_SIDE = 48
"""Pixels: at this size of a face, noise moves its embedding alike, whatever size the face has in the picture."""
_NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
"""J. Immerkær's (Fast noise variance estimation, 1996), which sees neither slopes nor edges."""
_NOISE_GAIN = 6 * 0.6745
"""The median of its values, of noise with a standard deviation of 1."""
_CONTRAST_WEIGHT, _NOISE_WEIGHT = 0.008, 3.0
"""How much detail a face that is half sharp has for each variance of its brightness, and of its noise."""
_LEAST = 1e-6
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
    """Measure an RGB face: brightness is the mean grey; sharpness is fine detail as against contrast and noise."""
    grey = cv2.cvtColor(_shrunk(face, _SIDE), cv2.COLOR_RGB2GRAY).astype(np.float32)
    smooth = cv2.GaussianBlur(grey, (0, 0), _SMOOTHING)
    detail = cv2.Laplacian(smooth, cv2.CV_32F).var()
    coarse = _CONTRAST_WEIGHT * smooth.var() + _NOISE_WEIGHT * _noise(grey) ** 2
    sharpness = detail / max(detail + coarse, _LEAST)
    return pb.FaceQuality(sharpness=sharpness, brightness=grey.mean() / 255)


def landmarks(detection: Detection, face: Face) -> list[pb.Landmark]:
    """Return the face's points in fractions of the upright picture; none if they are unknown."""
    height, width = detection.pixels.shape[:2]
    places = (detection.place(x / width, y / height) for x, y in face.points)
    return [pb.Landmark(type=name, x=x, y=y) for name, (x, y) in zip(_TYPES, places, strict=False)]


def _shrunk(face: Numbers, side: int) -> Numbers:
    return cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)


def _noise(grey: Numbers) -> float:
    """Return the standard deviation of the noise in a grey face."""
    response = cv2.filter2D(_shrunk(grey, _NOISE_SIDE), cv2.CV_32F, _NOISE_KERNEL)[1:-1, 1:-1]
    return float(np.median(np.abs(response))) / _NOISE_GAIN


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

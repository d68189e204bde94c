"""Points of a face, and where it looks."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marquee.v1 import recognizer_pb2 as pb

_DEPTH = 0.55
"""How far the nose stands before the eyes, in distances between them."""
_BELOW = 0.84
"""How far below the eyes the nose ends, likewise: the median of 110 faces that look ahead."""
Point = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Landmarks:
    """In pixels (x, y); left and right are the picture's."""

    eye_left: Point
    eye_right: Point
    nose: Point

    @classmethod
    def of(cls, points: npt.NDArray[np.int64]) -> "Landmarks":
        """Of dlib's five points [5, 2]: an eye's two corners, the other eye's, the nose's lower end."""
        eyes = sorted((points[0:2].mean(axis=0), points[2:4].mean(axis=0)), key=lambda eye: float(eye[0]))
        return cls(eyes[0], eyes[1], points[4].astype(np.float64))

    def pose(self) -> pb.Pose:
        """Good to about ten degrees."""
        across = self.eye_right - self.eye_left
        apart = max(1.0, float(np.hypot(*across)))
        along = across / apart
        nose = (self.nose - (self.eye_left + self.eye_right) / 2) / apart
        aside, below = float(nose @ along), float(nose @ (-along[1], along[0]))
        return pb.Pose(
            roll=math.degrees(math.atan2(across[1], across[0])),
            yaw=math.degrees(math.atan(aside / _DEPTH)),
            pitch=math.degrees(math.atan((_BELOW - below) / _DEPTH)),
        )

    def messages(self, width: int, height: int) -> list[pb.Landmark]:
        """In shares of a picture of this size."""
        named = {"eyeLeft": self.eye_left, "eyeRight": self.eye_right, "nose": self.nose}
        return [pb.Landmark(type=name, x=point[0] / width, y=point[1] / height) for name, point in named.items()]

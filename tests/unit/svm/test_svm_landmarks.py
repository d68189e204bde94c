"""The pose of a face, and whether the face is good enough to enroll."""

import numpy as np
import pytest

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import DomainError, FaceBlurred, FaceTooSmall, FaceTurned
from services.runtime.images.haar import Face
from services.svm.faces import Landmarks
from services.svm.gallery.enroller import check_face

AHEAD = np.array([[140, 100], [160, 100], [60, 100], [40, 100], [100, 184]])
"""Landmarks in dlib's order: the eye at the right first, each from its outer corner, then the nose's lower end."""


def with_nose_at(offset: tuple[int, int]) -> Landmarks:
    return Landmarks.from_dlib(np.vstack([AHEAD[:4], AHEAD[4] + offset]))


def test_a_face_that_looks_ahead_has_no_angles() -> None:
    """All angles of a face that looks ahead are 0, and left means the picture's left."""
    ahead = Landmarks.from_dlib(AHEAD)
    assert (ahead.pose().roll, ahead.pose().yaw, ahead.pose().pitch) == pytest.approx((0, 0, 0), abs=0.1)
    assert [(point.type, point.x, point.y) for point in ahead.messages(200, 400)] == [
        ("eyeLeft", 0.25, 0.25),
        ("eyeRight", 0.75, 0.25),
        ("nose", 0.5, pytest.approx(0.46)),
    ]


def test_the_nose_gives_yaw_and_pitch() -> None:
    """A nose nearer to the eye at the right gives a positive yaw, one nearer to both eyes a positive pitch."""
    assert with_nose_at((55, 0)).pose().yaw == pytest.approx(45, abs=1)
    assert with_nose_at((-55, 0)).pose().yaw == pytest.approx(-45, abs=1)
    assert with_nose_at((0, -55)).pose().pitch == pytest.approx(45, abs=1)


def test_a_tilt_is_not_a_turn() -> None:
    """A head tilted towards a shoulder has no yaw."""
    quarter = np.array([[0, 1], [-1, 0]])
    tilted = Landmarks.from_dlib((AHEAD - 100) @ quarter[::-1, ::-1] // 2 + 100)
    assert tilted.pose().yaw == pytest.approx(0, abs=3)


@pytest.mark.parametrize(
    ("side", "quality", "error"),
    [
        (48, pb.FaceQuality(sharpness=0.15), None),
        (47, pb.FaceQuality(sharpness=0.9), FaceTooSmall),
        (200, pb.FaceQuality(sharpness=0.14), FaceBlurred),
        (200, pb.FaceQuality(sharpness=0.9, pose=pb.Pose(yaw=-41)), FaceTurned),
        (200, pb.FaceQuality(sharpness=0.9, pose=pb.Pose(pitch=41)), FaceTurned),
        (200, pb.FaceQuality(sharpness=0.9, pose=pb.Pose(roll=60, yaw=40, pitch=-40)), None),
    ],
)
def test_errors_say_what_to_do(side: int, quality: pb.FaceQuality, error: type[DomainError] | None) -> None:
    """A face at the limit is accepted; beyond it the message gives the measured value and the remedy."""
    face = Face(0, 0, side, side)
    if error is None:
        check_face(face, quality)
        return
    with pytest.raises(error, match=r"\d.*\. Use a (larger )?picture"):
        check_face(face, quality)

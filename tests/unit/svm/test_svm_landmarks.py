"""The pose of a face, and whether the face is good enough to enroll."""

import cv2
import numpy as np
import pytest

from local.pictures import photo
from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import DomainError, FaceBlurred, FaceTooSmall, FaceTurned
from services.runtime.images.faces import Detection, Face, Points
from services.svm.faces.gate import MIN_SHARPNESS, check_face
from services.svm.faces.quality import landmarks, measure, quality

AHEAD = ((50.0, 100.0), (150.0, 100.0), (100.0, 160.0), (70.0, 203.0), (130.0, 203.0))
"""The person's right eye, left eye, nose, and right and left corner of the mouth; the eyes are 100 apart."""
BLANK = np.zeros((400, 200, 3), np.uint8)


def face_with(points: Points) -> tuple[Detection, Face]:
    face = Face(0, 0, 200, 300, detector="yunet", points=points)
    return Detection(BLANK, [face]), face


def pose_with_nose_at(across: float, down: float) -> pb.Pose:
    (x, y), points = AHEAD[2], list(AHEAD)
    points[2] = (x + across, y + down)
    return measure(*face_with(tuple(points))).pose


def test_a_face_that_looks_ahead_has_no_angles() -> None:
    """All angles of a face that looks ahead are 0, and left means the picture's left."""
    pose = measure(*face_with(AHEAD)).pose
    assert (pose.roll, pose.yaw, pose.pitch) == pytest.approx((0, 0, 0), abs=1)
    assert [(point.type, point.x, point.y) for point in landmarks(*face_with(AHEAD))] == [
        ("eyeLeft", 0.25, 0.25),
        ("eyeRight", 0.75, 0.25),
        ("nose", 0.5, pytest.approx(0.4)),
        ("mouthLeft", pytest.approx(0.35), pytest.approx(0.5075)),
        ("mouthRight", pytest.approx(0.65), pytest.approx(0.5075)),
    ]


def test_the_nose_gives_yaw_and_pitch() -> None:
    """A nose nearer to the eye at the right gives a positive yaw, one nearer to both eyes a positive pitch."""
    assert pose_with_nose_at(65, 0).yaw == pytest.approx(45, abs=1)
    assert pose_with_nose_at(-65, 0).yaw == pytest.approx(-45, abs=1)
    assert pose_with_nose_at(0, -40).pitch == pytest.approx(35, abs=3)


def test_a_tilt_is_not_a_turn() -> None:
    """A head tilted towards a shoulder has a roll and no yaw."""
    pose = measure(*face_with(tuple((300 - y, x) for x, y in AHEAD))).pose
    assert (pose.roll, pose.yaw) == pytest.approx((90, 0), abs=1)


def test_a_face_without_points_has_no_pose() -> None:
    """A face whose points are unknown has sharpness and brightness only."""
    assert not measure(*face_with(())).HasField("pose")
    assert landmarks(*face_with(())) == []


def test_roll_and_landmarks_are_those_of_the_upright_picture() -> None:
    """Of a picture that was turned to the left, angles and points are given as if it had not been."""
    _, face = face_with(AHEAD)
    detection = Detection(BLANK, [face], turns=1)
    assert measure(detection, face).pose.roll == pytest.approx(90)
    assert next((point.x, point.y) for point in landmarks(detection, face)) == pytest.approx((0.75, 0.25))


def test_neither_noise_nor_light_makes_a_face_sharp() -> None:
    """Blur and noise lower the sharpness of a face, and less light leaves it as it is; a blank has none."""
    face = np.asarray(photo("Grace Hopper").crop((147, 102, 386, 341)))
    noisy = np.clip(face + np.random.default_rng(0).normal(0, 90, face.shape), 0, 255).astype(np.uint8)
    sharp, dark, blurred = (quality(one).sharpness for one in (face, face // 2, cv2.GaussianBlur(face, (0, 0), 5)))
    assert dark == pytest.approx(sharp, rel=0.1)
    assert max(blurred, quality(noisy).sharpness) < MIN_SHARPNESS < sharp
    assert quality(BLANK).sharpness == 0


@pytest.mark.parametrize(
    ("side", "measures", "error"),
    [
        (48, pb.FaceQuality(sharpness=0.15), None),
        (47, pb.FaceQuality(sharpness=0.9), FaceTooSmall),
        (200, pb.FaceQuality(sharpness=0.14), FaceBlurred),
        (200, pb.FaceQuality(sharpness=0.9, pose=pb.Pose(yaw=-51)), FaceTurned),
        (200, pb.FaceQuality(sharpness=0.9, pose=pb.Pose(pitch=51)), FaceTurned),
        (200, pb.FaceQuality(sharpness=0.9, pose=pb.Pose(roll=60, yaw=50, pitch=-50)), None),
    ],
)
def test_errors_say_what_to_do(side: int, measures: pb.FaceQuality, error: type[DomainError] | None) -> None:
    """A face at the limit is accepted; beyond it the message gives the measured value and the remedy."""
    face = Face(0, 0, side, side)
    if error is None:
        check_face(face, measures)
        return
    with pytest.raises(error, match=r"\d.*\. Use a (larger )?picture"):
        check_face(face, measures)

"""Detection of all faces of a picture down to a stated size."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageOps

from local.pictures import SCENES, demo_pictures, photo, scene
from services.runtime.boxes import iou, share_of_smaller
from services.runtime.images.detector import FaceDetector
from services.runtime.images.faces import Detection, Face
from services.runtime.images.image import Pixels

HEAD = Face(38, 30, 90, 113)
"""Eileen Collins's face in `head`."""


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


@pytest.fixture(scope="module")
def detailed() -> FaceDetector:
    return FaceDetector(0.006)


def head(side: int) -> Image.Image:
    """Return a head whose face has a longer side of so many pixels."""
    scale = side / HEAD.height
    return photo("Eileen Collins").crop((140, 32, 310, 212)).resize((round(170 * scale), round(180 * scale)))


def canvas(width: int, height: int, heads: list[tuple[int, int, int]]) -> Pixels:
    """Return a grey picture with heads: left and top of the face, and its side."""
    picture = Image.new("RGB", (width, height), "grey")
    for left, top, side in heads:
        scale = side / HEAD.height
        picture.paste(head(side), (left - round(HEAD.left * scale), top - round(HEAD.top * scale)))
    return np.asarray(picture)


def sides(detection: Detection) -> list[int]:
    return [max(face.width, face.height) for face in detection.faces]


@pytest.mark.parametrize("width", [640, 1200, 4000])
def test_two_percent_is_found(detector: FaceDetector, width: int) -> None:
    """A face of 2 % of the longer side is found in pictures of any size, in its place."""
    side = math.ceil(0.02 * width)
    pixels = canvas(width, width * 3 // 4, [(width // 3, width // 4, side)])
    (face,) = detector.find(pixels).faces
    assert iou(face, Face(width // 3, width // 4, side * HEAD.width // HEAD.height, side)) > 0.5
    assert face.score >= 0.86


def test_smaller_faces_are_found_on_request(detector: FaceDetector, detailed: FaceDetector) -> None:
    """A face of 0.8 % is found where 0.6 % is asked for, and a large one only once."""
    pixels = canvas(3000, 2000, [(300, 400, 24), (1500, 900, 600)])
    assert sides(detector.find(pixels)) == pytest.approx([600], rel=0.2)
    assert sides(detailed.find(pixels)) == pytest.approx([24, 600], rel=0.3)


def test_a_face_where_tiles_meet_is_found_once(detailed: FaceDetector) -> None:
    """Small faces on a grid that is finer than the tiles are each found once, wherever tiles end."""
    places = [(left, top) for left in range(150, 2900, 170) for top in (240, 980, 1040, 1100)]
    pixels = canvas(3000, 1200, [(left, top, 40) for left, top in places])
    faces = detailed.find(pixels).faces
    expected = [Face(left, top, 32, 40) for left, top in places]
    assert len(faces) == len(expected)
    assert all(any(share_of_smaller(face, one) > 0.5 for face in faces) for one in expected)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_picture_on_its_side(detector: FaceDetector, turns: int) -> None:
    """A turned picture's face has its box in the picture as given, and a warning says how far to turn it."""
    upright = canvas(900, 600, [(200, 100, 120)])
    pixels = np.ascontiguousarray(np.rot90(upright, -turns))
    detection = detector.find(pixels)
    (face,), box = detection.faces, detection.box(detection.faces[0])
    assert iou(face, Face(200, 100, 95, 120)) > 0.5
    assert np.array_equal(detection.pixels, upright)
    height, width = pixels.shape[:2]
    part = Face(
        *(round(value) for value in (box.left * width, box.top * height, box.width * width, box.height * height))
    )
    assert np.array_equal(np.rot90(part.crop(pixels), turns), face.crop(upright))
    assert detection.warnings == (
        f"The picture shows faces only when it is turned to the left by {90 * turns} degrees.",
    )


def test_turning_can_be_left_out() -> None:
    """Without turning, a picture on its side has no face and no warning."""
    pixels = np.rot90(canvas(900, 600, [(200, 100, 120)]))
    detection = FaceDetector(turn=False).find(pixels)
    assert (detection.faces, detection.turns, detection.warnings) == ([], 0, ())


def test_an_upright_face_keeps_a_picture_upright(detector: FaceDetector) -> None:
    """A picture with an upright face is not turned, though more faces lie on their side in it."""
    pixels = canvas(1200, 800, [(100, 100, 90)])
    lying = np.rot90(np.asarray(head(200)))
    pixels = pixels.copy()
    for left in (400, 800):
        pixels[300 : 300 + lying.shape[0], left : left + lying.shape[1]] = lying
    detection = detector.find(pixels)
    assert (len(detection.faces), detection.turns, detection.warnings) == (1, 0, ())


def test_large_faces_are_found_without_time(detailed: FaceDetector) -> None:
    """Without time, large faces are found nevertheless, and a warning says which are not searched for."""
    pixels = canvas(1600, 1200, [(100, 100, 24), (500, 200, 700)])
    assert len(detailed.find(pixels).faces) == 2
    detection = detailed.find(pixels, seconds=0)
    assert sides(detection) == pytest.approx([700], rel=0.2)
    assert detection.warnings == ("The deadline left no time to look for faces smaller than 12.5% of the longer side.",)


def test_no_face_without_time_is_said(detector: FaceDetector) -> None:
    """Without time, a picture without a large face has no face, and the warning says why."""
    pixels = canvas(1600, 1200, [(100, 100, 60)])
    assert len(detector.find(pixels).faces) == 1
    detection = detector.find(pixels, seconds=0)
    assert (detection.faces, len(detection.warnings)) == ([], 1)


def test_a_small_picture_is_not_a_measure_of_large_ones(detector: FaceDetector) -> None:
    """After pictures of very few pixels, a generous deadline still leaves time for all sizes."""
    pixels = canvas(1600, 1200, [(100, 100, 60)])
    for _ in range(3):
        detector.find(np.zeros((1, 12_000, 3), np.uint8))
    assert detector.find(pixels, seconds=60).warnings == ()


@pytest.mark.slow
def test_at_most_256_faces(detailed: FaceDetector) -> None:
    """A crowd has at most 256 faces."""
    places = [(60 + 110 * column, 40 + 110 * row, 60) for column in range(20) for row in range(14)]
    assert len(detailed.find(canvas(2300, 1620, places)).faces) == 256


@pytest.mark.parametrize("size", [(1, 1), (1, 12_000), (12_000, 3), (20, 20)])
@pytest.mark.parametrize("smallest_face", [0.002, 0.02, 0.5])
def test_odd_pictures_have_no_face(smallest_face: float, size: tuple[int, int]) -> None:
    """Pictures of odd sizes have no face and raise no error."""
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert FaceDetector(smallest_face).find(noise).faces == []


@pytest.mark.slow
def test_scenes_have_no_face(detector: FaceDetector) -> None:
    """Pictures that show nobody have no face, however they are turned."""
    assert [name for name in SCENES if detector.find(np.asarray(scene(name))).faces] == []


def test_threads_share_a_detector(detector: FaceDetector) -> None:
    """Eight threads with pictures of mixed sizes find what one finds."""
    pictures = [np.asarray(picture) for picture in demo_pictures().values()]
    pictures += [
        np.rot90(pictures[0]),
        np.asarray(ImageOps.mirror(photo("Grace Hopper"))),
        canvas(2000, 900, [(9, 9, 50)]),
    ]
    alone = [detector.find(pixels).faces for pixels in pictures] * 2
    with ThreadPoolExecutor(8) as threads:
        assert [one.faces for one in threads.map(detector.find, pictures * 2)] == alone


def test_points_of_another_detectors_face(detector: FaceDetector) -> None:
    """A box that another detector drew gets points if there is a face in it, and stays as it is otherwise."""
    pixels = canvas(600, 400, [(200, 100, 120)])
    drawn, empty = Face(195, 95, 110, 130), Face(10, 10, 80, 80)
    face = detector.with_points(pixels, drawn)
    assert (face.left, face.width, face.detector, len(face.points)) == (195, 110, "haar", 5)
    assert detector.with_points(pixels, empty) == empty

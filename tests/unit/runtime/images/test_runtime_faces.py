"""Geometry of faces: boxes, points, parts of pictures, and quarter turns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.images.faces import Detection, Face, clipped, distinct

FACE = Face(40, 20, 30, 36, 0.9, "yunet", ((48.0, 32.0), (62.0, 32.0), (55.0, 40.0), (49.0, 48.0), (61.0, 48.0)))
SIDE = st.integers(-300, 300)
FACES = st.builds(Face, SIDE, SIDE, st.integers(1, 300), st.integers(1, 300))


def test_a_row_of_the_network_is_a_face() -> None:
    """The network's row gives a box in whole pixels, the score, and five points."""
    row = np.array([40.2, 19.6, 30.4, 35.5, *range(10), 0.75], np.float32)
    face = Face.from_yunet(row)
    assert (face.left, face.top, face.width, face.height, face.score, face.detector) == (40, 20, 30, 36, 0.75, "yunet")
    assert face.points == ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9))


def test_a_scaled_face_keeps_its_points_inside() -> None:
    """Box and points are scaled alike, each way by its own factor."""
    face = FACE.scaled(2, 3)
    assert (face.left, face.top, face.width, face.height) == (80, 60, 60, 108)
    assert face.points[2] == (110, 120)


def test_a_moved_face_keeps_its_size() -> None:
    """Box and points are moved alike."""
    face = FACE.moved(100, -5)
    assert (face.left, face.top, face.width, face.height) == (140, 15, 30, 36)
    assert face.points[0] == (148, 27)


def test_a_widened_face_is_a_square_around_its_centre() -> None:
    """The margin is added on each side of the longer side."""
    assert Face(40, 20, 30, 36).widened(10) == Face(27, 10, 56, 56)


@pytest.mark.parametrize("detector", ["haar", "dlib"])
def test_other_detectors_draw_a_square_around_the_same_face(detector: str) -> None:
    """The box of another detector is a square of about the face's size, near its centre, with the same points."""
    face = FACE.framed(detector)
    assert face.width == face.height == pytest.approx(33, abs=3)
    assert face.left + face.width / 2 == pytest.approx(55, abs=1)
    assert face.top + face.height / 2 == pytest.approx(38, abs=2)
    assert (face.detector, face.points, face.score) == (detector, FACE.points, FACE.score)
    assert face.framed(detector) == face


@given(FACES, st.integers(0, 3))
def test_a_turned_box_is_where_its_pixels_are(face: Face, turns: int) -> None:
    """A box of the turned picture is the box of the same pixels in the upright one."""
    upright = np.zeros((60, 100, 3), np.uint8)
    turned = np.ascontiguousarray(np.rot90(upright, turns))
    face.crop(turned)[:] = 1
    upright[:] = np.rot90(turned, -turns)
    box = Detection(turned, [face], turns).box(face)
    left, top, right, bottom = (
        round(value)
        for value in (box.left * 100, box.top * 60, (box.left + box.width) * 100, (box.top + box.height) * 60)
    )
    assert upright[top:bottom, left:right].all()
    assert upright[:, :, 0].sum() == (bottom - top) * (right - left)


def test_a_point_of_a_turned_picture() -> None:
    """Each quarter turn to the left moves the upper left corner of the turned picture: to the right, down, left."""
    corners = [Detection(np.zeros((2, 2, 3), np.uint8), [], turns).place(0, 0) for turns in range(4)]
    assert corners == [(0, 0), (1, 0), (1, 1), (0, 1)]


@given(FACES)
def test_a_clipped_face_is_inside(face: Face) -> None:
    """What is left of a face lies in the picture and has pixels; a face outside it is left out."""
    pixels = np.zeros((90, 160, 3), np.uint8)
    parts = list(clipped([face], pixels))
    assert [part.crop(pixels).size for part in parts] == [face.crop(pixels).size] * len(parts)
    assert bool(parts) == bool(face.crop(pixels).size)


def test_overlapping_faces_are_one() -> None:
    """Of faces that share half of the smaller one the first counts; the others come from left to right."""
    first, same, right, left = Face(100, 100, 50, 50), Face(110, 105, 30, 30), Face(200, 100, 50, 50), Face(20, 0, 9, 9)
    assert distinct([right, first, same, left]) == [left, first, right]

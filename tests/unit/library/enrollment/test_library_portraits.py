"""Portraits: a face alone, and the faces of a person that are worth enrolling."""

import io
from uuid import UUID

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from marquee.v1 import recognizer_pb2 as pb
from services.library.enrollment.portrait import portrait
from services.library.enrollment.portraits import Candidate, choose
from tests.support.pictures import encode
from tests.support.servers import box

RED, BLUE = (220, 0, 0), (0, 0, 220)
OWN, NEAR, TOUCHING, FAR = (0.4, 0.4, 0.1, 0.1), (0.54, 0.4, 0.1, 0.1), (0.5, 0.4, 0.1, 0.1), (0.85, 0.4, 0.1, 0.1)

sides = st.floats(1, 400)
places = st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3).map(lambda one: np.asarray(one, np.float32))
candidates = st.lists(st.tuples(sides, st.none() | places, st.booleans()), max_size=20).map(
    lambda several: [Candidate(UUID(int=number), *one) for number, one in enumerate(several)]
)


def picture(*others: tuple[float, float, float, float]) -> bytes:
    """Return a picture of 1000 by 1000 pixels with a red face, and blue ones."""
    pixels = Pillow.new("RGB", (1000, 1000), "white")
    for place, color in ((OWN, RED), *((one, BLUE) for one in others)):
        left, top, width, height = (round(1000 * one) for one in place)
        pixels.paste(color, (left, top, left + width, top + height))
    return encode(pixels, "PNG")


def cut(*others: tuple[float, float, float, float]) -> Pillow.Image:
    """Return the portrait of the red face."""
    content = portrait(picture(*others), box(OWN), [box(one) for one in others])
    return Pillow.open(io.BytesIO(content)).convert("RGB")


def share(shown: Pillow.Image, color: tuple[int, int, int]) -> int:
    """Return how many pixels have about this color."""
    return int((np.abs(np.asarray(shown, int) - color).max(axis=2) < 60).sum())


def test_a_face_has_a_margin() -> None:
    """The whole face is shown with what is around it, whoever else is far away."""
    shown = cut(FAR)
    assert shown.size == (220, 220)
    assert 9_500 < share(shown, RED) < 10_500


def test_neighbours_are_left_out() -> None:
    """A face nearby makes the margin narrower; one that touches is grey. The face itself is whole."""
    narrow = cut(NEAR)
    assert 120 < narrow.width < 220
    assert share(narrow, BLUE) < 1_100
    touching = cut(TOUCHING)
    assert share(touching, BLUE) < 300
    assert 9_000 < share(touching, RED) < 10_500


def test_the_same_face_is_the_same_file() -> None:
    """A portrait is the same bytes again, so that a recognizer knows that it has it."""
    assert portrait(picture(), box(OWN), []) == portrait(picture(), box(OWN), [])


@given(st.lists(st.floats(-0.2, 1.2), min_size=4, max_size=4))
def test_any_box_is_cut(edges: list[float]) -> None:
    """A box that is partly or wholly outside of the picture, or empty, yields a picture all the same."""
    left, top, width, height = edges
    place = pb.BoundingBox(left=left, top=top, width=width, height=height)
    small = encode(Pillow.new("RGB", (40, 30), "teal"))
    assert min(Pillow.open(io.BytesIO(portrait(small, place, [place]))).size) >= 1


@given(candidates, st.integers(0, 12))
def test_faces_are_chosen(several: list[Candidate], count: int) -> None:
    """As many faces as there are, up to the number, each once: enrolled ones first, and no tiny ones among others."""
    chosen = choose(several, count)
    enrolled = [one.face_id for one in several if one.is_enrolled]
    assert len(chosen) == len(set(chosen)) <= count
    assert set(chosen[: len(enrolled)]) <= set(enrolled) or not enrolled
    assert not several or not count or chosen
    large = {one.face_id for one in several if one.side >= 64 or one.is_enrolled}
    assert set(chosen) <= large or (len(chosen) == 1 and not large)


def test_different_faces_go_first() -> None:
    """Of faces that are large enough, those unlike the ones before are better than one more of the same moment."""
    vectors = {1: (0, 0, 0), 2: (0, 0, 0.1), 3: (1, 0, 0), 4: (0, 1, 0)}
    several = [Candidate(UUID(int=one), 200, np.asarray(at, np.float32), False) for one, at in vectors.items()]  # noqa: FBT003
    assert [one.int for one in choose(several, 3)] == [1, 3, 4]

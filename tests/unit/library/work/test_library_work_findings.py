"""What several answers amount to: which faces are the same ones, and which labels and texts there are."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from marquee.v1 import recognizer_pb2 as pb
from services.library.work.answers import best, distinct
from services.library.work.matching import Known, match
from services.runtime.boxes import iou
from tests.support.servers import LEFT, NEAR_LEFT, RIGHT, box

sides = st.integers(1, 8).map(lambda sixteenths: sixteenths / 16)
boxes = st.builds(pb.BoundingBox, left=sides, top=sides, width=sides, height=sides)
verdicts = st.lists(st.builds(pb.Verdict, box=st.none() | boxes, person_id=st.sampled_from(["", "anna"])), max_size=6)


def known(found: list[pb.Verdict]) -> list[Known]:
    return [Known(UUID(int=number), True, one) for number, one in enumerate(found)]  # noqa: FBT003


@given(verdicts, verdicts)
def test_no_face_is_two(before: list[pb.Verdict], now: list[pb.Verdict]) -> None:
    """Each known face is at most one of the new ones, where both overlap by half at least."""
    found = match(known(before), now)
    assert len(set(found.values())) == len(found)
    for position, face_id in found.items():
        one, other = now[position], before[face_id.int]
        assert one.HasField("box") == other.HasField("box")
        assert not one.HasField("box") or iou(one.box, other.box) >= 0.5


@given(st.lists(boxes, max_size=6, unique_by=lambda one: (one.left, one.top, one.width, one.height)))
def test_the_same_faces_are_found_again(places: list[pb.BoundingBox]) -> None:
    """Faces that are where they were keep their identifiers, whatever lies beside them."""
    found = [pb.Verdict(box=one) for one in places]
    assert match(known(found), found) == {number: UUID(int=number) for number in range(len(found))}


def test_a_current_face_goes_first() -> None:
    """Of two known faces at one place that one is found again which was there the last time."""
    there = pb.Verdict(box=box(LEFT))
    faces = [Known(UUID(int=1), False, there), Known(UUID(int=2), True, there)]  # noqa: FBT003
    assert match(faces, [pb.Verdict(box=box(RIGHT)), there]) == {1: UUID(int=2)}


def test_labels_are_merged_by_name() -> None:
    """Each label is there once, with its best score, the best first."""
    labels = [pb.Label(name=name, score=score) for name, score in (("Boat", 0.5), ("Sea", 0.75), ("Boat", 1.0))]
    assert [(one.name, one.score) for one in best(labels)] == [("Boat", 1.0), ("Sea", 0.75)]


def test_texts_are_merged_by_place() -> None:
    """A text that two recognizers read at one place is one; the same words elsewhere are others."""
    texts = [pb.Text(content=text, box=box(place)) for text, place in (("A", LEFT), ("a", NEAR_LEFT), ("A", RIGHT))]
    assert distinct(texts) == [texts[0], texts[2]]

"""Uniting the faces that several operations detect."""

import pytest

from marquee.v1 import recognizer_pb2 as pb
from services.rekognition import results


def box(left: float, top: float, width: float, height: float) -> pb.BoundingBox:
    return pb.BoundingBox(left=left, top=top, width=width, height=height)


def face(where: pb.BoundingBox, *people: str, **fields: object) -> pb.Face:
    return pb.Face(box=where, candidates=[pb.Candidate(person_id=person) for person in people], **fields)


def test_detections_of_one_face_are_united() -> None:
    """The face has the candidates of both, the better score, the longer list of landmarks, and each attribute once."""
    detailed = face(
        box(0.1, 0.1, 0.2, 0.2),
        detection_score=0.9,
        landmarks=[pb.Landmark(type="nose"), pb.Landmark(type="eyeLeft")],
        attributes=[pb.FaceAttribute(name="Smile", value="true")],
    )
    named = face(
        box(0.11, 0.1, 0.2, 0.2),
        "anna",
        detection_score=0.95,
        landmarks=[pb.Landmark(type="nose")],
        quality=pb.FaceQuality(brightness=0.5),
        attributes=[pb.FaceAttribute(name="Smile", value="false"), pb.FaceAttribute(name="Emotion")],
    )
    (one,) = results.unite([[detailed], [named]])
    assert one.box == box(0.1, 0.1, 0.2, 0.2)
    assert [candidate.person_id for candidate in one.candidates] == ["anna"]
    assert (one.detection_score, one.quality.brightness) == (pytest.approx(0.95), 0.5)
    assert len(one.landmarks) == 2
    assert [(attribute.name, attribute.value) for attribute in one.attributes] == [("Smile", "true"), ("Emotion", "")]


def test_faces_of_one_operation_stay_apart() -> None:
    """Faces from one operation are not united, however near they are: Rekognition says that they are two."""
    near = [face(box(0.1, 0.1, 0.2, 0.2), "anna"), face(box(0.11, 0.1, 0.2, 0.2), "eva")]
    assert len(results.unite([near])) == 2
    third = face(box(0.1, 0.1, 0.2, 0.2), "ada")
    assert [len(one.candidates) for one in results.unite([near, [third]])] == [2, 1]


def test_a_face_of_only_one_operation_is_kept() -> None:
    """A face is kept even if the other operation does not detect it."""
    here, there = face(box(0.1, 0.1, 0.2, 0.2)), face(box(0.6, 0.1, 0.2, 0.2), "eva")
    assert results.unite([[here], [there]]) == [here, there]

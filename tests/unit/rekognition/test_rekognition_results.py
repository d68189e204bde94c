"""Converting Rekognition's responses to the contract's messages."""

import pytest

from services.rekognition import results

FACE = {
    "BoundingBox": {"Left": 0.1, "Top": 0.2, "Width": 0.3, "Height": 0.4},
    "Confidence": 99.5,
    "Landmarks": [{"Type": "nose", "X": 0.25, "Y": 0.4}],
    "Pose": {"Roll": 3.0, "Yaw": -4.0, "Pitch": 5.0},
    "Quality": {"Brightness": 80.0, "Sharpness": 40.0},
    "Smile": {"Value": True, "Confidence": 90.0},
    "Emotions": [{"Type": "HAPPY", "Confidence": 70.0}],
}
CELEBRITY = {"Id": "1SK7cR8M", "Name": "Somebody", "MatchConfidence": 98.0, "Urls": ["www.example.org"], "Face": FACE}


def test_a_celebrity_is_a_face_with_one_candidate() -> None:
    """Name, id, pages and the match's confidence, as a score of 0 to 1, become the face's candidate."""
    (face,) = results.faces({"CelebrityFaces": [CELEBRITY], "UnrecognizedFaces": []})
    (candidate,) = face.candidates
    assert (candidate.person_id, candidate.display_name) == ("1SK7cR8M", "Somebody")
    assert list(candidate.urls) == ["www.example.org"]
    assert candidate.score == pytest.approx(0.98)
    assert face.detection_score == pytest.approx(0.995)


def test_an_unrecognized_face_has_no_candidate_and_keeps_the_rest() -> None:
    """Landmarks, quality, pose and attributes are those of the response."""
    (face,) = results.faces({"CelebrityFaces": [], "UnrecognizedFaces": [FACE]})
    assert not face.candidates
    assert (face.landmarks[0].type, face.landmarks[0].x) == ("nose", pytest.approx(0.25))
    assert face.quality.sharpness == pytest.approx(0.4)
    assert face.quality.brightness == pytest.approx(0.8)
    assert (face.quality.pose.roll, face.quality.pose.yaw, face.quality.pose.pitch) == (3, -4, 5)
    assert [(one.name, one.value) for one in face.attributes] == [("Smile", "true"), ("Emotion", "HAPPY")]


def test_absent_values_stay_unset() -> None:
    """A face without quality in the response leaves the fields unset rather than 0."""
    (face,) = results.faces({"CelebrityFaces": [], "UnrecognizedFaces": [{"BoundingBox": {}}]})
    assert not face.quality.HasField("sharpness")
    assert not face.quality.HasField("pose")


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"Left": -0.1, "Top": 0.5, "Width": 0.3, "Height": 0.2}, (0, 0.5, 0.2, 0.2)),
        ({"Left": 0.9, "Top": 0.8, "Width": 0.3, "Height": 0.9}, (0.9, 0.8, 0.1, 0.2)),
        ({"Left": 1.2, "Top": -3.0, "Width": 0.3, "Height": 9.0}, (1, 0, 0, 1)),
    ],
)
def test_a_box_is_clipped_to_the_picture(bounds: dict, expected: tuple) -> None:
    """Only the part within the picture remains: the contract's boxes end at 0 and 1."""
    box = results.box(bounds)
    assert (box.left, box.top, box.width, box.height) == pytest.approx(expected)


def test_a_label_keeps_parents_categories_and_instances() -> None:
    """A label's score and those of its instances range from 0 to 1."""
    response = {
        "Name": "Face",
        "Confidence": 75.0,
        "Parents": [{"Name": "Head"}, {"Name": "Person"}],
        "Categories": [{"Name": "Person Description"}],
        "Instances": [{"BoundingBox": FACE["BoundingBox"], "Confidence": 60.0}],
    }
    (label,) = results.labels({"Labels": [response]})
    assert (label.name, label.score) == ("Face", 0.75)
    assert list(label.parents) == ["Head", "Person"]
    assert list(label.categories) == ["Person Description"]
    assert label.instances[0].score == pytest.approx(0.6)
    assert label.instances[0].box.left == pytest.approx(0.1)

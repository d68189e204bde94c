"""FACES, TEXT and MODERATION, and several features of one call."""

import threading
from typing import Any

import pytest
from google.rpc import code_pb2
from PIL import Image as Pillow

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.images.image import Image
from tests.support.aws import Answer, scripted_aws
from tests.support.pictures import encode
from tests.support.processes import PATIENCE
from tests.support.rekognition import ask, options, recognizing, respond

pytestmark = pytest.mark.usefixtures("aws_credentials")


async def test_faces_have_all_that_is_told_of_them() -> None:
    """Landmarks, quality, pose, and attributes with their scores; AgeRange has none."""
    with scripted_aws(respond) as aws:
        result = await ask(aws.url, pb.FEATURE_FACES)
    assert aws.requests[0][1]["Attributes"] == ["ALL"]
    (face,) = result.faces
    assert not face.candidates
    assert (face.landmarks[0].type, face.quality.sharpness, face.quality.pose.yaw) == ("nose", pytest.approx(0.4), 4)
    assert [(one.name, one.value, round(one.score, 2)) for one in face.attributes] == [
        ("AgeRange", "31-39", 0),
        ("Gender", "Female", 0.97),
        ("Eyeglasses", "false", 0.95),
        ("EyeDirection", "yaw 2.0, pitch -3.0", 0.9),
        ("Emotion", "CALM", 0.88),
    ]


async def test_texts_are_lines_and_words_with_places() -> None:
    """Each with its kind, box and score."""
    with scripted_aws(respond) as aws:
        result = await ask(aws.url, pb.FEATURE_TEXT)
    assert [(text.content, text.type) for text in result.texts] == [
        ("STOP", pb.TEXT_TYPE_LINE),
        ("STOP", pb.TEXT_TYPE_WORD),
    ]
    assert result.texts[0].box.left == pytest.approx(0.1)


async def test_moderation_labels_have_the_one_above() -> None:
    """A moderator sees what kind of alcohol it is."""
    with scripted_aws(respond) as aws:
        result = await ask(aws.url, pb.FEATURE_MODERATION)
    assert [(label.name, label.parent) for label in result.moderation_labels] == [
        ("Alcohol", ""),
        ("Alcoholic Beverages", "Alcohol"),
    ]


async def test_a_face_that_several_features_see_is_one_face() -> None:
    """Its candidates come from celebrities and the collection, all the rest from DetectFaces, asked once."""
    with scripted_aws(respond) as aws:
        result = await ask(
            aws.url,
            *(pb.FEATURE_CELEBRITIES, pb.FEATURE_FACE_SEARCH, pb.FEATURE_FACES),
            rekognition_collection="people",
        )
    (face,) = result.faces
    assert {one.person_id: round(one.score, 2) for one in face.candidates} == {"c1": 0.97, "anna": 0.99, "eva": 0.85}
    assert len(face.attributes) == 5
    assert len(aws.times("DetectFaces")) == 1
    assert result.cost_micro_usd == 3000


async def test_all_features_are_asked_at_once() -> None:
    """No question waits for another's answer: here each is answered only when all five are asked."""
    features = (pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS, pb.FEATURE_FACES, pb.FEATURE_TEXT, pb.FEATURE_MODERATION)
    all_asked = threading.Barrier(len(features))

    def together(operation: str, body: dict[str, Any]) -> Answer:
        all_asked.wait(PATIENCE)
        return respond(operation, body)

    with scripted_aws(together) as aws:
        result = await ask(aws.url, *features)
    assert result.cost_micro_usd == 5000
    assert (len(result.faces), len(result.labels), len(result.texts), len(result.moderation_labels)) == (1, 1, 2, 2)


async def test_a_feature_that_is_late_leaves_the_others() -> None:
    """At the deadline the answer goes out with what is there; the late feature is named, its money is spent."""
    go = threading.Event()

    def text_late(operation: str, body: dict[str, Any]) -> Answer:
        if operation == "DetectText":
            go.wait(PATIENCE)
        return respond(operation, body)

    with scripted_aws(text_late) as aws:
        async with recognizing(aws.url) as recognizer:
            image = Image(encode(Pillow.new("RGB", (400, 300))))
            result = await recognizer.recognize(image, options(pb.FEATURE_LABELS, pb.FEATURE_TEXT, seconds=3))
            go.set()
    assert [label.name for label in result.labels] == ["Boat"]
    (failure,) = result.feature_errors
    assert (failure.feature, failure.status.code) == (pb.FEATURE_TEXT, code_pb2.DEADLINE_EXCEEDED)
    assert result.cost_micro_usd == 2000

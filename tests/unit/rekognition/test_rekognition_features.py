"""FACES, TEXT and MODERATION, and several features in one call."""

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
from tests.support.rekognition import options, recognize, respond, running_recognizer

pytestmark = pytest.mark.usefixtures("aws_credentials")


async def test_faces_keep_all_details() -> None:
    """A face has landmarks, quality, pose, and attributes with their scores; AgeRange has no score."""
    with scripted_aws(respond) as aws:
        result = await recognize(aws.url, pb.FEATURE_FACES)
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


async def test_texts_are_lines_and_words_with_boxes() -> None:
    """Each text has its kind, box and score."""
    with scripted_aws(respond) as aws:
        result = await recognize(aws.url, pb.FEATURE_TEXT)
    assert [(text.content, text.type) for text in result.texts] == [
        ("STOP", pb.TEXT_TYPE_LINE),
        ("STOP", pb.TEXT_TYPE_WORD),
    ]
    assert result.texts[0].box.left == pytest.approx(0.1)


async def test_moderation_labels_have_a_parent() -> None:
    """A moderation label names its parent, so that a moderator sees which kind of alcohol it is."""
    with scripted_aws(respond) as aws:
        result = await recognize(aws.url, pb.FEATURE_MODERATION)
    assert [(label.name, label.parent) for label in result.moderation_labels] == [
        ("Alcohol", ""),
        ("Alcoholic Beverages", "Alcohol"),
    ]


async def test_a_face_of_several_features_is_one_face() -> None:
    """Its candidates come from celebrities and the collection, the rest from a single DetectFaces call."""
    with scripted_aws(respond) as aws:
        result = await recognize(
            aws.url,
            *(pb.FEATURE_CELEBRITIES, pb.FEATURE_FACE_SEARCH, pb.FEATURE_FACES),
            rekognition_collection="people",
        )
    (face,) = result.faces
    assert {one.person_id: round(one.score, 2) for one in face.candidates} == {"c1": 0.97, "anna": 0.99, "eva": 0.85}
    assert len(face.attributes) == 5
    assert len(aws.times("DetectFaces")) == 1
    assert result.cost_micro_usd == 3000


async def test_all_features_are_requested_concurrently() -> None:
    """No request waits for another's response: the server responds only once it has all five."""
    features = (pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS, pb.FEATURE_FACES, pb.FEATURE_TEXT, pb.FEATURE_MODERATION)
    all_sent = threading.Barrier(len(features))

    def together(operation: str, body: dict[str, Any]) -> Answer:
        all_sent.wait(PATIENCE)
        return respond(operation, body)

    with scripted_aws(together) as aws:
        result = await recognize(aws.url, *features)
    assert result.cost_micro_usd == 5000
    assert (len(result.faces), len(result.labels), len(result.texts), len(result.moderation_labels)) == (1, 1, 2, 2)


async def test_a_late_feature_leaves_the_others() -> None:
    """At the deadline the result contains the finished features; the late one is named as failed and still paid for."""
    go = threading.Event()

    def text_late(operation: str, body: dict[str, Any]) -> Answer:
        if operation == "DetectText":
            go.wait(PATIENCE)
        return respond(operation, body)

    with scripted_aws(text_late) as aws:
        async with running_recognizer(aws.url) as recognizer:
            image = Image(encode(Pillow.new("RGB", (400, 300))))
            result = await recognizer.recognize(image, options(pb.FEATURE_LABELS, pb.FEATURE_TEXT, seconds=5))
            go.set()
    assert [label.name for label in result.labels] == ["Boat"]
    (failure,) = result.feature_errors
    assert (failure.feature, failure.status.code) == (pb.FEATURE_TEXT, code_pb2.DEADLINE_EXCEEDED)
    assert result.cost_micro_usd == 2000

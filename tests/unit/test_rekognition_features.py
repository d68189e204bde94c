"""FACES, FACE_SEARCH, TEXT and MODERATION, and several features of one call."""

import asyncio
import base64
import io
import time
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import numpy as np
import pytest
from google.rpc import code_pb2
from PIL import Image as Pillow

from local import pictures
from marquee.v1 import recognizer_pb2 as pb
from services.rekognition.recognizer import RekognitionRecognizer
from services.runtime.errors import CollectionNotFound, InvalidRequest
from services.runtime.images import Image
from services.runtime.recognizer import Options
from services.runtime.s3 import ObjectStore
from tests.unit.rekognition_servers import CREDENTIALS, endpoint, s3_server
from tests.unit.scripted_aws import Answer, refusal, scripted_aws, settings

BUCKET = "pics"
COLLECTION = "people"
LEFT = {"Left": 0.1, "Top": 0.2, "Width": 0.2, "Height": 0.4}
RIGHT = {"Left": 0.6, "Top": 0.2, "Width": 0.3, "Height": 0.5}
DETECTED = {
    "BoundingBox": LEFT,
    "Confidence": 99.0,
    "Landmarks": [{"Type": "nose", "X": 0.2, "Y": 0.4}],
    "Quality": {"Brightness": 80.0, "Sharpness": 40.0},
    "Pose": {"Yaw": 4.0},
    "AgeRange": {"Low": 31, "High": 39},
    "Gender": {"Value": "Female", "Confidence": 97.0},
    "Eyeglasses": {"Value": False, "Confidence": 95.0},
    "EyeDirection": {"Yaw": 2.0, "Pitch": -3.0, "Confidence": 90.0},
    "Emotions": [{"Type": "CALM", "Confidence": 88.0}],
}
TEXT = {
    "TextDetections": [
        {
            "DetectedText": "STOP",
            "Type": kind,
            "Id": number,
            "Confidence": 98.0,
            "Geometry": {"BoundingBox": LEFT},
        }
        for number, kind in enumerate(("LINE", "WORD"))
    ]
}
MODERATION = {
    "ModerationLabels": [
        {"Name": "Alcohol", "ParentName": "", "Confidence": 90.0},
        {"Name": "Alcoholic Beverages", "ParentName": "Alcohol", "Confidence": 85.0},
    ]
}
ANSWERS: dict[str, object] = {
    "RecognizeCelebrities": {
        "CelebrityFaces": [{"Id": "c1", "Name": "Somebody", "MatchConfidence": 97.0, "Face": {"BoundingBox": LEFT}}],
        "UnrecognizedFaces": [],
    },
    "DetectLabels": {"Labels": [{"Name": "Boat", "Confidence": 80.0}]},
    "DetectFaces": {"FaceDetails": [DETECTED]},
    "DetectText": TEXT,
    "DetectModerationLabels": MODERATION,
    "SearchFacesByImage": {
        "SearchedFaceBoundingBox": LEFT,
        "FaceMatches": [
            {"Similarity": similarity, "Face": {"FaceId": face, "ExternalImageId": person}}
            for similarity, face, person in ((91.0, "f1", "anna"), (99.0, "f2", "anna"), (85.0, "f3", "eva"))
        ],
    },
}


def encode(picture: Pillow.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def asking(*features: pb.Feature.ValueType, collection: str = COLLECTION, seconds: float = 10) -> Options:
    deadline = time.monotonic() + seconds
    return Options("test", features, 10, 0, collection, include_embeddings=False, deadline=deadline)


def as_told(operation: str, _: dict[str, Any]) -> Answer:
    return 200, ANSWERS[operation]


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


async def ask(url: str, *features: pb.Feature.ValueType, image: Image | None = None, **own: object) -> Any:
    recognizer = RekognitionRecognizer(settings(url, **own))
    await recognizer.load()
    try:
        plain = Image(encode(Pillow.new("RGB", (400, 300))))
        return await recognizer.recognize(image or plain, asking(*features, collection=""))
    finally:
        await recognizer.close()


async def test_faces_have_all_that_is_told_of_them() -> None:
    """Landmarks, quality, pose, and attributes with their scores; AgeRange has none."""
    with scripted_aws(as_told) as aws:
        result = await ask(aws.url, pb.FEATURE_FACES)
    assert aws.asked[0][1]["Attributes"] == ["ALL"]
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
    with scripted_aws(as_told) as aws:
        result = await ask(aws.url, pb.FEATURE_TEXT)
    assert [(text.content, text.type) for text in result.texts] == [
        ("STOP", pb.TEXT_TYPE_LINE),
        ("STOP", pb.TEXT_TYPE_WORD),
    ]
    assert result.texts[0].box.left == pytest.approx(0.1)


async def test_moderation_labels_have_the_one_above() -> None:
    """A moderator sees what kind of alcohol it is."""
    with scripted_aws(as_told) as aws:
        result = await ask(aws.url, pb.FEATURE_MODERATION)
    assert [(label.name, label.parent) for label in result.moderation_labels] == [
        ("Alcohol", ""),
        ("Alcoholic Beverages", "Alcohol"),
    ]


async def test_a_face_that_several_features_see_is_one_face() -> None:
    """Its candidates come from celebrities and the collection, all the rest from DetectFaces, asked once."""
    with scripted_aws(as_told) as aws:
        result = await ask(
            aws.url,
            *(pb.FEATURE_CELEBRITIES, pb.FEATURE_FACE_SEARCH, pb.FEATURE_FACES),
            rekognition_collection=COLLECTION,
        )
    (face,) = result.faces
    assert {one.person_id: round(one.score, 2) for one in face.candidates} == {"c1": 0.97, "anna": 0.99, "eva": 0.85}
    assert len(face.attributes) == 5
    assert len(aws.times("DetectFaces")) == 1
    assert result.cost_micro_usd == 3000


async def test_all_features_at_once_take_as_long_as_the_slowest() -> None:
    """Five answers of 0.4 s each take no 0.8 s."""

    def slowly(operation: str, body: dict[str, Any]) -> Answer:
        time.sleep(0.4)
        return as_told(operation, body)

    features = (pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS, pb.FEATURE_FACES, pb.FEATURE_TEXT, pb.FEATURE_MODERATION)
    with scripted_aws(slowly) as aws:
        result = await ask(aws.url, *features)
        first, last = min(when for *_, when in aws.asked), max(when for *_, when in aws.asked)
    assert last - first < 0.3
    assert result.cost_micro_usd == 5000
    assert (len(result.faces), len(result.labels), len(result.texts), len(result.moderation_labels)) == (1, 1, 2, 2)


async def test_a_feature_that_is_late_leaves_the_others() -> None:
    """At the deadline the answer goes out with what is there; the late feature is named, its money is spent."""

    def text_late(operation: str, body: dict[str, Any]) -> Answer:
        if operation == "DetectText":
            time.sleep(2)
        return as_told(operation, body)

    with scripted_aws(text_late) as aws:
        recognizer = RekognitionRecognizer(settings(aws.url))
        await recognizer.load()
        image = Image(encode(Pillow.new("RGB", (400, 300))))
        result = await recognizer.recognize(image, asking(pb.FEATURE_LABELS, pb.FEATURE_TEXT, seconds=1))
        await recognizer.close()
    assert [label.name for label in result.labels] == ["Boat"]
    (failure,) = result.feature_errors
    assert (failure.feature, failure.status.code) == (pb.FEATURE_TEXT, code_pb2.DEADLINE_EXCEEDED)
    assert result.cost_micro_usd == 2000


async def test_face_search_needs_a_collection() -> None:
    """The caller is told to name one, and nothing is paid."""
    with scripted_aws(as_told) as aws:
        with pytest.raises(InvalidRequest, match="MARQUEE_REKOGNITION_COLLECTION"):
            await ask(aws.url, pb.FEATURE_FACE_SEARCH)
        assert not aws.asked


def crowd(count: int) -> dict[str, object]:
    """A row of faces, the one on the left the largest."""
    return {
        "FaceDetails": [
            {"BoundingBox": {"Left": number / count, "Top": 0.2, "Width": 0.8 / count, "Height": 0.6 - number / 100}}
            for number in range(count)
        ]
    }


async def test_a_crowd_is_searched_a_few_at_a_time() -> None:
    """The largest faces up to the limit, never more at once than allowed, and a warning about the rest."""
    running, most = 0, 0

    def script(operation: str, _: dict[str, Any]) -> Answer:
        nonlocal running, most
        if operation == "DetectFaces":
            return 200, crowd(9)
        running += 1
        most = max(most, running)
        time.sleep(0.1)
        running -= 1
        return 200, {"FaceMatches": [], "SearchedFaceBoundingBox": LEFT}

    with scripted_aws(script) as aws:
        result = await ask(
            aws.url,
            pb.FEATURE_FACE_SEARCH,
            rekognition_collection=COLLECTION,
            rekognition_search_faces=6,
            rekognition_search_parallel=2,
        )
    assert (len(aws.times("SearchFacesByImage")), most) == (6, 2)
    assert len(result.faces) == 9
    assert list(result.warnings) == ["searched the 6 largest of 9 faces"]
    assert result.cost_micro_usd == 7000


async def test_each_search_shows_its_own_face_alone() -> None:
    """A crop has the face with some margin, and the neighbour that reaches into it is painted over."""
    canvas = np.zeros((300, 400, 3), np.uint8)
    canvas[60:180, 100:180] = (255, 0, 0)
    canvas[40:200, 190:290] = (0, 0, 255)
    faces = [
        {"BoundingBox": {"Left": left / 400, "Top": top / 300, "Width": width / 400, "Height": height / 300}}
        for left, top, width, height in ((100, 60, 80, 120), (190, 40, 100, 160))
    ]
    sent = []

    def script(operation: str, body: dict[str, Any]) -> Answer:
        if operation == "DetectFaces":
            return 200, {"FaceDetails": faces}
        sent.append(np.asarray(Pillow.open(io.BytesIO(base64.b64decode(body["Image"]["Bytes"])))).astype(int))
        return refusal("InvalidParameterException")

    image = Image(encode(Pillow.fromarray(canvas), "PNG"))
    with scripted_aws(script) as aws:
        result = await ask(aws.url, pb.FEATURE_FACE_SEARCH, image=image, rekognition_collection=COLLECTION)
    assert len(result.faces) == 2
    assert not any(face.candidates for face in result.faces)
    reds = [int(((crop[:, :, 0] > 200) & (crop[:, :, 2] < 60)).sum()) for crop in sent]
    blues = [int(((crop[:, :, 2] > 200) & (crop[:, :, 0] < 60)).sum()) for crop in sent]
    (red,) = [number for number in range(2) if reds[number]]
    assert reds[red] == pytest.approx(80 * 120, rel=0.05)
    assert blues[red] == reds[1 - red] == 0
    assert blues[1 - red] == pytest.approx(100 * 160, rel=0.05)
    assert min(min(crop.shape[:2]) for crop in sent) >= 160


async def test_a_match_of_another_face_names_nobody() -> None:
    """Rekognition tells which face it searched; a crop's largest face may not be the one that was meant."""

    def script(operation: str, _: dict[str, Any]) -> Answer:
        if operation == "DetectFaces":
            return 200, {"FaceDetails": [{"BoundingBox": LEFT}, {"BoundingBox": RIGHT}]}
        corner = {"Left": 0.0, "Top": 0.0, "Width": 0.1, "Height": 0.1}
        return 200, {**ANSWERS["SearchFacesByImage"], "SearchedFaceBoundingBox": corner}

    with scripted_aws(script) as aws:
        result = await ask(aws.url, pb.FEATURE_FACE_SEARCH, rekognition_collection=COLLECTION)
    assert [len(face.candidates) for face in result.faces] == [0, 0]


async def test_a_search_that_fails_leaves_the_other_faces() -> None:
    """FACE_SEARCH is named as failed, and what it found about the other face is there."""
    searches = iter([refusal("InternalServerError", 500), (200, ANSWERS["SearchFacesByImage"])])

    def script(operation: str, _: dict[str, Any]) -> Answer:
        if operation == "DetectFaces":
            return 200, {"FaceDetails": [{"BoundingBox": LEFT}, {"BoundingBox": RIGHT}]}
        status, answer = next(searches)
        whole = {"Left": 0.25, "Top": 0.25, "Width": 0.5, "Height": 0.5}
        return status, {**answer, "SearchedFaceBoundingBox": whole}

    with scripted_aws(script) as aws:
        result = await ask(aws.url, pb.FEATURE_FACE_SEARCH, rekognition_collection=COLLECTION, rekognition_attempts=1)
    assert sorted(len(face.candidates) for face in result.faces) == [0, 2]
    (failure,) = result.feature_errors
    assert (failure.feature, failure.status.code) == (pb.FEATURE_FACE_SEARCH, code_pb2.UNAVAILABLE)
    assert list(result.warnings) == ["face search failed for 1 of 2 faces"]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The local endpoint with both demo people in a collection, and both in one picture in S3."""
    folder = tmp_path_factory.mktemp("gallery")
    pictures.write_gallery(folder)
    with pytest.MonkeyPatch.context() as patch, s3_server() as s3_url, endpoint(folder, s3_url) as url:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        client = boto3.Session().client("rekognition", endpoint_url=url)
        client.create_collection(CollectionId=COLLECTION)
        for name in ("Eileen Collins", "Grace Hopper"):
            content = encode(pictures.photo(name))
            client.index_faces(
                CollectionId=COLLECTION, Image={"Bytes": content}, ExternalImageId=name.replace(" ", "_"), MaxFaces=1
            )
        client.close()
        s3 = boto3.Session().client("s3", endpoint_url=s3_url)
        s3.create_bucket(Bucket=BUCKET)
        for name in ("both.jpg", "hopper.jpg"):
            s3.put_object(Bucket=BUCKET, Key=name, Body=encode(pictures.demo_pictures()[name]))
        s3.close()
        yield SimpleNamespace(url=url, s3_url=s3_url)


@pytest.fixture
async def recognizer(real: SimpleNamespace) -> AsyncIterator[RekognitionRecognizer]:
    made = RekognitionRecognizer(settings(real.url))
    await made.load()
    yield made
    await made.close()


async def test_everybody_in_a_picture_is_found_in_the_collection(
    real: SimpleNamespace, recognizer: RekognitionRecognizer
) -> None:
    """Both faces, though SearchFacesByImage looks at one; from bytes and from S3 alike."""
    both = encode(pictures.demo_pictures()["both.jpg"])
    where = pb.S3Object(bucket=BUCKET, key="both.jpg")
    for image in (Image(both), Image(s3_object=where, fetch=ObjectStore(real.s3_url).fetch)):
        result = await recognizer.recognize(image, asking(pb.FEATURE_FACE_SEARCH))
        faces = sorted(result.faces, key=lambda face: face.box.left)
        assert [face.candidates[0].person_id for face in faces] == ["Eileen_Collins", "Grace_Hopper"]
        assert result.cost_micro_usd == 3000


async def test_one_face_is_searched_without_being_cut_out(
    real: SimpleNamespace, recognizer: RekognitionRecognizer
) -> None:
    """Two calls that name the S3 object, which is never fetched."""
    image = Image(s3_object=pb.S3Object(bucket=BUCKET, key="hopper.jpg"), fetch=ObjectStore(real.s3_url).fetch)
    result = await recognizer.recognize(image, asking(pb.FEATURE_FACE_SEARCH))
    assert result.faces[0].candidates[0].person_id == "Grace_Hopper"
    assert not image.is_read
    assert result.cost_micro_usd == 2000


async def test_a_picture_without_faces_costs_no_search(recognizer: RekognitionRecognizer) -> None:
    """DetectFaces says so, and that is all that is paid."""
    image = Image(encode(pictures.demo_pictures()["coffee.jpg"]))
    result = await recognizer.recognize(image, asking(pb.FEATURE_FACE_SEARCH))
    assert not result.faces
    assert result.cost_micro_usd == 1000


async def test_a_collection_that_is_not_there(recognizer: RekognitionRecognizer) -> None:
    """NOT_FOUND, in words that tell how to see which ones there are."""
    image = Image(encode(pictures.demo_pictures()["hopper.jpg"]))
    with pytest.raises(CollectionNotFound, match="list-collections"):
        await recognizer.recognize(image, asking(pb.FEATURE_FACE_SEARCH, collection="nobody"))


async def test_all_six_features_of_a_real_picture(recognizer: RekognitionRecognizer) -> None:
    """One face with its celebrity and its match, labels, and nothing failed."""
    image = Image(encode(pictures.demo_pictures()["hopper.jpg"]))
    result = await recognizer.recognize(image, asking(*recognizer.features))
    assert not result.feature_errors
    (face,) = result.faces
    assert {one.display_name for one in face.candidates} == {"Grace Hopper", "Grace_Hopper"}
    assert result.labels
    assert result.cost_micro_usd == 6000


async def test_calls_of_several_features_do_not_mix(recognizer: RekognitionRecognizer) -> None:
    """Six searches at once, each with its own people."""
    demo = pictures.demo_pictures()
    names = ["hopper.jpg", "coffee.jpg", "both.jpg"] * 2
    found = await asyncio.gather(
        *(
            recognizer.recognize(Image(encode(demo[name])), asking(pb.FEATURE_FACE_SEARCH, pb.FEATURE_FACES))
            for name in names
        )
    )
    assert [len(result.faces) for result in found] == [1, 0, 2] * 2

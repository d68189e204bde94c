"""Helpers that call the Rekognition recognizer and enroll people in it, and AWS's default responses."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import boto3
from PIL import Image as Pillow

from local.pictures import photo
from marquee.v1 import recognizer_pb2 as pb
from services.rekognition.enrollment.enroller import RekognitionEnroller
from services.rekognition.recognizer import RekognitionRecognizer
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Enrollment, Options
from services.runtime.people import person_id_of
from tests.support import pictures
from tests.support.aws import TABLE, Answer, dynamodb, endpoint, settings
from tests.support.pictures import encode

_DEFAULT = (pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS)
Replica = tuple[RekognitionRecognizer, RekognitionEnroller]
OpenReplica = Callable[..., AbstractAsyncContextManager[Replica]]


@asynccontextmanager
async def running_recognizer(url: str, **own: object) -> AsyncIterator[RekognitionRecognizer]:
    """Load a recognizer with AWS at the URL and settings of its own; yield it."""
    recognizer = RekognitionRecognizer(settings(url, **own))
    await recognizer.load()
    try:
        yield recognizer
    finally:
        await recognizer.close()


async def recognize(url: str, *features: pb.Feature.ValueType, image: Image | None = None, **own: object) -> Any:
    """Return the result of a call to a recognizer with settings of its own, by default for a plain picture."""
    plain = Image(encode(Pillow.new("RGB", (400, 300))))
    async with running_recognizer(url, **own) as recognizer:
        return await recognizer.recognize(image or plain, options(*features))


def options(*features: pb.Feature.ValueType, seconds: float = 300, **own: object) -> Options:
    """Return a call's options for features, by default celebrities and labels, with a deadline in `seconds`."""
    features = features or _DEFAULT
    call = {"request_id": "test", "features": features, "max_labels": 10, "min_score": 0, "collection": ""}
    return Options(**call | own, include_embeddings=False, deadline=time.monotonic() + seconds)


DEMO = pictures.demo()
COLLINS, HOPPER = "Eileen Collins", "Grace Hopper"
PORTRAITS = {name: pictures.jpeg(photo(name)) for name in (COLLINS, HOPPER)}
PRICE = 1000 + 2000
"""Price of enrolling a picture in micro-USD: DetectFaces, then SearchFacesByImage and IndexFaces."""


@contextmanager
def rekognition_aws() -> Iterator[SimpleNamespace]:
    """Serve Rekognition without a gallery and DynamoDB with the table; `client` is one of Rekognition."""
    with endpoint(None) as url, dynamodb() as table_url:
        client = boto3.client("rekognition", endpoint_url=url)
        yield SimpleNamespace(url=url, table_url=table_url, client=client)
        client.close()


@asynccontextmanager
async def replica(aws: SimpleNamespace, collection: str, **own: object) -> AsyncIterator[Replica]:
    """Run a recognizer, and an enroller for the collection, in this event loop; yield both."""
    table = {"rekognition_table": TABLE, "dynamodb_endpoint_url": aws.table_url, "rekognition_collection": collection}
    chosen = table | own
    async with running_recognizer(aws.url, **chosen) as recognizer:
        yield recognizer, RekognitionEnroller(recognizer, settings(aws.url, **chosen))


def enrollment_of(
    *pictures: bytes, person_id: str = "grace-hopper", name: str = HOPPER, similar: bool = False
) -> Enrollment:
    """Return what a call hands to the enroller."""
    return Enrollment(person_id, name, [Image(one) for one in pictures], "", allow_similar=similar)


def named(*pictures: bytes, name: str = HOPPER, similar: bool = False, different: bool = False) -> Enrollment:
    """Return what a call that gives no person_id hands to the enroller."""
    derived = enrollment_of(*pictures, person_id=person_id_of(name), name=name, similar=similar)
    return replace(derived, is_derived=True, allow_different=different)


async def search_faces(recognizer: RekognitionRecognizer, picture: bytes, **own: Any) -> pb.RecognizerResult:
    """Return the result of FACE_SEARCH."""
    return await recognizer.recognize(Image(picture), options(pb.FEATURE_FACE_SEARCH, **own))


def candidate_names(result: pb.RecognizerResult) -> list[list[str]]:
    """Return the candidates' display names for each face, from left to right."""
    faces = sorted(result.faces, key=lambda face: face.box.left)
    return [[candidate.display_name for candidate in face.candidates] for face in faces]


LEFT = {"Left": 0.1, "Top": 0.2, "Width": 0.2, "Height": 0.4}
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
RESPONSES: dict[str, object] = {
    "RecognizeCelebrities": {
        "CelebrityFaces": [{"Id": "c1", "Name": "Somebody", "MatchConfidence": 97.0, "Face": {"BoundingBox": LEFT}}],
        "UnrecognizedFaces": [],
    },
    "DetectLabels": {"Labels": [{"Name": "Boat", "Confidence": 80.0}]},
    "DescribeCollection": {"FaceCount": 3},
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


def respond(operation: str, _: dict[str, Any]) -> Answer:
    """Answer an operation from RESPONSES, as a script of ScriptedAws does."""
    return 200, RESPONSES[operation]

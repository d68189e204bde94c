"""Rekognition's operations, one for each feature. They block, cost money and raise botocore's errors."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from marquee.v1 import recognizer_pb2 as pb
from services.rekognition import answers
from services.rekognition.picture import Picture
from services.runtime.errors import DependencyUnavailable
from services.runtime.recognizer import Options
from services.runtime.requests import Feature

if TYPE_CHECKING:
    from mypy_boto3_rekognition import RekognitionClient


def recognize_celebrities(client: "RekognitionClient", picture: Picture, options: Options) -> pb.RecognizerResult:
    """Faces, named where Rekognition knows them."""
    del options
    answer = client.recognize_celebrities(Image=picture.parameter)
    _check(answer, "CelebrityFaces")
    return pb.RecognizerResult(faces=answers.faces(answer))


def detect_labels(client: "RekognitionClient", picture: Picture, options: Options) -> pb.RecognizerResult:
    """What the picture shows, the asked number of labels at most."""
    answer = client.detect_labels(
        Image=picture.parameter, MaxLabels=options.max_labels, MinConfidence=100 * options.min_score
    )
    _check(answer, "Labels")
    return pb.RecognizerResult(labels=answers.labels(answer))


OPERATIONS: dict[Feature, Callable[["RekognitionClient", Picture, Options], pb.RecognizerResult]] = {
    pb.FEATURE_CELEBRITIES: recognize_celebrities,
    pb.FEATURE_LABELS: detect_labels,
}


def _check(answer: Mapping[str, Any], key: str) -> None:
    """Refuses what botocore takes for an empty answer: any page that says 200. Rekognition always sends the key."""
    if key not in answer:
        raise DependencyUnavailable("What listens at Rekognition's address does not answer as Rekognition does.")

"""What Rekognition is asked for each feature. Raises DomainErrors; each call costs money."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from marquee.v1 import recognizer_pb2 as pb
from services.rekognition import results
from services.rekognition.face_search import search_faces
from services.rekognition.question import Question
from services.runtime.requests import Feature


async def recognize_celebrities(question: Question) -> pb.RecognizerResult:
    """Faces, named where Rekognition knows them."""
    answer: Any = await question.ask("RecognizeCelebrities", "CelebrityFaces")
    return pb.RecognizerResult(faces=results.faces(answer))


async def detect_labels(question: Question) -> pb.RecognizerResult:
    """What the picture shows, the asked number of labels at most, with the labels above them."""
    options = question.options
    answer: Any = await question.ask(
        "DetectLabels", "Labels", MaxLabels=options.max_labels, MinConfidence=100 * options.min_score
    )
    return pb.RecognizerResult(labels=results.labels(answer))


async def detect_faces(question: Question) -> pb.RecognizerResult:
    """Faces with landmarks, quality, pose and attributes."""
    answer: Any = await question.detect_faces(question.settings.rekognition_face_attributes)
    return pb.RecognizerResult(faces=results.detected_faces(answer))


async def detect_text(question: Question) -> pb.RecognizerResult:
    """Written text: at most 100 words, as Rekognition limits it."""
    answer: Any = await question.ask("DetectText", "TextDetections")
    return pb.RecognizerResult(texts=results.texts(answer))


async def detect_moderation_labels(question: Question) -> pb.RecognizerResult:
    """Labels that a moderator wants to see."""
    answer: Any = await question.ask(
        "DetectModerationLabels", "ModerationLabels", MinConfidence=100 * question.options.min_score
    )
    return pb.RecognizerResult(moderation_labels=results.moderation_labels(answer))


OPERATIONS: Mapping[Feature, Callable[[Question], Awaitable[pb.RecognizerResult]]] = {
    pb.FEATURE_CELEBRITIES: recognize_celebrities,
    pb.FEATURE_LABELS: detect_labels,
    pb.FEATURE_FACES: detect_faces,
    pb.FEATURE_FACE_SEARCH: search_faces,
    pb.FEATURE_TEXT: detect_text,
    pb.FEATURE_MODERATION: detect_moderation_labels,
}

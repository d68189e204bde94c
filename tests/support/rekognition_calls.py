"""Calls of the Rekognition recognizer, in the test's event loop."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from PIL import Image as Pillow

from marquee.v1 import recognizer_pb2 as pb
from services.rekognition.recognizer import RekognitionRecognizer
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Options
from tests.support.rekognition_pictures import encode
from tests.support.scripted_aws import settings

_DEFAULT = (pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS)


@asynccontextmanager
async def recognizing(url: str, **own: object) -> AsyncIterator[RekognitionRecognizer]:
    """A loaded recognizer that takes the URL for AWS, with settings of its own."""
    recognizer = RekognitionRecognizer(settings(url, **own))
    await recognizer.load()
    try:
        yield recognizer
    finally:
        await recognizer.close()


async def ask(url: str, *features: pb.Feature.ValueType, image: Image | None = None, **own: object) -> Any:
    """The result of a call of a recognizer with settings of its own; a plain picture unless given."""
    plain = Image(encode(Pillow.new("RGB", (400, 300))))
    async with recognizing(url, **own) as recognizer:
        return await recognizer.recognize(image or plain, options(*features))


def options(*features: pb.Feature.ValueType, seconds: float = 300, **own: object) -> Options:
    """Options of a call for features, by default celebrities and labels, with a deadline in so many seconds."""
    features = features or _DEFAULT
    call = {"request_id": "test", "features": features, "max_labels": 10, "min_score": 0, "collection": ""}
    return Options(**call | own, include_embeddings=False, deadline=time.monotonic() + seconds)

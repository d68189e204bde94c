"""Somebody to enroll with Rekognition, where boto3 takes the local endpoint and moto for AWS."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import SimpleNamespace
from typing import Any

import boto3

from local.pictures import photo
from marquee.v1 import recognizer_pb2 as pb
from services.rekognition.enrollment.enroller import RekognitionEnroller
from services.rekognition.recognizer import RekognitionRecognizer
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Enrollment
from tests.support import rekognition_pictures
from tests.support.rekognition_calls import options, recognizing
from tests.support.rekognition_servers import endpoint
from tests.support.scripted_aws import TABLE, dynamodb, settings

DEMO = rekognition_pictures.demo()
COLLINS, HOPPER = "Eileen Collins", "Grace Hopper"
PORTRAITS = {name: rekognition_pictures.jpeg(photo(name)) for name in (COLLINS, HOPPER)}
PRICE = 1000 + 2000
"""Micro-USD for a picture: DetectFaces, then SearchFacesByImage and IndexFaces."""


@contextmanager
def aws() -> Iterator[SimpleNamespace]:
    """Rekognition without a gallery, DynamoDB with the table; `client` is Rekognition's."""
    with endpoint(None) as url, dynamodb() as table_url:
        client = boto3.client("rekognition", endpoint_url=url)
        yield SimpleNamespace(url=url, table_url=table_url, client=client)
        client.close()


@asynccontextmanager
async def replica(
    aws: SimpleNamespace, collection: str, **own: object
) -> AsyncIterator[tuple[RekognitionRecognizer, RekognitionEnroller]]:
    """A recognizer in this event loop, with what enrolls into the collection."""
    table = {"rekognition_table": TABLE, "dynamodb_endpoint_url": aws.table_url, "rekognition_collection": collection}
    chosen = table | own
    async with recognizing(aws.url, **chosen) as recognizer:
        yield recognizer, RekognitionEnroller(recognizer, settings(aws.url, **chosen))


def enrollment_of(
    *pictures: bytes, person_id: str = "grace-hopper", name: str = HOPPER, similar: bool = False
) -> Enrollment:
    """An enrollment."""
    return Enrollment(person_id, name, [Image(one) for one in pictures], "", allow_similar=similar)


async def searched(recognizer: RekognitionRecognizer, picture: bytes, **own: Any) -> pb.RecognizerResult:
    """What FACE_SEARCH finds."""
    return await recognizer.recognize(Image(picture), options(pb.FEATURE_FACE_SEARCH, **own))


def named(result: pb.RecognizerResult) -> list[list[str]]:
    """The candidates' display names of each face, from left to right."""
    faces = sorted(result.faces, key=lambda face: face.box.left)
    return [[candidate.display_name for candidate in face.candidates] for face in faces]

"""Somebody to enroll with Rekognition, where boto3 takes the local endpoint and moto for AWS."""

import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from marquee.v1 import recognizer_pb2 as pb
from services.rekognition.enroller import RekognitionEnroller
from services.rekognition.recognizer import RekognitionRecognizer
from services.runtime.enrollment import Enrollment
from services.runtime.images import Image
from services.runtime.recognizer import Options
from tests.unit import rekognition_pictures
from tests.unit.rekognition_servers import CREDENTIALS, endpoint
from tests.unit.scripted_aws import TABLE, dynamodb, settings

DEMO = rekognition_pictures.demo()
COLLINS, HOPPER = "Eileen Collins", "Grace Hopper"


@contextmanager
def aws() -> Iterator[SimpleNamespace]:
    """Rekognition without a gallery, DynamoDB with the table; `client` is Rekognition's."""
    with pytest.MonkeyPatch.context() as patch, endpoint(None, "http://127.0.0.1:9") as url:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        client = boto3.client("rekognition", endpoint_url=url)
        with dynamodb() as table_url:
            yield SimpleNamespace(url=url, table_url=table_url, client=client)
        client.close()


@contextmanager
def collection(client: Any) -> Iterator[str]:
    """An empty one."""
    name = f"c-{uuid.uuid4().hex}"
    client.create_collection(CollectionId=name)
    try:
        yield name
    finally:
        client.delete_collection(CollectionId=name)


@asynccontextmanager
async def replica(
    aws: SimpleNamespace, collection: str, **own: object
) -> AsyncIterator[tuple[RekognitionRecognizer, RekognitionEnroller]]:
    """A recognizer in this event loop, with what enrolls into the collection."""
    told = {"rekognition_table": TABLE, "dynamodb_endpoint_url": aws.table_url, "rekognition_collection": collection}
    chosen = settings(aws.url, **told | own)
    recognizer = RekognitionRecognizer(chosen)
    await recognizer.load()
    try:
        yield recognizer, RekognitionEnroller(recognizer, chosen)
    finally:
        await recognizer.close()


def asking(*pictures: bytes, person_id: str = "grace-hopper", name: str = HOPPER, similar: bool = False) -> Enrollment:
    """An enrollment."""
    return Enrollment(person_id, name, [Image(one) for one in pictures], "", allow_similar=similar)


async def searched(recognizer: RekognitionRecognizer, picture: bytes, **own: Any) -> pb.RecognizerResult:
    """What FACE_SEARCH finds."""
    how = {"collection": ""} | own
    options = Options(
        "test", (pb.FEATURE_FACE_SEARCH,), 10, 0, include_embeddings=False, deadline=time.monotonic() + 10, **how
    )
    return await recognizer.recognize(Image(picture), options)


def named(result: pb.RecognizerResult) -> list[list[str]]:
    """The candidates' display names of each face, from left to right."""
    faces = sorted(result.faces, key=lambda face: face.box.left)
    return [[candidate.display_name for candidate in face.candidates] for face in faces]

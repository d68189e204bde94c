"""FACE_SEARCH in a collection of the local endpoint, alone and together with other features."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace

import boto3
import pytest

from local import pictures
from marquee.v1 import recognizer_pb2 as pb
from services.rekognition.recognizer import RekognitionRecognizer
from services.runtime.errors import CollectionNotFound
from services.runtime.images.image import Image
from services.runtime.storage.s3 import ObjectStore
from tests.support.aws import BUCKET, demo_aws
from tests.support.pictures import encode
from tests.support.rekognition import options, running_recognizer

pytestmark = pytest.mark.slow

COLLECTION = "people"


@pytest.fixture(scope="module")
def aws() -> Iterator[SimpleNamespace]:
    """Serve the local endpoint with both demo people in a collection, and S3 with a picture of both."""
    with demo_aws() as running:
        client = boto3.Session().client("rekognition", endpoint_url=running.url)
        client.create_collection(CollectionId=COLLECTION)
        for name in ("Eileen Collins", "Grace Hopper"):
            content = encode(pictures.photo(name))
            client.index_faces(
                CollectionId=COLLECTION, Image={"Bytes": content}, ExternalImageId=name.replace(" ", "_"), MaxFaces=1
            )
        client.close()
        for name in ("both.jpg", "hopper.jpg"):
            running.s3.put_object(Bucket=BUCKET, Key=name, Body=encode(pictures.demo_pictures()[name]))
        yield running


@pytest.fixture
async def recognizer(aws: SimpleNamespace) -> AsyncIterator[RekognitionRecognizer]:
    async with running_recognizer(aws.url) as recognizer:
        yield recognizer


async def test_everybody_in_a_picture_is_found_in_the_collection(
    aws: SimpleNamespace, recognizer: RekognitionRecognizer
) -> None:
    """Both faces are found, from bytes and from S3, although SearchFacesByImage searches only one.

    Others indexed them, so nobody is known to be enrolled.
    """
    both = encode(pictures.demo_pictures()["both.jpg"])
    where = pb.S3Object(bucket=BUCKET, key="both.jpg")
    for image in (Image(both), Image(s3_object=where, fetch=ObjectStore(aws.s3_url).fetch)):
        result = await recognizer.recognize(image, options(pb.FEATURE_FACE_SEARCH, collection=COLLECTION))
        faces = sorted(result.faces, key=lambda face: face.box.left)
        assert [face.candidates[0].person_id for face in faces] == ["Eileen_Collins", "Grace_Hopper"]
        assert not any(face.candidates[0].enrolled for face in faces)
        assert result.cost_micro_usd == 3000


async def test_a_single_face_is_searched_without_cropping(
    aws: SimpleNamespace, recognizer: RekognitionRecognizer
) -> None:
    """Both calls refer to the S3 object, which is never fetched."""
    image = Image(s3_object=pb.S3Object(bucket=BUCKET, key="hopper.jpg"), fetch=ObjectStore(aws.s3_url).fetch)
    result = await recognizer.recognize(image, options(pb.FEATURE_FACE_SEARCH, collection=COLLECTION))
    assert result.faces[0].candidates[0].person_id == "Grace_Hopper"
    assert not image.is_read
    assert result.cost_micro_usd == 2000


async def test_a_picture_without_faces_costs_no_search(recognizer: RekognitionRecognizer) -> None:
    """DetectFaces reports no face, and the call costs only its price."""
    image = Image(encode(pictures.demo_pictures()["coffee.jpg"]))
    result = await recognizer.recognize(image, options(pb.FEATURE_FACE_SEARCH, collection=COLLECTION))
    assert not result.faces
    assert result.cost_micro_usd == 1000


async def test_a_missing_collection_is_not_found(recognizer: RekognitionRecognizer) -> None:
    """The message says how to list the collections that exist."""
    image = Image(encode(pictures.demo_pictures()["hopper.jpg"]))
    with pytest.raises(CollectionNotFound, match="list-collections"):
        await recognizer.recognize(image, options(pb.FEATURE_FACE_SEARCH, collection="nobody"))


async def test_all_six_features_of_a_real_picture(recognizer: RekognitionRecognizer) -> None:
    """The result has one face with its celebrity and its match, and labels; no feature fails."""
    image = Image(encode(pictures.demo_pictures()["hopper.jpg"]))
    result = await recognizer.recognize(image, options(*recognizer.features, collection=COLLECTION))
    assert not result.feature_errors
    (face,) = result.faces
    assert {one.display_name for one in face.candidates} == {"Grace Hopper", "Grace_Hopper"}
    assert result.labels
    assert result.cost_micro_usd == 6000


async def test_calls_of_several_features_do_not_mix(recognizer: RekognitionRecognizer) -> None:
    """Each of six concurrent searches returns its own picture's people."""
    demo = pictures.demo_pictures()
    names = ["hopper.jpg", "coffee.jpg", "both.jpg"] * 2
    call = options(pb.FEATURE_FACE_SEARCH, pb.FEATURE_FACES, collection=COLLECTION)
    results = await asyncio.gather(*(recognizer.recognize(Image(encode(demo[name])), call) for name in names))
    assert [len(result.faces) for result in results] == [1, 0, 2] * 2

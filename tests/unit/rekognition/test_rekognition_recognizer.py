"""The Rekognition recognizer against the local endpoint and moto's S3."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace

import pytest
from PIL import Image as Pillow

from local import pictures
from marquee.v1 import recognizer_pb2 as pb
from services.rekognition.recognizer import RekognitionRecognizer
from services.runtime.errors import InvalidImage, ObjectNotFound, OutOfTime
from services.runtime.images.image import Image
from services.runtime.storage.s3 import ObjectStore
from tests.support.aws import BUCKET, demo_aws
from tests.support.pictures import encode
from tests.support.rekognition import options, running_recognizer


@pytest.fixture(scope="module")
def aws() -> Iterator[SimpleNamespace]:
    with demo_aws() as running:
        for name, picture in pictures.demo_pictures().items():
            running.s3.put_object(Bucket=BUCKET, Key=name, Body=encode(picture))
        yield running


@pytest.fixture
async def recognizer(aws: SimpleNamespace) -> AsyncIterator[RekognitionRecognizer]:
    async with running_recognizer(aws.url, s3_endpoint_url=aws.s3_url, evidence_group="net") as recognizer:
        yield recognizer


async def test_faces_are_named_and_labels_returned(recognizer: RekognitionRecognizer) -> None:
    """A call for both features returns faces with candidates, labels, the model, and the price of two calls."""
    result = await recognizer.recognize(Image(encode(pictures.demo_pictures()["both.jpg"])), options())
    faces = sorted(result.faces, key=lambda face: face.box.left)
    assert [face.candidates[0].display_name for face in faces] == ["Eileen Collins", "Grace Hopper"]
    assert {label.name for label in result.labels} == {"Person", "Head", "Face"}
    assert (result.model.name, result.model.version, result.model.evidence_group) == (
        "rekognition",
        "2016-06-27",
        "net",
    )
    assert result.cost_micro_usd == 2000
    assert not result.feature_errors
    assert not result.warnings


async def test_only_requested_features_are_paid_for(recognizer: RekognitionRecognizer) -> None:
    """Each requested feature makes one call to AWS, and no other call is made."""
    picture = encode(pictures.demo_pictures()["hopper.jpg"])
    celebrities = await recognizer.recognize(Image(picture), options(pb.FEATURE_CELEBRITIES))
    labels = await recognizer.recognize(Image(picture), options(pb.FEATURE_LABELS, max_labels=1))
    assert (len(celebrities.faces), len(celebrities.labels), celebrities.cost_micro_usd) == (1, 0, 1000)
    assert (len(labels.faces), len(labels.labels), labels.cost_micro_usd) == (0, 1, 1000)


async def test_no_face_is_an_empty_result(recognizer: RekognitionRecognizer) -> None:
    """A picture of coffee gives a result without faces."""
    result = await recognizer.recognize(Image(encode(pictures.demo_pictures()["coffee.jpg"])), options())
    assert not result.faces
    assert result.cost_micro_usd == 2000


async def test_s3_objects_go_by_reference(recognizer: RekognitionRecognizer) -> None:
    """The recognizer itself never fetches the object."""
    image = Image(s3_object=pb.S3Object(bucket=BUCKET, key="collins.jpg"))
    result = await recognizer.recognize(image, options())
    assert result.faces[0].candidates[0].display_name == "Eileen Collins"
    assert not image.is_read


@pytest.mark.parametrize("where", [pb.S3Object(bucket=BUCKET, key="no"), pb.S3Object(bucket="nowhere", key="x")])
async def test_a_missing_object_is_not_found(
    aws: SimpleNamespace, recognizer: RekognitionRecognizer, where: pb.S3Object
) -> None:
    """Rekognition does not distinguish missing from forbidden objects, so the recognizer asks S3."""
    with pytest.raises(ObjectNotFound, match=where.bucket):
        await recognizer.recognize(Image(s3_object=where, fetch=ObjectStore(aws.s3_url).fetch), options())


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
async def test_boxes_refer_to_the_upright_picture(recognizer: RekognitionRecognizer, kind: str) -> None:
    """Boxes fit the upright picture even if Rekognition does not accept the format or ignores its EXIF."""
    exif = Pillow.Exif()
    exif[0x0112] = 6
    upright = pictures.photo("Grace Hopper")
    sideways = upright.rotate(90, expand=True)
    plain, turned = [
        (await recognizer.recognize(Image(content), options(pb.FEATURE_CELEBRITIES))).faces[0].box
        for content in (encode(upright), encode(sideways, kind, exif=exif))
    ]
    assert (turned.left, turned.top) == pytest.approx((plain.left, plain.top), abs=0.05)


async def test_the_result_carries_warnings(recognizer: RekognitionRecognizer) -> None:
    """A warning shows that the picture was changed before it was sent."""
    webp = encode(pictures.demo_pictures()["hopper.jpg"], "WEBP")
    result = await recognizer.recognize(Image(webp), options())
    assert list(result.warnings) == ["converted from WebP to JPEG"]
    assert result.faces[0].candidates[0].display_name == "Grace Hopper"


async def test_a_picture_that_rekognition_refuses_is_invalid(recognizer: RekognitionRecognizer) -> None:
    """If both features fail with the same error, the call fails with it."""
    with pytest.raises(InvalidImage, match="80 to 10000 pixels"):
        await recognizer.recognize(Image(encode(Pillow.new("RGB", (40, 40)))), options())


async def test_no_call_is_made_after_the_deadline(recognizer: RekognitionRecognizer) -> None:
    """A call past its deadline raises OutOfTime, so that nobody pays for a result that comes too late."""
    with pytest.raises(OutOfTime):
        await recognizer.recognize(Image(encode(pictures.photo("Grace Hopper"))), options(seconds=-1))


async def test_concurrent_calls(recognizer: RekognitionRecognizer) -> None:
    """Each of twelve concurrent calls returns its own picture's people."""
    demo = pictures.demo_pictures()
    names = ["hopper.jpg", "coffee.jpg"] * 6
    results = await asyncio.gather(*(recognizer.recognize(Image(encode(demo[name])), options()) for name in names))
    assert [len(result.faces) for result in results] == [1, 0] * 6


async def test_prices_are_known_before_any_call(recognizer: RekognitionRecognizer) -> None:
    """The description has a price for each feature, with its region and date, and the model."""
    description = recognizer.describe()
    others = dict.fromkeys(recognizer.features, 1000)
    assert {price.feature: price.micro_usd for price in description.prices} == others | {pb.FEATURE_FACE_SEARCH: 2000}
    assert {price.region for price in description.prices} == {"us-east-1"}
    assert all(price.effective_time.seconds for price in description.prices)
    assert [model.name for model in description.models] == ["rekognition"]
    assert description.evidence_group == "net"

"""S3 objects sent by reference, and fetched only if Rekognition refuses them."""

from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace

import pytest
from PIL import Image as Pillow

from local import pictures
from marquee.v1 import recognizer_pb2 as pb
from services.rekognition.recognizer import RekognitionRecognizer
from services.runtime.errors import ImageTooLarge, InvalidImage, ObjectForbidden, ObjectNotFound
from services.runtime.images.image import Image
from services.runtime.storage.s3 import ObjectStore
from tests.support.aws import BUCKET, demo_aws, refusal, scripted_aws
from tests.support.pictures import encode
from tests.support.rekognition import options, running_recognizer

pytestmark = pytest.mark.slow

FETCHED = "fetched from S3, because Rekognition in us-east-1 refuses it there"


@pytest.fixture(scope="module")
def aws() -> Iterator[SimpleNamespace]:
    with demo_aws() as running:
        yield SimpleNamespace(url=running.url, s3=running.s3, store=ObjectStore(running.s3_url))


@pytest.fixture
async def recognizer(aws: SimpleNamespace) -> AsyncIterator[RekognitionRecognizer]:
    async with running_recognizer(aws.url) as recognizer:
        yield recognizer


def stored(aws: SimpleNamespace, key: str, content: bytes) -> Image:
    version = aws.s3.put_object(Bucket=BUCKET, Key=key, Body=content).get("VersionId", "")
    return Image(s3_object=pb.S3Object(bucket=BUCKET, key=key, version_id=version), fetch=aws.store.fetch)


async def test_a_webp_in_s3_is_fetched_and_converted(aws: SimpleNamespace, recognizer: RekognitionRecognizer) -> None:
    """Rekognition refuses the reference for both features, for free; the object is converted once."""
    image = stored(aws, "hopper.webp", encode(pictures.demo_pictures()["hopper.jpg"], "WEBP"))
    result = await recognizer.recognize(image, options())
    assert result.faces[0].candidates[0].display_name == "Grace Hopper"
    assert list(result.warnings) == [FETCHED, "converted from WebP to JPEG"]
    assert result.cost_micro_usd == 2000
    assert recognizer.describe().spending.today_micro_usd == 2000


async def test_an_object_with_too_many_pixels_is_fetched_and_shrunk(
    aws: SimpleNamespace, recognizer: RekognitionRecognizer
) -> None:
    """The object is shrunk to Rekognition's limit of 10,000 pixels a side."""
    image = stored(aws, "wide.jpg", encode(Pillow.new("RGB", (12_000, 200))))
    result = await recognizer.recognize(image, options(pb.FEATURE_LABELS))
    assert list(result.warnings) == [FETCHED, "shrunk to 10000 pixels a side"]


async def test_an_object_over_15_mib_is_too_large(aws: SimpleNamespace, recognizer: RekognitionRecognizer) -> None:
    """The contract's limit also applies to S3 objects."""
    content = encode(Pillow.new("RGB", (200, 200))) + b"\0" * 16_000_000
    with pytest.raises(ImageTooLarge, match="15 MiB"):
        await recognizer.recognize(stored(aws, "huge.jpg", content), options())


async def test_a_text_in_s3_is_refused(aws: SimpleNamespace, recognizer: RekognitionRecognizer) -> None:
    """The object is fetched once, and the error is in our own words."""
    with pytest.raises(InvalidImage, match="JPEG, PNG or WebP"):
        await recognizer.recognize(stored(aws, "a.txt", b"no picture"), options())


async def test_an_object_in_another_region_is_fetched(aws: SimpleNamespace) -> None:
    """Rekognition refuses the reference but accepts the object's unchanged bytes."""
    content = encode(Pillow.new("RGB", (200, 200)))
    image = stored(aws, "far.jpg", content)

    def script(_: str, body: dict) -> object:
        if "S3Object" in body["Image"]:
            return refusal("InvalidS3ObjectException")
        return 200, {"Labels": [], "CelebrityFaces": []}

    with scripted_aws(script) as aws_elsewhere:
        async with running_recognizer(aws_elsewhere.url) as recognizer:
            result = await recognizer.recognize(image, options())
    assert list(result.warnings) == [FETCHED]
    assert len(aws_elsewhere.requests) == 4


async def test_a_jpeg_that_rekognition_cannot_read_is_converted(aws: SimpleNamespace) -> None:
    """Pillow reads more kinds of JPEG than AWS: a refused one is sent again as an ordinary one."""
    image = stored(aws, "cmyk.jpg", encode(Pillow.new("CMYK", (200, 200))))

    def script(_: str, body: dict) -> object:
        if "S3Object" in body["Image"]:
            return refusal("InvalidImageFormatException")
        return 200, {"Labels": []}

    with scripted_aws(script) as aws_elsewhere:
        async with running_recognizer(aws_elsewhere.url) as recognizer:
            result = await recognizer.recognize(image, options(pb.FEATURE_LABELS))
    assert list(result.warnings) == [FETCHED, "converted from a JPEG that Rekognition cannot read"]


@pytest.mark.parametrize(("key", "expected"), [("gone.jpg", ObjectNotFound), ("secret.jpg", ObjectForbidden)])
async def test_an_object_that_cannot_be_read(aws: SimpleNamespace, key: str, expected: type[Exception]) -> None:
    """The error comes from S3, because Rekognition does not distinguish missing from forbidden objects."""

    def fetch(s3_object: pb.S3Object) -> bytes:
        if key == "secret.jpg":
            raise ObjectForbidden(f"The servers may not read s3://{s3_object.bucket}/{s3_object.key}.")
        return aws.store.fetch(s3_object)

    image = Image(s3_object=pb.S3Object(bucket=BUCKET, key=key), fetch=fetch)
    async with running_recognizer(aws.url) as recognizer:
        with pytest.raises(expected, match=f"s3://{BUCKET}/{key}"):
            await recognizer.recognize(image, options())


async def test_the_requested_version_is_recognized(aws: SimpleNamespace, recognizer: RekognitionRecognizer) -> None:
    """The version counts both by reference and, if the reference is refused, when the object is fetched."""
    aws.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    demo = pictures.demo_pictures()
    for kind in ("JPEG", "WEBP"):
        old = stored(aws, f"v.{kind}", encode(demo["hopper.jpg"], kind))
        stored(aws, f"v.{kind}", encode(demo["coffee.jpg"], kind))
        result = await recognizer.recognize(old, options(pb.FEATURE_CELEBRITIES))
        assert result.faces[0].candidates[0].display_name == "Grace Hopper"

"""The local Rekognition endpoint, asked by unmodified boto3."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator
from PIL import Image as Pillow

from local import pictures, stack
from local.stack import CREDENTIALS
from tests.support.rekognition_pictures import encode
from tests.support.rekognition_servers import BUCKET, demo_aws, endpoint

SIGNED = (
    "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/rekognition/aws4_request, "
    f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
)
DATASET = "arn:aws:rekognition:us-east-1:123456789012:project/p/dataset/train/1"
PEOPLE = {
    "collins.jpg": ["Eileen Collins"],
    "hopper.jpg": ["Grace Hopper"],
    "both.jpg": ["Eileen Collins", "Grace Hopper"],
    "coffee.jpg": [],
}


@pytest.fixture(scope="module")
def aws() -> Iterator[SimpleNamespace]:
    with demo_aws() as running:
        rekognition = boto3.Session().client("rekognition", endpoint_url=running.url)
        yield SimpleNamespace(url=running.url, rekognition=rekognition, s3=running.s3)
        rekognition.close()


@pytest.fixture(scope="module")
def demo() -> dict[str, bytes]:
    return {name: encode(picture) for name, picture in pictures.demo_pictures().items()}


def check_shape(client: object, operation: str, answer: dict) -> None:
    told = {key: value for key, value in answer.items() if key != "ResponseMetadata"}
    report = ParamValidator().validate(told, client.meta.service_model.operation_model(operation).output_shape)
    assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize("name", PEOPLE)
def test_names_the_people_of_the_gallery(aws: SimpleNamespace, demo: dict[str, bytes], name: str) -> None:
    """The demo's pictures differ from the gallery's, and everybody in them is named all the same."""
    answer = aws.rekognition.recognize_celebrities(Image={"Bytes": demo[name]})
    found = sorted(answer["CelebrityFaces"], key=lambda one: one["Face"]["BoundingBox"]["Left"])
    assert [one["Name"] for one in found] == PEOPLE[name]
    assert all(50 < one["MatchConfidence"] <= 100 for one in found)
    assert answer["UnrecognizedFaces"] == []
    check_shape(aws.rekognition, "RecognizeCelebrities", answer)


def test_a_stranger_is_an_unrecognized_face(demo: dict[str, bytes], tmp_path: Path) -> None:
    """A face that is too far from everybody in the gallery is found and not named."""
    (tmp_path / "Grace Hopper").mkdir()
    pictures.photo("Grace Hopper").save(tmp_path / "Grace Hopper" / "1.jpg")
    with endpoint(tmp_path) as url:
        client = boto3.Session().client("rekognition", endpoint_url=url)
        answer = client.recognize_celebrities(Image={"Bytes": demo["collins.jpg"]})
        client.close()
    assert answer["CelebrityFaces"] == []
    assert len(answer["UnrecognizedFaces"]) == 1
    assert {point["Type"] for point in answer["UnrecognizedFaces"][0]["Landmarks"]} == {"eyeLeft", "eyeRight", "nose"}


def test_faces_make_people_labels(aws: SimpleNamespace, demo: dict[str, bytes]) -> None:
    """Two faces are two instances of Person and Face, and every parent is a label too."""
    answer = aws.rekognition.detect_labels(Image={"Bytes": demo["both.jpg"]})
    labels = {label["Name"]: label for label in answer["Labels"]}
    assert set(labels) == {"Person", "Head", "Face"}
    assert len(labels["Person"]["Instances"]) == len(labels["Face"]["Instances"]) == 2
    assert [parent["Name"] for parent in labels["Face"]["Parents"]] == ["Head", "Person"]
    check_shape(aws.rekognition, "DetectLabels", answer)


def test_nothing_known_makes_no_label(aws: SimpleNamespace, demo: dict[str, bytes]) -> None:
    """A cup of coffee is nothing that the detectors know, so nothing is said."""
    assert aws.rekognition.detect_labels(Image={"Bytes": demo["coffee.jpg"]})["Labels"] == []


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"MaxLabels": 1}, {"Person"}),
        ({"MinConfidence": 100}, set()),
        ({"Settings": {"GeneralLabels": {"LabelInclusionFilters": ["Face"]}}}, {"Face"}),
        ({"Settings": {"GeneralLabels": {"LabelExclusionFilters": ["Face", "Head"]}}}, {"Person"}),
        ({"Settings": {"GeneralLabels": {"LabelCategoryExclusionFilters": ["Person Description"]}}}, set()),
        ({"Settings": {"GeneralLabels": {"LabelCategoryInclusionFilters": ["Animals and Pets"]}}}, set()),
    ],
)
def test_labels_are_limited_as_asked(
    aws: SimpleNamespace, demo: dict[str, bytes], asked: dict, expected: set[str]
) -> None:
    """MaxLabels, MinConfidence and the filters let through what AWS's documentation says."""
    answer = aws.rekognition.detect_labels(Image={"Bytes": demo["hopper.jpg"]}, **asked)
    assert {label["Name"] for label in answer["Labels"]} == expected


def test_boxes_are_of_the_upright_jpeg(aws: SimpleNamespace) -> None:
    """A photo that is stored on its side gives the boxes of the one that stands."""
    exif = Pillow.Exif()
    exif[0x0112] = 6
    upright = pictures.photo("Grace Hopper")
    sideways = encode(upright.rotate(90, expand=True), exif=exif, quality=95)
    boxes = [
        aws.rekognition.recognize_celebrities(Image={"Bytes": content})["CelebrityFaces"][0]["Face"]["BoundingBox"]
        for content in (encode(upright, quality=95), sideways)
    ]
    assert boxes[1] == pytest.approx(boxes[0], abs=0.03)


def test_a_pngs_orientation_is_not_heeded(aws: SimpleNamespace) -> None:
    """As AWS, which reads EXIF in JPEG alone: the detector sees a face on its side, and finds none."""
    exif = Pillow.Exif()
    exif[0x0112] = 6
    sideways = encode(pictures.photo("Grace Hopper").rotate(90, expand=True), "PNG", exif=exif)
    answer = aws.rekognition.recognize_celebrities(Image={"Bytes": sideways})
    assert answer["CelebrityFaces"] == answer["UnrecognizedFaces"] == []


def test_large_pictures_keep_their_boxes(aws: SimpleNamespace) -> None:
    """Boxes are shares of the picture that was sent, also where a smaller one was looked at."""
    photo = pictures.photo("Grace Hopper")
    large = photo.resize((photo.width * 4, photo.height * 4))
    (small_box,), (large_box,) = (
        [one["Face"]["BoundingBox"] for one in aws.rekognition.recognize_celebrities(Image=image)["CelebrityFaces"]]
        for image in ({"Bytes": encode(photo)}, {"Bytes": encode(large)})
    )
    assert large_box == pytest.approx(small_box, abs=0.05)


def test_reads_s3_objects(aws: SimpleNamespace, demo: dict[str, bytes]) -> None:
    """An object gives what its bytes give, and an old version what it was."""
    aws.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    old = aws.s3.put_object(Bucket=BUCKET, Key="a b.jpg", Body=demo["hopper.jpg"])["VersionId"]
    aws.s3.put_object(Bucket=BUCKET, Key="a b.jpg", Body=demo["coffee.jpg"])
    where = {"Bucket": BUCKET, "Name": "a b.jpg"}
    ask = aws.rekognition.recognize_celebrities
    assert ask(Image={"S3Object": where})["CelebrityFaces"] == []
    assert ask(Image={"S3Object": where | {"Version": old}})["CelebrityFaces"][0]["Name"] == "Grace Hopper"


REFUSED = {
    "text": ({"Bytes": b"no picture"}, "InvalidImageFormatException"),
    "cut short": ({"Bytes": encode(pictures.photo("Grace Hopper"))[:5000]}, "InvalidImageFormatException"),
    "WebP": ({"Bytes": encode(pictures.photo("Grace Hopper"), "WEBP")}, "InvalidImageFormatException"),
    "small": ({"Bytes": encode(Pillow.new("RGB", (79, 200)))}, "InvalidParameterException"),
    "wide": ({"Bytes": encode(Pillow.new("RGB", (10_001, 80)))}, "ImageTooLargeException"),
    "over 5 MB": ({"Bytes": bytes(5 * 1024 * 1024 + 1)}, "ValidationException"),
    "nothing": ({}, "InvalidParameterException"),
    "both": ({"Bytes": b"x", "S3Object": {"Bucket": BUCKET, "Name": "x"}}, "InvalidParameterException"),
    "missing object": ({"S3Object": {"Bucket": "nowhere", "Name": "x"}}, "InvalidS3ObjectException"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_with_awss_codes(aws: SimpleNamespace, case: str) -> None:
    """What AWS refuses is refused with its code and HTTP 400, and a request id."""
    image, code = REFUSED[case]
    with pytest.raises(ClientError) as refusal:
        aws.rekognition.detect_labels(Image=image)
    answer = refusal.value.response
    assert answer["Error"]["Code"] == code
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert answer["ResponseMetadata"]["RequestId"]


def test_an_operation_that_is_not_built_says_so(aws: SimpleNamespace) -> None:
    """It is no empty success."""
    with pytest.raises(ClientError, match=r"UnknownOperationException.*ListDatasetEntries is not supported"):
        aws.rekognition.list_dataset_entries(DatasetArn=DATASET)


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({}, "{}", b"MissingAuthenticationTokenException"),
        ({"Authorization": "Bearer x"}, "{}", b"IncompleteSignatureException"),
        (
            {"Authorization": SIGNED},
            "[1]",
            b"SerializationException",
        ),
    ],
)
def test_what_is_not_boto3_is_refused(aws: SimpleNamespace, headers: dict, body: str, code: bytes) -> None:
    """A request without SigV4 or without a JSON object gets AWS's code."""
    connection = http.client.HTTPConnection(aws.url.removeprefix("http://"))
    target = {"X-Amz-Target": "RekognitionService.DetectLabels"}
    connection.request("POST", "/", body, target | headers)
    answer = connection.getresponse()
    told = answer.read()
    connection.close()
    assert answer.status == 400
    assert code in told


def test_runs_as_a_process(tmp_path: Path) -> None:
    """It tells which pictures it left out, says that it is up, and ends with 0 on SIGTERM."""
    pictures.photo("Grace Hopper").save(tmp_path / "stray.jpg")
    for name, picture in {"Nobody": pictures.scene("coffee.png"), "Grace": pictures.photo("Grace Hopper")}.items():
        (tmp_path / name).mkdir()
        picture.save(tmp_path / name / "1.jpg")
    (tmp_path / "Grace" / "2.jpg").write_text("no picture")
    (port,) = stack.free_ports(1)
    command = [sys.executable, "-m", "local.rekognition", "--port", str(port), "--gallery", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | CREDENTIALS) as process:
        told = [process.stderr.readline() for _ in range(3)]
        _wait_until_up(port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert "2.jpg: This is not a JPEG" in told[0]
    assert "Nobody/1.jpg: shows 0 faces" in told[1]
    assert told[2].startswith("1 known faces")


def _wait_until_up(port: int) -> None:
    for _ in range(200):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            connection.request("GET", "/healthz")
            assert connection.getresponse().read() == b"ok\n"
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()
    raise AssertionError("the endpoint is not up")

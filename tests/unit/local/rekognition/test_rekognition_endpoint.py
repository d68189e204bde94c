"""Tests of the local Rekognition endpoint with unmodified boto3."""

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator
from PIL import Image as Pillow

from local import pictures
from local.stack import CREDENTIALS
from tests.support.aws import BUCKET, demo_aws, endpoint
from tests.support.pictures import encode
from tests.support.processes import PATIENCE, free_port, spawn, wait_until

pytestmark = pytest.mark.slow

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
    members = {key: value for key, value in answer.items() if key != "ResponseMetadata"}
    report = ParamValidator().validate(members, client.meta.service_model.operation_model(operation).output_shape)
    assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize("name", PEOPLE)
def test_people_of_the_gallery_are_named(aws: SimpleNamespace, demo: dict[str, bytes], name: str) -> None:
    """The demo's pictures differ from the gallery's, but everybody in them is named."""
    answer = aws.rekognition.recognize_celebrities(Image={"Bytes": demo[name]})
    celebrities = sorted(answer["CelebrityFaces"], key=lambda one: one["Face"]["BoundingBox"]["Left"])
    assert [one["Name"] for one in celebrities] == PEOPLE[name]
    assert all(50 < one["MatchConfidence"] <= 100 for one in celebrities)
    assert answer["UnrecognizedFaces"] == []
    check_shape(aws.rekognition, "RecognizeCelebrities", answer)


def test_a_stranger_is_an_unrecognized_face(demo: dict[str, bytes], tmp_path: Path) -> None:
    """A face unlike anybody's in the gallery is detected but not named."""
    (tmp_path / "Grace Hopper").mkdir()
    pictures.photo("Grace Hopper").save(tmp_path / "Grace Hopper" / "1.jpg")
    with endpoint(tmp_path) as url:
        client = boto3.Session().client("rekognition", endpoint_url=url)
        answer = client.recognize_celebrities(Image={"Bytes": demo["collins.jpg"]})
        client.close()
    assert answer["CelebrityFaces"] == []
    (face,) = answer["UnrecognizedFaces"]
    points = [point["Type"] for point in face["Landmarks"]]
    assert points == ["eyeLeft", "eyeRight", "mouthLeft", "mouthRight", "nose"]


def test_faces_give_people_labels(aws: SimpleNamespace, demo: dict[str, bytes]) -> None:
    """Two faces are two instances of Person and Face, and every parent is a label too."""
    answer = aws.rekognition.detect_labels(Image={"Bytes": demo["both.jpg"]})
    labels = {label["Name"]: label for label in answer["Labels"]}
    assert set(labels) == {"Person", "Head", "Face"}
    assert len(labels["Person"]["Instances"]) == len(labels["Face"]["Instances"]) == 2
    assert [parent["Name"] for parent in labels["Face"]["Parents"]] == ["Head", "Person"]
    check_shape(aws.rekognition, "DetectLabels", answer)


def test_no_face_gives_no_label(aws: SimpleNamespace, demo: dict[str, bytes]) -> None:
    """A picture of a cup of coffee has no face and therefore no label."""
    assert aws.rekognition.detect_labels(Image={"Bytes": demo["coffee.jpg"]})["Labels"] == []


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"MaxLabels": 1}, {"Person"}),
        ({"MinConfidence": 100}, set()),
        ({"Settings": {"GeneralLabels": {"LabelInclusionFilters": ["Face"]}}}, {"Face"}),
        ({"Settings": {"GeneralLabels": {"LabelExclusionFilters": ["Face", "Head"]}}}, {"Person"}),
        ({"Settings": {"GeneralLabels": {"LabelCategoryExclusionFilters": ["Person Description"]}}}, set()),
        ({"Settings": {"GeneralLabels": {"LabelCategoryInclusionFilters": ["Animals and Pets"]}}}, set()),
    ],
)
def test_labels_are_filtered(
    aws: SimpleNamespace, demo: dict[str, bytes], parameters: dict, expected: set[str]
) -> None:
    """MaxLabels, MinConfidence and the filters work as AWS's documentation says."""
    answer = aws.rekognition.detect_labels(Image={"Bytes": demo["hopper.jpg"]}, **parameters)
    assert {label["Name"] for label in answer["Labels"]} == expected


def test_boxes_refer_to_the_upright_jpeg(aws: SimpleNamespace) -> None:
    """A photo stored sideways gives the same boxes as the upright one."""
    exif = Pillow.Exif()
    exif[0x0112] = 6
    upright = pictures.photo("Grace Hopper")
    sideways = encode(upright.rotate(90, expand=True), exif=exif, quality=95)
    boxes = [
        aws.rekognition.recognize_celebrities(Image={"Bytes": content})["CelebrityFaces"][0]["Face"]["BoundingBox"]
        for content in (encode(upright, quality=95), sideways)
    ]
    assert boxes[1] == pytest.approx(boxes[0], abs=0.03)


def test_a_pngs_orientation_is_ignored(aws: SimpleNamespace) -> None:
    """AWS reads EXIF only in JPEG, so the detector sees the face sideways and does not find it."""
    exif = Pillow.Exif()
    exif[0x0112] = 6
    sideways = encode(pictures.photo("Grace Hopper").rotate(90, expand=True), "PNG", exif=exif)
    answer = aws.rekognition.recognize_celebrities(Image={"Bytes": sideways})
    assert answer["CelebrityFaces"] == answer["UnrecognizedFaces"] == []


def test_large_pictures_keep_their_boxes(aws: SimpleNamespace) -> None:
    """Boxes are fractions of the original picture, even if the detector sees a smaller one."""
    photo = pictures.photo("Grace Hopper")
    large = photo.resize((photo.width * 4, photo.height * 4))
    (small_box,), (large_box,) = (
        [one["Face"]["BoundingBox"] for one in aws.rekognition.recognize_celebrities(Image=image)["CelebrityFaces"]]
        for image in ({"Bytes": encode(photo)}, {"Bytes": encode(large)})
    )
    assert large_box == pytest.approx(small_box, abs=0.05)


def test_s3_objects_are_read(aws: SimpleNamespace, demo: dict[str, bytes]) -> None:
    """An S3 object gives the same result as its bytes, and an old version can be named."""
    aws.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    old = aws.s3.put_object(Bucket=BUCKET, Key="a b.jpg", Body=demo["hopper.jpg"])["VersionId"]
    aws.s3.put_object(Bucket=BUCKET, Key="a b.jpg", Body=demo["coffee.jpg"])
    s3_object = {"Bucket": BUCKET, "Name": "a b.jpg"}
    recognize = aws.rekognition.recognize_celebrities
    assert recognize(Image={"S3Object": s3_object})["CelebrityFaces"] == []
    assert recognize(Image={"S3Object": s3_object | {"Version": old}})["CelebrityFaces"][0]["Name"] == "Grace Hopper"


BAD_IMAGES = {
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


@pytest.mark.parametrize("case", BAD_IMAGES)
def test_refusals_have_awss_codes(aws: SimpleNamespace, case: str) -> None:
    """Pictures that AWS refuses are refused with AWS's code, HTTP 400 and a request ID."""
    image, code = BAD_IMAGES[case]
    with pytest.raises(ClientError) as refusal:
        aws.rekognition.detect_labels(Image=image)
    answer = refusal.value.response
    assert answer["Error"]["Code"] == code
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert answer["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize(
    ("bucket", "key", "reason"),
    [
        (BUCKET, "no such.jpg", f"There is no object s3://{BUCKET}/no such.jpg."),
        ("nowhere", "x.jpg", "There is no bucket nowhere."),
    ],
)
def test_a_missing_object_is_said_and_logged(
    aws: SimpleNamespace, caplog: pytest.LogCaptureFixture, bucket: str, key: str, reason: str
) -> None:
    """Both the caller, after AWS's words, and whoever runs the endpoint learn which object it could not read."""
    with pytest.raises(ClientError, match=r"Check object key, region and/or access permissions\.") as refusal:
        aws.rekognition.detect_faces(Image={"S3Object": {"Bucket": bucket, "Name": key}})
    assert reason in str(refusal.value)
    assert reason in caplog.text


def test_an_unsupported_operation_is_an_error(aws: SimpleNamespace) -> None:
    """An unsupported operation gets an error, not an empty success."""
    with pytest.raises(ClientError, match=r"UnknownOperationException.*ListDatasetEntries is not supported"):
        aws.rekognition.list_dataset_entries(DatasetArn=DATASET)


@pytest.mark.slow
def test_runs_as_a_process(tmp_path: Path) -> None:
    """The process names the pictures that it skips, reports that it is up, and exits 0 on SIGTERM."""
    pictures.photo("Grace Hopper").save(tmp_path / "stray.jpg")
    for name, picture in {"Nobody": pictures.scene("coffee.png"), "Grace": pictures.photo("Grace Hopper")}.items():
        (tmp_path / name).mkdir()
        picture.save(tmp_path / name / "1.jpg")
    (tmp_path / "Grace" / "2.jpg").write_text("no picture")
    port = free_port()
    command = [sys.executable, "-m", "local.rekognition", "--port", str(port), "--gallery", tmp_path]
    with spawn(command, stderr=subprocess.PIPE, text=True, env=os.environ | CREDENTIALS) as process:
        lines = [process.stderr.readline() for _ in range(3)]
        wait_until(lambda: _is_up(port))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert "2.jpg: This is a text file;" in lines[0]
    assert "Nobody/1.jpg: shows 0 faces" in lines[1]
    assert lines[2].startswith("1 known faces")


def _is_up(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().read() == b"ok\n"
    except ConnectionRefusedError:
        return False
    finally:
        connection.close()

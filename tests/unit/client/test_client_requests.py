"""Tests of the requests that the client builds from arguments."""

import math
from functools import partial
from pathlib import Path

import pytest

from marquee import Box, Client, ImageTooLarge, InvalidImage, InvalidRequest, Policy, RecognizerOptions
from marquee.requests import build_request
from marquee.sources import MAX_IMAGE_BYTES, Source
from marquee.v1 import recognizer_pb2 as pb


def test_every_option_reaches_the_request() -> None:
    """Each option sets its field."""
    request = build_request(
        b"picture",
        recognizers=["svm"],
        features=["celebrities", pb.Feature.Name(pb.FEATURE_TEXT).removeprefix("FEATURE_")],
        max_labels=3,
        min_score=0.5,
        policy=Policy.CASCADE,
        required=["svm"],
        collection="staff",
        include_embeddings=True,
        no_cache=True,
        face_boxes=[(0.25, 0.5, 0.125, 0.25), Box(0.5, 0.5, 0.25, 0.25)],
        recognizer_options={"svm": RecognizerOptions(timeout=1.5, min_score=0.0), "keras": RecognizerOptions()},
        request_id="r-1",
    )
    assert request.image.content == b"picture"
    assert list(request.features) == [pb.FEATURE_CELEBRITIES, pb.FEATURE_TEXT]
    assert (list(request.recognizers), request.request_id, request.collection) == (["svm"], "r-1", "staff")
    assert (request.max_labels, request.min_score, request.policy) == (3, 0.5, pb.POLICY_CASCADE)
    assert [box.left + box.width for box in request.face_boxes] == [0.375, 0.75]
    assert list(request.required) == ["svm"]
    assert request.include_embeddings
    assert request.no_cache
    svm, keras = (request.recognizer_options[name] for name in ("svm", "keras"))
    assert (svm.timeout.ToMilliseconds(), svm.HasField("min_score"), svm.min_score) == (1500, True, 0.0)
    assert not keras.HasField("timeout")
    assert not keras.HasField("min_score")


def test_omitted_options_are_not_set() -> None:
    """Omitted options are left to the server; a request ID is generated so that errors have one too."""
    request = build_request(b"picture")
    assert not request.HasField("max_labels")
    assert not request.HasField("min_score")
    assert request.request_id != build_request(b"picture").request_id


@pytest.mark.parametrize("timeout", [math.nan, math.inf, -math.inf, 1e300, -1e300, 10**400, 3e9])
def test_a_timeout_that_no_clock_counts_is_refused(timeout: float) -> None:
    """Of calls and of recognizers, before anything is sent: gRPC would take some of them for a time in the past."""
    with pytest.raises(InvalidRequest, match="or None for no deadline"):
        build_request(b"picture", recognizer_options={"svm": RecognizerOptions(timeout=timeout)})
    with Client("127.0.0.1:1") as client:
        for call in (client.recognizers, client.people, partial(client.recognize, b"x"), partial(client.enroll, b"x")):
            with pytest.raises(InvalidRequest, match="or None for no deadline"):
                call(timeout=timeout)


def test_a_single_name_is_one_name() -> None:
    """The argument recognizers="svm" means svm, not s, v and m."""
    assert list(build_request(b"picture", recognizers="svm").recognizers) == ["svm"]


def test_an_unknown_feature_or_policy_is_refused_with_the_known_ones() -> None:
    """An unknown feature or policy is refused before anything is sent, and the error lists the known ones."""
    with pytest.raises(InvalidRequest, match=r"'facs'.*CELEBRITIES, LABELS"):
        build_request(b"picture", features=["facs"])
    with pytest.raises(InvalidRequest, match=r"'some'.*ALL, FIRST_CONFIDENT"):
        build_request(b"picture", policy="some")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://bucket/a/b c.jpg", pb.S3Object(bucket="bucket", key="a/b c.jpg")),
        ("s3://bucket/a?versionId=v.1", pb.S3Object(bucket="bucket", key="a", version_id="v.1")),
        ("s3://bucket/what?%20.jpg", pb.S3Object(bucket="bucket", key="what?%20.jpg")),
    ],
)
def test_s3_urls(url: str, expected: pb.S3Object) -> None:
    """The key is taken literally; the version follows ?versionId=."""
    assert build_request(url).image.s3_object == expected


@pytest.mark.parametrize("url", ["s3://", "s3://bucket", "s3://bucket/", "s3:///key"])
def test_an_s3_url_without_bucket_or_key_is_refused(url: str) -> None:
    """An S3 URL requires both a bucket and a key."""
    with pytest.raises(InvalidRequest, match="s3://BUCKET/KEY"):
        build_request(url)


def test_a_path_and_its_bytes_are_the_same_picture(tmp_path: Path) -> None:
    """A str, a Path and bytes-like objects are all valid sources."""
    path = tmp_path / "a.jpg"
    path.write_bytes(b"picture")
    sources: list[Source] = [str(path), path, b"picture", bytearray(b"picture"), memoryview(b"picture")]
    assert {build_request(source).image.content for source in sources} == {b"picture"}


def test_size_is_checked_before_sending(tmp_path: Path) -> None:
    """A picture of 15 MiB is accepted; a larger or empty one raises the server's reason."""
    path = tmp_path / "large.jpg"
    path.write_bytes(bytes(MAX_IMAGE_BYTES + 1))
    assert len(build_request(bytes(MAX_IMAGE_BYTES)).image.content) == MAX_IMAGE_BYTES
    with pytest.raises(ImageTooLarge, match=r"large\.jpg exceeds the limit of 15 MiB") as raised:
        build_request(path)
    assert (raised.value.code, raised.value.reason) == ("INVALID_ARGUMENT", "IMAGE_TOO_LARGE")
    with pytest.raises(InvalidImage, match="is empty"):
        build_request(b"")


def test_a_missing_file_is_an_os_error() -> None:
    """A missing file raises FileNotFoundError, as `open` does."""
    with pytest.raises(FileNotFoundError):
        build_request("no/such/file.jpg")

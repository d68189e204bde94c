"""Checks of a request before any work is done."""

import re
from collections.abc import Callable

import pytest

from marquee.v1 import recognizer_pb2 as pb
from services.runtime import requests
from services.runtime.errors import (
    BucketNotAllowed,
    DomainError,
    ImageMissing,
    ImageTooLarge,
    InvalidRequest,
    UnknownRecognizer,
    UnsupportedPolicy,
)
from tests.support.servers import LEFT, box

Change = Callable[[pb.RecognizeImageRequest], None]
NAN = float("nan")
BAD_BOXES = [
    *((0.1, 0.1, width, height) for width, height in ((0, 0.1), (0.1, 0), (-0.1, 0.1), (NAN, 0.1), (0.95, 0.1))),
    *((left, top, 0.1, 0.1) for left, top in ((-0.01, 0.1), (0.1, 0.95), (NAN, 0.1), (0.1, float("inf")))),
]


def request(**fields: object) -> pb.RecognizeImageRequest:
    return pb.RecognizeImageRequest(image=pb.Image(content=b"bytes"), **fields)


def object_request(bucket: str, key: str) -> pb.RecognizeImageRequest:
    return pb.RecognizeImageRequest(image=pb.Image(s3_object=pb.S3Object(bucket=bucket, key=key)))


def option(**fields: object) -> dict[str, pb.RecognizerOptions]:
    return {"svm": pb.RecognizerOptions(**fields)}


WRONG: dict[str, tuple[pb.RecognizeImageRequest, type[DomainError], str]] = {
    "an unspecified feature": (request(features=[0]), InvalidRequest, "features"),
    "an unknown feature": (request(features=[99]), InvalidRequest, "features"),
    "no label": (request(max_labels=0), InvalidRequest, "max_labels"),
    "a negative number of labels": (request(max_labels=-1), InvalidRequest, "max_labels"),
    "too many labels": (request(max_labels=1001), InvalidRequest, "max_labels"),
    "a score below 0": (request(min_score=-0.1), InvalidRequest, "min_score"),
    "a score above 1": (request(min_score=1.1), InvalidRequest, "min_score"),
    "a score that is no number": (request(min_score=NAN), InvalidRequest, "min_score"),
    "an option's score": (
        request(recognizer_options=option(min_score=2)),
        InvalidRequest,
        "recognizer_options[svm].min_score",
    ),
    "an option's timeout of 0": (
        request(recognizer_options=option(timeout={"seconds": 0})),
        InvalidRequest,
        "recognizer_options",
    ),
    "an option's negative timeout": (
        request(recognizer_options=option(timeout={"seconds": -1})),
        InvalidRequest,
        "recognizer_options",
    ),
    **{
        f"the face box {place}": (request(face_boxes=[box(LEFT), box(place)]), InvalidRequest, "face_boxes")
        for place in BAD_BOXES
    },
    "no picture": (pb.RecognizeImageRequest(), ImageMissing, "image"),
    "an object without a bucket": (object_request("", "key"), InvalidRequest, "image.s3_object"),
    "an object without a key": (object_request("bucket", ""), InvalidRequest, "image.s3_object"),
}


@pytest.mark.parametrize(("wrong", "error", "field"), WRONG.values(), ids=WRONG)
def test_names_the_wrong_field(wrong: pb.RecognizeImageRequest, error: type[DomainError], field: str) -> None:
    """Each invalid value is refused with the name of its field in the error's metadata."""
    with pytest.raises(error) as caught:
        requests.check_request(wrong, s3_allowed=["bucket"])
    assert caught.value.metadata["field"] == field


def test_a_box_to_the_very_edge_is_taken() -> None:
    """Boxes that reach the picture's edge, or past it by as much as rounding does, are faces to describe."""
    whole, rounded = box((0, 0, 1, 1)), box((-0.0005, 0.9, 0.1, 0.1005))
    requests.check_request(request(face_boxes=[whole, rounded]), ())


@pytest.mark.parametrize(
    ("content", "error"), [(b"", ImageMissing), (bytes(15 * 1024 * 1024 + 1), ImageTooLarge)], ids=["empty", "large"]
)
def test_refuses_by_size(content: bytes, error: type[DomainError]) -> None:
    """A picture of 0 bytes or of more than 15 MiB is refused by its size alone."""
    with pytest.raises(error, match="bytes"):
        requests.check_request(pb.RecognizeImageRequest(image=pb.Image(content=content)), ())


def test_accepts_the_edges() -> None:
    """The smallest and the largest value of every range are accepted."""
    for most in (1, 1000):
        requests.check_request(request(max_labels=most, min_score=0), ())
    requests.check_request(request(min_score=1, features=pb.Feature.values()[1:]), ())


def test_fills_in_the_defaults() -> None:
    """A request without features gets CELEBRITIES and LABELS, with at most ten labels."""
    plain = request()
    assert requests.features_of(plain) == (pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS)
    assert requests.max_labels_of(plain) == 10


def test_a_repeated_feature_is_done_once() -> None:
    """Each requested feature is performed once, in the requested order."""
    twice = request(features=[pb.FEATURE_TEXT, pb.FEATURE_LABELS, pb.FEATURE_TEXT])
    assert requests.features_of(twice) == (pb.FEATURE_TEXT, pb.FEATURE_LABELS)


@pytest.mark.parametrize("policy", [pb.POLICY_FIRST_CONFIDENT, pb.POLICY_CASCADE, 77])
def test_refuses_a_policy_that_is_not_offered(policy: pb.Policy.ValueType) -> None:
    """A policy that the server does not offer is refused, not replaced by ALL."""
    with pytest.raises(UnsupportedPolicy, match="it offers: POLICY_ALL"):
        requests.check_request(request(policy=policy), ())


@pytest.mark.parametrize("policy", [pb.POLICY_UNSPECIFIED, pb.POLICY_ALL])
def test_accepts_the_policy_all(policy: pb.Policy.ValueType) -> None:
    """POLICY_ALL is accepted, and so is no policy, which means ALL."""
    requests.check_request(request(policy=policy), ())


def test_keeps_a_request_id() -> None:
    """The caller's request_id is used as it is."""
    assert requests.request_id_of("Team-a:2026.11_3") == "Team-a:2026.11_3"


def test_makes_a_request_id() -> None:
    """Two calls without a request_id get two different ones."""
    ids = {requests.request_id_of("") for _ in range(2)}
    assert len(ids) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)


@pytest.mark.parametrize("request_id", ["x" * 129, "two words", "line\nbreak", "ünder", 'quote"', "trailing\n"])
def test_refuses_a_request_id_that_would_spoil_logs(request_id: str) -> None:
    """A request_id that is too long or has anything but letters, digits and . _ : - is refused."""
    with pytest.raises(InvalidRequest) as caught:
        requests.request_id_of(request_id)
    assert caught.value.metadata["field"] == "request_id"


def test_refuses_an_unknown_name_and_lists_the_known() -> None:
    """An unknown recognizer is refused with a list of the known ones."""
    with pytest.raises(UnknownRecognizer, match=r"'smv' here\. Available: svm, keras"):
        requests.check_names(["svm", "smv"], ["svm", "keras"])


ALLOWED = {
    "every key of a bucket": ("pictures", "any/key.jpg"),
    "a key below a prefix": ("faces", "public/a.jpg"),
    "a key that begins with a prefix": ("faces", "publications.jpg"),
    "the prefix itself": ("faces", "public"),
}
FORBIDDEN = {
    "another bucket": ("other", "public/a.jpg"),
    "a bucket that begins alike": ("pictures2", "a.jpg"),
    "a bucket in another case": ("Pictures", "a.jpg"),
    "a key beside a prefix": ("faces", "private/a.jpg"),
    "a key that only holds a prefix": ("faces", "private/public/a.jpg"),
    "a key in another case": ("faces", "Public/a.jpg"),
}


@pytest.mark.parametrize(("bucket", "key"), ALLOWED.values(), ids=ALLOWED)
def test_allows_buckets_and_prefixes(bucket: str, key: str) -> None:
    """An entry allows a whole bucket or, as in S3, all keys that begin with its prefix."""
    requests.check_request(object_request(bucket, key), ["pictures", "faces/public"])


@pytest.mark.parametrize(("bucket", "key"), FORBIDDEN.values(), ids=FORBIDDEN)
def test_forbids_all_other_objects(bucket: str, key: str) -> None:
    """An object that no entry allows is refused, and the error names the setting that could allow it."""
    with pytest.raises(BucketNotAllowed, match="MARQUEE_S3_ALLOWED"):
        requests.check_request(object_request(bucket, key), ["pictures", "faces/public"])


def test_a_prefix_with_a_slash_is_a_folder() -> None:
    """An entry that ends with / allows only that folder, not other keys that begin alike."""
    requests.check_request(object_request("faces", "public/a.jpg"), ["faces/public/"])
    with pytest.raises(BucketNotAllowed):
        requests.check_request(object_request("faces", "publications.jpg"), ["faces/public/"])


def test_allows_no_object_by_default() -> None:
    """Without entries, no object is allowed."""
    with pytest.raises(BucketNotAllowed):
        requests.check_request(object_request("pictures", "a.jpg"), ())

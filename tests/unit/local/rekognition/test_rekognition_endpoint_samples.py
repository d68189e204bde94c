"""Whatever Amazon's own code samples read of a response is in the local endpoint's.

https://docs.aws.amazon.com/rekognition/latest/dg/service_code_examples.html and the pages of the operations.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator
from PIL import Image as Pillow

from local import pictures
from local.rekognition import annotations
from tests.support import pictures as pictures_of
from tests.support.aws import endpoint

pytestmark = pytest.mark.slow

DEMO = pictures_of.demo()
STRANGER = pictures_of.jpeg(pictures.photo("Eileen Collins"))
PAGE = pictures_of.printed(["Hello"])
CUP = pictures_of.encode(Pillow.new("RGB", (200, 200), "brown"))
BOX = {"Left": 0.1, "Top": 0.2, "Width": 0.3, "Height": 0.4}
ANNOTATIONS = {
    PAGE: {
        "TextDetections": [
            {"Type": kind, "DetectedText": "Hello", "Confidence": 99, "Geometry": {"BoundingBox": BOX}}
            for kind in ("LINE", "WORD")
        ]
    },
    CUP: {
        "Labels": [
            {"Name": "Cup", "Confidence": 90},
            {"Name": "Coffee", "Confidence": 80, "Instances": [{"Confidence": 70, "BoundingBox": {"Left": 0.1}}]},
        ],
        "ModerationLabels": [{"Name": "Alcohol", "Confidence": 60}],
    },
    DEMO["collins"]: {"FaceDetails": [{"Smile": {"Value": True}}]},
}
"""As little as an annotation may say."""
_BOX = tuple(f"BoundingBox.{side}" for side in ("Left", "Top", "Width", "Height"))
_COMPARED = (*_BOX, "Confidence", "Landmarks.*.Type", "Landmarks.*.X", "Landmarks.*.Y", "Pose.Roll", "Pose.Yaw")
_COMPARED = (*_COMPARED, "Pose.Pitch", "Quality.Brightness", "Quality.Sharpness")
_CELEBRITY = (*_COMPARED, "Smile.Value", "Smile.Confidence", "Emotions.*.Type", "Emotions.*.Confidence")
_BINARY = ("Smile", "Eyeglasses", "Sunglasses", "Gender", "Beard", "Mustache", "EyesOpen", "MouthOpen", "FaceOccluded")
_ALL = (
    *_CELEBRITY,
    *(f"{name}.{member}" for name in _BINARY for member in ("Value", "Confidence")),
    *("AgeRange.Low", "AgeRange.High", "EyeDirection.Yaw", "EyeDirection.Pitch", "EyeDirection.Confidence"),
)
_STORED = ("FaceId", "ImageId", "ExternalImageId", "Confidence", "IndexFacesModelVersion", *_BOX)


def under(prefix: str, paths: tuple[str, ...]) -> list[str]:
    return [f"{prefix}.{path}" for path in paths]


SAMPLES: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "celebrities": (
        "RecognizeCelebrities",
        {"Image": {"Bytes": DEMO["hopper"]}},
        [
            *(f"CelebrityFaces.*.{name}" for name in ("Name", "Id", "MatchConfidence", "Urls", "KnownGender.Type")),
            *under("CelebrityFaces.*.Face", _CELEBRITY),
            "UnrecognizedFaces",
        ],
    ),
    "strangers": (
        "RecognizeCelebrities",
        {"Image": {"Bytes": STRANGER}},
        ["CelebrityFaces", *under("UnrecognizedFaces.*", _CELEBRITY)],
    ),
    "faces": ("DetectFaces", {"Image": {"Bytes": DEMO["both"]}}, under("FaceDetails.*", _COMPARED)),
    "attributes": (
        "DetectFaces",
        {"Image": {"Bytes": DEMO["both"]}, "Attributes": ["ALL"]},
        under("FaceDetails.*", _ALL),
    ),
    "attributes, annotated": (
        "DetectFaces",
        {"Image": {"Bytes": DEMO["collins"]}, "Attributes": ["ALL"]},
        under("FaceDetails.*", _ALL),
    ),
    "labels": (
        "DetectLabels",
        {"Image": {"Bytes": DEMO["both"]}},
        [
            *(f"Labels.*.{name}" for name in ("Name", "Confidence", "Parents", "Aliases.*.Name", "Categories.*.Name")),
            *under("Labels.*.Instances.*", (*_BOX, "Confidence")),
            "LabelModelVersion",
        ],
    ),
    "labels, annotated": (
        "DetectLabels",
        {"Image": {"Bytes": CUP}},
        [
            *(f"Labels.*.{name}" for name in ("Name", "Confidence", "Parents", "Aliases", "Categories")),
            *under("Labels.*.Instances.*", (*_BOX, "Confidence")),
        ],
    ),
    "text": (
        "DetectText",
        {"Image": {"Bytes": PAGE}},
        [
            *(f"TextDetections.*.{name}" for name in ("DetectedText", "Type", "Id", "Confidence")),
            *under("TextDetections.*.Geometry", (*_BOX, "Polygon.*.X", "Polygon.*.Y")),
            "TextModelVersion",
        ],
    ),
    "moderation": (
        "DetectModerationLabels",
        {"Image": {"Bytes": CUP}},
        [
            *(f"ModerationLabels.*.{name}" for name in ("Name", "Confidence", "ParentName", "TaxonomyLevel")),
            *("ContentTypes", "ModerationModelVersion"),
        ],
    ),
    "comparison": (
        "CompareFaces",
        {"SourceImage": {"Bytes": DEMO["hopper"]}, "TargetImage": {"Bytes": DEMO["both"]}},
        [
            "FaceMatches.*.Similarity",
            *under("FaceMatches.*.Face", _COMPARED),
            *under("UnmatchedFaces.*", _COMPARED),
            *under("SourceImageFace", (*_BOX, "Confidence")),
        ],
    ),
    "indexing": (
        "IndexFaces",
        {"CollectionId": "c", "Image": {"Bytes": DEMO["both"]}, "MaxFaces": 1, "ExternalImageId": "x"},
        [
            *under("FaceRecords.*.Face", _STORED),
            *under("FaceRecords.*.FaceDetail", _COMPARED),
            *under("UnindexedFaces.*", ("Reasons.*", *under("FaceDetail", _BOX))),
            "FaceModelVersion",
        ],
    ),
    "search": (
        "SearchFacesByImage",
        {"CollectionId": "c", "Image": {"Bytes": DEMO["both"]}},
        [
            *("FaceMatches.*.Similarity", *under("FaceMatches.*.Face", _STORED)),
            *(f"SearchedFace{member}" for member in (*_BOX, "Confidence")),
            "FaceModelVersion",
        ],
    ),
    "listing": ("ListFaces", {"CollectionId": "c"}, [*under("Faces.*", _STORED), "FaceModelVersion"]),
    "collection": (
        "DescribeCollection",
        {"CollectionId": "c"},
        ["CollectionARN", "CreationTimestamp", "FaceCount", "FaceModelVersion", "UserCount"],
    ),
    "collections": ("ListCollections", {}, ["CollectionIds.*", "FaceModelVersions.*"]),
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    gallery, notes = (tmp_path_factory.mktemp(name) for name in ("gallery", "annotations"))
    (gallery / "Grace Hopper").mkdir()
    pictures.photo("Grace Hopper").save(gallery / "Grace Hopper" / "1.jpg")
    for picture, annotation in ANNOTATIONS.items():
        (notes / f"{hashlib.sha256(picture).hexdigest()}.json").write_text(json.dumps(annotation))
    with endpoint(gallery, annotations=annotations.read(notes)) as url:
        rekognition = boto3.client("rekognition", endpoint_url=url)
        rekognition.create_collection(CollectionId="c")
        yield rekognition
        rekognition.close()


def find(value: Any, path: str) -> list[Any]:
    """Return the values at the path, in which * stands for every entry of a list. Raises KeyError."""
    found = [value]
    for name in path.split("."):
        found = [entry for one in found for entry in one] if name == "*" else [one[name] for one in found]
    return found


@pytest.mark.parametrize("sample", SAMPLES)
def test_amazons_samples_find_what_they_read(client: Any, sample: str) -> None:
    """Every member that a sample reads is there, in every entry, and the response is valid for botocore."""
    operation, parameters, paths = SAMPLES[sample]
    response = client._make_api_call(operation, parameters)
    response.pop("ResponseMetadata")
    assert [path for path in paths if None in find(response, path) or not find(response, path)] == []
    shape = client.meta.service_model.operation_model(operation).output_shape
    assert not ParamValidator().validate(response, shape).has_errors()


def test_a_celebrity_of_unknown_gender_is_unlisted(client: Any) -> None:
    """Without an about.json both operations say so, in Amazon's word."""
    (face,) = client.recognize_celebrities(Image={"Bytes": DEMO["hopper"]})["CelebrityFaces"]
    person = client.get_celebrity_info(Id=face["Id"])
    assert face["KnownGender"] == person["KnownGender"] == {"Type": "Unlisted"}
    assert face["Urls"] == person["Urls"] == []

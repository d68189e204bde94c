"""Tests of faces, comparison and annotations of the local Rekognition endpoint, with plain boto3 calls."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.exceptions import ClientError
from PIL import Image as Pillow
from PIL import ImageOps

from local import pictures
from local.rekognition import annotations
from local.rekognition.options import parse
from local.rekognition.vision.view import Vision
from tests.support import pictures as pictures_of
from tests.support.aws import endpoint

pytestmark = pytest.mark.slow

DEMO = pictures_of.demo()
HOPPER, COLLINS, BOTH, COFFEE = ({"Bytes": DEMO[name]} for name in ("hopper", "collins", "both", "coffee"))


def text(string: str, number: int, corner: tuple[float, float, float], **members: Any) -> dict[str, Any]:
    """Return a text detection at [left, top, width], in fractions of the picture."""
    left, top, width = corner
    box = {"Left": left, "Top": top, "Width": width, "Height": 0.15}
    return {"DetectedText": string, "Id": number, "Confidence": 99, "Geometry": {"BoundingBox": box}, **members}


ANNOTATION = {
    "Labels": [
        {"Name": "Cup", "Confidence": 70, "Parents": [{"Name": "Crockery"}], "Categories": [{"Name": "Kitchen"}]},
        {"Name": "Coffee", "Confidence": 90, "Instances": [{"BoundingBox": {"Left": 0.1}, "Confidence": 90}]},
    ],
    "ModerationLabels": [
        {"Name": "Alcohol", "Confidence": 60, "ParentName": "", "TaxonomyLevel": 1},
        {"Name": "Alcoholic Beverages", "Confidence": 40, "ParentName": "Alcohol", "TaxonomyLevel": 2},
    ],
    "ContentTypes": [{"Name": "Illustrated", "Confidence": 80}],
}
PAGE = {"Bytes": pictures_of.printed(["Hello World", "GATE 42 Open"])}
TEXTS = [
    text("Hello World", 0, (0.04, 0.2, 0.38), Type="LINE"),
    text("GATE 42 Open", 1, (0.04, 0.58, 0.44), Type="LINE"),
    text("Hello", 2, (0.04, 0.2, 0.16), Type="WORD", ParentId=0),
    text("World", 3, (0.24, 0.2, 0.18), Type="WORD", ParentId=0),
    text("GATE", 4, (0.04, 0.58, 0.17), Type="WORD", ParentId=1),
    text("42", 5, (0.25, 0.58, 0.08), Type="WORD", ParentId=1),
    text("Open", 6, (0.36, 0.58, 0.12), Type="WORD", ParentId=1),
]
FACES = [{"Smile": {"Value": True, "Confidence": 98}, "AgeRange": {"Low": 30, "High": 40}}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write annotations in both forms, by file name next to the picture and by SHA-256; return their folder."""
    folder = tmp_path_factory.mktemp("annotations")
    (folder / "coffee.jpg").write_bytes(COFFEE["Bytes"])
    (folder / "coffee.jpg.json").write_text(json.dumps(ANNOTATION))
    digest = hashlib.sha256(BOTH["Bytes"]).hexdigest()
    (folder / f"{digest}.json").write_text(json.dumps({"FaceDetails": FACES}))
    digest = hashlib.sha256(PAGE["Bytes"]).hexdigest()
    (folder / f"{digest}.json").write_text(json.dumps({"TextDetections": TEXTS}))
    return folder


@pytest.fixture(scope="module")
def client(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    gallery = tmp_path_factory.mktemp("gallery")
    pictures.write_gallery(gallery)
    (gallery / "Grace Hopper" / "about.json").write_text(
        '{"Urls": ["hopper.example"], "KnownGender": {"Type": "Female"}}'
    )
    (gallery / "Eileen Collins" / "about.json").write_text('{"KnownGender": {}}')
    with endpoint(gallery, annotations=annotations.read(folder)) as url:
        rekognition = boto3.client("rekognition", endpoint_url=url)
        yield rekognition
        rekognition.close()


def points(face: dict) -> dict[str, tuple[float, float]]:
    return {point["Type"]: (point["X"], point["Y"]) for point in face["Landmarks"]}


def test_a_celebrity_has_an_id(client: Any) -> None:
    """GetCelebrityInfo returns about.json for the ID from RecognizeCelebrities."""
    (face,) = client.recognize_celebrities(Image=HOPPER)["CelebrityFaces"]
    assert face["Urls"] == ["hopper.example"]
    person = client.get_celebrity_info(Id=face["Id"])
    assert (person["Name"], person["Urls"], person["KnownGender"]) == (
        "Grace Hopper",
        ["hopper.example"],
        {"Type": "Female"},
    )
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_celebrity_info(Id="nobody")


def test_what_about_json_leaves_out_is_added(client: Any) -> None:
    """Programs find the members that Amazon always sends, though the file has an empty one."""
    faces = {one["Name"]: one for one in client.recognize_celebrities(Image=BOTH)["CelebrityFaces"]}
    assert (faces["Eileen Collins"]["KnownGender"], faces["Eileen Collins"]["Urls"]) == ({"Type": "Unlisted"}, [])


def test_faces_have_landmarks_quality_and_pose(client: Any) -> None:
    """Eyes are in the face's upper half, the nose between and below them, the mouth below it; the face looks ahead."""
    (face,) = client.detect_faces(Image=HOPPER)["FaceDetails"]
    marks, box = points(face), face["BoundingBox"]
    assert list(marks) == ["eyeLeft", "eyeRight", "mouthLeft", "mouthRight", "nose"]
    assert marks["eyeLeft"][0] < marks["nose"][0] < marks["eyeRight"][0]
    assert marks["mouthLeft"][0] < marks["nose"][0] < marks["mouthRight"][0]
    assert box["Top"] < marks["eyeLeft"][1] < box["Top"] + box["Height"] / 2 < marks["nose"][1] < marks["mouthLeft"][1]
    assert 99 < face["Confidence"] <= 100
    assert all(abs(face["Pose"][angle]) < 20 for angle in ("Roll", "Yaw", "Pitch"))
    assert 20 < face["Quality"]["Brightness"] < 80
    assert "Smile" not in face


@pytest.mark.parametrize(("smallest", "faces"), [(0.02, 0), (0.005, 1)])
def test_small_faces_are_found_on_request(smallest: float, faces: int) -> None:
    """--smallest-face says which faces are searched for, however large the picture is."""
    street = Pillow.new("RGB", (3000, 2000), (60, 90, 60))
    street.paste(pictures.photo("Eileen Collins").resize((100, 100)), (1400, 900))  # a face of 0.6 %
    options = parse(["--smallest-face", str(smallest)])
    assert len(Vision(options.smallest_face).view(np.asarray(street)).faces) == faces


@pytest.mark.parametrize("share", ["0", "0.6", "small"])
def test_smallest_face_is_checked(share: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A share that no face can be searched with is refused."""
    with pytest.raises(SystemExit):
        parse(["--smallest-face", share])
    assert "must be a number from 0.002 to 0.5" in capsys.readouterr().err


def test_sixteen_bit_grey_is_seen_as_eight_bit(client: Any) -> None:
    """A grey PNG of 16 bits shows the same faces as its copy of 8 bits."""
    grey = pictures.photo("Grace Hopper").convert("L")
    deep = Pillow.fromarray(np.asarray(grey, np.uint16) * 257)
    faces = [client.detect_faces(Image={"Bytes": pictures_of.encode(one, "PNG")}) for one in (grey, deep)]
    assert faces[0]["FaceDetails"] == faces[1]["FaceDetails"] != []


def test_pose_follows_the_picture(client: Any) -> None:
    """Rotating a picture by 10 degrees changes the roll by 10, and mirroring it reverses the yaw."""
    photo = pictures.photo("Grace Hopper")

    def pose(picture: Any) -> dict[str, float]:
        image = {"Bytes": pictures_of.jpeg(picture)}
        return client.detect_faces(Image=image)["FaceDetails"][0]["Pose"]

    straight = pose(photo)
    assert pose(photo.rotate(-10))["Roll"] == pytest.approx(straight["Roll"] + 10, abs=3)
    assert pose(ImageOps.mirror(photo))["Yaw"] == pytest.approx(-straight["Yaw"], abs=6)


def test_attributes_come_from_annotations_on_request(client: Any) -> None:
    """The left face has the attributes that are both annotated and requested; the right face has no annotation."""
    left, right = client.detect_faces(Image=BOTH, Attributes=["SMILE"])["FaceDetails"]
    assert left["Smile"] == {"Value": True, "Confidence": 98}
    assert "AgeRange" not in left
    everything = client.detect_faces(Image=BOTH, Attributes=["ALL"])["FaceDetails"][0]
    assert everything["AgeRange"] == {"Low": 30, "High": 40}
    assert {"leftEyeLeft", "rightEyeRight"} <= set(points(everything))
    assert right["Smile"] == {"Value": False, "Confidence": 0}


def test_annotated_labels_pass_the_same_filters(client: Any) -> None:
    """Annotated labels are sorted by confidence, have parents and instances, and obey MinConfidence and filters."""
    labels = client.detect_labels(Image=COFFEE)["Labels"]
    assert [label["Name"] for label in labels] == ["Coffee", "Cup"]
    assert labels[1]["Parents"] == [{"Name": "Crockery"}]
    assert [label["Name"] for label in client.detect_labels(Image=COFFEE, MinConfidence=80)["Labels"]] == ["Coffee"]
    filters = {"GeneralLabels": {"LabelCategoryInclusionFilters": ["Kitchen"]}}
    assert [label["Name"] for label in client.detect_labels(Image=COFFEE, Settings=filters)["Labels"]] == ["Cup"]


def test_moderation_comes_from_annotations(client: Any) -> None:
    """The default MinConfidence is 50, and a picture without an annotation has no label."""
    answer = client.detect_moderation_labels(Image=COFFEE)
    assert [label["Name"] for label in answer["ModerationLabels"]] == ["Alcohol"]
    assert answer["ContentTypes"] == ANNOTATION["ContentTypes"]
    everything = client.detect_moderation_labels(Image=COFFEE, MinConfidence=0)["ModerationLabels"]
    assert [label["ParentName"] for label in everything] == ["", "Alcohol"]
    assert client.detect_moderation_labels(Image=HOPPER)["ModerationLabels"] == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jpg.json", "{}", "there is no x.jpg beside it"),
        ("coffee.jpg.json", "{", "Expecting property name"),
        ("coffee.jpg.json", '{"Label": []}', "must be an object with Labels"),
        ("coffee.jpg.json", '{"Labels": [{"Name": 1, "Confidence": 9}]}', "Invalid type for parameter .*Name"),
        ("coffee.jpg.json", '{"Labels": [{"Name": "a", "Confidence": 101}]}', "less than or equal to 100"),
        ("coffee.jpg.json", '{"Labels": [{"Name": "a"}]}', "every entry needs a Confidence"),
        (
            "coffee.jpg.json",
            '{"Labels": [{"Name": "a", "Confidence": 9, "Categories": [{}]}]}',
            "Categories: every entry needs a Name",
        ),
        ("coffee.jpg.json", '{"Labels": [{"Name": "a", "Confidence": NaN}]}', "NaN is not a number"),
        ("coffee.jpg.json", '{"Labels": [{"Name": "", "Confidence": 9}]}', "Name has 1 to 200 characters"),
        ("coffee.jpg.json", '{"Labels": [{"Name": "a\\n", "Confidence": 9}]}', "no control character"),
        ("coffee.jpg.json", "[" * 100_000, "recursion"),
        ("coffee.jpg.json", '{"FaceDetails": [{"Emotions": [{}]}]}', "Emotions: every entry needs a Type"),
    ],
)
def test_invalid_annotations_are_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    """The error for an invalid annotation names the file and what is wrong."""
    (tmp_path / "coffee.jpg").write_bytes(b"x")
    (tmp_path / name).write_text(content)
    with pytest.raises(annotations.InvalidAnnotation, match=message) as refusal:
        annotations.read(tmp_path)
    assert name in str(refusal.value)


def test_text_comes_from_annotations(client: Any) -> None:
    """Lines come first, then their words with their parents; a picture without an annotation has no text."""
    texts = client.detect_text(Image=PAGE)["TextDetections"]
    lines = {one["Id"]: one["DetectedText"] for one in texts if one["Type"] == "LINE"}
    words = [(lines[one["ParentId"]], one["DetectedText"]) for one in texts if one["Type"] == "WORD"]
    assert list(lines.values()) == ["Hello World", "GATE 42 Open"]
    assert words == [("Hello World", one) for one in ("Hello", "World")] + [
        ("GATE 42 Open", one) for one in ("GATE", "42", "Open")
    ]
    tops = [one["Geometry"]["BoundingBox"]["Top"] for one in texts if one["Type"] == "LINE"]
    assert tops == [0.2, 0.58]
    assert client.detect_text(Image=HOPPER)["TextDetections"] == []


def test_text_is_filtered(client: Any) -> None:
    """Regions, sizes and confidence select words, and a line without any of its words is dropped."""

    def words(filters: dict) -> list[str]:
        texts = client.detect_text(Image=PAGE, Filters=filters)["TextDetections"]
        return [one["DetectedText"] for one in texts]

    upper = {"BoundingBox": {"Left": 0, "Top": 0, "Width": 1, "Height": 0.5}}
    assert words({"RegionsOfInterest": [upper]}) == ["Hello World", "Hello", "World"]
    left = {"Polygon": [{"X": x, "Y": y} for x, y in ((0, 0.5), (0.25, 0.5), (0.25, 1), (0, 1))]}
    assert words({"RegionsOfInterest": [left]}) == ["GATE 42 Open", "GATE"]
    assert "42" not in words({"WordFilter": {"MinBoundingBoxWidth": 0.1}})
    assert words({"WordFilter": {"MinConfidence": 100}}) == []


def test_faces_are_compared(client: Any) -> None:
    """Hopper matches herself above 95 and Collins below 60; the threshold moves faces between the lists."""
    answer = client.compare_faces(SourceImage=HOPPER, TargetImage=BOTH)
    (match,), (other,) = answer["FaceMatches"], answer["UnmatchedFaces"]
    assert match["Similarity"] > 95
    assert match["Face"]["BoundingBox"]["Left"] > 0.5 > other["BoundingBox"]["Left"]
    every = client.compare_faces(SourceImage=HOPPER, TargetImage=BOTH, SimilarityThreshold=0)
    assert [one["Similarity"] < 60 for one in every["FaceMatches"]] == [False, True]
    assert every["UnmatchedFaces"] == []
    for source, target in ((COFFEE, HOPPER), (HOPPER, COFFEE)):
        with pytest.raises(ClientError, match="InvalidParameterException"):
            client.compare_faces(SourceImage=source, TargetImage=target)


def test_equal_pictures_are_equally_similar(client: Any) -> None:
    """A picture has similarity 100 to itself."""
    answer = client.compare_faces(SourceImage=COLLINS, TargetImage=COLLINS)
    assert np.isclose(answer["FaceMatches"][0]["Similarity"], 100, atol=1e-4)

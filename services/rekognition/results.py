"""From Rekognition's answers to the contract's messages. Pure.

Rekognition counts confidence from 0 to 100 and gives boxes that may reach past the picture.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from marquee.v1 import recognizer_pb2 as pb

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import (
        BoundingBoxTypeDef,
        CelebrityTypeDef,
        ComparedFaceTypeDef,
        DetectFacesResponseTypeDef,
        DetectLabelsResponseTypeDef,
        DetectModerationLabelsResponseTypeDef,
        DetectTextResponseTypeDef,
        FaceDetailTypeDef,
        FaceMatchTypeDef,
        ImageQualityTypeDef,
        LabelTypeDef,
        PoseTypeDef,
        RecognizeCelebritiesResponseTypeDef,
        SearchFacesByImageResponseTypeDef,
        SearchUsersByImageResponseTypeDef,
    )

_YES_OR_NO = (
    *("Smile", "Eyeglasses", "Sunglasses", "Beard"),
    *("Mustache", "EyesOpen", "MouthOpen", "FaceOccluded"),
)
_TEXT_TYPES = {"LINE": pb.TEXT_TYPE_LINE, "WORD": pb.TEXT_TYPE_WORD}


def faces(answer: "RecognizeCelebritiesResponseTypeDef") -> list[pb.Face]:
    """All faces, those of celebrities each with the one person that Rekognition takes it for."""
    known = [_celebrity(celebrity) for celebrity in answer["CelebrityFaces"]]
    return known + [detected_face(face) for face in answer.get("UnrecognizedFaces", [])]


def detected_faces(answer: "DetectFacesResponseTypeDef") -> list[pb.Face]:
    """All faces with what is told of them, without names."""
    return [detected_face(face) for face in answer["FaceDetails"]]


def candidates(answer: "SearchFacesByImageResponseTypeDef") -> list[pb.Candidate]:
    """Everybody whom the searched face resembles, best first, each once: a collection has several faces of one."""
    matches = sorted(answer["FaceMatches"], key=lambda match: -match.get("Similarity", 0))
    people: dict[str, pb.Candidate] = {}
    for match in matches:
        one = _candidate(match)
        people.setdefault(one.person_id, one)
    return list(people.values())


def users(answer: "SearchUsersByImageResponseTypeDef") -> list[pb.Candidate]:
    """Everybody whom the searched face resembles, best first."""
    found = [(match.get("User", {}).get("UserId", ""), match.get("Similarity", 0)) for match in answer["UserMatches"]]
    return [pb.Candidate(person_id=user, display_name=user, score=alike / 100) for user, alike in found]


def texts(answer: "DetectTextResponseTypeDef") -> list[pb.Text]:
    """Lines, then words, each from the top of the picture down, as Rekognition gives them."""
    return [
        pb.Text(
            content=one.get("DetectedText", ""),
            box=box(one.get("Geometry", {}).get("BoundingBox", {})),
            score=one.get("Confidence", 0) / 100,
            type=_TEXT_TYPES.get(one.get("Type", ""), pb.TEXT_TYPE_UNSPECIFIED),
        )
        for one in answer["TextDetections"]
    ]


def moderation_labels(answer: "DetectModerationLabelsResponseTypeDef") -> list[pb.ModerationLabel]:
    """All labels, those above others among them."""
    return [
        pb.ModerationLabel(
            name=one.get("Name", ""), parent=one.get("ParentName", ""), score=one.get("Confidence", 0) / 100
        )
        for one in answer["ModerationLabels"]
    ]


def labels(answer: "DetectLabelsResponseTypeDef") -> list[pb.Label]:
    """All labels, with where they were found."""
    return [_label(label) for label in answer["Labels"]]


def box(told: "BoundingBoxTypeDef") -> pb.BoundingBox:
    """The part of the box that lies within the picture."""
    left, top = _share(told.get("Left", 0)), _share(told.get("Top", 0))
    right = _share(told.get("Left", 0) + told.get("Width", 0))
    bottom = _share(told.get("Top", 0) + told.get("Height", 0))
    return pb.BoundingBox(left=left, top=top, width=right - left, height=bottom - top)


def _celebrity(told: "CelebrityTypeDef") -> pb.Face:
    face = detected_face(told["Face"])
    face.candidates.add(
        person_id=told.get("Id", ""),
        display_name=told.get("Name", ""),
        score=told.get("MatchConfidence", 0) / 100,
        urls=told.get("Urls", []),
    )
    return face


def _candidate(match: "FaceMatchTypeDef") -> pb.Candidate:
    face = match.get("Face", {})
    person = face.get("UserId") or face.get("ExternalImageId") or face.get("FaceId", "")
    return pb.Candidate(person_id=person, display_name=person, score=match.get("Similarity", 0) / 100)


def detected_face(told: "ComparedFaceTypeDef | FaceDetailTypeDef") -> pb.Face:
    """A face with what is told of it, without names."""
    return pb.Face(
        box=box(told.get("BoundingBox", {})),
        detection_score=told.get("Confidence", 0) / 100,
        landmarks=[pb.Landmark(type=one["Type"], x=one["X"], y=one["Y"]) for one in told.get("Landmarks", [])],
        quality=_quality(told.get("Quality", {}), told.get("Pose", {})),
        attributes=_attributes(told),
    )


def _quality(told: "ImageQualityTypeDef", pose: "PoseTypeDef") -> pb.FaceQuality:
    quality = pb.FaceQuality()
    if "Sharpness" in told:
        quality.sharpness = _share(told["Sharpness"] / 100)
    if "Brightness" in told:
        quality.brightness = _share(told["Brightness"] / 100)
    if pose:
        where = pb.Pose(roll=pose.get("Roll", 0), yaw=pose.get("Yaw", 0), pitch=pose.get("Pitch", 0))
        quality.pose.CopyFrom(where)
    return quality


def _attributes(told: Any) -> Iterator[pb.FaceAttribute]:
    """`told` is a ComparedFace or a FaceDetail; the first has few of these."""
    if age := told.get("AgeRange"):
        yield pb.FaceAttribute(name="AgeRange", value=f"{age.get('Low', 0)}-{age.get('High', 0)}")
    if gender := told.get("Gender"):
        yield _attribute("Gender", gender.get("Value", ""), gender)
    for name in _YES_OR_NO:
        if flag := told.get(name):
            yield _attribute(name, str(flag.get("Value", False)).lower(), flag)
    if eyes := told.get("EyeDirection"):
        yield _attribute("EyeDirection", f"yaw {eyes.get('Yaw', 0):.1f}, pitch {eyes.get('Pitch', 0):.1f}", eyes)
    for emotion in told.get("Emotions", []):
        yield _attribute("Emotion", emotion.get("Type", "UNKNOWN"), emotion)


def _attribute(name: str, value: str, told: Mapping[str, Any]) -> pb.FaceAttribute:
    return pb.FaceAttribute(name=name, value=value, score=told.get("Confidence", 0) / 100)


def _label(told: "LabelTypeDef") -> pb.Label:
    found = told.get("Instances", [])
    return pb.Label(
        name=told.get("Name", ""),
        score=told.get("Confidence", 0) / 100,
        parents=[parent["Name"] for parent in told.get("Parents", [])],
        categories=[category["Name"] for category in told.get("Categories", [])],
        instances=[
            pb.LabelInstance(box=box(one["BoundingBox"]), score=one.get("Confidence", 0) / 100) for one in found
        ],
    )


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))

"""Conversion of Rekognition's responses to the contract's messages, and union of the faces of several. Pure.

Rekognition's confidence is 0 to 100, and its boxes may reach past the picture.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.boxes import iou

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
        UserMatchTypeDef,
    )

_FLAGS = (
    *("Smile", "Eyeglasses", "Sunglasses", "Beard"),
    *("Mustache", "EyesOpen", "MouthOpen", "FaceOccluded"),
)
_TEXT_TYPES = {"LINE": pb.TEXT_TYPE_LINE, "WORD": pb.TEXT_TYPE_WORD}
_SAME_FACE = 0.5


def faces(response: "RecognizeCelebritiesResponseTypeDef") -> list[pb.Face]:
    """Return all faces; a celebrity's has the one person whom Rekognition takes it for as its candidate."""
    celebrities = [_celebrity(celebrity) for celebrity in response["CelebrityFaces"]]
    return celebrities + [detected_face(face) for face in response.get("UnrecognizedFaces", [])]


def detected_faces(response: "DetectFacesResponseTypeDef") -> list[pb.Face]:
    """Return all faces with their landmarks, quality, pose and attributes, without names."""
    return [detected_face(face) for face in response["FaceDetails"]]


def candidates(response: "SearchFacesByImageResponseTypeDef") -> list[pb.Candidate]:
    """Return everyone whom the searched face resembles, best first, once each: a person may have several faces."""
    matches = sorted(response["FaceMatches"], key=lambda match: -match.get("Similarity", 0))
    people: dict[str, pb.Candidate] = {}
    for match in matches:
        candidate = _candidate(match)
        people.setdefault(candidate.person_id, candidate)
    return list(people.values())


def users(response: "SearchUsersByImageResponseTypeDef") -> list[pb.Candidate]:
    """Return everyone whom the searched face resembles, best first."""
    return [_user(match) for match in response["UserMatches"]]


def texts(response: "DetectTextResponseTypeDef") -> list[pb.Text]:
    """Return lines, then words, each from the top of the picture down, in Rekognition's order."""
    return [
        pb.Text(
            content=text.get("DetectedText", ""),
            box=box(text.get("Geometry", {}).get("BoundingBox", {})),
            score=text.get("Confidence", 0) / 100,
            type=_TEXT_TYPES.get(text.get("Type", ""), pb.TEXT_TYPE_UNSPECIFIED),
        )
        for text in response["TextDetections"]
    ]


def moderation_labels(response: "DetectModerationLabelsResponseTypeDef") -> list[pb.ModerationLabel]:
    """Return all labels, including the parents of others."""
    return [
        pb.ModerationLabel(
            name=label.get("Name", ""), parent=label.get("ParentName", ""), score=label.get("Confidence", 0) / 100
        )
        for label in response["ModerationLabels"]
    ]


def labels(response: "DetectLabelsResponseTypeDef") -> list[pb.Label]:
    """Return all labels with their places."""
    return [_label(label) for label in response["Labels"]]


def detected_face(face: "ComparedFaceTypeDef | FaceDetailTypeDef") -> pb.Face:
    """Return a face with its landmarks, quality, pose and attributes, without names."""
    return pb.Face(
        box=box(face.get("BoundingBox", {})),
        detection_score=face.get("Confidence", 0) / 100,
        landmarks=[pb.Landmark(type=one["Type"], x=one["X"], y=one["Y"]) for one in face.get("Landmarks", [])],
        quality=_quality(face.get("Quality", {}), face.get("Pose", {})),
        attributes=_attributes(face),
    )


def box(bounds: "BoundingBoxTypeDef") -> pb.BoundingBox:
    """Return the part of the box that lies within the picture."""
    left, top = _fraction(bounds.get("Left", 0)), _fraction(bounds.get("Top", 0))
    right = _fraction(bounds.get("Left", 0) + bounds.get("Width", 0))
    bottom = _fraction(bounds.get("Top", 0) + bounds.get("Height", 0))
    return pb.BoundingBox(left=left, top=top, width=right - left, height=bottom - top)


def unite(operations: Iterable[Iterable[pb.Face]]) -> list[pb.Face]:
    """Return each face once: faces that several operations saw at the same place become one."""
    united: list[pb.Face] = []
    for faces in operations:
        others = list(united)
        for face in faces:
            same = _same(face, others)
            if same is None:
                united.append(face)
            else:
                others.remove(same)
                _add(same, face)
    return united


def _same(face: pb.Face, others: Sequence[pb.Face]) -> pb.Face | None:
    overlaps = [iou(face.box, other.box) for other in others]
    best = max(overlaps, default=0.0)
    return others[overlaps.index(best)] if best >= _SAME_FACE else None


def _add(face: pb.Face, other: pb.Face) -> None:
    face.candidates.extend(other.candidates)
    face.detection_score = max(face.detection_score, other.detection_score)
    if not face.quality.ByteSize():
        face.quality.CopyFrom(other.quality)
    if len(other.landmarks) > len(face.landmarks):
        del face.landmarks[:]
        face.landmarks.extend(other.landmarks)
    names = {attribute.name for attribute in face.attributes}
    face.attributes.extend(attribute for attribute in other.attributes if attribute.name not in names)


def _celebrity(celebrity: "CelebrityTypeDef") -> pb.Face:
    face = detected_face(celebrity["Face"])
    face.candidates.add(
        person_id=celebrity.get("Id", ""),
        display_name=celebrity.get("Name", ""),
        score=celebrity.get("MatchConfidence", 0) / 100,
        urls=celebrity.get("Urls", []),
    )
    return face


def _candidate(match: "FaceMatchTypeDef") -> pb.Candidate:
    face = match.get("Face", {})
    person = face.get("UserId") or face.get("ExternalImageId") or face.get("FaceId", "")
    return pb.Candidate(person_id=person, display_name=person, score=match.get("Similarity", 0) / 100)


def _user(match: "UserMatchTypeDef") -> pb.Candidate:
    user = match.get("User", {}).get("UserId", "")
    return pb.Candidate(person_id=user, display_name=user, score=match.get("Similarity", 0) / 100)


def _quality(quality: "ImageQualityTypeDef", pose: "PoseTypeDef") -> pb.FaceQuality:
    result = pb.FaceQuality()
    if "Sharpness" in quality:
        result.sharpness = _fraction(quality["Sharpness"] / 100)
    if "Brightness" in quality:
        result.brightness = _fraction(quality["Brightness"] / 100)
    if pose:
        angles = pb.Pose(roll=pose.get("Roll", 0), yaw=pose.get("Yaw", 0), pitch=pose.get("Pitch", 0))
        result.pose.CopyFrom(angles)
    return result


def _attributes(face: Any) -> Iterator[pb.FaceAttribute]:
    """Yield the attributes of a ComparedFace, which has few, or a FaceDetail."""
    if age := face.get("AgeRange"):
        yield pb.FaceAttribute(name="AgeRange", value=f"{age.get('Low', 0)}-{age.get('High', 0)}")
    if gender := face.get("Gender"):
        yield _attribute("Gender", gender.get("Value", ""), gender)
    for name in _FLAGS:
        if flag := face.get(name):
            yield _attribute(name, str(flag.get("Value", False)).lower(), flag)
    if eyes := face.get("EyeDirection"):
        yield _attribute("EyeDirection", f"yaw {eyes.get('Yaw', 0):.1f}, pitch {eyes.get('Pitch', 0):.1f}", eyes)
    for emotion in face.get("Emotions", []):
        yield _attribute("Emotion", emotion.get("Type", "UNKNOWN"), emotion)


def _attribute(name: str, value: str, detail: Mapping[str, Any]) -> pb.FaceAttribute:
    return pb.FaceAttribute(name=name, value=value, score=detail.get("Confidence", 0) / 100)


def _label(label: "LabelTypeDef") -> pb.Label:
    instances = label.get("Instances", [])
    return pb.Label(
        name=label.get("Name", ""),
        score=label.get("Confidence", 0) / 100,
        parents=[parent["Name"] for parent in label.get("Parents", [])],
        categories=[category["Name"] for category in label.get("Categories", [])],
        instances=[
            pb.LabelInstance(box=box(one["BoundingBox"]), score=one.get("Confidence", 0) / 100) for one in instances
        ],
    )


def _fraction(value: float) -> float:
    return min(1.0, max(0.0, value))

"""From Rekognition's answers to the contract's messages. Pure.

Rekognition counts confidence from 0 to 100 and gives boxes that may reach past the picture.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from marquee.v1 import recognizer_pb2 as pb

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import (
        BoundingBoxTypeDef,
        CelebrityTypeDef,
        ComparedFaceTypeDef,
        DetectLabelsResponseTypeDef,
        ImageQualityTypeDef,
        LabelTypeDef,
        PoseTypeDef,
        RecognizeCelebritiesResponseTypeDef,
    )


def faces(answer: "RecognizeCelebritiesResponseTypeDef") -> list[pb.Face]:
    """All faces, those of celebrities each with the one person that Rekognition takes it for."""
    known = [_celebrity(celebrity) for celebrity in answer["CelebrityFaces"]]
    return known + [_face(face) for face in answer.get("UnrecognizedFaces", [])]


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
    face = _face(told["Face"])
    face.candidates.add(
        person_id=told.get("Id", ""),
        display_name=told.get("Name", ""),
        score=told.get("MatchConfidence", 0) / 100,
        urls=told.get("Urls", []),
    )
    return face


def _face(told: "ComparedFaceTypeDef") -> pb.Face:
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


def _attributes(told: "ComparedFaceTypeDef") -> Iterator[pb.FaceAttribute]:
    if smile := told.get("Smile"):
        value = str(smile.get("Value", False)).lower()
        yield pb.FaceAttribute(name="Smile", value=value, score=smile.get("Confidence", 0) / 100)
    for emotion in told.get("Emotions", []):
        score = emotion.get("Confidence", 0) / 100
        yield pb.FaceAttribute(name="Emotion", value=emotion.get("Type", "UNKNOWN"), score=score)


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

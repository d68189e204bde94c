"""What a scripted Rekognition answers where a test makes up nothing else: one face on the left, seen by all."""

from typing import Any

from tests.support.scripted_aws import Answer

LEFT = {"Left": 0.1, "Top": 0.2, "Width": 0.2, "Height": 0.4}
DETECTED = {
    "BoundingBox": LEFT,
    "Confidence": 99.0,
    "Landmarks": [{"Type": "nose", "X": 0.2, "Y": 0.4}],
    "Quality": {"Brightness": 80.0, "Sharpness": 40.0},
    "Pose": {"Yaw": 4.0},
    "AgeRange": {"Low": 31, "High": 39},
    "Gender": {"Value": "Female", "Confidence": 97.0},
    "Eyeglasses": {"Value": False, "Confidence": 95.0},
    "EyeDirection": {"Yaw": 2.0, "Pitch": -3.0, "Confidence": 90.0},
    "Emotions": [{"Type": "CALM", "Confidence": 88.0}],
}
TEXT = {
    "TextDetections": [
        {
            "DetectedText": "STOP",
            "Type": kind,
            "Id": number,
            "Confidence": 98.0,
            "Geometry": {"BoundingBox": LEFT},
        }
        for number, kind in enumerate(("LINE", "WORD"))
    ]
}
MODERATION = {
    "ModerationLabels": [
        {"Name": "Alcohol", "ParentName": "", "Confidence": 90.0},
        {"Name": "Alcoholic Beverages", "ParentName": "Alcohol", "Confidence": 85.0},
    ]
}
RESPONSES: dict[str, object] = {
    "RecognizeCelebrities": {
        "CelebrityFaces": [{"Id": "c1", "Name": "Somebody", "MatchConfidence": 97.0, "Face": {"BoundingBox": LEFT}}],
        "UnrecognizedFaces": [],
    },
    "DetectLabels": {"Labels": [{"Name": "Boat", "Confidence": 80.0}]},
    "DetectFaces": {"FaceDetails": [DETECTED]},
    "DetectText": TEXT,
    "DetectModerationLabels": MODERATION,
    "SearchFacesByImage": {
        "SearchedFaceBoundingBox": LEFT,
        "FaceMatches": [
            {"Similarity": similarity, "Face": {"FaceId": face, "ExternalImageId": person}}
            for similarity, face, person in ((91.0, "f1", "anna"), (99.0, "f2", "anna"), (85.0, "f3", "eva"))
        ],
    },
}


def respond(operation: str, _: dict[str, Any]) -> Answer:
    """A script of these answers."""
    return 200, RESPONSES[operation]

"""What Rekognition costs, as https://aws.amazon.com/rekognition/pricing/ lists it.

The price of the first million pictures a month in one region. Other regions and volumes differ:
MARQUEE_REKOGNITION_PRICES replaces what stands here.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.requests import Feature

Api: TypeAlias = Literal[
    "RecognizeCelebrities",
    "DetectLabels",
    "DetectFaces",
    "SearchFacesByImage",
    "DetectText",
    "DetectModerationLabels",
    "SearchUsersByImage",
    "CompareFaces",
    "IndexFaces",
    "AssociateFaces",
    "CreateCollection",
    "DescribeCollection",
    "ListCollections",
    "DeleteCollection",
    "ListFaces",
    "DeleteFaces",
    "CreateUser",
    "DeleteUser",
]

REGION = "us-east-1"
LOOKED_UP = datetime(2026, 10, 7, tzinfo=UTC)
MICRO_USD: Mapping[Api, int] = {
    "RecognizeCelebrities": 1000,
    "DetectLabels": 1000,
    "DetectFaces": 1000,
    "SearchFacesByImage": 1000,
    "DetectText": 1000,
    "DetectModerationLabels": 1000,
    "SearchUsersByImage": 1000,
    "CompareFaces": 1000,
    "IndexFaces": 1000,
    "AssociateFaces": 1000,
    "CreateCollection": 0,
    "DescribeCollection": 0,
    "ListCollections": 0,
    "DeleteCollection": 0,
    "ListFaces": 0,
    "DeleteFaces": 0,
    "CreateUser": 0,
    "DeleteUser": 0,
}
"""Faces and users that a collection keeps cost by the month beside: those are no calls, and not counted here."""
FEATURES: Mapping[Feature, tuple[Api, ...]] = {
    pb.FEATURE_CELEBRITIES: ("RecognizeCelebrities",),
    pb.FEATURE_LABELS: ("DetectLabels",),
    pb.FEATURE_FACES: ("DetectFaces",),
    pb.FEATURE_FACE_SEARCH: ("DetectFaces", "SearchFacesByImage"),
    pb.FEATURE_TEXT: ("DetectText",),
    pb.FEATURE_MODERATION: ("DetectModerationLabels",),
}
"""The calls behind a feature. FACE_SEARCH searches every face, and shares DetectFaces with FACES."""


def prices(own: Mapping[Api, int]) -> list[pb.Price]:
    """The price of every feature, for ListRecognizers; FACE_SEARCH's is that of a picture with one face.

    `own` replaces the price list. Each further face costs what FACE_SEARCH costs more than FACES.
    """
    effective = Timestamp()
    effective.FromDatetime(LOOKED_UP)
    known = {**MICRO_USD, **own}
    return [
        pb.Price(feature=feature, micro_usd=sum(known[api] for api in apis), region=REGION, effective_time=effective)
        for feature, apis in FEATURES.items()
    ]

"""Rekognition's prices, from https://aws.amazon.com/rekognition/pricing/.

They hold for the first million pictures a month in one region. Other regions and volumes differ:
MARQUEE_REKOGNITION_PRICES overrides them.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
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
    "DisassociateFaces",
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
EFFECTIVE = datetime(2026, 10, 7, tzinfo=UTC)
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
    "DisassociateFaces": 1000,
    "CreateCollection": 0,
    "DescribeCollection": 0,
    "ListCollections": 0,
    "DeleteCollection": 0,
    "ListFaces": 0,
    "DeleteFaces": 0,
    "CreateUser": 0,
    "DeleteUser": 0,
}
"""Storing faces and users in a collection costs by the month as well: that is no call, and not counted here."""
FEATURES: Mapping[Feature, tuple[Api, ...]] = {
    pb.FEATURE_CELEBRITIES: ("RecognizeCelebrities",),
    pb.FEATURE_LABELS: ("DetectLabels",),
    pb.FEATURE_FACES: ("DetectFaces",),
    pb.FEATURE_FACE_SEARCH: ("DetectFaces", "SearchFacesByImage"),
    pb.FEATURE_TEXT: ("DetectText",),
    pb.FEATURE_MODERATION: ("DetectModerationLabels",),
}
"""Calls that each feature makes. FACE_SEARCH searches every face, and shares DetectFaces with FACES."""


def prices(overrides: Mapping[Api, int]) -> list[pb.Price]:
    """Return the price of every feature, for ListRecognizers; FACE_SEARCH's is that of a picture with one face.

    `overrides` replaces the price list. Each further face costs the difference between FACE_SEARCH and FACES.
    """
    effective = Timestamp()
    effective.FromDatetime(EFFECTIVE)
    micro_usd = {**MICRO_USD, **overrides}
    return [
        pb.Price(
            feature=feature, micro_usd=sum(micro_usd[api] for api in apis), region=REGION, effective_time=effective
        )
        for feature, apis in FEATURES.items()
    ]


def dollars(micro_usd: int) -> str:
    """Return the amount for people, without an exponent: "$0.000007", "$3.4", "$1,234"."""
    return f"${Decimal(micro_usd).scaleb(-6).normalize():,f}"

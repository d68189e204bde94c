"""What Rekognition costs, as https://aws.amazon.com/rekognition/pricing/ lists it.

The price of the first million pictures a month in one region: other regions and volumes differ.
"""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.requests import Feature

REGION = "us-east-1"
LOOKED_UP = datetime(2026, 10, 7, tzinfo=UTC)
MICRO_USD: dict[Feature, int] = {pb.FEATURE_CELEBRITIES: 1000, pb.FEATURE_LABELS: 1000}


def prices() -> list[pb.Price]:
    """The price of every feature, for ListRecognizers."""
    effective = Timestamp()
    effective.FromDatetime(LOOKED_UP)
    return [
        pb.Price(feature=feature, micro_usd=micro_usd, region=REGION, effective_time=effective)
        for feature, micro_usd in MICRO_USD.items()
    ]

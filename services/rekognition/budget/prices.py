"""Rekognition's prices, from https://aws.amazon.com/rekognition/pricing/.

They are those of us-east-1. Others are not known here, and some regions are dearer: MARQUEE_REKOGNITION_PRICES replaces
them. Of the tiers, the last ones, above 35 million calls, are not confirmed by a source.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

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
Group: TypeAlias = Literal["group_1", "group_2"]
"""Operations whose calls of a month are counted together, as Amazon calls them."""


class Tier(NamedTuple):
    """Price of a group's calls from one of the month on."""

    from_calls: int
    micro_usd: int


REGION = "us-east-1"
EFFECTIVE = datetime(2026, 10, 7, tzinfo=UTC)
TIERS: Mapping[Group, tuple[Tier, ...]] = {
    "group_1": (Tier(0, 1000), Tier(1_000_000, 800), Tier(5_000_000, 600), Tier(35_000_000, 400)),
    "group_2": (Tier(0, 1000), Tier(1_000_000, 800), Tier(5_000_000, 600), Tier(35_000_000, 250)),
}
GROUPS: Mapping[Api, Group | None] = {
    "RecognizeCelebrities": "group_2",
    "DetectLabels": "group_2",
    "DetectFaces": "group_2",
    "SearchFacesByImage": "group_1",
    "DetectText": "group_2",
    "DetectModerationLabels": "group_2",
    "SearchUsersByImage": "group_1",
    "CompareFaces": "group_1",
    "IndexFaces": "group_1",
    "AssociateFaces": "group_1",
    "DisassociateFaces": "group_1",
    "CreateCollection": None,
    "DescribeCollection": None,
    "ListCollections": None,
    "DeleteCollection": None,
    "ListFaces": None,
    "DeleteFaces": None,
    "CreateUser": None,
    "DeleteUser": None,
}
"""None: free. Storing faces and users in a collection costs by the month as well: that is no call, and not counted."""
FEATURES: Mapping[Feature, tuple[Api, ...]] = {
    pb.FEATURE_CELEBRITIES: ("RecognizeCelebrities",),
    pb.FEATURE_LABELS: ("DetectLabels",),
    pb.FEATURE_FACES: ("DetectFaces",),
    pb.FEATURE_FACE_SEARCH: ("DetectFaces", "SearchFacesByImage"),
    pb.FEATURE_TEXT: ("DetectText",),
    pb.FEATURE_MODERATION: ("DetectModerationLabels",),
}
"""Calls that each feature makes. FACE_SEARCH searches every face, and shares DetectFaces with FACES."""


class PriceList:
    """Prices of the operations: Amazon's by the month's volume, or the operator's, the same for all volumes."""

    def __init__(self, overrides: Mapping[Api, int]) -> None:
        """Use the operator's prices, in millionths of a US dollar, where there are any."""
        self._groups: dict[Api, str | None] = {**GROUPS, **{api: api for api in overrides}}
        self._tiers: dict[str, tuple[Tier, ...]] = dict(TIERS.items())
        self._tiers |= {api: (Tier(0, micro_usd),) for api, micro_usd in overrides.items()}

    def micro_usd(self, api: Api, month_calls: Mapping[str, int]) -> int:
        """Return the price of the next call, given the calls of this month that AWS surely billed, by group."""
        group = self._groups[api]
        if group is None:
            return 0
        calls = month_calls.get(group, 0)
        return next(tier.micro_usd for tier in reversed(self._tiers[group]) if tier.from_calls <= calls)

    def features(self, month_calls: Mapping[str, int]) -> list[pb.Price]:
        """Return the price of every feature, for ListRecognizers; FACE_SEARCH's is that of a picture with one face.

        Each further face costs the difference between FACE_SEARCH and FACES.
        """
        return [self._feature(feature, apis, month_calls) for feature, apis in FEATURES.items()]

    def groups(self) -> list[pb.PriceGroup]:
        """Return the tiers of each group that a feature's calls are in."""
        used = sorted({group for apis in FEATURES.values() for api in apis if (group := self._groups[api])})
        return [
            pb.PriceGroup(name=group, tiers=[pb.PriceTier(**tier._asdict()) for tier in self._tiers[group]])
            for group in used
        ]

    def _feature(self, feature: Feature, apis: tuple[Api, ...], month_calls: Mapping[str, int]) -> pb.Price:
        effective = Timestamp()
        effective.FromDatetime(EFFECTIVE)
        return pb.Price(
            feature=feature,
            micro_usd=sum(self.micro_usd(api, month_calls) for api in apis),
            region=REGION,
            effective_time=effective,
            calls=group_calls(Counter(group for api in apis if (group := self._groups[api]))),
        )


def group_calls(calls: Mapping[str, int]) -> list[pb.GroupCalls]:
    """Return the numbers of calls by group, for ListRecognizers."""
    return [pb.GroupCalls(group=group, calls=number) for group, number in sorted(calls.items())]


def dollars(micro_usd: int) -> str:
    """Return the amount for people, without an exponent: "$0.000007", "$3.4", "$1,234"."""
    return f"${Decimal(micro_usd).scaleb(-6).normalize():,f}"

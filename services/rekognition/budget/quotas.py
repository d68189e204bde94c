"""Rekognition's default quotas, from https://docs.aws.amazon.com/general/latest/gr/rekognition.html."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

from services.rekognition.budget.prices import GROUPS, Api

Operation: TypeAlias = Api | Literal["ListUsers", "SearchFaces", "SearchUsers"]


class Quota(NamedTuple):
    """Calls a second."""

    large: float
    """In the regions of LARGE_REGIONS."""
    other: float


LARGE_REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
_PICTURES, _FACES, _CHANGES = Quota(50, 5), Quota(100, 25), Quota(5, 5)
QUOTAS: Mapping[Operation, Quota] = {
    **dict.fromkeys(GROUPS, _PICTURES),
    "ListUsers": _CHANGES,
    "SearchFaces": _PICTURES,
    "SearchUsers": _PICTURES,
    "CompareFaces": _FACES,
    "DetectFaces": _FACES,
    "AssociateFaces": _CHANGES,
    "DisassociateFaces": _CHANGES,
    "CreateCollection": _CHANGES,
    "DescribeCollection": _CHANGES,
    "ListCollections": _CHANGES,
    "DeleteCollection": _CHANGES,
    "DeleteFaces": _CHANGES,
    "CreateUser": _CHANGES,
    "DeleteUser": _CHANGES,
}


def default_quota(operation: Operation, region: str) -> float:
    """Return the calls a second that AWS allows an account in the region unless it was granted more."""
    quota = QUOTAS[operation]
    return quota.large if region in LARGE_REGIONS else quota.other

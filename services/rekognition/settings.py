"""Settings of the Rekognition recognizer; credentials come from AWS's own chain."""

import math
import re
from contextlib import suppress
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from botocore.loaders import Loader
from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from services.rekognition.budget.prices import Api
from services.runtime.errors import InvalidRequest
from services.runtime.settings import LeafSettings

DEFAULT_CAP_USD = 5
_HIGHEST_CAP_USD = 10_000_000
_Rate: TypeAlias = Annotated[float, Field(gt=0, le=10_000)]
_MicroUsd: TypeAlias = Annotated[int, Field(gt=0, le=1_000_000_000)]
_COLLECTION = re.compile(r"[A-Za-z0-9_.-]{1,255}")


class RekognitionSettings(LeafSettings):
    """Settings of the Rekognition recognizer."""

    rekognition_region: str | None = Field(
        None, description="AWS region. Default: `AWS_REGION`, `AWS_DEFAULT_REGION` or the AWS profile's."
    )
    rekognition_endpoint_url: str | None = Field(
        None, pattern="^https?://.", description="URL of a Rekognition-compatible server. Default: Amazon Rekognition."
    )
    rekognition_calls: int = Field(32, ge=1, le=1000, description="Maximum concurrent calls to Rekognition.")
    rekognition_connect_timeout_seconds: float = Field(
        2, gt=0, le=60, description="Timeout for connecting to Rekognition."
    )
    rekognition_read_timeout_seconds: float = Field(
        8,
        gt=0,
        le=60,
        description="Timeout for a response. A call keeps its thread that long even if its caller gives up earlier.",
    )
    rekognition_attempts: int = Field(
        5, ge=1, le=20, description="Maximum attempts per call if failures are transient, within the caller's deadline."
    )
    rekognition_rate: _Rate | None = Field(
        None,
        description="The account's AWS quota for each operation, in calls per second. Default: AWS's own for the "
        "operation and the region.",
    )
    rekognition_rates: Annotated[dict[Api, _Rate], NoDecode] = Field(
        {}, description="Operations with a different quota: `DetectText=5,DetectFaces=25`."
    )
    rekognition_replicas: int = Field(
        1,
        ge=1,
        le=1000,
        description="Most replicas that run at once. Each has an equal part of the cap, of callers' limits and of the "
        "quotas, unless there is a table, in which they count together.",
    )
    rekognition_daily_cap_usd: float | None = Field(
        None,
        description="Maximum spending in US dollars a day, midnight to midnight UTC: `5`, `0.5`, or `unlimited`. "
        "Default: 5, and unlimited where `MARQUEE_REKOGNITION_ENDPOINT_URL` names a server that is not Amazon's.",
    )
    rekognition_prices: Annotated[dict[Api, _MicroUsd], NoDecode] = Field(
        {}, description="Operations with a different price, in millionths of a US dollar: `DetectText=1300`."
    )
    rekognition_table: str = Field(
        "",
        description="DynamoDB table through which replicas share the cap, quotas and the names of enrolled people; its "
        "keys are the strings `pk`, `sk`. Default: each replica counts for itself, and nobody can be enrolled.",
    )
    dynamodb_endpoint_url: str | None = Field(
        None, pattern="^https?://.", description="URL of a DynamoDB-compatible server. Default: Amazon DynamoDB."
    )
    rekognition_face_attributes: Literal["ALL", "DEFAULT"] = Field(
        "ALL", description="What FACES returns: `ALL`, or `DEFAULT`: only landmarks, quality and pose."
    )
    rekognition_collection: str = Field(
        "",
        pattern="^[A-Za-z0-9_.-]{0,255}$",
        description="Collection that FACE_SEARCH searches, and people are enrolled into, if the caller names none. "
        "Default: none, and nobody can be enrolled.",
    )
    rekognition_search: Literal["faces", "users"] = Field(
        "faces",
        description="What FACE_SEARCH compares with: the collection's single `faces`, or its `users`, which "
        "Rekognition makes of all faces of a person; enrolling then costs one more AssociateFaces per call, and taking "
        "some of a person's faces back a DisassociateFaces.",
    )
    rekognition_quality_filter: Literal["NONE", "AUTO", "LOW", "MEDIUM", "HIGH"] = Field(
        "AUTO", description="Minimum quality of a face to enroll: Rekognition's QualityFilter."
    )
    rekognition_match_score: float = Field(
        0.8, ge=0, le=1, description="Minimum similarity of a face in the collection to be a candidate."
    )
    rekognition_search_faces: int = Field(
        20, ge=1, le=100, description="Maximum faces searched per picture, the largest first; each is one call."
    )
    rekognition_search_parallel: int = Field(
        4, ge=1, le=100, description="Maximum faces of a picture searched at the same time."
    )

    @field_validator("rekognition_daily_cap_usd", mode="before")
    @classmethod
    def _cap(cls, value: object) -> object:
        """Read `unlimited` as infinity, which no number stands for."""
        if value is None or (isinstance(value, str) and value.strip().lower() == "unlimited"):
            return None if value is None else math.inf
        with suppress(TypeError, ValueError):
            if 0 <= (cap := float(str(value))) <= _HIGHEST_CAP_USD:
                return cap
        raise ValueError(f"must be US dollars from 0 to {_HIGHEST_CAP_USD:,}, such as 5 or 0.5, or `unlimited`")

    @field_validator("rekognition_rates", "rekognition_prices", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        return {name.strip(): number.strip() for name, _, number in pairs}

    def daily_cap_micro_usd(self, endpoint_url: str) -> int | None:
        """Return the cap on calls to the endpoint, in millionths of a US dollar; None is no cap."""
        cap = self.rekognition_daily_cap_usd
        if cap is None:
            cap = DEFAULT_CAP_USD if _is_amazon(endpoint_url) else math.inf
        return None if math.isinf(cap) else round(cap * 1_000_000)

    @property
    def collection_by_default(self) -> str:
        """Collection that an empty `collection` stands for."""
        return self.rekognition_collection or self.default_collection

    def collection_name(self, name: str) -> str:
        """Return the caller's collection, or else the operator's; "" if there is neither.

        Raises InvalidRequest for a name that no collection can have.
        """
        name = name or self.rekognition_collection
        if name and not _COLLECTION.fullmatch(name):
            raise InvalidRequest("A collection's name has 1 to 255 characters of A-Z a-z 0-9 _ . -", field="collection")
        return name


def _is_amazon(url: str) -> bool:
    """Return whether the URL's host is in one of AWS's partitions."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    outputs = [one["outputs"] for one in Loader().load_data("partitions")["partitions"]]
    return host.endswith(tuple(f".{one[suffix]}" for one in outputs for suffix in ("dnsSuffix", "dualStackDnsSuffix")))


class LambdaSettings(RekognitionSettings):
    """Settings of the Lambda function, which also has the Rekognition recognizer's."""

    rekognition_results_table: str = Field(
        "",
        description="DynamoDB table for the results; its keys are the strings `object`, `version`. "
        "Default: results are only returned.",
    )

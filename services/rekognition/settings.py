"""What the Rekognition recognizer reads from the environment; credentials come from AWS's own chain."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator
from pydantic_settings import NoDecode

from services.rekognition.budget.prices import Api
from services.runtime.settings import LeafSettings


class RekognitionSettings(LeafSettings):
    """Settings of the Rekognition recognizer."""

    rekognition_region: str | None = Field(
        None, description="AWS region. Default: `AWS_REGION`, `AWS_DEFAULT_REGION` or the AWS profile's."
    )
    rekognition_endpoint_url: str | None = Field(
        None, pattern="^https?://.", description="Another Rekognition than Amazon's."
    )
    rekognition_calls: int = Field(32, ge=1, le=1000, description="Calls to Rekognition at a time.")
    rekognition_connect_timeout_seconds: float = Field(2, gt=0, le=60, description="How long to wait for a connection.")
    rekognition_read_timeout_seconds: float = Field(
        8,
        gt=0,
        le=60,
        description="How long to wait for an answer. A caller may go earlier; the call keeps its thread until then.",
    )
    rekognition_attempts: int = Field(
        5, ge=1, le=20, description="Most times to send a call that fails in passing, within the caller's deadline."
    )
    rekognition_rate: float = Field(
        50, gt=0, le=10_000, description="Calls a second of each operation that AWS's quotas let the account make."
    )
    rekognition_rates: Annotated[dict[Api, PositiveFloat], NoDecode] = Field(
        {}, description="Operations with another quota: `DetectText=5,DetectFaces=25`."
    )
    rekognition_replicas: int = Field(
        1, ge=1, le=1000, description="Replicas that share the quotas; counted instead where there is a table."
    )
    rekognition_daily_cap_usd: float | None = Field(
        None, ge=0, description="Most US dollars that may be spent from midnight to midnight UTC. Default: no cap."
    )
    rekognition_prices: Annotated[dict[Api, PositiveInt], NoDecode] = Field(
        {}, description="Operations with another price, in millionths of a US dollar: `DetectText=1300`."
    )
    rekognition_table: str = Field(
        "",
        description="DynamoDB table through which replicas share cap, quotas and the names of enrolled people; its "
        "keys are the strings `pk`, `sk`. Default: each replica counts for itself, and nobody can be enrolled.",
    )
    dynamodb_endpoint_url: str | None = Field(
        None, pattern="^https?://.", description="Another DynamoDB than Amazon's."
    )
    rekognition_face_attributes: Literal["ALL", "DEFAULT"] = Field(
        "ALL", description="What FACES tells: `ALL`, or `DEFAULT`: landmarks, quality and pose alone."
    )
    rekognition_collection: str = Field(
        "",
        pattern="^[A-Za-z0-9_.-]{0,255}$",
        description="Where FACE_SEARCH looks, and people are enrolled, when the caller names no collection. "
        "Default: none, and nobody can be enrolled.",
    )
    rekognition_search: Literal["faces", "users"] = Field(
        "faces",
        description="What FACE_SEARCH compares with: the `faces` of the collection one by one, or its `users`, which "
        "Rekognition makes of all faces of a person; enrolling then pays one AssociateFaces more a call.",
    )
    rekognition_quality_filter: Literal["NONE", "AUTO", "LOW", "MEDIUM", "HIGH"] = Field(
        "AUTO", description="How good a face must be to be enrolled: Rekognition's QualityFilter."
    )
    rekognition_match_score: float = Field(
        0.8, ge=0, le=1, description="Similarity below which a face of the collection is nobody's candidate."
    )
    rekognition_search_faces: int = Field(
        20, ge=1, le=100, description="Most faces of a picture that are searched, the largest first; each is a call."
    )
    rekognition_search_parallel: int = Field(4, ge=1, le=100, description="Faces of a picture searched at a time.")

    @field_validator("rekognition_rates", "rekognition_prices", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        return {name.strip(): number.strip() for name, _, number in pairs}

    @property
    def daily_cap_micro_usd(self) -> int | None:
        """The cap in millionths of a US dollar; None: none."""
        cap = self.rekognition_daily_cap_usd
        return None if cap is None else round(cap * 1_000_000)


class LambdaSettings(RekognitionSettings):
    """Settings of the Lambda function, beside Rekognition's."""

    rekognition_results_table: str = Field(
        "",
        description="DynamoDB table that gets what was recognized; its keys are the strings `object`, `version`. "
        "Default: results are returned alone.",
    )

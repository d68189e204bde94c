"""What the Rekognition recognizer reads from the environment; credentials come from AWS's own chain."""

from pydantic import Field

from services.runtime.settings import LeafSettings


class RekognitionSettings(LeafSettings):
    """The settings of every leaf, and how to reach Rekognition."""

    rekognition_region: str | None = Field(
        None, description="AWS region. Default: `AWS_REGION`, `AWS_DEFAULT_REGION` or the AWS profile's."
    )
    rekognition_endpoint_url: str | None = Field(
        None, pattern="^https?://.", description="Another Rekognition than Amazon's."
    )
    rekognition_calls: int = Field(32, ge=1, le=1000, description="Calls to Rekognition at a time.")
    rekognition_connect_timeout_seconds: float = Field(2, gt=0, le=60, description="How long to wait for a connection.")
    rekognition_read_timeout_seconds: float = Field(
        8, gt=0, le=60, description="How long to wait for an answer; less than callers' deadlines."
    )

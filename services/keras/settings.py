"""The Keras recognizer's settings."""

from pathlib import Path

from pydantic import Field

from services.runtime.settings import LeafSettings


class KerasSettings(LeafSettings):
    """Settings of the Keras recognizer."""

    keras_target: str = Field("127.0.0.1:8500", description="Where TensorFlow Serving speaks gRPC, as `host:port`.")
    keras_model: str = Field("celebrity", description="The name under which it serves the model.")
    keras_version_label: str = Field(
        "", description="The label of the version to ask, such as `stable`; empty: the newest version."
    )
    keras_assets: Path = Field(
        Path("models/keras/celebrity"),
        description="The served folder; labels and threshold stand in its `<version>/assets/marquee.json`.",
    )
    keras_poll_seconds: float = Field(
        2, gt=0, le=60, description="How often to look whether TensorFlow Serving has another version, or is away."
    )
    keras_at_once: int = Field(
        2, ge=1, le=64, description="Predict calls that may run at once; pictures that come meanwhile share the next."
    )
    keras_max_batch: int = Field(4, ge=1, le=32, description="Most pictures in one Predict call; 1: none share.")

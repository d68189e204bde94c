"""The Keras recognizer's settings."""

from pathlib import Path

from pydantic import Field

from services.runtime.settings import FaceSettings


class KerasSettings(FaceSettings):
    """Settings of the Keras recognizer."""

    keras_target: str = Field("127.0.0.1:8500", description="gRPC address of TensorFlow Serving, as `host:port`.")
    keras_model: str = Field("celebrity", description="Name of the model in TensorFlow Serving.")
    keras_version_label: str = Field(
        "",
        description="Label of the version to use, such as `stable`; empty: the newest version. TensorFlow Serving "
        "takes labels only with `--allow_version_labels_for_unavailable_models`.",
    )
    keras_assets: Path = Field(
        Path("models/keras/celebrity"),
        description="Folder of the model's versions; `<version>/assets/marquee.json` holds labels and threshold.",
    )
    keras_poll_seconds: float = Field(
        2, gt=0, le=60, description="Seconds between checks for a new model version or an unavailable server."
    )
    keras_at_once: int = Field(
        2,
        ge=1,
        le=64,
        description="Maximum concurrent Predict calls; pictures that arrive meanwhile share the next one.",
    )
    keras_max_batch: int = Field(4, ge=1, le=32, description="Maximum pictures per Predict call; 1: no batching.")

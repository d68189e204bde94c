"""The Keras recognizer's settings."""

from pathlib import Path

from pydantic import Field

from services.runtime.settings import LeafSettings


class KerasSettings(LeafSettings):
    """What the Keras recognizer reads from the environment."""

    keras_target: str = Field("127.0.0.1:8500", description="Where TensorFlow Serving speaks gRPC, as `host:port`.")
    keras_model: str = Field("celebrity", description="The name under which it serves the model.")
    keras_assets: Path = Field(
        Path("models/keras/celebrity"),
        description="The served folder; labels and threshold stand in its `<version>/assets/marquee.json`.",
    )

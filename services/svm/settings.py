"""What the SVM recognizer reads from the environment."""

from pydantic import Field

from services.runtime.settings import LeafSettings


class SvmSettings(LeafSettings):
    """The settings of every leaf, and the model."""

    svm_model: str = Field(
        "models/svm/demo.skops",
        description="The model that `python -m services.svm.train` made: a path or `s3://bucket/key`.",
    )
    svm_model_poll_seconds: float = Field(
        10, gt=0, le=3600, description="How often the model is looked at; a changed one is taken over."
    )

"""What the SVM recognizer reads from the environment."""

from pathlib import Path

from pydantic import Field

from services.runtime.settings import LeafSettings


class SvmSettings(LeafSettings):
    """The settings of every leaf, and the model."""

    svm_model: Path = Field(
        Path("models/svm/demo.skops"), description="The model that `python -m services.svm.train` made."
    )

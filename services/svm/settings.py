"""What the SVM recognizer reads from the environment."""

from pydantic import Field

from services.runtime.settings import LeafSettings


class SvmSettings(LeafSettings):
    """Settings of the SVM recognizer."""

    svm_model: str = Field(
        "models/svm/demo.skops",
        description="The model that `python -m services.svm.train` made: a path or `s3://bucket/key`.",
    )
    svm_model_poll_seconds: float = Field(
        10, gt=0, le=3600, description="How often the model is looked at; a changed one is taken over."
    )
    svm_gallery: str = Field(
        "",
        description="Where enrolled faces are kept: a path, `file:///path` or `s3://bucket/key`. Empty: none can be "
        "enrolled. All replicas share it.",
    )
    svm_gallery_poll_seconds: float = Field(
        1,
        gt=0,
        le=60,
        description="How often the gallery is looked at, so that replicas know each other's enrollments.",
    )
    svm_enrolled_distance: float = Field(
        0.55,
        gt=0,
        le=2,
        description="How far (L2) a face may be from an enrolled one to get its name. Less keeps more strangers out, "
        "which matters the more people are enrolled; dlib's authors draw the line between two people at 0.6.",
    )

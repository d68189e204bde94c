"""Settings of the SVM recognizer."""

from pydantic import Field

from services.runtime.settings import LeafSettings


class SvmSettings(LeafSettings):
    """Settings of the SVM recognizer."""

    svm_model: str = Field(
        "models/svm/demo.skops",
        description="Model made by `python -m services.svm.train`: a path or `s3://bucket/key`.",
    )
    svm_model_poll_seconds: float = Field(
        10, gt=0, le=3600, description="Seconds between checks for a changed model, which is then reloaded."
    )
    svm_gallery: str = Field(
        "",
        description="File of enrolled faces: a path, `file:///path` or `s3://bucket/key`, shared by all replicas. "
        "Empty: enrollment is off.",
    )
    svm_gallery_poll_seconds: float = Field(
        1,
        gt=0,
        le=60,
        description="Seconds between checks for enrollments by other replicas.",
    )
    svm_enrolled_distance: float = Field(
        0.55,
        gt=0,
        le=2,
        description="Maximum distance (L2) of a face from an enrolled one to get its name. A smaller value keeps more "
        "strangers out, which matters more the more people are enrolled; dlib's authors draw the line between two "
        "people at 0.6.",
    )

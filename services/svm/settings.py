"""Settings of the SVM recognizer."""

from pydantic import Field

from services.runtime.settings import FaceSettings


class SvmSettings(FaceSettings):
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
    svm_embedding: str = Field(
        "dlib",
        pattern=r"^(dlib|onnx:.+)$",
        description="Network that embeds faces: `dlib`, or `onnx:` and the address of an ONNX file with a manifest "
        "beside it (docs/faces.md): a path, `file:///path` or `s3://bucket/key`. Model and gallery must be of the "
        "same network.",
    )
    svm_enrolled_distance: float | None = Field(
        None,
        gt=0,
        description="Maximum distance of a face from an enrolled one to get its name, in the network's metric. A "
        "smaller value keeps more strangers out, which matters more the more people are enrolled. Unset: the "
        "network's own, 0.55 (L2) for dlib's, whose authors draw the line between two people at 0.6.",
    )

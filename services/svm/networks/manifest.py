"""The manifest of an ONNX network: what the file itself does not tell, as JSON beside it."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from services.runtime.errors import Misconfigured
from services.svm.networks.network import Metric


def _each_colour(given: object) -> object:
    if isinstance(given, int | float):
        return given, given, given
    return tuple(given) if isinstance(given, list) else given


Text = Annotated[str, StringConstraints(pattern=r"^\P{C}+$", max_length=128)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Colours = Annotated[tuple[Finite, Finite, Finite], BeforeValidator(_each_colour)]
Factors = Annotated[tuple[Positive, Positive, Positive], BeforeValidator(_each_colour)]
Point = tuple[Finite, Finite]
Template = tuple[Point, Point, Point, Point, Point]
_ARCFACE_SIDE = 112
_ARCFACE: Template = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)


class Manifest(BaseModel):
    """How a network is fed and how its vectors compare. A component of its input is (pixel - mean) * scale."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Text
    """As embeddings, galleries and models name it."""
    version: Text
    """Another one for every change of the file or of what this manifest says about its input."""
    licence: Text
    """Of the trained file, such as an SPDX identifier. Nothing reads it but people."""
    evidence_group: Text
    """Networks of one group count once in a verdict."""
    width: int = Field(_ARCFACE_SIDE, ge=16, le=1024)
    """Pixels of the input."""
    height: int = Field(_ARCFACE_SIDE, ge=16, le=1024)
    colour_order: Literal["rgb", "bgr"]
    layout: Literal["nchw", "nhwc"] = "nchw"
    mean: Colours
    """Of pixels of 0 to 255: a number, or one for each colour in the network's order."""
    scale: Factors
    """Factor after that, likewise."""
    template: Template = _ARCFACE
    """Where the face's points lie in the input, in pixels [x, y]: the person's right eye, left eye, tip of the nose,
    right and left corner of the mouth. Default: ArcFace's, for an input of 112 by 112."""
    length: int = Field(ge=2, le=4096)
    """Components of the vector."""
    metric: Metric
    distance: Positive
    """Distance from an enrolled face, in the metric, beyond which a face is somebody else's."""
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    """Of the ONNX file, which is checked."""

    @model_validator(mode="after")
    def _check(self) -> "Manifest":
        if self.metric == "cosine" and self.distance >= 2:  # noqa: PLR2004 - the distance of opposite vectors
            raise ValueError("distance: a cosine distance, 1 less the cosine, is below 2")
        if "template" not in self.model_fields_set and (self.width, self.height) != (_ARCFACE_SIDE, _ARCFACE_SIDE):
            raise ValueError(f"template: required for an input of {self.width} by {self.height}")
        right_eye, left_eye, _, *mouth = self.template
        inside = all(0 <= x < self.width and 0 <= y < self.height for x, y in self.template)
        upright = right_eye[0] < left_eye[0] and max(right_eye[1], left_eye[1]) < min(y for _, y in mouth)
        if not inside or not upright:
            raise ValueError(
                "template: five points of an upright face inside the input; the person's right eye, which is on the "
                "picture's left, comes first"
            )
        return self


def manifest_of(content: bytes, source: str) -> Manifest:
    """Read a manifest; `source` names it in messages. Raises Misconfigured, naming each wrong field."""
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as exc:
        reasons = "; ".join(_reason(error["loc"], error["msg"]) for error in exc.errors())
        raise Misconfigured(f"{source} is no manifest of a network: {reasons}. See docs/faces.md.") from None


def _reason(place: tuple[int | str, ...], message: str) -> str:
    field = ".".join(str(part) for part in place)
    return ": ".join(filter(None, (field, message.removeprefix("Value error, "))))

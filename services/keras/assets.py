"""What comes with a served model: its labels, and how to read its scores."""

from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Literal, TypeAlias
from unicodedata import category

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.runtime.bounds.limit import MAX_DISPLAY_NAME
from services.runtime.errors import Misconfigured
from services.runtime.people import person_id_of

PATH = Path("assets/marquee.json")
"""The file's place in a version's folder."""
Preprocessing: TypeAlias = Literal["none", "tf", "caffe", "torch", "rescale"]
Activation: TypeAlias = Literal["softmax", "sigmoid"]
Interpolation: TypeAlias = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
Fit: TypeAlias = Literal["stretch", "crop", "pad"]
Detector: TypeAlias = Literal["yunet", "haar"]
_COLOURS = {"caffe", "torch"}


def _distinct(labels: Sequence[str]) -> Sequence[str]:
    if len(set(labels)) < len(labels):
        raise ValueError("two labels are the same")
    return labels


def _plain(label: str) -> str:
    """Return the label if callers would get it: no gateway passes control characters on."""
    if any(category(character) in {"Cc", "Cs"} for character in label):
        raise ValueError(f"the label {label!a} has control characters")
    return label


_Label = Annotated[str, Field(min_length=1, max_length=MAX_DISPLAY_NAME), AfterValidator(_plain)]


class Assets(BaseModel):
    """The part of marquee.json that the recognizer needs; the file also says where the model comes from."""

    model_config = ConfigDict(frozen=True)

    labels: Annotated[tuple[_Label, ...], Field(min_length=1), AfterValidator(_distinct)]
    """In class order. A single score (one sigmoid) is the last label's, and the first of two gets 1 minus it:
    Keras numbers two folders 0 and 1 and trains the sigmoid to predict 1. With one label, the score is its own."""
    threshold: float = Field(0.5, ge=0, le=1)
    """Score above which a label counts. A single score above it is the last label's even if the first has more: a
    network trained to find the last label may be asked to do so at .3."""
    activation: Activation = "softmax"
    """Whether labels exclude each other, so that only the best counts (softmax), or each score stands for itself, so
    that every label above the threshold counts (sigmoid)."""
    preprocessing: Preprocessing = "none"
    """How the training prepared RGB values 0 to 255: not at all (none), x / 127.5 - 1 (tf), BGR minus 103.939, 116.779,
    123.68 (caffe), x / 255 minus 0.485, 0.456, 0.406, divided by 0.229, 0.224, 0.225 (torch), x * (1 / 255) (rescale).
    The graph does it if the signature's input is uint8, the recognizer if it is float32."""
    interpolation: Interpolation = "nearest"
    """How the training resized pictures: the `interpolation` of Keras's load_img."""
    fit: Fit = "stretch"
    """How the training made pictures of another shape fit: stretched them, cut off what was too long (crop: load_img's
    keep_aspect_ratio), or added black (pad)."""
    regions: Literal["image", "faces"] = "image"
    """Whether the network takes the whole picture or one face at a time."""
    detector: Detector = "haar"
    """What finds these faces: YuNet, or the Haar cascades, which files name by naming none. The network gets the same
    part of a face from either: what the cascades cut out."""
    kind: Literal["label", "identity"] = "label"
    """Whether the labels are things or people, who become candidates."""

    @model_validator(mode="after")
    def _check_people(self) -> "Assets":
        if self.kind == "identity" and (nameless := [label for label in self.labels if not person_id_of(label)]):
            raise ValueError(f"the label {nameless[0]!r} has no letter or digit to name a person with")
        return self

    def fits(self, classes: int) -> bool:
        """Return whether an output of `classes` scores can belong to these labels."""
        return classes == len(self.labels) or (classes == 1 and len(self.labels) == 2)  # noqa: PLR2004 - one sigmoid

    def by_label(self, scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the labels' scores, [labels], for the model's, [classes], which must fit."""
        return np.append(1 - scores, scores) if len(scores) < len(self.labels) else scores

    def counting(self, scores: npt.NDArray[np.float32]) -> list[tuple[str, float]]:
        """Return the labels that count, with their scores, for the model's scores, [classes], which must fit."""
        by_label = self.by_label(scores)
        above = [(self.labels[index], float(by_label[index])) for index in np.flatnonzero(by_label > self.threshold)]
        if len(scores) < len(self.labels):
            return above[-1:]
        return above if self.activation == "sigmoid" else sorted(above, key=itemgetter(1), reverse=True)[:1]

    def check_channels(self, channels: int) -> None:
        """Raise Misconfigured if pictures of `channels` values a pixel cannot be prepared so."""
        if channels == 1 and self.preprocessing in _COLOURS:
            raise Misconfigured(
                f"The preprocessing {self.preprocessing!r} is for three colours, but the model takes one channel."
            )


def read_assets(folder: Path, version: str) -> Assets:
    """Read FOLDER/VERSION/assets/marquee.json. Raises Misconfigured. Blocks."""
    path = folder / version / PATH
    try:
        return Assets.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise Misconfigured(
            f"Version {version} of the Keras model has no labels ({exc.strerror}: {path}). Put the assets that "
            "services.keras.convert writes there, or correct MARQUEE_KERAS_ASSETS."
        ) from exc
    except ValidationError as exc:
        raise Misconfigured(f"{path}: {explain(exc)}") from exc


def explain(exc: ValidationError) -> str:
    """Return the invalid fields and why, on one line."""
    return "; ".join(f"{'.'.join(map(str, error['loc'])) or 'file'}: {error['msg']}" for error in exc.errors())

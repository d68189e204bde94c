"""What comes with a served model: its labels, and what the recognizer has to know to read its scores."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from services.runtime.errors import Misconfigured

PATH = Path("assets/marquee.json")
"""Where they stand in a version's folder."""
Preprocessing: TypeAlias = Literal["none", "tf", "caffe", "rescale"]


def _distinct(labels: Sequence[str]) -> Sequence[str]:
    if len(set(labels)) < len(labels):
        raise ValueError("two labels are the same")
    return labels


class Assets(BaseModel):
    """The part of marquee.json that recognizing needs; where the model comes from stands beside it."""

    model_config = ConfigDict(frozen=True)

    labels: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1), AfterValidator(_distinct)]
    """In class order. With a single score (one sigmoid) it is the last label's, and the first of two has the rest to 1:
    Keras numbers two folders 0 and 1 and trains the sigmoid to tell how likely 1 is. One label alone is the one the
    score is for."""
    threshold: float = Field(0.5, ge=0, le=1)
    """A label counts whose score is above it."""
    preprocessing: Preprocessing = "none"
    """What the network was trained on, made from RGB values 0 to 255: the values themselves (none), x / 127.5 - 1
    (tf), BGR less 103.939, 116.779, 123.68 (caffe), x * (1 / 255) (rescale). It is part of the graph where the
    signature's input is uint8, and the recognizer's work where it is float32."""
    regions: Literal["image", "faces"] = "image"
    """Whether the network looks at the whole picture or at one face at a time."""
    kind: Literal["label", "identity"] = "label"
    """Whether the labels say what is seen or who: names become candidates."""

    def fits(self, classes: int) -> bool:
        """Whether an output of so many scores can belong to these labels."""
        return classes == len(self.labels) or (classes == 1 and len(self.labels) == 2)  # noqa: PLR2004 - one sigmoid

    def by_label(self, scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The labels' scores, [labels], from the model's, [classes]; they must fit."""
        return np.append(1 - scores, scores) if len(scores) < len(self.labels) else scores


def read_assets(folder: Path, version: str) -> Assets:
    """Reads FOLDER/VERSION/assets/marquee.json. Raises Misconfigured. Blocks."""
    path = folder / version / PATH
    try:
        return Assets.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise Misconfigured(
            f"Version {version} of the Keras model has no labels here ({exc.strerror}: {path}). Put the model's assets "
            "there, as services.keras.convert writes them, or correct MARQUEE_KERAS_ASSETS."
        ) from exc
    except ValidationError as exc:
        raise Misconfigured(f"{path}: {explain(exc)}") from exc


def explain(exc: ValidationError) -> str:
    """Which fields are wrong, and why, on one line."""
    return "; ".join(f"{'.'.join(map(str, error['loc'])) or 'file'}: {error['msg']}" for error in exc.errors())

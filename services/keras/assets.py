"""What comes with a served model: its labels, and from which score on they count."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.runtime.errors import Misconfigured


class Assets(BaseModel):
    """The part of marquee.json that recognizing needs; the trainer's report stands beside it."""

    model_config = ConfigDict(frozen=True)

    labels: Annotated[tuple[str, ...], Field(min_length=2)]
    """In class order."""
    threshold: float = Field(0.5, ge=0, le=1)
    """A label counts whose score is above it."""
    preprocessing: Literal["none"] = "none"
    """What the recognizer does with the values 0 to 255: nothing, scaling is part of the model."""


def read_assets(folder: Path, version: str) -> Assets:
    """Reads FOLDER/VERSION/assets/marquee.json. Raises Misconfigured. Blocks."""
    path = folder / version / "assets" / "marquee.json"
    try:
        return Assets.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise Misconfigured(
            f"Version {version} of the Keras model has no labels here ({exc.strerror}: {path}). Put the model's assets "
            "there, as services.keras.train writes them, or correct MARQUEE_KERAS_ASSETS."
        ) from exc
    except ValidationError as exc:
        raise Misconfigured(f"{path}: {_explain(exc)}") from exc


def _explain(exc: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, error['loc'])) or 'file'}: {error['msg']}" for error in exc.errors())

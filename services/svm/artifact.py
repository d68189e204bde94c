"""The one file that a trained model is: skops, which runs no code when it is read."""

import hashlib
import zipfile
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import skops.io
import structlog
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from services.runtime.errors import Misconfigured
from services.svm import wavelet
from services.svm.calibration import Calibration
from services.svm.people import Person

FORMAT = "marquee-svm/1"
SCALERS = {"minmax": MinMaxScaler, "standard": StandardScaler}
_LENGTHS = {wavelet.RECIPE: wavelet.LENGTH}
_PACKAGES = ("scikit-learn", "numpy", "opencv-python-headless", "pywavelets")
_UNREADABLE = (zipfile.BadZipFile, AttributeError, EOFError, ImportError, LookupError, OSError, TypeError, ValueError)

logger = structlog.get_logger()


@dataclass(frozen=True)
class Artifact:
    """A trained model and what is known of its training."""

    recipe: str
    people: tuple[Person, ...]
    """In the order of the classifier's classes, which are 0, 1 …"""
    pipeline: Pipeline
    """Scaler and SVC: takes features [faces, length]."""
    calibration: Calibration
    report: dict[str, Any]
    """What the trainer measured: faces, folds, accuracy, macro_f1 …"""
    data_sha256: str
    """Of the training pictures and whom they show."""
    version: str = ""
    """The first 12 digits of the file's SHA-256; empty before it is in a file."""


def save(artifact: Artifact, path: Path) -> None:
    """Writes the file; one that is there is replaced only when the new one is whole."""
    content = {
        "format": FORMAT,
        "recipe": artifact.recipe,
        "people": [asdict(person) for person in artifact.people],
        "pipeline": artifact.pipeline,
        "calibration": asdict(artifact.calibration),
        "report": artifact.report,
        "data_sha256": artifact.data_sha256,
        "versions": {package: version(package) for package in _PACKAGES},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    skops.io.dump(content, partial, compression=zipfile.ZIP_DEFLATED)
    partial.replace(path)


def load(path: Path) -> Artifact:
    """Reads a file that `save` wrote. Raises Misconfigured for anything else."""
    data = _read(path)
    try:
        content = skops.io.loads(data, trusted=[])
        artifact = _artifact(content, hashlib.sha256(data).hexdigest()[:12])
        _compare(content["versions"], path)
    except _UNREADABLE as exc:
        raise Misconfigured(f"{path} is no model of the SVM trainer: {exc}") from exc
    return artifact


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise Misconfigured(
            f"The model {path} cannot be read: {exc.strerror}. "
            f"Make one with `python -m services.svm.train DIR --out {path}` or set MARQUEE_SVM_MODEL."
        ) from exc


def _artifact(content: Any, digest: str) -> Artifact:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"it is not in the format {FORMAT}")
    people = tuple(Person(**person) for person in content["people"])
    _check(content["pipeline"], content["recipe"], len(people))
    return Artifact(
        recipe=content["recipe"],
        people=people,
        pipeline=content["pipeline"],
        calibration=Calibration(**content["calibration"]),
        report=content["report"],
        data_sha256=content["data_sha256"],
        version=digest,
    )


def _check(pipeline: Any, recipe: str, people: int) -> None:
    if recipe not in _LENGTHS:
        raise ValueError(f"its recipe is {recipe}; known are {', '.join(_LENGTHS)}")
    steps = [type(step) for step in pipeline.named_steps.values()]
    if len(steps) != 2 or steps[0] not in SCALERS.values() or steps[1] is not SVC:  # noqa: PLR2004 - scaler and SVC
        raise ValueError("it is not a scaler and an SVC")
    if pipeline.n_features_in_ != _LENGTHS[recipe] or pipeline.classes_.tolist() != list(range(people)):
        raise ValueError("its features or people do not fit its classifier")


def _compare(trained_with: dict[str, str], path: Path) -> None:
    """Tells of a model made with another scikit-learn, whose inner workings may differ."""
    made, here = trained_with["scikit-learn"], version("scikit-learn")
    if made.split(".")[:2] != here.split(".")[:2]:
        logger.warning("model made with another scikit-learn", model=str(path), made_with=made, running=here)

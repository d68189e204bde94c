"""The file of a trained model, in skops' format: nothing in it runs when it is read."""

import hashlib
import io
import zipfile
from dataclasses import asdict, astuple
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog

from services.runtime.errors import Misconfigured
from services.runtime.storage import files
from services.svm import archive
from services.svm.archive import Stored
from services.svm.gallery.people import Gallery, Person
from services.svm.linear import LINEAR_SVC, LinearPipeline
from services.svm.model import Artifact, Calibration, Sigmoid, decisions_of
from services.svm.networks.network import DLIB, NetworkId
from services.svm.recipes.embedding import Embedding
from services.svm.recipes.recipe import RECIPES

FORMAT = "marquee-svm/3"
MAX_BYTES = 512 * 1024 * 1024
_PACKAGES = ("scikit-learn", "numpy", "opencv-python-headless", "dlib-bin", "onnxruntime")

logger = structlog.get_logger()


def save(artifact: Artifact, path: Path) -> None:
    """Write the file; an existing one is replaced only once the new one is complete."""
    import skops.io  # noqa: PLC0415 - 2 s and 100 MiB that only training pays

    from services.svm import classifiers  # noqa: PLC0415 - likewise

    pipeline, calibration = artifact.pipeline, artifact.calibration
    content = {
        "format": FORMAT,
        "recipe": artifact.recipe,
        "people": [asdict(person) for person in artifact.gallery.people],
        "rows": artifact.gallery.rows.astype(np.float32),
        "owners": artifact.gallery.owners,
        "pipeline": classifiers.built(pipeline.stored) if isinstance(pipeline, LinearPipeline) else pipeline,
        "calibration": {"sigmoid": asdict(calibration.sigmoid), "threshold": calibration.threshold},
        "identify_score": calibration.identify_score,  # apart, since older servers take no third key there
        "report": artifact.report,
        "data_sha256": artifact.data_sha256,
        "network": artifact.network._asdict(),
        "detector": artifact.detector,
        "aligner": artifact.aligner,
        "versions": {package: version(package) for package in _PACKAGES},
    }
    files.write(path, skops.io.dumps(content, compression=zipfile.ZIP_DEFLATED))


def model_file(source: str, endpoint_url: str | None = None) -> files.File:
    """Return the file at a path, file:///PATH or s3://BUCKET/KEY."""
    hint = (
        "Make one with `python -m services.svm.train DIR --out model.skops` and put it there, or set MARQUEE_SVM_MODEL."
    )
    return files.file_at(source, endpoint_url, name="model", hint=hint, max_bytes=MAX_BYTES)


def load(source: str | Path, endpoint_url: str | None = None) -> Artifact:
    """Read a file that `save` wrote, from a path, file:///PATH or s3://BUCKET/KEY.

    Raises Misconfigured for anything else, and DependencyUnavailable if S3 does not answer.
    """
    artifact, _ = load_marked(model_file(str(source), endpoint_url), str(source))
    return artifact


def load_marked(file: files.File, source: str) -> tuple[Artifact, str]:
    """Read the file, as `load` does, and also return its mark; `source` names it in messages."""
    content, mark = file.read()
    if not mark:
        raise file.missing()
    return loads(content, source), mark


def loads(data: bytes, source: str) -> Artifact:
    """Read the file's bytes, as `load` does; `source` names it in messages."""
    content: Any = None
    try:
        _check_size(data)
        content = archive.read(data)
        artifact = _artifact(content, hashlib.sha256(data).hexdigest()[:12])
        _compare_versions(content["versions"], source)
    except Exception as exc:
        # Whatever a damaged or hostile file makes zlib, skops or scikit-learn stumble over.
        raise Misconfigured(
            f"{source} is not a model of the SVM trainer: {_reason(exc)}.{_another_version(content)}"
        ) from exc
    return artifact


def _check_size(data: bytes) -> None:
    """Check before anything is unpacked: some kilobytes may unpack to more than there is memory."""
    with zipfile.ZipFile(io.BytesIO(data)) as parts:
        if sum(part.file_size for part in parts.infolist()) > MAX_BYTES:
            raise ValueError(f"it unpacks to more than {MAX_BYTES} bytes")


def _reason(exc: Exception) -> str:
    text = " ".join(str(exc).split()).rstrip(".")
    return f"it lacks {text}" if isinstance(exc, LookupError) else text or type(exc).__name__


def _artifact(content: Any, digest: str) -> Artifact:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"it is not in the format {FORMAT}")
    artifact = Artifact(
        recipe=content["recipe"],
        pipeline=_pipeline(content["pipeline"]),
        gallery=_gallery(content),
        calibration=_calibration(**content["calibration"], identify_score=content.get("identify_score", 0.5)),
        report=content["report"],
        data_sha256=content["data_sha256"],
        version=digest,
        network=NetworkId.of(content.get("network", DLIB.id.name)),
        detector=content.get("detector", "haar"),
        aligner=content.get("aligner", "dlib"),
    )
    _check(artifact)
    return artifact


def _pipeline(stored: Stored) -> Any:
    """Return the fitted pipeline, without scikit-learn for all but the models of the published recipe."""
    (scaler, _), (name, classifier) = stored.state["steps"]
    if (scaler, name) != ("scaler", "classifier"):
        raise ValueError("it is not a scaler and a classifier")
    if classifier.type == LINEAR_SVC:
        return LinearPipeline(stored)
    from services.svm import classifiers  # noqa: PLC0415 - 1 s and 60 MiB

    return classifiers.built(stored)


def _gallery(content: dict[str, Any]) -> Gallery:
    people = tuple(Person(**person) for person in content["people"])
    return Gallery(people, np.asarray(content["rows"], np.float64), np.asarray(content["owners"], np.int64))


def _calibration(sigmoid: dict[str, float], threshold: float, identify_score: float) -> Calibration:
    return Calibration(Sigmoid(**sigmoid), float(threshold), float(identify_score))


def _check(artifact: Artifact) -> None:
    if artifact.recipe not in RECIPES:
        raise ValueError(f"its recipe is {artifact.recipe}, not one of {', '.join(RECIPES)}")
    recipe, people = RECIPES[artifact.recipe], artifact.gallery.people
    if not all(isinstance(name, str) and name for person in people for name in astuple(person)):
        raise ValueError("its people have no names")
    length = _length(artifact)
    _check_pipeline(artifact.pipeline, length, len(people))
    _check_gallery(artifact.gallery, len(people) if recipe.compares == "decisions" else length)
    _check_numbers(artifact, decisions_of(artifact.pipeline, np.zeros((1, length))))


def _length(artifact: Artifact) -> int:
    """Return the number of features; that of another network is known to its manifest alone, and checked with it."""
    if artifact.recipe != Embedding.name:
        return RECIPES[artifact.recipe].length
    return DLIB.length if artifact.network == DLIB.id else int(artifact.pipeline.n_features_in_)


def _check_pipeline(pipeline: Any, length: int, people: int) -> None:
    if pipeline.n_features_in_ != length or pipeline.classes_.tolist() != list(range(people)):
        raise ValueError("its features or people do not match its classifier")


def _check_gallery(gallery: Gallery, width: int) -> None:
    owners = set(gallery.owners.tolist())
    if gallery.rows.shape != (len(gallery.owners), width) or owners != set(range(len(gallery.people))):
        raise ValueError("its known faces do not match its recipe or people")


def _check_numbers(artifact: Artifact, decisions: npt.NDArray[np.float64]) -> None:
    """Check that it decides at all, and that no number is one with which every comparison fails."""
    calibration = artifact.calibration
    scoring = [*astuple(calibration.sigmoid), calibration.threshold, calibration.identify_score]
    if not all(np.isfinite(numbers).all() for numbers in (decisions, artifact.gallery.rows, scoring)):
        raise ValueError("not all of its numbers are finite")
    if not 0 <= calibration.identify_score <= 1:
        raise ValueError(f"its identify_score is {calibration.identify_score}, which is no score")
    if decisions.shape != (1, len(artifact.gallery.people)):
        raise ValueError("its decisions do not match its people")


def _another_version(content: Any) -> str:
    """Say by which other scikit-learn an unreadable model was made; empty if the file does not tell."""
    try:
        trained, running = content["versions"]["scikit-learn"], version("scikit-learn")
        differs = _release(trained) != _release(running)
    except (AttributeError, LookupError, TypeError):
        return ""
    return f" It was made with scikit-learn {trained}, and {running} runs here: train it again." if differs else ""


def _compare_versions(versions: dict[str, str], source: str) -> None:
    """Warn about a model made with another scikit-learn, whose internals may differ."""
    trained, running = versions["scikit-learn"], version("scikit-learn")
    if _release(trained) != _release(running):
        logger.warning("model made with another scikit-learn", model=source, made_with=trained, running=running)


def _release(number: str) -> list[str]:
    return number.split(".")[:2]

"""What users bring along instead of the demo's, checked before anything starts."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from tensorflow_serving.apis import get_model_metadata_pb2

from local.rekognition import annotations as notes
from local.tf_serving.models.model import Model
from local.tf_serving.source import ONNX, SAVED_MODEL, load
from services.keras.assets import read_assets
from services.keras.serving.signature import Signature, read_signature
from services.runtime.errors import Misconfigured
from services.svm import artifact

PICTURES = (".jpg", ".jpeg", ".png", ".webp")
_UNCONVERTED = (".h5", ".hdf5", ".keras")
_CONVERT = "python -m services.keras.convert"


@dataclass(frozen=True)
class SvmModel:
    """A model of the SVM trainer."""

    path: Path
    learns: bool
    """Whether people can be enrolled beside those that it was trained on."""


def svm_model(path: Path) -> SvmModel:
    """Return the model in the file. Raises Misconfigured."""
    model = artifact.load(path)
    return SvmModel(path.absolute(), learns=model.recipe == "embedding")


def keras_model(folder: Path) -> Path:
    """Return the folder of a model's versions, the newest of which can be served. Raises Misconfigured."""
    if folder.suffix.lower() in _UNCONVERTED and folder.is_file():
        paths = shlex.join((str(folder), f"{folder.with_suffix('')}/1"))
        raise Misconfigured(f"{folder} is a file: convert it with `{_CONVERT} {paths}`.")
    if not folder.is_dir():
        raise Misconfigured(f"{folder} is not a folder.")
    if (folder / SAVED_MODEL).exists() or (folder / ONNX).exists():
        raise Misconfigured(f"{folder} is one version of a model: name the folder that it is in.")
    versions = sorted((path for path in folder.iterdir() if path.name.isdecimal()), key=lambda path: int(path.name))
    if not versions:
        raise Misconfigured(f"{folder} has no version of a model: make one with `{_CONVERT} FILE {folder}/1`.")
    _check_version(versions[-1])
    return folder.resolve() if folder.name == ".." else folder.absolute()


def annotations(folder: Path) -> Path:
    """Return the folder, which has annotations of pictures. Raises Misconfigured."""
    try:
        notes.read(folder)
    except (notes.InvalidAnnotation, OSError) as exc:
        raise Misconfigured(str(exc)) from None
    if not notes.files(folder):
        raise Misconfigured(f"{folder} has no annotations: put PICTURE.json beside PICTURE, or SHA256.json, into it.")
    return folder.absolute()


def _check_version(folder: Path) -> None:
    if folder.name != str(number := int(folder.name)):
        raise Misconfigured(f"{folder} is not called by its number: rename it to {number}.")
    assets = read_assets(folder.parent, folder.name)
    try:
        signature = _signature(load(folder, threads=1))
    except OSError as exc:
        raise Misconfigured(str(exc)) from None
    if signature.classes is not None and not assets.fits(signature.classes):
        raise Misconfigured(f"{folder} has {signature.classes} scores for the labels {', '.join(assets.labels)}.")


def _signature(model: Model) -> Signature:
    """Return the signature as TensorFlow Serving tells it. Raises Misconfigured."""
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=model.signatures)
    response.metadata["signature_def"].Pack(signatures)
    return read_signature(response)

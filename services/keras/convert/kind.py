"""What a file or folder is that is not a Keras model, and what to do with it. Needs no library."""

import re
from collections.abc import Iterable
from pathlib import Path

HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK"
_HEAD = 512
_POINTER = b"version https://git-lfs"
_PYTORCH = (
    "is a model of PyTorch or scikit-learn, not of Keras. Marquee serves TensorFlow models only: "
    "convert or train it again with Keras."
)
_CHECKPOINT = (
    "is a checkpoint of TensorFlow, which holds weights and no architecture. Build the model in its "
    "author's code, load the checkpoint, and export it as a SavedModel (model.export)."
)
_FROZEN = (
    "is a frozen graph (GraphDef), which does not say what is its input and what its output. Load it in "
    "TensorFlow, save it as a SavedModel (tf.saved_model.save) and convert that."
)
_ARCHIVE = "is an archive. Unpack it and convert the model in it."
_JAVASCRIPT = "is a model for TensorFlow.js. Convert the Keras model that it was made from."
_LFS = "is a Git LFS pointer, which stands for the model and does not hold it. Fetch it with `git lfs pull`."
_PAGE = (
    "is a web page, perhaps an error or a log-in page, that was saved instead of the model. Download the file itself "
    "(on GitHub `raw`, on Hugging Face `resolve` in place of `blob`)."
)
_LITE = "is a TensorFlow Lite model, from which there is no way back. Convert the model that it was made from."
_ONNX = "is a model in the ONNX format. Convert the Keras model or SavedModel that it was made from."
_GRAPH = "is a SavedModel's graph without its variables. Give the folder that holds it: {folder}"
_WHOLE = "Save the whole model with Keras's model.save(…)."

# Patterns match at the beginning of a file, of which 512 bytes are read.
_HEADS: tuple[tuple[bytes, str], ...] = (
    (rb"\s*<(!doctype|html|head|\?xml)", _PAGE),
    (rb'\s*\{.*"modelTopology"', _JAVASCRIPT),
    (rb"\s*[{\[]", f"is JSON, which may hold an architecture but no weights. {_WHOLE}"),
    (rb".{4}TFL3", _LITE),
    (rb"\x80[\x02-\x05]", _PYTORCH),
    (rb'.{8}\{"', f"holds weights as safetensors, without an architecture. {_WHOLE}"),
    (rb"\x93NUMPY", f"is a NumPy array. {_WHOLE}"),
    (rb"(model_checkpoint_path|all_model_checkpoint_paths):", _CHECKPOINT),
    (rb"(\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|.{257}ustar)", _ARCHIVE),
    (rb"\s*node\s*\{", _FROZEN),
    (rb"\x08\x01\x12", _GRAPH),
    (rb"\x08[\x02-\x20]\x12", _ONNX),
    (rb"\n[\x02-\xff][\x00-\x7f]{0,3}\n", _FROZEN),
    (rb"(\xff\xd8\xff|\x89PNG|GIF8|RIFF)", "is a picture, not a model."),
    (rb"%PDF", "is a PDF, not a model."),
)
_CHECKPOINT_NAME = r".*(\.index|\.data-\d{5}-of-\d{5}|\.ckpt(-\d+)?(\.meta)?)"
_NO_GRAPH = "is a folder without saved_model.pb, not a SavedModel."

# Patterns of names in a folder that is not a SavedModel.
_CONTENTS: tuple[tuple[str, str], ...] = (
    (r"saved_model\.pbtxt", f"{_NO_GRAPH} Load {{name}} in TensorFlow and save it again."),
    (r"model\.weights\.h5", "is a .keras file that was unpacked. Pack it again: zip -0 -r ../MODEL.keras ."),
    (r"model\.json", _JAVASCRIPT),
    (r"pytorch_model\.bin|.*\.(safetensors|pth?)", _PYTORCH),
    (r".*\.(h5|hdf5|keras)", f"{_NO_GRAPH} Give the file in it: {{folder}}/{{name}}"),
    (rf"checkpoint|{_CHECKPOINT_NAME}", _CHECKPOINT),
    (r".*\.pb", f"{_NO_GRAPH} {{name}} {_FROZEN}"),
)


def of_file(path: Path) -> str | None:
    """Return what a file is, as the rest of a sentence, and what to do; None if it may be a Keras model or is unknown.

    Raises OSError.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        return "is empty. Download or save the model again."
    if head.startswith(_POINTER):
        return _LFS
    if head.startswith((HDF5, ZIP)):
        return None
    if path.name == "saved_model.pbtxt":
        return _GRAPH.format(folder=path.parent)
    if re.fullmatch(_CHECKPOINT_NAME, path.name):
        return _CHECKPOINT
    texts = (text for pattern, text in _HEADS if re.match(pattern, head, re.DOTALL | re.IGNORECASE))
    return next((text.format(folder=path.parent) for text in texts), None)


def of_missing(path: Path) -> str:
    """Return what is at a path that is neither a file nor a folder, and what to do."""
    if path.exists():
        return "is neither a file nor a folder."
    if path.with_name(f"{path.name}.index").exists():
        return _CHECKPOINT
    return "does not exist."


def of_zip(names: Iterable[str]) -> str | None:
    """Return what a ZIP archive with these files is if Keras did not save it, and what to do."""
    names = set(names)
    if {"metadata.json", "config.json"} <= names:
        return None
    if any(name.endswith("data.pkl") for name in names):
        return _PYTORCH
    if any(name.endswith(("saved_model.pb", ".h5", ".keras", ".hdf5")) for name in names - {"model.weights.h5"}):
        return _ARCHIVE
    if names and all(name.endswith(".npy") for name in names):
        return f"holds NumPy arrays and no model. {_WHOLE}"
    missing = " and ".join(sorted({"metadata.json", "config.json"} - names))
    return f"is not a model that Keras saved: it has no {missing}."


def of_folder(path: Path) -> str | None:
    """Return what a folder is that is not a SavedModel, and what to do; None for a SavedModel. Raises OSError."""
    names = sorted(child.name for child in path.iterdir())
    if "saved_model.pb" in names:
        return _pointers((path / "saved_model.pb", *path.glob("variables/*")))
    if inside := sorted(path.glob("*/saved_model.pb")):
        return f"{_NO_GRAPH} Give the folder in it: {inside[-1].parent}"
    for pattern, text in _CONTENTS:
        if found := [name for name in names if re.fullmatch(pattern, name)]:
            return text.format(folder=path, name=found[0])
    return _NO_GRAPH


def _pointers(paths: Iterable[Path]) -> str | None:
    names = [path.name for path in paths if path.is_file() and of_file(path) == _LFS]
    return f"has Git LFS pointers for {' and '.join(names)}. Fetch the files with `git lfs pull`." if names else None

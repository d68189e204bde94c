"""Tests of the converter, which runs where TensorFlow is installed; its ONNX copies run here, without TensorFlow."""

import json
import os
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import onnxruntime
import pytest

from services.keras.assets import read_assets
from services.keras.fetch import manifest as manifests
from tests.support.aws import s3_store
from tests.support.processes import run_module

pytestmark = pytest.mark.slow

GOOD = ("exported", "legacy", "modern", "operations", "sigmoid")
UNUSUAL = (
    *("grey", "named", "several", "sigmoids", "single_graph", "single_keras", "softmax"),
    *("windows", "prepared", "printing"),
)
WITHOUT_ONNX = {"prepared"}
DAMAGED = "is damaged, or not a model that Keras saved"


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("conversions")
    done = run_module("tests.support.keras_conversions", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(name="conversions", scope="module")
def _conversions(made: Path) -> Any:
    return json.loads((made / "conversions.json").read_text())


def test_every_kind_converts(conversions: Any) -> None:
    """The converter takes Keras 2's .h5, also with TensorFlow operations, Keras 3's .h5 and .keras, and SavedModels."""
    assert {name: conversions[name] for name in (*GOOD, *UNUSUAL) if conversions[name][0]} == {}
    assert "legacy.h5, saved by Keras 2; scores differ by at most: SavedModel" in conversions["legacy"][1]
    assert "sigmoid.keras, saved by Keras 3" in conversions["sigmoid"][1]


@pytest.mark.parametrize("name", [*GOOD, *UNUSUAL])
def test_saved_model_scores_match_keras(made: Path, conversions: Any, name: str) -> None:
    """For uint8 pictures, the signature gives the scores of Keras's predict for pixels that Keras preprocessed."""
    expected, graph = np.load(made / f"{name}.npy"), conversions["graphs"][name]
    assert graph["input"] == ["image", "uint8", [None, 32, 24, 1 if name == "grey" else 3]]
    assert graph["output"] == ["scores", "float32", [None, expected.shape[1]]]
    np.testing.assert_allclose(graph["scores"], expected, rtol=0, atol=1e-6)
    assert np.ptp(expected, axis=0).max() > 1e-3


def test_preprocessing_matches_keras_exactly(conversions: Any) -> None:
    """Each of the 256 values becomes Keras's own value, whatever TensorFlow's optimizer does to the graph."""
    assert conversions["preprocessing"] == dict.fromkeys(("none", "tf", "caffe", "torch", "rescale"), 0.0)


@pytest.mark.parametrize("name", sorted({*GOOD, *UNUSUAL} - WITHOUT_ONNX))
def test_onnx_scores_match_keras(made: Path, name: str) -> None:
    """The ONNX copy has the same names and gives the same scores, both one by one and in a batch."""
    session = onnxruntime.InferenceSession(made / "out" / name / "1" / "model.onnx", providers=["CPUExecutionProvider"])
    pixels, expected = np.load(made / "pixels.npy"), np.load(made / f"{name}.npy")
    pixels = pixels[..., : session.get_inputs()[0].shape[3]]
    [batch] = session.run(["scores"], {"image": pixels})
    np.testing.assert_allclose(batch, expected, rtol=0, atol=1e-5)
    one_by_one = [
        session.run(["scores"], {"image": pixels[number : number + 1]})[0][0] for number in range(len(pixels))
    ]
    np.testing.assert_allclose(one_by_one, expected, rtol=0, atol=1e-5)


def test_assets_are_written(made: Path) -> None:
    """The assets hold the options and the .marquee.json next to the model, which the options override."""
    legacy, sigmoid, modern = (read_assets(made / "out" / name, "1") for name in ("legacy", "sigmoid", "modern"))
    assert (legacy.labels, legacy.preprocessing, legacy.kind) == (("A", "B", "C"), "tf", "identity")
    assert (sigmoid.labels, sigmoid.regions, sigmoid.threshold) == (("No", "Yes"), "faces", 0.5)
    assert sigmoid.detector == "yunet"
    assert (modern.labels, modern.threshold) == (("C", "D"), 0.25)
    facts = json.loads((made / "out/modern/1/assets/marquee.json").read_text())
    assert facts["seed"] == 9
    assert facts["source"] == {
        "file": "modern.h5",
        "sha256": manifests.sha256_of(made / "modern.h5"),
        "saved_by": "Keras 3",
    }


@pytest.mark.parametrize("name", GOOD)
def test_manifest_names_every_file(made: Path, name: str) -> None:
    """The manifest is correct and complete, so fetch downloads every file."""
    folder = made / "out" / name / "1"
    manifest = manifests.Manifest.model_validate_json((folder / manifests.FILE).read_bytes())
    assert list(manifests.differences(folder, manifest)) == []
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(manifest.files) == files - {"manifest.json"}
    assert {"saved_model.pb", "model.onnx", "assets/marquee.json"} <= files


def test_warmup_covers_every_batch_size(conversions: Any) -> None:
    """There is a request for each batch size that the batching file allows, and TensorFlow can read each."""
    requests = conversions["graphs"]["legacy"]["warmup"]
    assert [request["shape"] for request in requests] == [[batch, 32, 24, 3] for batch in (1, 2, 4, 8, 16, 32)]
    assert {(request["signature"], request["type"]) for request in requests} == {("serving_default", "uint8")}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("weights.h5", "weights.h5 holds only weights. Save the whole model with model.save"),
        ("only.weights.h5", "only.weights.h5 holds only weights"),
        ("cut.h5", DAMAGED),
        ("text.h5", DAMAGED),
        ("flipped.keras", "the checksum of model.weights.h5 in it does not match"),
        ("empty", "a folder without saved_model.pb"),
        ("missing.h5", "missing.h5 does not exist."),
        ("lambda.h5", "The layer 'twice' is Python code (Lambda)"),
        ("lambda.keras", "The layer 'twice' is Python code (Lambda)"),
        ("lambda-activation.keras", "The layer 'conv' has Python code (Lambda)"),
        ("activation.h5", "The layer 'conv' is or has a custom object, _twice,"),
        ("reshaped.keras", "Scoring pictures with the original failed"),
        ("no-graph", "saved_model.pb is empty"),
        ("custom.h5", "The layer 'own' is or has a custom object, Own,"),
        ("custom.keras", "The layer 'own' is or has a custom object, Own,"),
        ("registered.keras", "The layer 'own' is or has a custom object, shop>Own,"),
        ("activation.keras", "The layer 'act' is or has a custom object, _twice,"),
        ("strings.h5", "The layer 'tf.strings.as_string' calls tf.strings.as_string"),
        ("three.keras", "The model gives 3 scores; the labels are A, B."),
        ("logits.keras", "they must be 0 to 1. End the model with softmax or sigmoid."),
        ("nan.keras", "The model's scores are not numbers; its weights are broken"),
        ("python", "reads or writes files, or calls Python: EagerPyFunc."),
        ("random", "The SavedModel's scores differ by"),
        ("hidden", "reads or writes files, or calls Python: WriteFile."),
        ("pointers", "has Git LFS pointers for variables.data-00000-of-00001."),
        ("printing.refused", "reads or writes files, or calls Python: PrintV2. If you trust the model"),
        ("logits.refused", "--activation softmax (one label of several) or --activation sigmoid"),
        ("ends.refused", "The model ends with softmax: leave out --activation sigmoid."),
        ("grey.refused", "The preprocessing 'caffe' is for three colours, but the model takes one channel."),
        ("missing.refused", "missing.json"),
        ("four.keras", "[None, 32, 24, 4]; it must be [None, height, width, 3] or [None, height, width, 1]"),
        ("eight", "The model takes exactly 8 pictures at once. Export it with a free number of pictures"),
        ("first.keras", "[None, 3, 32, 24]; it must be [None, height, width, 3] or [None, height, width, 1]: its"),
        ("lfs.keras", "is a Git LFS pointer, which stands for the model and does not hold it. Fetch it with `git lfs"),
        ("page.h5", "is a web page, perhaps an error"),
        ("empty.h5", "is empty. Download or save"),
        ("lite.tflite", "is a TensorFlow Lite model"),
        ("torch.pt", "is a model of PyTorch or scikit-learn, not of Keras"),
        ("graph.onnx", "is a model in the ONNX format"),
        ("json.keras", "is JSON, which may hold an architecture but no weights"),
        ("versions", "Give the folder in it: "),
        ("frozen.pb", "is a frozen graph (GraphDef)"),
        ("model.ckpt", "is a checkpoint of TensorFlow"),
        ("no-config.keras", "is not a model that Keras saved: it has no config.json."),
        ("half.keras", DAMAGED),
        ("saved_model.pb", "is a SavedModel's graph without its variables. Give the folder that holds it: "),
    ],
)
def test_refused_model(made: Path, conversions: Any, name: str, reason: str) -> None:
    """A model that is damaged, has code, or scores differently when converted is refused; nothing is left behind."""
    code, text = conversions[name]
    assert code == 2
    assert text.startswith("Not converted. ")
    assert reason in text
    assert not list((made / "out").glob(f"{name}/*"))


def test_labels_that_exclude_each_other(made: Path) -> None:
    """A softmax, the model's own or added, makes labels exclude each other; sigmoids do not."""
    names = ("legacy", "sigmoid", "softmax", "sigmoids", "several", "exported")
    activations = {name: read_assets(made / "out" / name, "1").activation for name in names}
    assert {name for name, activation in activations.items() if activation == "softmax"} == {
        "legacy",
        "softmax",
        "exported",
    }


def test_labels_from_a_file(made: Path) -> None:
    """Labels come from a file with a label a line, with or without its index."""
    assert read_assets(made / "out/softmax", "1").labels == ("Cat", "Dog, small")


def test_fit_comes_with_the_model(made: Path) -> None:
    """The options that say how pictures were made to fit are part of the assets."""
    grey = read_assets(made / "out/grey", "1")
    assert (grey.fit, grey.interpolation) == ("pad", "bicubic")


def test_no_onnx_copy(made: Path, conversions: Any) -> None:
    """A SavedModel is written without an ONNX copy if there can be none; the output and the assets say why."""
    folder = made / "out/prepared/1"
    facts = json.loads((folder / "assets/marquee.json").read_text())
    assert not (folder / "model.onnx").exists()
    assert "tf2onnx cannot convert it" in facts["onnx_problem"]
    assert facts["onnx_problem"] in conversions["prepared"][1]
    assert "ONNX" not in facts["differences"]


@pytest.mark.parametrize(
    ("out", "arguments", "reason"),
    [
        ("first", ("--labels", "A,B"), "takes the folder's name for the version: end it with a number"),
        ("01", ("--labels", "A,B"), "takes the folder's name for the version"),
        ("1", (), "labels: Field required. Name them with --labels, in class order."),
        ("1", ("--labels", "A,A"), "two labels are the same"),
        ("1", ("--labels", "missing.txt"), "missing.txt cannot be read: No such file or directory"),
        ("1", ("--labels", "A,B", "--threshold", "2"), "threshold: Input should be less than or equal to 1"),
        ("1", ("--assets", "pyproject.toml"), "pyproject.toml is not JSON"),
    ],
)
def test_wrong_arguments(made: Path, tmp_path: Path, out: str, arguments: tuple[str, ...], reason: str) -> None:
    """A wrong folder and missing or invalid labels are refused immediately, without waiting for TensorFlow."""
    done = run_module("services.keras.convert", made / "whole.keras", tmp_path / out, *arguments)
    assert done.returncode == 2
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_existing_version_is_kept(made: Path) -> None:
    """An existing version is never overwritten."""
    before = manifests.describe(made / "out/legacy/1")
    done = run_module("services.keras.convert", made / "legacy.h5", made / "out/legacy/1", "--labels", "A,B,C")
    assert done.returncode == 2
    assert "exists already. Give the version another number" in done.stderr
    assert manifests.describe(made / "out/legacy/1") == before


def test_model_in_a_bucket(made: Path, tmp_path: Path) -> None:
    """A model is read from S3 with the .marquee.json next to it; the error for a missing model names it."""
    with s3_store("trained") as address:
        client = boto3.client("s3", endpoint_url=address)
        for name in ("modern.h5", "modern.marquee.json"):
            client.upload_file(str(made / name), "trained", f"shop/{name}")
        options = (tmp_path / "2", "--s3-endpoint-url", address)
        missing = run_module("services.keras.convert", "s3://trained/shop/moder.h5", *options)
        done = run_module("services.keras.convert", "s3://trained/shop/modern.h5", *options)
    assert missing.returncode == 2
    assert "s3://trained/shop/moder.h5 does not exist." in missing.stderr
    assert done.returncode == 0, done.stderr
    assert read_assets(tmp_path, "2").labels == ("C", "D")
    assert os.listdir(tmp_path) == ["2"]  # noqa: PTH208 - includes hidden files

"""Tests of the trainer, which runs where TensorFlow is installed; its output is converted and served."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from services.keras.assets import read_assets
from tests.support.processes import ROOT, run, run_module, train_python

pytestmark = pytest.mark.slow

MAKE_WEIGHTS = """
import sys, tf_keras
network = tf_keras.applications.MobileNetV2((224, 224, 3), include_top=False, weights=None)
network.save_weights(sys.argv[1])
"""


def _train(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_module("services.keras.train", *arguments)


def _write_pictures(folder: Path) -> Path:
    random = np.random.default_rng(0)
    for label, low, high in (("Bright", 128, 256), ("Dark", 0, 128)):
        (folder / label).mkdir(parents=True)
        for number in range(6):
            pixels = random.integers(low, high, (32, 32, 3), dtype=np.uint8)
            Pillow.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


def test_trained_model_converts(tmp_path: Path) -> None:
    """A short training writes a file that converts as is, labels in the requested order, and a page about it."""
    pictures, out = _write_pictures(tmp_path / "pictures"), tmp_path / "models" / "light.keras"
    (pictures / "Dark" / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0heicmif1")
    done = _train(pictures, "--labels", "Dark,Bright", "--out", out, "--epochs", "1")
    assert done.returncode == 0, done.stderr
    facts = json.loads(out.with_suffix(".marquee.json").read_text())
    assert (facts["labels"], facts["seed"], facts["trained_on"], facts["held_out"]) == (["Dark", "Bright"], 1, 10, 2)
    assert facts["parameters"] < 300_000
    assert f"at the threshold {facts['threshold']}" in done.stderr
    page = out.with_suffix(".html").read_text()
    assert page.count("<polyline") == 4
    assert "<th>Dark</th>" in page
    for text in (done.stderr, page):
        assert "This is a HEIC picture" in text
        assert "Dark/a.heic" in text
        assert "worth nothing" in text
    converted = run_module("services.keras.convert", out, tmp_path / "served" / "4")
    assert converted.returncode == 0, converted.stderr
    assert read_assets(tmp_path / "served", "4").labels == ("Dark", "Bright")


def test_head_on_trained_weights(tmp_path: Path) -> None:
    """MobileNetV2's weights, as saved by Keras 2, with a head of classes x 1281 parameters on top, make an .h5."""
    weights, out = tmp_path / "no_top.h5", tmp_path / "light.h5"
    run([train_python(), "-c", MAKE_WEIGHTS, weights]).check_returncode()
    pictures = _write_pictures(tmp_path / "pictures")
    done = _train(pictures, "--out", out, "--epochs", "1", "--weights", weights)
    assert done.returncode == 0, done.stderr
    facts = json.loads(out.with_suffix(".marquee.json").read_text())
    assert facts["parameters"] == 2_257_984 + 2 * 1281
    assert out.stat().st_size > 9_000_000


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--out", "m.keras"), "only Bright"),
        (("--out", "m.keras", "--labels", "Bright,Grey"), "has no folder 'Grey' with pictures"),
        (("--out", "m.keras", "--labels", "Bright"), "Two or more different labels"),
        (("--out", "m.keras", "--labels", "Bright,Bright"), "Two or more different labels"),
        (("--out", "m.keras", "--weights", "missing.h5"), "missing.h5 is not a file with weights"),
        (("--out", "LICENSE/m.keras"), "File exists: 'LICENSE'"),
        (("--out", "m.pt"), "must end in .keras or .h5"),
        (("--out", "m.keras", "--epochs", "0"), "must be at least 1"),
    ],
)
def test_wrong_arguments(tmp_path: Path, arguments: tuple[str, ...], reason: str) -> None:
    """Wrong arguments exit 2 with a message, without a traceback and without waiting for TensorFlow."""
    (tmp_path / "Bright").mkdir()
    Pillow.new("RGB", (8, 8)).save(tmp_path / "Bright" / "1.png")
    done = run_module("services.keras.train", tmp_path, *arguments, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 2
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert not (ROOT / "m.keras").exists()
    assert not re.search(r"\| +tensorflow$", done.stderr, re.MULTILINE)


def test_weights_of_another_network(tmp_path: Path) -> None:
    """The error for a file without MobileNetV2's weights names it."""
    wrong = tmp_path / "wrong.h5"
    wrong.write_text("no weights")
    done = _train(_write_pictures(tmp_path / "pictures"), "--out", tmp_path / "m.keras", "--weights", wrong)
    assert done.returncode == 2
    assert "wrong.h5 does not hold MobileNetV2's weights" in done.stderr
    assert "Traceback" not in done.stderr

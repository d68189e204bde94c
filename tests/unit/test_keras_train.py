"""The trainer, run where TensorFlow is installed; what it writes is served."""

import json
import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from marquee.v1 import recognizer_pb2 as pb
from services.keras.recognizer import KerasRecognizer
from services.keras.settings import KerasSettings
from services.runtime.images import Image
from services.runtime.recognizer import Options
from tests.unit.tf_serving_models import serving

ROOT = Path(__file__).parents[2]


@pytest.fixture(name="python", scope="module")
def _python() -> str:
    python = os.environ.get("MARQUEE_TRAIN_PYTHON") or ROOT / ".venv-train/bin/python"
    if not Path(python).exists():
        pytest.skip(f"{python} is not there: `make train-env` makes it, MARQUEE_TRAIN_PYTHON names another")
    return str(python)


def _train(python: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [python, "-m", "services.keras.train", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)


def _write_pictures(folder: Path) -> None:
    random = np.random.default_rng(0)
    for label, low, high in (("Bright", 128, 256), ("Dark", 0, 128)):
        (folder / label).mkdir(parents=True)
        for number in range(6):
            pixels = random.integers(low, high, (32, 32, 3), dtype=np.uint8)
            Pillow.fromarray(pixels).save(folder / label / f"{number}.png")


async def test_what_is_trained_is_served(python: str, tmp_path: Path) -> None:
    """One short training gives a folder that the server serves and the recognizer understands."""
    _write_pictures(tmp_path / "pictures")
    done = _train(python, tmp_path / "pictures", "--out", tmp_path / "out", "--epochs", "1", "--version", "4")
    assert done.returncode == 0, done.stderr
    assert "held out: accuracy" in done.stderr
    assert (tmp_path / "out" / "model.keras").exists()
    assets = json.loads((tmp_path / "out/4/assets/marquee.json").read_text())
    assert (assets["labels"], assets["seed"]) == (["Bright", "Dark"], 1)
    assert assets["parameters"] < 300_000
    picture = Image((tmp_path / "pictures/Dark/0.png").read_bytes())
    async with serving(tmp_path / "out") as port:
        result = await _recognize(tmp_path / "out", port, picture)
    assert result.model.version == "4"
    assert {label.name for label in result.labels} <= {"Bright", "Dark"}


def test_pictures_that_cannot_be_trained_on(python: str, tmp_path: Path) -> None:
    """One label alone ends with 2 and a sentence, without a traceback and without the wait for TensorFlow."""
    (tmp_path / "Bright").mkdir()
    Pillow.new("RGB", (8, 8)).save(tmp_path / "Bright" / "1.png")
    begin = time.monotonic()
    done = _train(python, tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "only Bright" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
    assert time.monotonic() - begin < 10


async def _recognize(base: Path, port: int, picture: Image) -> pb.RecognizerResult:
    recognizer = KerasRecognizer(KerasSettings(keras_target=f"127.0.0.1:{port}", keras_assets=base))
    deadline = time.monotonic() + 10
    options = Options("test", (pb.FEATURE_LABELS,), 10, 0.0, "", include_embeddings=False, deadline=deadline)
    try:
        await recognizer.load()
        return await recognizer.recognize(picture, options)
    finally:
        await recognizer.close()

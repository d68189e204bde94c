"""Measure how far the Keras recognizer's scores are from Keras's own, and whether legacy files convert.

usage: PYTHONPATH=. python bench/keras/scores.py [--train-python .venv-train/bin/python]

Prints a Markdown table for 50 pictures in all formats and a MobileNetV2 saved by Keras 2 and by Keras 3. Takes about
two minutes.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import formats
import grpc
import numpy as np
import numpy.typing as npt
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from local import ports
from services.keras.preprocess import Pixels, to_pixels
from services.keras.serving.tensors import as_content, to_array
from services.runtime.images.image import Image

_MODELS = ("legacy.h5", "modern.keras")
_REFERENCE = str(Path(__file__).with_name("reference.py"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train-python", default=".venv-train/bin/python")
    python = parser.parse_args().train_python
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        formats.write(folder / "pictures")
        subprocess.run([python, _REFERENCE, "make", name], check=True)
        print("| on 50 pictures | Keras 2's .h5 | Keras 3's .keras |\n|---|---|---|")
        print(f"| scores of class 0, lowest to highest | {' | '.join(_spread(folder, model) for model in _MODELS)} |")
        ours = np.concatenate([pixels_of(path) for path in sorted((folder / "pictures").iterdir())])
        np.save(folder / "ours.npy", ours)
        differences = [np.abs(np.load(folder / f"{model}.pixels.npy") - ours).max() for model in _MODELS]
        print(f"| input tensor, largest difference | {' | '.join(f'{one:g}' for one in differences)} |")
        rows = [np.load(folder / f"{model}.together.npy") for model in _MODELS]
        print(f"| Keras itself, 32 at once against one by one, scores | {_differences(folder, rows)} |")
        checks = [_convert(python, folder, model) for model in _MODELS]
        print(f"| the converter's own check | {' | '.join(checks)} |")
        subprocess.run([python, _REFERENCE, "served", name], check=True)
        rows = [np.load(folder / f"{model}.saved_model.npy") for model in _MODELS]
        print(f"| SavedModel by TensorFlow, one by one, scores | {_differences(folder, rows)} |")
        rows = [server_scores(folder / f"{model}.served", ours) for model in _MODELS]
        print(f"| ONNX copy over gRPC from local.tf_serving, one by one, scores | {_differences(folder, rows)} |")


def pixels_of(path: Path) -> Pixels:
    """Return the pixels that the recognizer sends."""
    return to_pixels(Image(path.read_bytes()).as_stored())


def server_scores(base: Path, pixels: Pixels) -> npt.NDArray[np.float32]:
    """Return the local server's scores, from one call per picture."""
    [port] = ports.take(1)
    command = [sys.executable, "-m", "local.tf_serving", "--model_base_path", str(base.resolve()), "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                grpc.channel_ready_future(channel).result(timeout=30)
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                return np.concatenate([_predict(stub, one[np.newaxis]) for one in pixels])
        finally:
            process.terminate()


def _predict(stub: prediction_service_pb2_grpc.PredictionServiceStub, pixels: Pixels) -> npt.NDArray[np.float32]:
    request = predict_pb2.PredictRequest(inputs={"image": as_content(pixels)})
    request.model_spec.name = "default"
    return to_array(stub.Predict(request, timeout=10).outputs["scores"])


def _convert(python: str, folder: Path, model: str) -> str:
    out = folder / f"{model}.served" / "1"
    options = ["--labels", "A,B", "--preprocessing", "tf", "--samples", str(folder / "pictures")]
    command = [python, "-m", "services.keras.convert", str(folder / model), str(out), *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return next(line for line in done.stderr.splitlines() if "at most" in line).partition("at most: ")[2]


def _spread(folder: Path, model: str) -> str:
    scores = np.load(folder / f"{model}.scores.npy")[:, 0]
    return f"{scores.min():.3f} to {scores.max():.3f}"


def _differences(folder: Path, rows: list[npt.NDArray[np.float32]]) -> str:
    expected = [np.load(folder / f"{model}.scores.npy") for model in _MODELS]
    return " | ".join(f"{np.abs(own - wanted).max():.1e}" for own, wanted in zip(rows, expected, strict=True))


if __name__ == "__main__":
    main()

"""Count the labels that change if pictures are made to fit in another way than in the training.

usage: PYTHONPATH=. python bench/keras/fits.py PICTURES [--model models/keras/celebrity/1]

PICTURES is a folder, with its subfolders; MODEL holds model.onnx and assets/marquee.json as services.keras.convert
writes them. Prints a Markdown table with a row for each fit and interpolation.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt
import onnxruntime

from services.keras.assets import Assets, Fit, Interpolation, read_assets
from services.keras.preprocess import fitted, to_input
from services.runtime.errors import DomainError
from services.runtime.images.image import Image

Scores = npt.NDArray[np.float32]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--model", type=Path, default=Path("models/keras/celebrity/1"))
    args = parser.parse_args()
    assets = read_assets(args.model.parent, args.model.name)
    session = onnxruntime.InferenceSession(args.model / "model.onnx", providers=["CPUExecutionProvider"])
    pictures = list(_pictures(args.pictures))
    trained = _scores(session, assets, pictures)
    print(f"| {len(pictures)} pictures | other labels | largest difference of a score |\n|---|---|---|")
    for fit in get_args(Fit):
        for interpolation in get_args(Interpolation):
            other = assets.model_copy(update={"fit": fit, "interpolation": interpolation})
            scores = _scores(session, other, pictures)
            changed = sum(
                _labels(assets, ours) != _labels(assets, row) for ours, row in zip(trained, scores, strict=True)
            )
            print(f"| {fit}, {interpolation} | {changed} | {np.abs(scores - trained).max():.2f} |", flush=True)


def _pictures(folder: Path) -> Iterator[Image]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            picture = Image(path.read_bytes())
            try:
                picture.as_stored()
            except DomainError:
                continue
            yield picture


def _scores(session: onnxruntime.InferenceSession, assets: Assets, pictures: list[Image]) -> Scores:
    model_input = session.get_inputs()[0]
    _, height, width, channels = model_input.shape
    dtype = np.dtype(np.uint8 if model_input.type == "tensor(uint8)" else np.float32)
    to_pixels = fitted(assets, (height, width), channels)
    inputs = (to_input(to_pixels(picture.as_stored()), dtype, assets.preprocessing) for picture in pictures)
    return np.concatenate([session.run(None, {model_input.name: one})[0] for one in inputs])


def _labels(assets: Assets, scores: Scores) -> list[str]:
    return [label for label, _ in assets.counting(scores)]


if __name__ == "__main__":
    main()

"""Train Keras networks that name faces, and score faces with them. Started by recognizers.py.

usage: PYTHONPATH=. .venv-train/bin/python bench/fusion/keras_scores.py JOBS.json SCORES.json

JOBS.json has `crops`, paths of faces, and `jobs`: each the numbers of the crops to train on by person. SCORES.json gets
for each job the scores of all crops, a column a person, and the threshold from which one counts.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from services.keras.preprocess import Pixels, to_pixels
from services.keras.train import metrics
from services.keras.train.dataset import Dataset, hold_out

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from services.keras.train import network

_HELD_OUT_SHARE = 0.2
_EPOCHS = 30


def main() -> None:
    """Train and score, a job at a time."""
    jobs, scores = map(Path, sys.argv[1:])
    work = json.loads(jobs.read_text())
    pixels = np.concatenate([to_pixels(Pillow.open(path)) for path in work["crops"]])
    done = []
    for number, job in enumerate(work["jobs"], 1):
        done.append(_scores(pixels, work["groups"], job))
        print(f"network {number} of {len(work['jobs'])}", file=sys.stderr, flush=True)
    scores.write_text(json.dumps(done))


def _scores(pixels: Pixels, groups: list[str], job: list[list[int]]) -> dict[str, Any]:
    chosen = [crop for own in job for crop in own]
    classes = np.array([person for person, own in enumerate(job) for _ in own])
    labels = tuple(map(str, range(len(job))))
    dataset = Dataset(labels, pixels[chosen], classes, tuple(groups[crop] for crop in chosen), "")
    held_out = hold_out(dataset, _HELD_OUT_SHARE, seed=1)
    model = network.build(len(job), seed=1)
    fit = network.fit(model, dataset, held_out, _EPOCHS, lambda *_: None)
    threshold = metrics.best_threshold(fit.scores, classes[held_out])
    return {"threshold": float(threshold), "scores": model.predict(pixels, verbose=0).tolist()}


if __name__ == "__main__":
    main()

"""Measure how accurately the SVM's recipes name faces, and how far their features are from the reference libraries'.

usage: PYTHONPATH=. python bench/svm_accuracy.py ../shared/data/actors

Prints Markdown rows. Pictures of one group are never on both sides of a split. Takes about two minutes.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import cv2
import dlib
import numpy as np
import numpy.typing as npt
import pywt
from svm_actors import LabelledFace, labelled_faces, pixels_of, training_set_of, whole

from services.runtime.images.image import Pixels
from services.runtime.images.weights import DLIB_RESNET
from services.svm.faces.alignment import DlibAlignment
from services.svm.recipes import wavelet
from services.svm.recipes.embedding import Embedding
from services.svm.train.calibration import Trial
from services.svm.train.fit import fit
from services.svm.train.strangers import identifications

RUNS = (("wavelet", "minmax"), ("wavelet", "standard"), ("hog-lbp", ""), ("embedding", ""))
_KEPT = 0.95


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    faces = labelled_faces(parser.parse_args().folder)
    print(f"| on {len(faces)} faces | measured |\n|---|---|")
    print(f"| wavelet features against PyWavelets and cv2, largest difference | {wavelet_difference(faces):.1e} |")
    print(f"| embedding against dlib's own, largest difference | {embedding_difference(faces):.1e} |")
    for recipe, scaler in RUNS:
        for name, value in measurements(faces, recipe, scaler):
            print(f"| {recipe} {scaler}, {name} | {value} |", flush=True)


def measurements(faces: list[LabelledFace], recipe: str, scaler: str) -> Iterable[tuple[str, str]]:
    """Cross-validate in five grouped folds, and with each actor in turn as the stranger; yield names and values."""
    training = training_set_of(faces, recipe)
    fitted = fit(training, scaler or "minmax", 0.01 if recipe == "embedding" else None)
    report = fitted.report
    chosen = f"{report['classifier']}, C={report['C']}"
    yield f"chosen of the grid: {chosen}; grouped 5-fold accuracy if nobody is UNKNOWN", f"{report['rank_1']:.3f}"
    yield "macro-F1, likewise", f"{report['rank_1_macro_f1']:.3f}"
    yield "accuracy and macro-F1; UNKNOWN is an error", f"{report['accuracy']:.3f}, {report['macro_f1']:.3f}"
    yield "strangers, AUROC, mean of the actors left out", f"{report['stranger_auroc']:.3f}"
    accepted = [strangers_accepted(trial, _KEPT) for trial in fitted.trials]
    yield f"strangers accepted at {_KEPT:.0%} of known kept, mean of the actors", f"{np.mean(accepted):.1%}"
    yield "strangers with a candidate", f"{report['strangers_accepted']:.1%}"
    yield (
        f"strangers identified, at the score of {report['identify_score']:.3f}",
        f"{report['strangers_identified']:.1%}",
    )
    yield "known identified by the same models", f"{report['known_identified']:.1%}"
    for one in identifications(training, fitted.trials, fitted.calibration):
        gallery = f"{one.real} real and {one.synthetic} synthetic people"
        yield f"FNIR at FPIR 1/{one.searches}, {gallery}", f"{one.fnir:.1%} ({one.low:.1%} to {one.high:.1%})"


def strangers_accepted(trial: Trial, kept: float) -> float:
    """Return the share of strangers within the distance that keeps the share `kept` of the known."""
    threshold = np.quantile(trial.nearest[~trial.strange], kept)
    return float((trial.nearest[trial.strange] <= threshold).mean())


def wavelet_difference(faces: list[LabelledFace]) -> float:
    """Return the largest difference between any feature and the published computation."""
    crops = [pixels_of(face.crop) for face in faces]
    return max(float(np.abs(wavelet.features(crop) - published_features(crop)).max()) for crop in crops)


def published_features(face: Pixels) -> npt.NDArray[np.float64]:
    """Return the features as published: with PyWavelets, on OpenCV's order of channels."""
    bgr = np.ascontiguousarray(face[:, :, ::-1])
    grey = np.float32(cv2.cvtColor(bgr, cv2.COLOR_RGB2GRAY)) / 255
    levels = pywt.wavedec2(grey, "db1", level=5)
    levels[0] *= 0
    edges = np.uint8(np.int32(pywt.waverec2(levels, "db1") * 255))
    small = (cv2.resize(picture, (32, 32)).ravel() for picture in (bgr, edges))
    return np.concatenate(list(small)).astype(np.float64)


def embedding_difference(faces: list[LabelledFace]) -> float:
    """Return the largest difference between any number of any embedding and dlib's own."""
    ours, aligned = Embedding(), DlibAlignment()
    reference = dlib.face_recognition_model_v1(str(DLIB_RESNET.locate()))
    worst = 0.0
    for face in faces:
        crop = pixels_of(face.crop)
        expected = np.array(reference.compute_face_descriptor(aligned.chip(crop, whole(crop))))
        worst = max(worst, float(np.abs(ours.views(crop, whole(crop))[0] - expected).max()))
    return worst


if __name__ == "__main__":
    main()

"""From scores to a result. Pure."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from marquee.v1 import recognizer_pb2 as pb
from services.keras.assets import Assets
from services.runtime.people import person_id_of
from services.runtime.requests import Feature

Scores = npt.NDArray[np.float32]
Faces = Sequence[pb.Face]
"""Boxes and detection scores."""


def features_of(assets: Assets) -> tuple[Feature, ...]:
    """Return the features of a model with these assets."""
    return (pb.FEATURE_CELEBRITIES,) if assets.kind == "identity" else (pb.FEATURE_LABELS,)


def result_of(scores: Scores, faces: Faces | None, assets: Assets) -> pb.RecognizerResult:
    """Return the result for scores [N, classes]: of N faces, or of the whole picture if `faces` is None."""
    if faces is None:
        return _of_image(scores[0], assets)
    return _people(scores, faces, assets) if assets.kind == "identity" else _labels(scores, faces, assets)


def _of_image(scores: Scores, assets: Assets) -> pb.RecognizerResult:
    if assets.kind == "identity":
        return pb.RecognizerResult(image_candidates=_candidates(scores, assets))
    counting = assets.counting(scores)
    labels = [pb.Label(name=name, score=score) for name, score in counting]
    return pb.RecognizerResult(labels=labels, warnings=[] if counting else _doubts(scores, assets))


def _doubts(scores: Scores, assets: Assets) -> list[str]:
    """Say what a picture may be, of which one label is right and none counts."""
    if assets.activation == "sigmoid":
        return []
    by_label = assets.by_label(scores)
    best = int(np.argmax(by_label))
    likeliest = f"the likeliest, {assets.labels[best]}, has {by_label[best]:.2f}"
    return [f"Unsure: no label scores above {assets.threshold:g}; {likeliest}."]


def _people(scores: Scores, faces: Faces, assets: Assets) -> pb.RecognizerResult:
    result = pb.RecognizerResult(faces=faces)
    for face, face_scores in zip(result.faces, scores, strict=True):
        face.candidates.extend(_candidates(face_scores, assets))
    return result


def _labels(scores: Scores, faces: Faces, assets: Assets) -> pb.RecognizerResult:
    """Return each label once, with all faces for which it counts as instances."""
    instances: dict[str, list[pb.LabelInstance]] = {}
    for face, face_scores in zip(faces, scores, strict=True):
        for name, score in assets.counting(face_scores):
            instances.setdefault(name, []).append(pb.LabelInstance(box=face.box, score=score))
    return pb.RecognizerResult(
        labels=[
            pb.Label(name=name, score=max(instance.score for instance in group), instances=group)
            for name, group in instances.items()
        ]
    )


def _candidates(scores: Scores, assets: Assets) -> Iterable[pb.Candidate]:
    names = (label.replace("_", " ") for label in assets.labels)
    return [
        pb.Candidate(person_id=person_id_of(name), display_name=name, score=float(score))
        for name, score in zip(names, assets.by_label(scores), strict=True)
        if score > assets.threshold
    ]

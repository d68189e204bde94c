"""From scores to a result. Pure."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from marquee.v1 import recognizer_pb2 as pb
from services.keras.assets import Assets
from services.runtime.people import person_id_of
from services.runtime.requests import Feature

Scores = npt.NDArray[np.float32]
Boxes = Sequence[pb.BoundingBox]


def features_of(assets: Assets) -> tuple[Feature, ...]:
    """Return the features of a model with these assets."""
    return (pb.FEATURE_CELEBRITIES,) if assets.kind == "identity" else (pb.FEATURE_LABELS,)


def result_of(scores: Scores, boxes: Boxes | None, assets: Assets) -> pb.RecognizerResult:
    """Return the result for scores [N, classes]: of N faces, or of the whole picture if `boxes` is None."""
    if boxes is None:
        return _of_image(scores[0], assets)
    return _people(scores, boxes, assets) if assets.kind == "identity" else _labels(scores, boxes, assets)


def _of_image(scores: Scores, assets: Assets) -> pb.RecognizerResult:
    if assets.kind == "identity":
        return pb.RecognizerResult(image_candidates=_candidates(scores, assets))
    return pb.RecognizerResult(labels=[pb.Label(name=name, score=score) for name, score in assets.counting(scores)])


def _people(scores: Scores, boxes: Boxes, assets: Assets) -> pb.RecognizerResult:
    return pb.RecognizerResult(
        faces=[
            pb.Face(box=box, candidates=_candidates(face_scores, assets))
            for box, face_scores in zip(boxes, scores, strict=True)
        ]
    )


def _labels(scores: Scores, boxes: Boxes, assets: Assets) -> pb.RecognizerResult:
    """Return each label once, with all faces for which it counts as instances."""
    instances: dict[str, list[pb.LabelInstance]] = {}
    for box, face_scores in zip(boxes, scores, strict=True):
        for name, score in assets.counting(face_scores):
            instances.setdefault(name, []).append(pb.LabelInstance(box=box, score=score))
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

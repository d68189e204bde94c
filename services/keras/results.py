"""From scores to what a caller is told. Pure."""

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
    """What a model with these assets does."""
    return (pb.FEATURE_CELEBRITIES,) if assets.kind == "identity" else (pb.FEATURE_LABELS,)


def of_image(scores: Scores, assets: Assets) -> pb.RecognizerResult:
    """What the scores [labels] of a whole picture say: its best label, or who is in it."""
    if assets.kind == "identity":
        return pb.RecognizerResult(image_candidates=_candidates(scores, assets))
    return pb.RecognizerResult(labels=[pb.Label(name=name, score=score) for name, score in _best(scores, assets)])


def of_faces(scores: Scores, boxes: Boxes, assets: Assets) -> pb.RecognizerResult:
    """What the scores [faces, labels] say: who each face is, or one label for all faces that have it as their best."""
    if assets.kind == "identity":
        named = (_candidates(own, assets) for own in scores)
        return pb.RecognizerResult(
            faces=[pb.Face(box=box, candidates=own) for box, own in zip(boxes, named, strict=True)]
        )
    instances: dict[str, list[pb.LabelInstance]] = {}
    for box, own in zip(boxes, scores, strict=True):
        for name, score in _best(own, assets):
            instances.setdefault(name, []).append(pb.LabelInstance(box=box, score=score))
    return pb.RecognizerResult(labels=[_label(name, found) for name, found in instances.items()])


def _label(name: str, instances: Sequence[pb.LabelInstance]) -> pb.Label:
    return pb.Label(name=name, score=max(one.score for one in instances), instances=instances)


def _best(scores: Scores, assets: Assets) -> list[tuple[str, float]]:
    best = int(scores.argmax())
    return [(assets.labels[best], float(scores[best]))] if scores[best] > assets.threshold else []


def _candidates(scores: Scores, assets: Assets) -> Iterable[pb.Candidate]:
    names = (label.replace("_", " ") for label in assets.labels)
    return [
        pb.Candidate(person_id=person_id_of(name), display_name=name, score=float(score))
        for name, score in zip(names, scores, strict=True)
        if score > assets.threshold
    ]

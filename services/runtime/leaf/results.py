"""What all results have in common. Pure."""

from collections.abc import MutableSequence
from typing import Protocol, TypeVar

from google.rpc import code_pb2, status_pb2

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.leaf.recognizer import Options


def finish(result: pb.RecognizerResult, name: str, options: Options, seconds: float) -> pb.RecognizerResult:
    """Fills in name, outcome, features and time; sorts; leaves out low scores and labels past max_labels."""
    result.recognizer = name
    result.status.SetInParent()
    result.outcome = pb.OUTCOME_PARTIAL if result.feature_errors else pb.OUTCOME_OK
    failed = {error.feature for error in result.feature_errors}
    result.performed_features[:] = [feature for feature in options.features if feature not in failed]
    result.timings.recognizer.FromNanoseconds(int(seconds * 1e9))
    _filter(result, options)
    return result


def skipped(name: str, why: str) -> pb.RecognizerResult:
    """The result of a recognizer that was not asked, or that can do nothing of what was asked."""
    status = status_pb2.Status(code=code_pb2.OK, message=why)
    return pb.RecognizerResult(recognizer=name, outcome=pb.OUTCOME_SKIPPED, status=status)


class _Scored(Protocol):
    score: float


T = TypeVar("T", bound=_Scored)


def _filter(result: pb.RecognizerResult, options: Options) -> None:
    result.faces.sort(key=lambda face: (face.box.left, face.box.top))
    for face in result.faces:
        _best(face.candidates, options.min_score)
    _best(result.image_candidates, options.min_score)
    _best(result.labels, options.min_score)
    del result.labels[options.max_labels :]
    _best(result.moderation_labels, options.min_score)
    _keep(result.texts, [text for text in result.texts if text.score >= options.min_score])


def _best(scored: MutableSequence[T], least: float) -> None:
    _keep(scored, sorted((one for one in scored if one.score >= least), key=lambda one: -one.score))


def _keep(scored: MutableSequence[T], kept: list[T]) -> None:
    del scored[:]  # a repeated field of messages takes no slice assignment
    scored.extend(kept)

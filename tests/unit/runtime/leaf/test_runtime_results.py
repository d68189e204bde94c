"""What the runtime does to every recognizer's result."""

import time

import pytest
from google.rpc import code_pb2

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.leaf import leaf
from services.runtime.leaf.recognizer import Options


def options(**fields: object) -> Options:
    defaults: dict[str, object] = {
        "request_id": "r",
        "features": (pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS),
        "max_labels": 10,
        "min_score": 0.0,
        "collection": "",
        "include_embeddings": False,
        "deadline": time.monotonic() + 1,
    }
    return Options(**defaults | fields)


def finish(result: pb.RecognizerResult, **fields: object) -> pb.RecognizerResult:
    return leaf.finish(result, "svm", options(**fields), 0.25)


def face(left: float, *scores: float) -> pb.Face:
    candidates = [pb.Candidate(display_name=str(score), score=score) for score in scores]
    return pb.Face(box=pb.BoundingBox(left=left), candidates=candidates)


def labels(*scores: float) -> list[pb.Label]:
    return [pb.Label(name=str(score), score=score) for score in scores]


def test_fills_in_what_all_results_have() -> None:
    """Name, outcome, status, features done and time are the runtime's."""
    result = finish(pb.RecognizerResult())
    assert (result.recognizer, result.outcome, result.status.code) == ("svm", pb.OUTCOME_OK, code_pb2.OK)
    assert result.performed_features == [pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS]
    assert result.timings.recognizer.ToMilliseconds() == 250


def test_a_failed_feature_makes_it_partial() -> None:
    """A feature that failed is not among those done, and the result is PARTIAL."""
    result = finish(pb.RecognizerResult(feature_errors=[pb.FeatureError(feature=pb.FEATURE_LABELS)]))
    assert (result.outcome, list(result.performed_features)) == (pb.OUTCOME_PARTIAL, [pb.FEATURE_CELEBRITIES])


def test_faces_go_from_left_to_right() -> None:
    """Faces are sorted by place."""
    result = finish(pb.RecognizerResult(faces=[face(0.6), face(0.1), face(0.3)]))
    assert [one.box.left for one in result.faces] == pytest.approx([0.1, 0.3, 0.6])


def test_a_faces_candidates_stay_with_it() -> None:
    """Sorting faces and filtering their candidates mixes nothing up: best score first in each face."""
    result = finish(pb.RecognizerResult(faces=[face(0.6, 0.2, 0.9), face(0.1, 0.3, 0.8)]))
    names = [[candidate.display_name for candidate in one.candidates] for one in result.faces]
    assert names == [["0.8", "0.3"], ["0.9", "0.2"]]


def test_labels_come_best_first_and_no_more_than_asked() -> None:
    """Labels are sorted by score before they are cut."""
    result = finish(pb.RecognizerResult(labels=labels(0.2, 0.9, 0.5)), max_labels=2)
    assert [label.name for label in result.labels] == ["0.9", "0.5"]


def test_a_label_keeps_all_it_has() -> None:
    """Sorting loses nothing of a label."""
    boat = pb.Label(name="Boat", score=0.5, parents=["Vehicle"], instances=[pb.LabelInstance(score=0.4)])
    result = finish(pb.RecognizerResult(labels=[*labels(0.1), boat, *labels(0.9)]))
    assert result.labels[1] == boat


def test_low_scores_are_left_out_everywhere() -> None:
    """min_score holds for candidates, labels, moderation labels and texts; a face without a name stays."""
    result_ = pb.RecognizerResult(
        faces=[face(0.1, 0.9, 0.3), face(0.5, 0.2)],
        image_candidates=[pb.Candidate(score=0.4), pb.Candidate(score=0.6)],
        labels=labels(0.5, 0.49),
        moderation_labels=[pb.ModerationLabel(score=0.1), pb.ModerationLabel(score=0.7)],
        texts=[pb.Text(score=0.8), pb.Text(score=0.2)],
    )
    result = finish(result_, min_score=0.5)
    assert [len(one.candidates) for one in result.faces] == [1, 0]
    counts = (result.image_candidates, result.labels, result.moderation_labels, result.texts)
    assert [len(kept) for kept in counts] == [1, 1, 1, 1]


def test_texts_keep_their_reading_order() -> None:
    """Texts are filtered, not sorted."""
    texts = [pb.Text(content="first", score=0.6), pb.Text(content="then", score=0.9)]
    assert [text.content for text in finish(pb.RecognizerResult(texts=texts)).texts] == ["first", "then"]


def test_a_skipped_result_tells_why_and_claims_nothing() -> None:
    """SKIPPED has a reason for people, and no feature done."""
    result = leaf.skipped_result("keras", "supports none of the features")
    assert (result.outcome, result.status.code) == (pb.OUTCOME_SKIPPED, code_pb2.OK)
    assert result.status.message == "supports none of the features"
    assert not result.performed_features

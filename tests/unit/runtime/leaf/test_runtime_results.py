"""How the runtime completes every recognizer's result."""

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
    """The runtime sets a result's name, outcome, status, performed features and time."""
    result = finish(pb.RecognizerResult())
    assert (result.recognizer, result.outcome, result.status.code) == ("svm", pb.OUTCOME_OK, code_pb2.OK)
    assert result.performed_features == [pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS]
    assert result.timings.recognizer.ToMilliseconds() == 250


def test_a_failed_feature_makes_it_partial() -> None:
    """A failed feature is not among the performed ones, and the result is PARTIAL."""
    result = finish(pb.RecognizerResult(feature_errors=[pb.FeatureError(feature=pb.FEATURE_LABELS)]))
    assert (result.outcome, list(result.performed_features)) == (pb.OUTCOME_PARTIAL, [pb.FEATURE_CELEBRITIES])


def test_faces_go_from_left_to_right() -> None:
    """Faces are sorted from left to right."""
    result = finish(pb.RecognizerResult(faces=[face(0.6), face(0.1), face(0.3)]))
    assert [one.box.left for one in result.faces] == pytest.approx([0.1, 0.3, 0.6])


def test_a_faces_candidates_stay_with_it() -> None:
    """When faces are sorted, each keeps its own candidates, best score first."""
    result = finish(pb.RecognizerResult(faces=[face(0.6, 0.2, 0.9), face(0.1, 0.3, 0.8)]))
    names = [[candidate.display_name for candidate in one.candidates] for one in result.faces]
    assert names == [["0.8", "0.3"], ["0.9", "0.2"]]


def test_the_best_candidates_are_within_the_limit() -> None:
    """Of more candidates than a result may have, the best are kept."""
    scores = [number / 1000 for number in range(1000)]
    candidates = face(0.1, *scores).candidates
    result = finish(pb.RecognizerResult(faces=[face(0.1, *scores)], image_candidates=candidates))
    for kept, count in ((result.faces[0].candidates, 64), (result.image_candidates, 256)):
        assert [one.display_name for one in kept] == [str(score) for score in scores[: -count - 1 : -1]]


def test_the_best_labels_come_first() -> None:
    """Labels are sorted by score before they are cut."""
    result = finish(pb.RecognizerResult(labels=labels(0.2, 0.9, 0.5)), max_labels=2)
    assert [label.name for label in result.labels] == ["0.9", "0.5"]


def test_a_label_keeps_all_its_fields() -> None:
    """Sorting keeps all of a label's fields."""
    boat = pb.Label(name="Boat", score=0.5, parents=["Vehicle"], instances=[pb.LabelInstance(score=0.4)])
    result = finish(pb.RecognizerResult(labels=[*labels(0.1), boat, *labels(0.9)]))
    assert result.labels[1] == boat


def test_low_scores_are_left_out_everywhere() -> None:
    """min_score applies to candidates, labels, moderation labels and texts; a face left without candidates stays."""
    result_ = pb.RecognizerResult(
        faces=[face(0.1, 0.9, 0.3), face(0.5, 0.2)],
        image_candidates=[pb.Candidate(score=0.4), pb.Candidate(score=0.6)],
        labels=labels(0.5, 0.49),
        moderation_labels=[pb.ModerationLabel(score=0.1), pb.ModerationLabel(score=0.7)],
        texts=[pb.Text(score=0.8), pb.Text(score=0.2)],
    )
    result = finish(result_, min_score=0.5)
    assert [len(one.candidates) for one in result.faces] == [1, 0]
    filtered = (result.image_candidates, result.labels, result.moderation_labels, result.texts)
    assert [len(entries) for entries in filtered] == [1, 1, 1, 1]


def test_texts_keep_their_reading_order() -> None:
    """Texts are filtered, not sorted."""
    texts = [pb.Text(content="first", score=0.6), pb.Text(content="then", score=0.9)]
    assert [text.content for text in finish(pb.RecognizerResult(texts=texts)).texts] == ["first", "then"]


def test_a_skipped_result_has_a_reason() -> None:
    """A SKIPPED result has a human-readable reason and no performed features."""
    result = leaf.skipped_result("keras", "supports none of the features")
    assert (result.outcome, result.status.code) == (pb.OUTCOME_SKIPPED, code_pb2.OK)
    assert result.status.message == "supports none of the features"
    assert not result.performed_features

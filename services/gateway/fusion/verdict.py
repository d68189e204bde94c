"""One verdict a face and one list of labels, made of what all recognizers found. Pure.

A candidate below the identify_score of its model supports nothing: most strangers have one.
"""

import unicodedata
from collections.abc import Iterable, Sequence

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.fusion import faces
from services.runtime.requests import FACE_FEATURES

VALID = frozenset((pb.OUTCOME_OK, pb.OUTCOME_PARTIAL))


def verdicts(results: Iterable[pb.RecognizerResult]) -> list[pb.Verdict]:
    """Return one verdict per face, from left to right, then those of people without a box.

    A single NO_FACE if recognizers looked for faces and none found any, UNKNOWN if all that they saw are people without
    a box whom they are not sure of; nothing if none looked.
    """
    valid = [result for result in results if result.outcome in VALID]
    verdicts = [_judge(each) for each in faces.group(valid)]
    verdicts.sort(key=lambda verdict: (verdict.box.left, verdict.box.top))
    verdicts += _without_box(valid, verdicts)
    if not verdicts and any(result.image_candidates for result in valid):
        return [pb.Verdict(state=pb.VERDICT_STATE_UNKNOWN)]
    if not verdicts and any(FACE_FEATURES.intersection(result.performed_features) for result in valid):
        return [pb.Verdict(state=pb.VERDICT_STATE_NO_FACE)]
    return verdicts


def merge_labels(results: Iterable[pb.RecognizerResult], max_labels: int) -> list[pb.Label]:
    """Return the labels of all valid results, each name once with its best score, best first."""
    merged: dict[str, pb.Label] = {}
    labels = [label for result in results if result.outcome in VALID for label in result.labels]
    for label in sorted(labels, key=lambda label: -label.score):
        merged.setdefault(label.name.casefold(), label)
    return list(merged.values())[:max_labels]


def _judge(group: faces.Group) -> pb.Verdict:
    """Return the verdict on one face."""
    support = [
        _support(name, max(sure, key=lambda candidate: candidate.score), group.models[name])
        for name, face in group.faces.items()
        if (sure := _sure(face.candidates, group.models[name]))
    ]
    if not support:
        return pb.Verdict(state=pb.VERDICT_STATE_UNKNOWN, box=next(iter(group.faces.values())).box)
    verdict = _weigh(support)
    verdict.box.CopyFrom(group.faces[verdict.support[0].recognizer].box)
    return verdict


def _weigh(support: Iterable[pb.Support]) -> pb.Verdict:
    """Return the verdict that the support makes; of each evidence group only the best score counts."""
    ranked = sorted(support, key=lambda one: -one.candidate.score)
    votes: dict[str, pb.Candidate] = {}
    for one in ranked:
        votes.setdefault(one.evidence_group, one.candidate)
    if len({_person(candidate) for candidate in votes.values()}) > 1:
        return pb.Verdict(state=pb.VERDICT_STATE_DISAGREE, support=ranked)
    best = ranked[0].candidate
    return pb.Verdict(
        state=pb.VERDICT_STATE_IDENTIFIED,
        person_id=best.person_id,
        display_name=best.display_name,
        score=best.score,
        support=ranked,
    )


def _without_box(results: Sequence[pb.RecognizerResult], verdicts: Sequence[pb.Verdict]) -> list[pb.Verdict]:
    """Return a verdict for each person who was recognized in the whole picture and in no face."""
    seen = {_person(support.candidate) for verdict in verdicts for support in verdict.support}
    others: dict[str, list[pb.Support]] = {}
    for result in results:
        for candidate in _sure(result.image_candidates, result.model):
            if (key := _person(candidate)) not in seen:
                others.setdefault(key, []).append(_support(result.recognizer, candidate, result.model))
    return [_weigh(support) for support in others.values()]


def _sure(candidates: Iterable[pb.Candidate], model: pb.Model) -> list[pb.Candidate]:
    return [candidate for candidate in candidates if candidate.score >= model.identify_score]


def _support(recognizer: str, candidate: pb.Candidate, model: pb.Model) -> pb.Support:
    return pb.Support(recognizer=recognizer, candidate=candidate, evidence_group=model.evidence_group or recognizer)


def _person(candidate: pb.Candidate) -> str:
    """Return what is equal for candidates who are one person.

    Their display names, except for case, spaces, underscores and invisible characters: identifiers differ from
    recognizer to recognizer.
    """
    name = unicodedata.normalize("NFKC", candidate.display_name)  # file names on macOS decompose accents
    if not name.isprintable():
        name = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")  # such as zero-width spaces
    return " ".join(name.replace("_", " ").casefold().split())

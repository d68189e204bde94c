"""Fusion of many results into one verdict per face and one list of labels. Pure.

Faces of different recognizers are one face if their boxes overlap. People are one person if their display names are
equal except for case, spaces and underscores, because identifiers differ from recognizer to recognizer.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.boxes import iou

MIN_OVERLAP = 0.3
"""Minimum IoU of two boxes around one face. Detectors frame faces differently: around one face, a Haar box and a dlib
box measure 0.5 to 0.7; boxes of neighbours measure 0."""
_FACE_FEATURES = frozenset((pb.FEATURE_CELEBRITIES, pb.FEATURE_FACES, pb.FEATURE_FACE_SEARCH))
_VALID = frozenset((pb.OUTCOME_OK, pb.OUTCOME_PARTIAL))


def verdicts(results: Iterable[pb.RecognizerResult]) -> list[pb.Verdict]:
    """Return one verdict per face, from left to right, then those of people without a box.

    A single NO_FACE if recognizers looked for faces and none found any; nothing if none looked.
    """
    valid = [result for result in results if result.outcome in _VALID]
    verdicts = [_judge(group) for group in _group(valid)]
    verdicts.sort(key=lambda verdict: (verdict.box.left, verdict.box.top))
    verdicts += _without_box(valid, verdicts)
    if not verdicts and any(_FACE_FEATURES.intersection(result.performed_features) for result in valid):
        return [pb.Verdict(state=pb.VERDICT_STATE_NO_FACE)]
    return verdicts


def merge_labels(results: Iterable[pb.RecognizerResult], max_labels: int) -> list[pb.Label]:
    """Return the labels of all valid results, each name once with its best score, best first."""
    merged: dict[str, pb.Label] = {}
    labels = [label for result in results if result.outcome in _VALID for label in result.labels]
    for label in sorted(labels, key=lambda label: -label.score):
        merged.setdefault(label.name.casefold(), label)
    return list(merged.values())[:max_labels]


@dataclass
class _Group:
    """The faces that recognizers found in one place, by recognizer."""

    faces: dict[str, pb.Face] = field(default_factory=dict)
    models: dict[str, pb.Model] = field(default_factory=dict)

    def overlap(self, face: pb.Face) -> float:
        return max(iou(face.box, other.box) for other in self.faces.values())


def _group(results: Sequence[pb.RecognizerResult]) -> list[_Group]:
    groups: list[_Group] = []
    for result in results:
        for face in result.faces:
            group = _home(groups, result.recognizer, face)
            group.faces[result.recognizer] = face
            group.models[result.recognizer] = result.model
    return groups


def _home(groups: list[_Group], recognizer: str, face: pb.Face) -> _Group:
    """Return the group that overlaps most and has no face of this recognizer yet, or a new one."""
    free = [group for group in groups if recognizer not in group.faces]
    best = max(free, key=lambda group: group.overlap(face), default=None)
    if best is None or best.overlap(face) < MIN_OVERLAP:
        best = _Group()
        groups.append(best)
    return best


def _judge(group: _Group) -> pb.Verdict:
    """Return the verdict on one face."""
    candidates = {
        name: max(face.candidates, key=lambda candidate: candidate.score)
        for name, face in group.faces.items()
        if face.candidates
    }
    if not candidates:
        return pb.Verdict(state=pb.VERDICT_STATE_UNKNOWN, box=next(iter(group.faces.values())).box)
    verdict = _weigh([_support(name, candidate, group.models[name]) for name, candidate in candidates.items()])
    verdict.box.CopyFrom(group.faces[verdict.support[0].recognizer].box)
    return verdict


def _weigh(support: Iterable[pb.Support]) -> pb.Verdict:
    """Return the verdict that the support makes; of each evidence group only the best score counts."""
    ranked = sorted(support, key=lambda one: -one.candidate.score)
    votes: dict[str, pb.Candidate] = {}
    for one in ranked:
        votes.setdefault(one.evidence_group, one.candidate)
    if len({_key(candidate) for candidate in votes.values()}) > 1:
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
    faces = {_key(support.candidate) for verdict in verdicts for support in verdict.support}
    people: dict[str, list[pb.Support]] = {}
    for result in results:
        for candidate in result.image_candidates:
            if (key := _key(candidate)) not in faces:
                people.setdefault(key, []).append(_support(result.recognizer, candidate, result.model))
    return [_weigh(support) for support in people.values()]


def _support(recognizer: str, candidate: pb.Candidate, model: pb.Model) -> pb.Support:
    return pb.Support(recognizer=recognizer, candidate=candidate, evidence_group=model.evidence_group or recognizer)


def _key(candidate: pb.Candidate) -> str:
    name = unicodedata.normalize("NFKC", candidate.display_name)  # file names on macOS decompose accents
    return " ".join(name.replace("_", " ").casefold().split())

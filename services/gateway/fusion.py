"""From many results to one verdict a face and one list of labels. Pure.

Faces of different recognizers are one face when their boxes overlap. A person is the same person
when the display names are equal but for case, blanks and underscores: identifiers differ from
recognizer to recognizer.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from marquee.v1 import recognizer_pb2 as pb

LEAST_OVERLAP = 0.3
"""Least IoU for two boxes to show one face. Detectors frame faces differently: around one face, a box
of Haar's and one of dlib's measure 0.5 to 0.7, boxes of two neighbours 0."""
_LOOKS_FOR_FACES = frozenset((pb.FEATURE_CELEBRITIES, pb.FEATURE_FACES, pb.FEATURE_FACE_SEARCH))
_VALID = frozenset((pb.OUTCOME_OK, pb.OUTCOME_PARTIAL))


def verdicts(results: Iterable[pb.RecognizerResult]) -> list[pb.Verdict]:
    """One verdict a face, from left to right, then people seen without a place.

    A single NO_FACE where somebody looked for faces and nobody found any; nothing where nobody looked.
    """
    valid = [result for result in results if result.outcome in _VALID]
    found = [_judge(group) for group in _group(valid)]
    found.sort(key=lambda verdict: (verdict.box.left, verdict.box.top))
    found += _without_place(valid, found)
    if not found and any(_LOOKS_FOR_FACES.intersection(result.performed_features) for result in valid):
        return [pb.Verdict(state=pb.VERDICT_STATE_NO_FACE)]
    return found


def merge_labels(results: Iterable[pb.RecognizerResult], most: int) -> list[pb.Label]:
    """The labels of all valid results, each name once with its best score, best first."""
    merged: dict[str, pb.Label] = {}
    labels = [label for result in results if result.outcome in _VALID for label in result.labels]
    for label in sorted(labels, key=lambda label: -label.score):
        merged.setdefault(label.name.casefold(), label)
    return list(merged.values())[:most]


def overlap(one: pb.BoundingBox, other: pb.BoundingBox) -> float:
    """Intersection over union of two boxes: 0 (apart) to 1 (equal)."""
    width = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    height = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    both = max(width, 0.0) * max(height, 0.0)
    either = one.width * one.height + other.width * other.height - both
    return both / either if either > 0 else 0.0


@dataclass
class _Group:
    """What the recognizers see in one place."""

    faces: dict[str, pb.Face] = field(default_factory=dict)
    models: dict[str, pb.Model] = field(default_factory=dict)

    def overlap(self, face: pb.Face) -> float:
        return max(overlap(face.box, other.box) for other in self.faces.values())


def _group(results: Sequence[pb.RecognizerResult]) -> list[_Group]:
    groups: list[_Group] = []
    for result in results:
        for face in result.faces:
            group = _home(groups, result.recognizer, face)
            group.faces[result.recognizer] = face
            group.models[result.recognizer] = result.model
    return groups


def _home(groups: list[_Group], recognizer: str, face: pb.Face) -> _Group:
    """The group that overlaps most and has no face of this recognizer yet, or a new one."""
    free = [group for group in groups if recognizer not in group.faces]
    best = max(free, key=lambda group: group.overlap(face), default=None)
    if best is None or best.overlap(face) < LEAST_OVERLAP:
        best = _Group()
        groups.append(best)
    return best


def _judge(group: _Group) -> pb.Verdict:
    support = sorted(
        (
            pb.Support(
                recognizer=name,
                candidate=max(face.candidates, key=lambda candidate: candidate.score),
                evidence_group=group.models[name].evidence_group or name,
            )
            for name, face in group.faces.items()
            if face.candidates
        ),
        key=lambda one: -one.candidate.score,
    )
    if not support:
        return pb.Verdict(state=pb.VERDICT_STATE_UNKNOWN, box=next(iter(group.faces.values())).box)
    verdict = _weigh(support)
    verdict.box.CopyFrom(group.faces[support[0].recognizer].box)
    return verdict


def _weigh(support: Sequence[pb.Support]) -> pb.Verdict:
    """Each evidence group speaks once, by its best score; support comes best score first."""
    spoken: dict[str, pb.Candidate] = {}
    for one in support:
        spoken.setdefault(one.evidence_group, one.candidate)
    if len({_key(candidate) for candidate in spoken.values()}) > 1:
        return pb.Verdict(state=pb.VERDICT_STATE_DISAGREE, support=support)
    best = support[0].candidate
    return pb.Verdict(
        state=pb.VERDICT_STATE_IDENTIFIED,
        person_id=best.person_id,
        display_name=best.display_name,
        score=best.score,
        support=support,
    )


def _without_place(results: Sequence[pb.RecognizerResult], found: Sequence[pb.Verdict]) -> list[pb.Verdict]:
    """A verdict for each person seen in the picture as a whole and in no face."""
    placed = {_key(support.candidate) for verdict in found for support in verdict.support}
    people: dict[str, list[pb.Support]] = {}
    for result in results:
        for candidate in result.image_candidates:
            if _key(candidate) not in placed:
                group = result.model.evidence_group or result.recognizer
                support = pb.Support(recognizer=result.recognizer, candidate=candidate, evidence_group=group)
                people.setdefault(_key(candidate), []).append(support)
    return [_weigh(sorted(support, key=lambda one: -one.candidate.score)) for support in people.values()]


def _key(candidate: pb.Candidate) -> str:
    name = unicodedata.normalize("NFKC", candidate.display_name)  # macOS's file names have accents apart
    return " ".join(name.replace("_", " ").casefold().split())

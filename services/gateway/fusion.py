"""Fusion of many results into one verdict per face and one list of labels. Pure.

Faces of different recognizers are one face if their boxes overlap. People are one person if their display names are
equal except for case, spaces, underscores and invisible characters, because identifiers differ from recognizer to
recognizer. A candidate below the identify_score of its model supports nothing: most strangers have one.
"""

import math
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.boxes import MIN_OVERLAP, Corners
from services.runtime.requests import FACE_FEATURES

_LEVELS = math.ceil(-math.log2(MIN_OVERLAP))
_SMALLEST = 1e-6
_MAX_BOXES = 4
"""Maximum number of a group's boxes that further faces are compared with."""
_MAX_COMPARED = 1000
"""Maximum number of boxes around a face that it is compared with. Real faces have tens around them."""
_VALID = frozenset((pb.OUTCOME_OK, pb.OUTCOME_PARTIAL))


def verdicts(results: Iterable[pb.RecognizerResult]) -> list[pb.Verdict]:
    """Return one verdict per face, from left to right, then those of people without a box.

    A single NO_FACE if recognizers looked for faces and none found any, UNKNOWN if all that they saw are people without
    a box whom they are not sure of; nothing if none looked.
    """
    valid = [result for result in results if result.outcome in _VALID]
    verdicts = [_judge(group) for group in _group(valid)]
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
    labels = [label for result in results if result.outcome in _VALID for label in result.labels]
    for label in sorted(labels, key=lambda label: -label.score):
        merged.setdefault(label.name.casefold(), label)
    return list(merged.values())[:max_labels]


@dataclass
class _Group:
    """The faces that recognizers found in one place, by recognizer."""

    faces: dict[str, pb.Face] = field(default_factory=dict)
    models: dict[str, pb.Model] = field(default_factory=dict)


class _Places:
    """The groups by place and size, so that a face is compared with those around it only.

    The cells of each level are half as long as those of the level before. A box is in the cell of its center, on the
    last level whose cells are not shorter than the box. Boxes that overlap enough are few levels apart, since their
    IoU is at most the shorter width over the longer one, and likewise the height.
    """

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int, int], list[tuple[Corners, _Group]]] = defaultdict(list)

    def add(self, box: Corners, group: _Group) -> None:
        """Add a box of the group."""
        level = _level(box)
        x, y = (box.left + box.right) / 2 * 2**level, (box.top + box.bottom) / 2 * 2**level
        self._cells[level, math.floor(x), math.floor(y)].append((box, group))

    def home(self, box: Corners, recognizer: str) -> _Group | None:
        """Return the group that overlaps most, and enough, and has no face of this recognizer yet."""
        left, top, right, bottom, area = box
        best, most = None, MIN_OVERLAP
        for (x, y, end, base, other), group in islice(self._around(box), _MAX_COMPARED):
            # As boxes.iou, but in a fifth of its time; min and max would double it.
            width = (right if right < end else end) - (left if left > x else x)  # noqa: FURB136
            height = (bottom if bottom < base else base) - (top if top > y else y)  # noqa: FURB136
            if width > 0 and height > 0 and recognizer not in group.faces:
                common = width * height
                overlap = common / (area + other - common)
                if overlap > most or (overlap == most and best is None):
                    best, most = group, overlap
        return best

    def _around(self, box: Corners) -> Iterator[tuple[Corners, _Group]]:
        own = _level(box)
        for level in range(own - _LEVELS, own + _LEVELS + 1):
            scale = 2.0**level
            # The centers of boxes that overlap are apart by half of each at most; half of the other is half a cell.
            rows = _cells(box.top * scale - 0.5, box.bottom * scale + 0.5)
            for column in _cells(box.left * scale - 0.5, box.right * scale + 0.5):
                for row in rows:
                    yield from self._cells.get((level, column, row), ())


def _level(box: Corners) -> int:
    return math.floor(-math.log2(max(box.right - box.left, box.bottom - box.top, _SMALLEST)))


def _cells(first: float, last: float) -> range:
    return range(math.floor(first), math.floor(last) + 1)


def _group(results: Sequence[pb.RecognizerResult]) -> list[_Group]:
    groups: list[_Group] = []
    places = _Places()
    for result in results:
        for face in result.faces:
            box = Corners.of(face.box)
            group = places.home(box, result.recognizer)
            if group is None:
                group = _Group()
                groups.append(group)
            if len(group.faces) < _MAX_BOXES:
                places.add(box, group)
            group.faces[result.recognizer] = face
            group.models[result.recognizer] = result.model
    return groups


def _judge(group: _Group) -> pb.Verdict:
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
        for candidate in _sure(result.image_candidates, result.model):
            if (key := _key(candidate)) not in faces:
                people.setdefault(key, []).append(_support(result.recognizer, candidate, result.model))
    return [_weigh(support) for support in people.values()]


def _sure(candidates: Iterable[pb.Candidate], model: pb.Model) -> list[pb.Candidate]:
    return [candidate for candidate in candidates if candidate.score >= model.identify_score]


def _support(recognizer: str, candidate: pb.Candidate, model: pb.Model) -> pb.Support:
    return pb.Support(recognizer=recognizer, candidate=candidate, evidence_group=model.evidence_group or recognizer)


def _key(candidate: pb.Candidate) -> str:
    name = unicodedata.normalize("NFKC", candidate.display_name)  # file names on macOS decompose accents
    if not name.isprintable():
        name = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")  # such as zero-width spaces
    return " ".join(name.replace("_", " ").casefold().split())

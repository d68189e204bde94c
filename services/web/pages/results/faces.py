"""The faces on a picture: which of different recognizers' are one, and what each thinks of it. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.boxes import MIN_OVERLAP, Corners
from services.web.pages import words
from services.web.pages.results import findings
from services.web.pages.results.findings import Finding, Place
from services.web.pages.words import clean, key, percent

MOST = 100
"""How many faces are shown; the files to take away have them all."""
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
"""Where words meet in "AgeRange"."""
_NEAR_EDGE = 0.22
_NEAR_BOTTOM = 0.9
_LEAST_SCORE = 0.005
"""Candidates that round to 0 % say nothing."""
_MOST_LANDMARKS = 128
_VALID = frozenset((pb.OUTCOME_OK, pb.OUTCOME_PARTIAL))
_FINDING = frozenset((pb.FEATURE_CELEBRITIES, pb.FEATURE_FACES, pb.FEATURE_FACE_SEARCH))
_NAMING = frozenset((pb.FEATURE_CELEBRITIES, pb.FEATURE_FACE_SEARCH))
_STATES = {
    pb.VERDICT_STATE_IDENTIFIED: "identified",
    pb.VERDICT_STATE_DISAGREE: "disagree",
}
STANCES = {
    "agrees": "Agrees",
    "disagrees": "Says otherwise",
    "unsure": "Not sure",
    "uncounted": "Names somebody, which does not count here",
    "unknown": "Does not know this face",
    "unnamed": "Sees the face, names nobody",
    "unseen": "Did not find this face",
}


@dataclass(frozen=True)
class Opinion:
    """What one recognizer thinks of one face."""

    recognizer: str
    stance: str
    """A key of STANCES."""
    candidates: Sequence[Finding] = ()
    facts: Sequence[tuple[str, str]] = ()
    """Names and values of what it measured."""

    @property
    def words(self) -> str:
        """The stance, as people read it."""
        return STANCES[self.stance]


@dataclass(frozen=True)
class Face:
    """A face on the picture."""

    id: str
    box: Place
    """Left, top, width, height, in fractions."""
    state: str
    """"identified", "disagree" or "unknown"."""
    name: str
    """Of the person, or of all whom it might be; empty: unknown."""
    score: str
    number: int
    """In the order in which they were found."""
    support: str
    """How many agree: "2 of 3 agree"; empty: that says nothing."""
    label: str
    """All of it in a line: "Raj, 93 %, 2 of 3 agree"."""
    reasoning: str
    person_id: str = ""
    opinions: Sequence[Opinion] = ()
    landmarks: Sequence[tuple[float, float]] = ()

    @property
    def edge(self) -> str:
        """At which edges of the picture it is, where its name has to stay inside: "left", "right bottom", and so on."""
        left, top, width, height = self.box
        middle = left + width / 2
        sides = {"left": middle < _NEAR_EDGE, "right": middle > 1 - _NEAR_EDGE, "bottom": top + height > _NEAR_BOTTOM}
        return " ".join(name for name, is_there in sides.items() if is_there)

    @property
    def title(self) -> str:
        """Who it is, or what it is instead."""
        return self.name or "Unknown face"


@dataclass
class Group:
    """The faces that recognizers found in one place."""

    number: int
    """In the order in which they came: it stays when further results come."""
    box: pb.BoundingBox
    faces: dict[str, pb.Face] = field(default_factory=dict)
    areas: list[Corners] = field(default_factory=list)
    verdict: pb.Verdict = field(default_factory=pb.Verdict)


def looks_for_faces(result: pb.RecognizerResult) -> bool:
    """Return whether the recognizer answered and looked for faces."""
    return result.outcome in _VALID and not _FINDING.isdisjoint(result.performed_features)


def names_faces(result: pb.RecognizerResult) -> bool:
    """Return whether the recognizer answered and looked for people whom it knows."""
    return result.outcome in _VALID and not _NAMING.isdisjoint(result.performed_features)


def groups_of(results: Sequence[pb.RecognizerResult], verdicts: Sequence[pb.Verdict]) -> list[Group]:
    """Return the faces from left to right, each with the gateway's verdict, or one on what is known so far."""
    groups: list[Group] = []
    for result in results:
        if result.outcome in _VALID:
            for face in islice(result.faces, MOST):
                _add(groups, result.recognizer, face)
    models = {result.recognizer: result.model for result in results}
    for group in groups:
        group.verdict = _so_far(group, models)
    if verdicts:
        groups = list(_judged(groups, [verdict for verdict in verdicts if verdict.HasField("box")]))
    return sorted(groups, key=lambda group: (group.box.left, group.box.top))


def face_id(prefix: str, group: Group) -> str:
    """Return the id of the face in the page."""
    return f"{prefix}-face-{group.number}"


def faces_of(
    prefix: str, groups: Sequence[Group], results: Sequence[pb.RecognizerResult], *, is_done: bool
) -> list[Face]:
    """Return the first faces as they are shown."""
    strangers = [group.number for group in groups if group.verdict.state == pb.VERDICT_STATE_UNKNOWN]
    numbers = {number: index for index, number in enumerate(strangers, 1)} if len(strangers) > 1 else {}
    return [
        _face(prefix, group, results, numbers.get(group.number), "" if is_done else ", so far")
        for group in groups[:MOST]
    ]


def _add(groups: list[Group], recognizer: str, face: pb.Face) -> None:
    """Put the face into the group that overlaps most, and enough, and has none of this recognizer; else into a new."""
    area = Corners.of(face.box)
    home = _nearest((group for group in groups if recognizer not in group.faces), area)
    if home is None:
        home = Group(len(groups), face.box)
        groups.append(home)
    home.faces[recognizer] = face
    home.areas.append(area)


def _nearest(groups: Iterable[Group], area: Corners) -> Group | None:
    best, most = None, MIN_OVERLAP
    for group in groups:
        for other in group.areas:
            overlap = area.iou(other)
            if overlap > most or (overlap == most and best is None):
                best, most = group, overlap
    return best


def _so_far(group: Group, models: Mapping[str, pb.Model]) -> pb.Verdict:
    """Return what the recognizers that have answered say, as long as the gateway has not judged."""
    support = [
        pb.Support(recognizer=name, candidate=candidate)
        for name, face in group.faces.items()
        if (candidate := findings.best(face.candidates)) and findings.is_sure(candidate, models[name])
    ]
    if not support:
        return pb.Verdict(state=pb.VERDICT_STATE_UNKNOWN, box=group.box)
    support.sort(key=lambda one: -one.candidate.score)
    best = support[0].candidate
    if len({key(one.candidate.display_name) for one in support}) > 1:
        return pb.Verdict(state=pb.VERDICT_STATE_DISAGREE, box=group.box, support=support)
    return pb.Verdict(
        state=pb.VERDICT_STATE_IDENTIFIED,
        box=group.box,
        support=support,
        person_id=best.person_id,
        display_name=best.display_name,
        score=best.score,
    )


def _judged(groups: Sequence[Group], verdicts: Sequence[pb.Verdict]) -> Iterator[Group]:
    """Yield a group for each verdict: the one whose face it is on, else one of its own."""
    left = {group.number: group for group in groups}
    for number, verdict in enumerate(verdicts[: MOST * 2], len(groups)):
        best = _nearest(left.values(), Corners.of(verdict.box)) or Group(number, verdict.box)
        left.pop(best.number, None)
        best.box = verdict.box
        best.verdict = verdict
        yield best


def _face(prefix: str, group: Group, results: Sequence[pb.RecognizerResult], number: int | None, ending: str) -> Face:
    verdict = group.verdict
    opinions = [opinion(group, result) for result in results if looks_for_faces(result)]
    name = words.name_of(verdict)
    score = percent(verdict.score) if verdict.state == pb.VERDICT_STATE_IDENTIFIED else ""
    support = _support(verdict, results, opinions)
    stranger = "Unknown face" if number is None else f"Unknown face {number}"
    return Face(
        id=face_id(prefix, group),
        box=findings.place(group.box),
        state=_STATES.get(verdict.state, "unknown"),
        name=name,
        score=score,
        number=group.number,
        support=support and support + ending,
        label=", ".join(part for part in (name or stranger, score, support) if part) + ending,
        reasoning=words.reasoning(verdict),
        person_id=clean(verdict.person_id),
        opinions=opinions,
        landmarks=_landmarks(group.faces.values()),
    )


def _support(verdict: pb.Verdict, results: Sequence[pb.RecognizerResult], opinions: Sequence[Opinion]) -> str:
    match verdict.state:
        case pb.VERDICT_STATE_IDENTIFIED:
            agreeing = sum(one.stance == "agrees" for one in opinions)
            voices = sum(names_faces(result) for result in results)
            return f"{agreeing} of {max(voices, agreeing)} agree"
        case pb.VERDICT_STATE_DISAGREE:
            return "they disagree"
        case _:
            return ""


def opinion(group: Group, result: pb.RecognizerResult) -> Opinion:
    """Return what the recognizer, which looked for faces, thinks of the face."""
    face = group.faces.get(result.recognizer)
    recognizer = clean(result.recognizer)
    if face is None:
        return Opinion(recognizer, "unseen")
    candidates = [findings.person(one, result.model) for one in face.candidates if one.score >= _LEAST_SCORE]
    return Opinion(recognizer, _stance(group.verdict, face, result), candidates, list(_facts(face)))


def _stance(verdict: pb.Verdict, face: pb.Face, result: pb.RecognizerResult) -> str:
    best = findings.best(face.candidates)
    if best is None:
        return "unknown" if names_faces(result) else "unnamed"
    if not findings.is_sure(best, result.model):
        return "unsure"
    if verdict.state == pb.VERDICT_STATE_UNKNOWN:
        return "uncounted"
    return "agrees" if words.is_person(best, verdict) else "disagrees"


def _facts(face: pb.Face) -> Iterator[tuple[str, str]]:
    if face.detection_score:
        yield "Surely a face", percent(face.detection_score)
    quality = face.quality
    if quality.HasField("sharpness"):
        yield "Sharpness", percent(quality.sharpness)
    if quality.HasField("brightness"):
        yield "Brightness", percent(quality.brightness)
    if quality.HasField("pose"):
        turns = (("tilted", quality.pose.roll), ("turned", quality.pose.yaw), ("nodding", quality.pose.pitch))
        yield "Looks", ", ".join(f"{word} {degrees:.0f}°" for word, degrees in turns)
    for attribute in face.attributes:
        name = _HUMP.sub(" ", clean(attribute.name)).capitalize()
        value = {"true": "yes", "false": "no"}.get(attribute.value, clean(attribute.value))
        yield name, f"{value} ({percent(attribute.score)})" if attribute.score else value


def _landmarks(faces: Iterable[pb.Face]) -> list[tuple[float, float]]:
    """Return the points of the recognizer that tells most."""
    most = max((face.landmarks for face in faces), key=len, default=())
    return [(words.share(point.x), words.share(point.y)) for point in islice(most, _MOST_LANDMARKS)]

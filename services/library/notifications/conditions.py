"""Which rules fit a picture, and of whom or what they tell. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from marquee.library.v1 import notification_pb2 as pb
from marquee.v1.recognizer_pb2 import (
    VERDICT_STATE_DISAGREE,
    VERDICT_STATE_IDENTIFIED,
    VERDICT_STATE_NO_FACE,
    VERDICT_STATE_UNKNOWN,
)


class SeenFace(NamedTuple):
    """A face of a picture."""

    state: int
    person_id: str
    folded_name: str
    score: float

    @property
    def person(self) -> str:
        """Who it is, of all that are IDENTIFIED."""
        return self.person_id or self.folded_name


class SeenLabel(NamedTuple):
    """A label of a picture, or a parent of one."""

    folded_name: str
    score: float


@dataclass(frozen=True)
class Seen:
    """What is known of a picture as its event is read."""

    picture_id: UUID
    is_recognized: bool
    """Not: the recognition failed, so that what is known is of earlier ones."""
    faces: Sequence[SeenFace] = ()
    labels: Sequence[SeenLabel] = ()
    folded_categories: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Rule:
    """What a rule looks for."""

    trigger: int
    folded_subject: str = ""
    subject: str = ""
    min_score: float = 0.0


def subjects(rule: Rule, seen: Seen) -> list[str]:
    """Return what the rule tells of the picture: each subject is an occurrence of its own. Empty: nothing."""
    states = {face.state for face in seen.faces} if seen.is_recognized else set()
    match rule.trigger:
        case pb.NOTIFICATION_TRIGGER_PERSON:
            people = _people(rule, seen.faces) if seen.is_recognized else ()
            return list(dict.fromkeys(one.person for one in people))
        case pb.NOTIFICATION_TRIGGER_PICTURE:
            fits = True
        case pb.NOTIFICATION_TRIGGER_CATEGORY:  # also by hand, of a picture that nobody recognized
            fits = rule.folded_subject in seen.folded_categories
        case pb.NOTIFICATION_TRIGGER_LABEL:
            fits = seen.is_recognized and _has_label(rule, seen.labels)
        case pb.NOTIFICATION_TRIGGER_UNKNOWN:
            fits = VERDICT_STATE_UNKNOWN in states
        case pb.NOTIFICATION_TRIGGER_NOBODY:
            fits = states == {VERDICT_STATE_NO_FACE}
        case _:
            fits = rule.trigger == pb.NOTIFICATION_TRIGGER_DISAGREEMENT and VERDICT_STATE_DISAGREE in states
    return [""] if fits else []


def _has_label(rule: Rule, labels: Iterable[SeenLabel]) -> bool:
    return any(one.folded_name == rule.folded_subject and one.score >= rule.min_score for one in labels)


def _people(rule: Rule, faces: Iterable[SeenFace]) -> Iterable[SeenFace]:
    for face in faces:
        is_named = not rule.subject or rule.subject == face.person_id or rule.folded_subject == face.folded_name
        if face.state == VERDICT_STATE_IDENTIFIED and is_named and face.person and face.score >= rule.min_score:
            yield face

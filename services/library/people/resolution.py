"""Whom the faces of a picture show, by what machines say, what was decided and what was refused. Pure.

It depends on nothing but these facts, so the order in which they came never matters, and taking one back leads to
where it was.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from marquee.library.v1 import library_pb2 as pb

NEIGHBOURS = "neighbours"
"""Source of opinions that come from faces nearby."""


class Opinion(NamedTuple):
    """That a machine is sure enough of a person to name a face."""

    person_id: UUID
    score: float
    source: str


@dataclass(frozen=True)
class Facts:
    """What is known of a face. People who were merged are told by whom they are by now."""

    face_id: UUID
    decided: bool = False
    person_id: UUID | None = None
    """Who was decided; None: nobody, of a decided face."""
    opinions: Sequence[Opinion] = ()
    """Those that are sure enough to name it, and of nobody who was deleted."""
    refused: AbstractSet[UUID] = field(default_factory=frozenset)


class Assignment(NamedTuple):
    """Whom a face shows."""

    person_id: UUID
    score: float
    source: pb.AssignmentSource.ValueType


def resolve(faces: Iterable[Facts]) -> dict[UUID, Assignment]:
    """Return whom the faces of one picture show; those that are left out show nobody who is known.

    Decisions hold. Of the others, each face gets whom it is most like and was not refused, and nobody is in a picture
    twice. What faces nearby say, which follows from decisions, goes before what recognizers say.
    """
    known = list(faces)
    found = {
        face.face_id: Assignment(face.person_id, 1.0, pb.ASSIGNMENT_SOURCE_DECISION)
        for face in known
        if face.decided and face.person_id
    }
    present = {one.person_id for one in found.values()}
    for face_id, opinion in sorted(_open(known), key=_order):
        if face_id not in found and opinion.person_id not in present:
            found[face_id] = Assignment(opinion.person_id, opinion.score, _SOURCES.get(opinion.source, _RECOGNIZERS))
            present.add(opinion.person_id)
    return found


_RECOGNIZERS = pb.ASSIGNMENT_SOURCE_RECOGNIZERS
_SOURCES: Mapping[str, pb.AssignmentSource.ValueType] = {NEIGHBOURS: pb.ASSIGNMENT_SOURCE_NEIGHBOURS}


def _open(faces: Iterable[Facts]) -> Iterable[tuple[UUID, Opinion]]:
    return (
        (face.face_id, opinion)
        for face in faces
        if not face.decided
        for opinion in face.opinions
        if opinion.person_id not in face.refused
    )


def _order(one: tuple[UUID, Opinion]) -> tuple[bool, float, UUID, UUID]:
    face_id, opinion = one
    return opinion.source != NEIGHBOURS, -opinion.score, face_id, opinion.person_id

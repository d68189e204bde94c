"""ExplainFace: why a face has its name, and what undoing its decision would change."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import library_pb2
from marquee.library.v1 import people_pb2 as pb
from services.library.database.database import Database
from services.library.database.people_tables import DecisionKind
from services.library.faces import models, neighbours
from services.library.grouping import bands
from services.library.grouping.look import Looks
from services.library.grouping.naming import Said
from services.library.people.faces import facts_of
from services.library.people.resolution import NEIGHBOURS, Assignment, Facts, Opinion, resolve
from services.library.people.view import face_of, found_faces, people_of
from services.library.pictures.view import timestamp

_NEIGHBOURS = 20
"""Faces nearby that are shown."""
_AFFECTED = 200
"""Faces nearby that may follow the face's decision."""
_MOST_AFFECTED = 500
_MOST_LOOKS = 50
_MOST_REASONS, _MOST_LETTERS = 64, 2000
_NAMES = 5
"""Of faces nearby that are told."""
_MARKS = {
    DecisionKind.PERSON: pb.FACE_MARK_UNSPECIFIED,
    DecisionKind.IGNORED: pb.FACE_MARK_IGNORED,
    DecisionKind.NOT_A_FACE: pb.FACE_MARK_NOT_A_FACE,
}
_OPINIONS = text("""
SELECT opinion.source, named.person_id, named.display_name, score, band, model, version,
  named.delete_time IS NOT NULL AS deleted
FROM opinion JOIN person USING (person_id)
JOIN person AS named ON named.person_id = coalesce(person.merged_id, person.person_id)
WHERE face_id = :face_id ORDER BY score DESC, opinion.source, named.person_id LIMIT 256
""")
_DECISION = text("""
SELECT decision.kind, named.person_id, named.display_name, decision.caller, decision.create_time, (
  SELECT action_id FROM (
    SELECT action_id, after FROM action_row
    WHERE face_id = :face_id AND table_name = 'decision' ORDER BY position DESC LIMIT 1
  ) AS last JOIN action USING (action_id)
  WHERE after = to_jsonb(decision) AND undone_by IS NULL
) AS action_id
FROM decision
LEFT JOIN person ON person.person_id = decision.person_id
LEFT JOIN person AS named ON named.person_id = coalesce(person.merged_id, person.person_id)
WHERE face_id = :face_id
""")
_REFUSALS = text("""
SELECT named.person_id, named.display_name, face_refusal.caller, face_refusal.create_time
FROM face_refusal JOIN person USING (person_id)
JOIN person AS named ON named.person_id = coalesce(person.merged_id, person.person_id)
WHERE face_id = :face_id ORDER BY face_refusal.create_time, named.person_id LIMIT 256
""")
_FOLLOWERS = text("""
SELECT face_id FROM face JOIN picture USING (picture_id)
WHERE (face_id = ANY(:near) OR cluster_id = :cluster_id) AND face_id <> :face_id AND current
  AND source = :source AND person_id = :person_id AND collection_id = :collection_id
ORDER BY face_id LIMIT 500
""").bindparams(bindparam("near", type_=ARRAY(Uuid)))


class Explanation:
    """ExplainFace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def explain(self, request: pb.ExplainFaceRequest) -> pb.ExplainFaceResponse:
        """Explain a face's name. Raises FaceNotFound."""
        collection_id = await self._database.collection_id(request.collection, make=False)
        async with self._database.snapshot() as connection:
            face = await face_of(connection, collection_id, request.face_id)
            return await _explained(connection, collection_id, face)


class _Case(NamedTuple):
    """What there is to say of a face."""

    face: Any
    shown: Assignment | None
    """Whom it shows."""
    present: frozenset[UUID]
    """Who the other faces of its picture are."""
    refused: frozenset[UUID]
    decision: Any
    """None: there is none."""


async def _explained(connection: AsyncConnection, collection_id: int, face: Any) -> pb.ExplainFaceResponse:
    face_id, of_face = UUID(int=face.face_id.int), {"face_id": face.face_id}
    found = resolve(await facts_of(connection, face.picture_id))
    decision = (await connection.execute(_DECISION, of_face)).one_or_none()
    refusals = (await connection.execute(_REFUSALS, of_face)).all()
    present = frozenset(one.person_id for other, one in found.items() if other != face_id)
    case = _Case(face, found.get(face_id), present, frozenset(one.person_id for one in refusals), decision)
    opinions = await connection.execute(_OPINIONS, of_face)
    near = await _near(connection, collection_id, face_id)
    distances = {one.face_id: one.distance for one in near[:_NEIGHBOURS]}
    response = pb.ExplainFaceResponse(
        face=(await found_faces(connection, collection_id, [face_id]))[0],
        opinions=[_opinion(case, row) for row in opinions],
        decision=None if decision is None else _decision(decision),
        refusals=[_refusal(row) for row in refusals],
        neighbours=await found_faces(connection, collection_id, list(distances), distances),
    )
    if decision is not None:
        undone = await _undone(connection, collection_id, case, [one.face_id for one in near])
        response.affected_face_ids.extend(map(str, undone.affected))
        if undone.person_id is not None:
            response.without_decision.CopyFrom((await people_of(connection, collection_id, [undone.person_id]))[0])
    response.reasons.extend(one[:_MOST_LETTERS] for one in islice(_reasons(response, case), _MOST_REASONS))
    return response


class _Undone(NamedTuple):
    """What follows once the decision is taken back."""

    person_id: UUID | None
    """Whom the face shows then."""
    affected: Sequence[UUID]
    """Other faces that may have another name."""


async def _undone(connection: AsyncConnection, collection_id: int, case: _Case, near: Sequence[UUID]) -> _Undone:
    face_id = UUID(int=case.face.face_id.int)
    space = await bands.space_of(connection, collection_id)
    looks = None
    if space is not None and space.bands is not None:
        looks = Looks(connection, collection_id, space, space.bands, without=face_id)
    told = await looks.told(face_id) if looks else {}
    facts = await facts_of(connection, case.face.picture_id)
    before, after = resolve(facts), resolve(_undecided(one, told) if one.face_id == face_id else one for one in facts)
    affected = {one for one in before.keys() | after.keys() if _who(before, one) != _who(after, one)}
    if looks is not None:
        affected |= await _followers(connection, collection_id, case, near, looks)
    return _Undone(_who(after, face_id), sorted(affected - {face_id})[:_MOST_AFFECTED])


def _who(found: Mapping[UUID, Assignment], face_id: UUID) -> UUID | None:
    return found[face_id].person_id if face_id in found else None


def _undecided(facts: Facts, told: Mapping[UUID, Said]) -> Facts:
    """Return the facts about a face as they are without its decision, if faces near it say that."""
    others = [one for one in facts.opinions if one.source != NEIGHBOURS]
    sure = [Opinion(one, said.score, NEIGHBOURS) for one, said in told.items() if said.band == pb.BAND_ASSIGN]
    return replace(facts, decided=False, person_id=None, opinions=[*others, *sure])


async def _near(connection: AsyncConnection, collection_id: int, face_id: UUID) -> Sequence[neighbours.Neighbour]:
    model = await models.used(connection, collection_id)
    if model is None:
        return []
    return await neighbours.nearest(connection, face_id, model.model_id, collection_id, _AFFECTED)


async def _followers(
    connection: AsyncConnection, collection_id: int, case: _Case, near: Sequence[UUID], looks: Looks
) -> set[UUID]:
    """Return the faces nearby, and of the same cluster, that those near them name otherwise without the decision.

    Of many, the first are looked at, and others only have the name that was decided.
    """
    if case.shown is None:
        return set()
    values = {
        "near": list(near),
        "cluster_id": case.face.cluster_id,
        "face_id": case.face.face_id,
        "source": library_pb2.ASSIGNMENT_SOURCE_NEIGHBOURS,
        "person_id": str(case.shown.person_id),
        "collection_id": collection_id,
    }
    named = [UUID(int=one.int) for one in (await connection.execute(_FOLLOWERS, values)).scalars()]
    kept = set()
    for face_id in named[:_MOST_LOOKS]:
        told = (await looks.told(face_id)).get(case.shown.person_id)
        if told is not None and told.band == pb.BAND_ASSIGN:
            kept.add(face_id)
    return set(named) - kept


def _opinion(case: _Case, row: Any) -> pb.Opinion:
    return pb.Opinion(
        source=row.source,
        person_id=str(row.person_id),
        display_name=row.display_name,
        score=row.score,
        band=row.band,
        model=row.model,
        version=row.version,
        overruled=_overruled(case, row) if row.band == pb.BAND_ASSIGN else "",
    )


def _overruled(case: _Case, row: Any) -> str:
    """Return why a sure opinion names nobody; empty: it does, or agrees with what was decided."""
    why = (
        (case.shown is not None and row.person_id == case.shown.person_id, ""),
        (case.face.erased, "whoever the face shows was erased"),
        (row.deleted, "the person was deleted"),
        (case.decision is not None, "something else was decided"),
        (row.person_id in case.refused, "the face was refused to be them"),
        (row.person_id in case.present, "another face of the picture is them"),
    )
    return next((reason for is_so, reason in why if is_so), "another opinion goes first")


def _decision(row: Any) -> pb.Decision:
    return pb.Decision(
        person_id=str(row.person_id or ""),
        display_name=row.display_name or "",
        mark=_MARKS[DecisionKind(row.kind)],
        caller=row.caller,
        create_time=timestamp(row.create_time),
        action_id=str(row.action_id or ""),
    )


def _refusal(row: Any) -> pb.Refusal:
    when = timestamp(row.create_time)
    return pb.Refusal(person_id=str(row.person_id), display_name=row.display_name, caller=row.caller, create_time=when)


def _reasons(response: pb.ExplainFaceResponse, case: _Case) -> Iterator[str]:
    """Yield the explanation in sentences."""
    yield _conclusion(response.face.face, case)
    if case.face.drawn:
        yield "Somebody drew this face: no recognizer had found it."
    for opinion in response.opinions:
        yield _said(opinion)
    if not response.opinions:
        yield "No machine says whom it shows."
    for refusal in response.refusals:
        who, when = refusal.caller or "Somebody", _when(refusal.create_time.ToDatetime())
        yield f"{who} refused that it is {refusal.display_name}, on {when}. No machine names it so again."
    if response.neighbours:
        yield _surroundings(response.neighbours)
    elif response.face.face.state == library_pb2.FACE_STATE_NEW:
        yield "It was not compared with other faces yet."
    if case.decision is not None:
        yield _undoing(response)


def _conclusion(face: library_pb2.PictureFace, case: _Case) -> str:
    if case.decision is not None:
        what = {
            DecisionKind.PERSON: f"that this face is {case.decision.display_name}",
            DecisionKind.IGNORED: "that this face is of nobody who matters",
            DecisionKind.NOT_A_FACE: "that this is no face",
        }[DecisionKind(case.decision.kind)]
        who, when = case.decision.caller or "Somebody", _when(case.decision.create_time)
        return f"{who} decided {what}, on {when}. No machine changes that."
    if case.face.erased:
        return "Whoever this face shows was erased: it is neither compared nor named any more."
    if not face.person_id:
        return "Nobody has decided whom this face shows, and no machine is sure enough to say."
    is_near = face.source == library_pb2.ASSIGNMENT_SOURCE_NEIGHBOURS
    by = "faces near it" if is_near else "what recognizers say"
    return f"This face is {face.display_name} by {by}, with a score of {face.score:.2f}. Nobody has decided it."


def _said(opinion: pb.Opinion) -> str:
    who = "Faces near it say" if opinion.source == NEIGHBOURS else f"{opinion.source or 'The gateway'} says"
    what = f"{who} {opinion.display_name}, with a score of {opinion.score:.2f}"
    if opinion.overruled:
        return f"{what}; it counts for nothing, since {opinion.overruled}."
    sure = {pb.BAND_ASSIGN: "sure enough to name it", pb.BAND_SUGGEST: "sure enough to ask, not to name it"}
    return f"{what}: {sure.get(opinion.band, 'not sure enough to ask')}."


def _surroundings(near: Sequence[pb.FoundFace]) -> str:
    names = Counter(one.face.display_name for one in near if one.face.person_id)
    common = names.most_common(_NAMES)
    counts = [(count, name) for name, count in common]
    counts += [(names.total() - sum(count for count, _ in counts), "other people")]
    counts += [(len(near) - names.total(), "nobody who is known")]
    parts = [f"{count} {'is' if count == 1 else 'are'} {who}" for count, who in counts if count]
    listed = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
    faces = f"{len(near)} faces" if len(near) > 1 else "one face"
    return f"Of the {faces} nearest to it, {listed}; the nearest is {near[0].distance:.2f} away."


def _undoing(response: pb.ExplainFaceResponse) -> str:
    decided, after = response.decision, response.without_decision
    who = after.display_name if response.HasField("without_decision") else "nobody who is known"
    count = len(response.affected_face_ids)
    others = f", and {count} other face{'s' * (count != 1)} may get another name" if count else ""
    how = f" Undo {decided.action_id} for that." if decided.action_id else ""
    return f"Without the decision, it would be {who}{others}.{how}"


def _when(time: datetime) -> str:
    return f"{time:%Y-%m-%d}"

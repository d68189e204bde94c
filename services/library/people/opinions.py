"""Opinions: what the gateway's verdicts say of faces, kept beside what was decided."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Text, Uuid, any_, delete, insert, literal, select
from sqlalchemy.dialects.postgresql import insert as insert_new
from uuid6 import uuid7

from marquee.library.v1.people_pb2 import BAND_ASSIGN, BAND_SUGGEST
from marquee.v1 import recognizer_pb2 as pb
from services.library.database.change import Change
from services.library.database.identifiers import uuids_of
from services.library.database.people_tables import PersonSource, identity, opinion, person
from services.library.people.resolution import NEIGHBOURS
from services.library.search.folding import fold
from services.library.work.answers import stored


async def write(change: Change, verdicts: Mapping[UUID, pb.Verdict]) -> None:
    """Replace what recognizers say of faces, whose picture is locked, by their verdicts.

    Whoever is named for the first time becomes a person.
    """
    columns = opinion.c
    its = columns.face_id == any_(literal(list(verdicts), ARRAY(Uuid)))
    await change.connection.execute(delete(opinion).where(its, columns.source != NEIGHBOURS))
    people = await _people(change, verdicts.values())
    rows = {
        (face_id, one.recognizer, person_id): _row(face_id, person_id, one, verdict)
        for face_id, verdict in verdicts.items()
        for one in verdict.support
        if (person_id := people.get(external_id(one.candidate)))
    }
    rows |= {
        (face_id, "", person_id): _row(face_id, person_id, pb.Support(candidate=_named(verdict)), verdict)
        for face_id, verdict in verdicts.items()
        if not verdict.support and (person_id := people.get(external_id(_named(verdict))))
    }
    if rows:
        await change.connection.execute(insert(opinion), list(rows.values()))


def external_id(one: pb.Candidate) -> str:
    """Return what a recognizer calls a person: their person_id, or else their name."""
    return stored(one.person_id) or (f"={fold(one.display_name)}" if one.display_name else "")


async def _people(change: Change, verdicts: Any) -> dict[str, UUID]:
    """Return the people whom the verdicts name, by what recognizers call them; the IDENTIFIED ones are made if new."""
    named = {external_id(one): one for verdict in verdicts if _is_named(verdict) for one in (_named(verdict),)}
    called = {external_id(one.candidate) for verdict in verdicts for one in verdict.support} | set(named)
    before = await known(change, sorted(called - {""}))
    for key in sorted(named.keys() - before.keys() - {""}):
        await _make(change, key, named[key])
    return await known(change, sorted(called - {""}))


async def known(change: Change, called: Sequence[str]) -> dict[str, UUID]:
    """Return whom recognizers call so: who has the identity, or was given to them by the library."""
    columns = identity.c
    its = columns.external_id == any_(literal(list(called), ARRAY(Text)))
    own_ids = select(columns.external_id, columns.person_id).where(columns.collection_id == change.collection_id, its)
    rows = await change.connection.execute(own_ids.order_by(columns.recognizer, columns.recognizer_collection))
    found: dict[str, UUID] = {}
    for row in rows:
        found.setdefault(row.external_id, row.person_id)
    own = uuids_of(called)
    mine = select(person.c.person_id).where(
        person.c.collection_id == change.collection_id, person.c.person_id == any_(literal(own, ARRAY(Uuid)))
    )
    return found | {str(one): one for one in (await change.connection.execute(mine)).scalars()}


async def _make(change: Change, key: str, candidate: pb.Candidate) -> None:
    """Make a person of whom a recognizer names for the first time, unless another transaction does."""
    name, person_id = stored(candidate.display_name) or stored(candidate.person_id), UUID(bytes=uuid7().bytes)
    own = {"person_id": person_id, "collection_id": change.collection_id}
    values = {"display_name": name, "folded_name": fold(name), "source": PersonSource.RECOGNIZER}
    await change.connection.execute(insert(person).values(**own, **values))
    statement = insert_new(identity).values(external_id=key, **own).on_conflict_do_nothing()
    if (await change.connection.execute(statement.returning(identity.c.person_id))).first() is None:
        await change.connection.execute(delete(person).where(person.c.person_id == person_id))


def _is_named(verdict: pb.Verdict) -> bool:
    return verdict.state == pb.VERDICT_STATE_IDENTIFIED


def _named(verdict: pb.Verdict) -> pb.Candidate:
    if not _is_named(verdict):
        return pb.Candidate()
    return pb.Candidate(person_id=verdict.person_id, display_name=verdict.display_name, score=verdict.score)


def _row(face_id: UUID, person_id: UUID, support: pb.Support, verdict: pb.Verdict) -> dict[str, Any]:
    is_sure = _is_named(verdict) and external_id(support.candidate) == external_id(_named(verdict))
    return {
        "face_id": face_id,
        "source": stored(support.recognizer),
        "person_id": person_id,
        "score": support.candidate.score,
        "band": BAND_ASSIGN if is_sure else BAND_SUGGEST,
    }

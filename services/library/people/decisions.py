"""Decisions: whom faces show, do not show, or that they show nobody, as somebody says."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, delete, func, literal, or_, select
from sqlalchemy.dialects.postgresql import insert

from marquee.library.v1 import people_pb2 as pb
from services.library.database.change import Change, Changes
from services.library.database.people_tables import DecisionKind, decision, face_refusal, person
from services.library.database.tables import face
from services.library.people import faces
from services.library.people.actions import act, hold
from services.library.people.view import faces_of, people_of, person_of
from services.runtime.errors import InvalidRequest, PersonTwice

_MARKS = {pb.FACE_MARK_IGNORED: DecisionKind.IGNORED, pb.FACE_MARK_NOT_A_FACE: DecisionKind.NOT_A_FACE}
_MARKED = {DecisionKind.IGNORED: "ignored", DecisionKind.NOT_A_FACE: "no face"}


class Decisions:
    """NameFaces, RefuseFaces and MarkFaces."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    async def name(self, request: pb.NameFacesRequest) -> pb.NameFacesResponse:
        """Decide that faces show a person. Raises FaceNotFound, PersonNotFound, PersonTwice and InvalidRequest."""
        _check(request.face_ids)

        async def make(change: Change) -> pb.NameFacesResponse:
            known = await _person(change, request.person_id)
            person_id = UUID(known.person_id)
            summary = f'Name {_faces(request.face_ids)} "{known.display_name}".'
            async with act(change, "NameFaces", summary) as action_id:
                pictures = await name(change, request.face_ids, person_id)
            await faces.refresh(change, pictures)
            (shown,) = await people_of(change.connection, change.collection_id, [person_id])
            return pb.NameFacesResponse(person=shown, action_id=action_id)

        return await self._changes.once(request, pb.NameFacesResponse, make)

    async def refuse(self, request: pb.RefuseFacesRequest) -> pb.RefuseFacesResponse:
        """Refuse that faces show a person. Raises FaceNotFound, PersonNotFound and InvalidRequest."""
        _check(request.face_ids)

        async def make(change: Change) -> pb.RefuseFacesResponse:
            known = await _person(change, request.person_id)
            summary = f'Refuse that {_faces(request.face_ids)} show "{known.display_name}".'
            async with act(change, "RefuseFaces", summary) as action_id:
                pictures = await refuse(change, request.face_ids, UUID(known.person_id))
            await faces.refresh(change, pictures)
            return pb.RefuseFacesResponse(action_id=action_id)

        return await self._changes.once(request, pb.RefuseFacesResponse, make)

    async def mark(self, request: pb.MarkFacesRequest) -> pb.MarkFacesResponse:
        """Mark faces, or take their decisions back. Raises FaceNotFound and InvalidRequest."""
        _check(request.face_ids)
        kind = _MARKS.get(request.mark)

        async def make(change: Change) -> pb.MarkFacesResponse:
            await hold(change.connection, change.collection_id)
            marked = f"Mark {_faces(request.face_ids)} as {_MARKED[kind]}." if kind else ""
            summary = marked or f"Take back what was decided of {_faces(request.face_ids)}."
            async with act(change, "MarkFaces", summary) as action_id:
                rows = await _locked(change, request.face_ids)
                if kind:
                    await _decide(change, rows, kind)
                else:
                    await change.connection.execute(delete(decision).where(_about(decision, rows)))
            await faces.refresh(change, _pictures(rows))
            return pb.MarkFacesResponse(action_id=action_id)

        return await self._changes.once(request, pb.MarkFacesResponse, make)


async def name(change: Change, face_ids: Sequence[str], person_id: UUID) -> list[UUID]:
    """Decide in an action that faces show a person; return their pictures, for `refresh`.

    People are held. Raises FaceNotFound, PersonTwice, and InvalidRequest for a face that was erased.
    """
    rows = await _locked(change, face_ids)
    await _check_once(change, rows, person_id)
    await _decide(change, rows, DecisionKind.PERSON, person_id)
    refusals = face_refusal.c
    its = delete(face_refusal).where(_about(face_refusal, rows), refusals.person_id.in_(_merged(person_id)))
    await change.connection.execute(its)
    return _pictures(rows)


async def refuse(change: Change, face_ids: Sequence[str], person_id: UUID) -> list[UUID]:
    """Refuse in an action that faces show a person; return their pictures, for `refresh`.

    People are held. Raises FaceNotFound, and InvalidRequest for a face that was erased.
    """
    rows = await _locked(change, face_ids)
    new = insert(face_refusal).on_conflict_do_nothing()
    values = [{"face_id": row.face_id, "person_id": person_id, "caller": change.caller} for row in rows]
    await change.connection.execute(new, values)
    taken = delete(decision).where(_about(decision, rows), decision.c.person_id.in_(_merged(person_id)))
    await change.connection.execute(taken)
    return _pictures(rows)


def _check(face_ids: Sequence[str]) -> None:
    if not face_ids:
        raise InvalidRequest("face_ids is required.", field="face_ids")


def _faces(face_ids: Sequence[str]) -> str:
    count = len(set(face_ids))
    return "a face" if count == 1 else f"{count} faces"


async def _person(change: Change, person_id: str) -> pb.LibraryPerson:
    """Return the person, who stays while faces of theirs are decided."""
    await hold(change.connection, change.collection_id)
    found = await person_of(change.connection, change.collection_id, person_id)
    return (await people_of(change.connection, change.collection_id, [found]))[0]


async def _locked(change: Change, face_ids: Sequence[str]) -> list[Any]:
    """Return the rows of faces, whose pictures are locked."""
    rows = await faces_of(change.connection, change.collection_id, face_ids)
    held: set[UUID] = set()
    while not held.issuperset(pictures := _pictures(rows)):  # again if a face is in another picture by now
        held.update(pictures)
        await faces.lock(change.connection, pictures)
        rows = await faces_of(change.connection, change.collection_id, face_ids)
    if erased := next((row for row in rows if row.erased), None):
        raise InvalidRequest(f"Face {erased.face_id} is of a person who was erased.", field="face_ids")
    return rows


async def _check_once(change: Change, rows: Sequence[Any], person_id: UUID) -> None:
    """Raise PersonTwice if the person would be two faces of a picture."""
    pictures = _pictures(rows)
    columns = decision.c
    others = (
        select(face.c.picture_id)
        .join(decision)
        .where(face.c.picture_id == _any(pictures), columns.person_id.in_(_merged(person_id)), ~_about(decision, rows))
    )
    there = (await change.connection.execute(others.limit(1))).scalar_one_or_none()
    twice = there or next((one for one in pictures if sum(row.picture_id == one for row in rows) > 1), None)
    if twice:
        raise PersonTwice(f"Picture {twice} would show the person twice.", field="face_ids")


async def _decide(change: Change, rows: Sequence[Any], kind: DecisionKind, person_id: UUID | None = None) -> None:
    columns = decision.c
    new = insert(decision)
    names = ("kind", "person_id", "caller", "create_time")
    again = new.on_conflict_do_update(
        index_elements=[columns.face_id],
        set_={name: new.excluded[name] for name in names},
        where=or_(columns.kind != kind, columns.person_id.is_distinct_from(person_id)),
    )
    own = {"kind": kind, "person_id": person_id, "caller": change.caller}
    values = [{"face_id": row.face_id, **own} for row in rows]
    await change.connection.execute(again.values(create_time=func.now()), values)


def _merged(person_id: UUID) -> Any:
    """Select whom a row names that is about this person."""
    return select(person.c.person_id).where(or_(person.c.person_id == person_id, person.c.merged_id == person_id))


def _about(table: Any, rows: Sequence[Any]) -> Any:
    return table.c.face_id == _any([UUID(int=row.face_id.int) for row in rows])


def _any(ids: Sequence[UUID]) -> Any:
    return any_(literal(list(ids), ARRAY(Uuid)))


def _pictures(rows: Sequence[Any]) -> list[UUID]:
    return sorted({UUID(int=row.picture_id.int) for row in rows})

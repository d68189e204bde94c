"""Merging: several people who are one, and people who are not."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, literal, or_, text, update
from sqlalchemy.dialects.postgresql import insert

from marquee.library.v1 import people_pb2 as pb
from services.library.database.change import Change, Changes
from services.library.database.people_tables import people_refusal, person
from services.library.people import faces
from services.library.people.actions import act, hold
from services.library.people.people import add_aliases, held, shown
from services.library.people.view import people_of, person_of
from services.runtime.errors import InvalidRequest, PeopleSeparated, PersonTwice

_IDS = bindparam("ids", type_=ARRAY(Uuid))
_TWICE = text("""
SELECT face.picture_id FROM decision JOIN face USING (face_id) JOIN person ON person.person_id = decision.person_id
WHERE coalesce(person.merged_id, person.person_id) = ANY(:ids)
GROUP BY face.picture_id HAVING count(*) > 1
LIMIT 1
""").bindparams(_IDS)
_SEPARATED = text("""
SELECT one.person_id FROM people_refusal
JOIN person AS own ON own.person_id = people_refusal.person_id
JOIN person AS other ON other.person_id = other_id
JOIN person AS one ON one.person_id = coalesce(own.merged_id, own.person_id)
WHERE one.person_id = ANY(:ids) AND coalesce(other.merged_id, other.person_id) = ANY(:ids)
  AND one.person_id <> coalesce(other.merged_id, other.person_id)
LIMIT 1
""").bindparams(_IDS)
_CONTRADICTED = text("""
DELETE FROM face_refusal USING decision, person AS decided, person AS refused
WHERE face_refusal.face_id = decision.face_id
  AND decided.person_id = decision.person_id AND refused.person_id = face_refusal.person_id
  AND coalesce(decided.merged_id, decided.person_id) = :person_id
  AND coalesce(refused.merged_id, refused.person_id) = :person_id
""")
"""Refusals of faces that were decided to be somebody who turns out to be the one whom they were refused."""


class Merging:
    """MergePeople and SeparatePeople."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    async def merge(self, request: pb.MergePeopleRequest) -> pb.MergePeopleResponse:
        """Merge people into one. Raises PersonNotFound, EtagStale, PeopleSeparated, PersonTwice and InvalidRequest."""
        if not request.merged_ids:
            raise InvalidRequest("merged_ids is required.", field="merged_ids")

        async def make(change: Change) -> pb.MergePeopleResponse:
            target = await held(change, request.person_id, request.etag)
            others = await _others(change, request.merged_ids, UUID(target.person_id))
            ids = [UUID(target.person_id), *(UUID(one.person_id) for one in others)]
            await _check(change, ids)
            pictures = await faces.pictures_about(change.connection, ids)
            names = ", ".join(f'"{one.display_name}"' for one in others) or "nobody"
            async with act(change, "MergePeople", f'Merge {names} into "{target.display_name}".') as action_id:
                await _merge(change, ids)
                aliases = [name for one in others for name in (one.display_name, *one.aliases)]
                await add_aliases(change, target, aliases)
            await faces.refresh(change, pictures)
            return pb.MergePeopleResponse(person=await shown(change, ids[0]), action_id=action_id)

        return await self._changes.once(request, pb.MergePeopleResponse, make)

    async def separate(self, request: pb.SeparatePeopleRequest) -> pb.SeparatePeopleResponse:
        """Say that two people are not one. Raises PersonNotFound and InvalidRequest."""

        async def make(change: Change) -> pb.SeparatePeopleResponse:
            connection, collection_id = change.connection, change.collection_id
            await hold(connection, collection_id, alone=True)
            one = await person_of(connection, collection_id, request.person_id)
            other = await person_of(connection, collection_id, request.other_person_id, "other_person_id")
            async with act(change, "SeparatePeople", await _separation(change, [one, other])) as action_id:
                await separate(change, one, other)
            return pb.SeparatePeopleResponse(action_id=action_id)

        return await self._changes.once(request, pb.SeparatePeopleResponse, make)


async def separate(change: Change, one: UUID, other: UUID) -> None:
    """Say in an action that two people are not one. Raises InvalidRequest if they are by now."""
    if one == other:
        raise InvalidRequest("These are one person. Undo their merging to part them.", field="other_person_id")
    first, second = sorted((one, other))
    new = insert(people_refusal).values(person_id=first, other_id=second, caller=change.caller)
    await change.connection.execute(new.on_conflict_do_nothing())


async def _others(change: Change, merged_ids: Sequence[str], target: UUID) -> list[pb.LibraryPerson]:
    """Return whom to merge into the target, but for those who were before. Raises PersonNotFound."""
    connection, collection_id = change.connection, change.collection_id
    found = [await person_of(connection, collection_id, one, "merged_ids") for one in merged_ids]
    return await people_of(connection, collection_id, list(dict.fromkeys(one for one in found if one != target)))


async def _check(change: Change, ids: Sequence[UUID]) -> None:
    separated = (await change.connection.execute(_SEPARATED, {"ids": list(ids)})).scalar_one_or_none()
    if separated is not None:
        raise PeopleSeparated(f"It was decided that {separated} is not one of the others.", field="merged_ids")
    picture_id = (await change.connection.execute(_TWICE, {"ids": list(ids)})).scalar_one_or_none()
    if picture_id is not None:
        raise PersonTwice(f"Picture {picture_id} would show the person twice.", field="merged_ids")


async def _merge(change: Change, ids: Sequence[UUID]) -> None:
    target, others = ids[0], any_(literal(list(ids[1:]), ARRAY(Uuid)))
    columns = person.c
    own = update(person).where(or_(columns.person_id == others, columns.merged_id == others))
    await change.connection.execute(own.values(merged_id=target))
    await change.connection.execute(_CONTRADICTED, {"person_id": target})


async def _separation(change: Change, ids: Sequence[UUID]) -> str:
    one, *others = [f'"{one.display_name}"' for one in await people_of(change.connection, change.collection_id, ids)]
    return f"Say that {one} is not {others[0] if others else one}."

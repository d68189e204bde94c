"""AdoptPeople: people whom recognizers know already become the library's, each by what a recognizer calls them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Text, Uuid, any_, func, insert, literal, select, union
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid6 import uuid7

from marquee.library.v1 import people_pb2 as pb
from marquee.v1 import enrollment_pb2
from services.library.database.change import Change, Changes
from services.library.database.identifiers import uuid_of
from services.library.database.people_tables import PersonSource, identity, person, person_receipt
from services.library.enrollment.recognizers import NotEnrolling, Recognizers
from services.library.people import opinions
from services.library.people.actions import act, hold
from services.library.search.folding import fold
from services.library.work.answers import stored
from services.library.work.gateway import Gateway
from services.runtime.status import StatusError

_MOST_NAMES = 1000
_AT_ONCE = 1000
_Listed = Mapping[str, Sequence[enrollment_pb2.Person]]
"""People by the recognizer that knows them."""


class Adoption:
    """AdoptPeople."""

    def __init__(self, changes: Changes, gateway: Gateway) -> None:
        self._changes = changes
        self._gateway = gateway

    async def adopt(self, request: pb.AdoptPeopleRequest) -> pb.AdoptPeopleResponse:
        """Take over whom recognizers know. Raises StatusError of a gateway that is away."""
        recognizers = Recognizers.for_caller(self._gateway)
        names, failures = await recognizers.enrolling(request.recognizers)
        listed: dict[str, list[enrollment_pb2.Person]] = {}
        for name in names:
            try:
                pages = recognizers.people(name, request.recognizer_collection)
                listed[name] = [one async for page in pages for one in page if one.person_id]
            except (NotEnrolling, StatusError) as exc:
                failures[name] = exc.status

        async def change(change: Change) -> pb.AdoptPeopleResponse:
            await hold(change.connection, change.collection_id, alone=True)
            response = await _take_over(change, listed, request.recognizer_collection)
            for name, failure in failures.items():
                response.failures[name].CopyFrom(failure)
            return response

        return await self._changes.once(request, pb.AdoptPeopleResponse, change)


async def _take_over(change: Change, listed: _Listed, recognizer_collection: str) -> pb.AdoptPeopleResponse:
    people = {stored(one.person_id): one for several in listed.values() for one in several}
    known = await opinions.known(change, sorted(people))
    gone = await _not_ours(change.connection, sorted(people.keys() - known.keys()))
    new = {key: UUID(bytes=uuid7().bytes) for key in sorted(people.keys() - known.keys() - gone)}
    whose = {key: one for key, one in known.items() if key != str(one)} | new
    keys = {(name, stored(one.person_id)) for name, several in listed.items() for one in several}
    fresh = sorted(key for key in keys - await _identities(change, recognizer_collection, listed) if key[1] in whose)
    response = pb.AdoptPeopleResponse(adopted_count=len(new), known_count=len(known))
    if fresh:
        summary = f"Adopt {len(new)} people whom {', '.join(sorted(listed))} knew"
        async with act(change, "AdoptPeople", summary) as response.action_id:
            await _insert(change, person, [_person(change, new[key], people[key]) for key in new])
            rows = [_identity(change, name, key, whose[key]) for name, key in fresh]
            await _insert(change, identity, [row | {"recognizer_collection": recognizer_collection} for row in rows])
    response.same_names.extend(await _same_names(change, map(_name, people.values())))
    return response


async def _not_ours(connection: AsyncConnection, external_ids: Iterable[str]) -> set[str]:
    """Return those that are people of other collections, or were erased."""
    ids = literal([parsed for one in external_ids if (parsed := uuid_of(one))], ARRAY(Uuid))
    others = select(person.c.person_id).where(person.c.person_id == any_(ids))
    erased = select(person_receipt.c.person_id).where(person_receipt.c.person_id == any_(ids))
    return {str(one) for one in (await connection.execute(union(others, erased))).scalars()}


async def _identities(change: Change, recognizer_collection: str, names: Iterable[str]) -> set[tuple[str, str]]:
    """Return the identities that there are: recognizers, and what they call people."""
    columns = identity.c
    its = select(columns.recognizer, columns.external_id).where(
        columns.collection_id == change.collection_id,
        columns.recognizer == any_(literal(list(names), ARRAY(Text))),
        columns.recognizer_collection == recognizer_collection,
    )
    return {(row.recognizer, row.external_id) for row in await change.connection.execute(its)}


async def _same_names(change: Change, names: Iterable[str]) -> list[str]:
    """Return which of the names several people of the collection have, who may be one."""
    columns = person.c
    folded = literal(sorted({fold(one) for one in names}), ARRAY(Text))
    live = (columns.delete_time.is_(None), columns.merged_id.is_(None))
    its = select(func.min(columns.display_name)).where(
        columns.collection_id == change.collection_id, columns.folded_name == any_(folded), *live
    )
    several = its.group_by(columns.folded_name).having(func.count() > 1).order_by(columns.folded_name)
    return list((await change.connection.execute(several.limit(_MOST_NAMES))).scalars())


async def _insert(change: Change, table: Any, rows: Sequence[Mapping[str, object]]) -> None:
    for start in range(0, len(rows), _AT_ONCE):
        await change.connection.execute(insert(table), rows[start : start + _AT_ONCE])


def _person(change: Change, person_id: UUID, one: enrollment_pb2.Person) -> dict[str, object]:
    name = _name(one)
    own = {"person_id": person_id, "collection_id": change.collection_id, "source": PersonSource.ADOPTED}
    return own | {"display_name": name, "folded_name": fold(name)}


def _identity(change: Change, recognizer: str, external_id: str, person_id: UUID) -> dict[str, object]:
    own = {"recognizer": recognizer, "external_id": external_id, "person_id": person_id}
    return own | {"collection_id": change.collection_id}


def _name(one: enrollment_pb2.Person) -> str:
    return stored(one.display_name) or stored(one.person_id)

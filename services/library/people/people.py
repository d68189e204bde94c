"""People: created, found, changed and deleted."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Uuid, any_, delete, func, insert, literal, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid6 import uuid7

from marquee.library.v1 import people_pb2 as pb
from marquee.v1.recognizer_pb2 import VERDICT_STATE_IDENTIFIED, Verdict
from services.library.categories.hand import folded
from services.library.database import tokens
from services.library.database.change import Change, Changes
from services.library.database.people_tables import PersonSource, decision, opinion, person, person_alias, stale_picture
from services.library.database.tables import collection, face
from services.library.people import decisions, faces, opinions
from services.library.people.actions import act, hold
from services.library.people.view import face_of, people_of, person_of
from services.library.search.folding import beginnings, fold, is_unspaced
from services.runtime import requests
from services.runtime.errors import EtagStale, InvalidRequest

MOST_ALIASES = 64
_SEPARATORS = "-.,;:'\N{RIGHT SINGLE QUOTATION MARK}/_()[]\"&+"
_ESCAPES = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})


class People:
    """CreatePerson, GetPerson, SearchPeople, UpdatePerson and DeletePerson."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._database = changes.database

    async def create(self, request: pb.CreatePersonRequest) -> pb.CreatePersonResponse:
        """Create a person, of faces. Raises InvalidRequest, FaceNotFound and PersonTwice."""
        folded(request.display_name, "display_name")

        async def make(change: Change) -> pb.CreatePersonResponse:
            await hold(change.connection, change.collection_id)
            async with act(change, "CreatePerson", f'Create "{request.display_name}".') as action_id:
                person_id = await made(change, request.display_name)
                await _set_aliases(change, person_id, request.display_name, request.aliases)
                pictures = await decisions.name(change, request.face_ids, person_id) if request.face_ids else []
            await faces.refresh(change, pictures)
            return pb.CreatePersonResponse(person=await shown(change, person_id), action_id=action_id)

        return await self._changes.once(request, pb.CreatePersonResponse, make)

    async def get(self, request: pb.GetPersonRequest) -> pb.GetPersonResponse:
        """Return a person. Raises PersonNotFound."""
        collection_id = await self._database.collection_id(request.collection, make=False)
        async with self._database.snapshot() as connection:
            person_id = await person_of(connection, collection_id, request.person_id)
            (found,) = await people_of(connection, collection_id, [person_id])
        return pb.GetPersonResponse(person=found)

    async def search(self, request: pb.SearchPeopleRequest) -> pb.SearchPeopleResponse:
        """Return a page of people by name. Raises InvalidRequest."""
        after, size = _after(request.page_token), requests.page_size_of(request)
        collection_id = await self._database.collection_id(request.collection, make=False)
        columns = person.c
        its = [columns.collection_id == collection_id, columns.delete_time.is_(None), columns.merged_id.is_(None)]
        its += [~columns.hidden] * (not request.include_hidden) + _named(request.text) + after
        found = select(columns.person_id, columns.folded_name).where(*its)
        found = found.order_by(columns.folded_name, columns.person_id).limit(size + 1)
        async with self._database.snapshot() as connection:
            rows = (await connection.execute(found)).all()
            people = await people_of(connection, collection_id, [row.person_id for row in rows[:size]])
        token = tokens.encode(rows[size - 1].folded_name, rows[size - 1].person_id) if len(rows) > size else ""
        return pb.SearchPeopleResponse(people=people, next_page_token=token)

    async def update(self, request: pb.UpdatePersonRequest) -> pb.UpdatePersonResponse:
        """Change a person. Raises PersonNotFound, FaceNotFound, EtagStale and InvalidRequest."""

        async def make(change: Change) -> pb.UpdatePersonResponse:
            before = await held(change, request.person_id, request.etag)
            person_id, name = UUID(before.person_id), before.display_name
            values = await _values(change, request, before)
            aliases = request.aliases.names if request.HasField("aliases") else before.aliases
            async with act(change, "UpdatePerson", _summary(request, name)) as action_id:
                if values:
                    await change.connection.execute(
                        update(person).where(person.c.person_id == person_id).values(values)
                    )
                await _set_aliases(change, person_id, values.get("display_name", name), aliases)
            renamed = "display_name" in values or list(aliases) != list(before.aliases)
            pictures = await faces.pictures_about(change.connection, [person_id]) if renamed else []
            await faces.refresh(change, pictures)
            return pb.UpdatePersonResponse(person=await shown(change, person_id), action_id=action_id)

        return await self._changes.once(request, pb.UpdatePersonResponse, make)

    async def delete(self, request: pb.DeletePersonRequest) -> pb.DeletePersonResponse:
        """Delete a person. Raises PersonNotFound and EtagStale."""

        async def make(change: Change) -> pb.DeletePersonResponse:
            before = await held(change, request.person_id, request.etag)
            person_id = UUID(before.person_id)
            pictures = await faces.pictures_about(change.connection, [person_id])
            async with act(change, "DeletePerson", f'Delete "{before.display_name}".') as action_id:
                ids = select(person.c.person_id).where(is_one(person_id))
                await change.connection.execute(delete(decision).where(decision.c.person_id.in_(ids)))
                own = update(person).where(person.c.person_id == person_id)
                await change.connection.execute(own.values(delete_time=func.now()))
            await faces.refresh(change, pictures)
            return pb.DeletePersonResponse(action_id=action_id)

        return await self._changes.once(request, pb.DeletePersonResponse, make)


async def follow_some(changes: Changes) -> bool:
    """Have some pictures follow a change of people that was about many; return whether there may be more to do."""
    database, columns = changes.database, stale_picture.c
    first = select(collection.c.name).join(stale_picture, columns.collection_id == collection.c.collection_id).limit(1)
    async with database.begin() as connection:
        name = (await connection.execute(first)).scalar_one_or_none()
    if name is None:
        return False
    async with changes.begin(name) as change:
        await hold(change.connection, change.collection_id)
        some = select(columns.picture_id).where(columns.collection_id == change.collection_id).limit(faces.AT_ONCE)
        ids = [UUID(int=one.int) for one in (await change.connection.execute(some)).scalars()]
        await _take_over(change, await faces.lock(change.connection, ids))
        await faces.refresh(change, ids)
        its = columns.picture_id == any_(literal(ids, ARRAY(Uuid)))
        await change.connection.execute(delete(stale_picture).where(its))
    return True


async def _take_over(change: Change, picture_ids: Sequence[UUID]) -> None:
    """Have verdicts that are older than the library's people name them; the pictures are locked."""
    columns, has = face.c, opinion.c.face_id == face.c.face_id
    its = columns.picture_id == any_(literal(list(picture_ids), ARRAY(Uuid))), columns.current, columns.source == 0
    old = select(columns.face_id, columns.verdict).where(*its, ~select(literal(1)).where(has).exists())
    rows = (await change.connection.execute(old)).all()
    verdicts = {UUID(int=row.face_id.int): Verdict.FromString(row.verdict) for row in rows}
    named = {face_id: one for face_id, one in verdicts.items() if one.state == VERDICT_STATE_IDENTIFIED}
    if named:
        await opinions.write(change, named)


async def made(change: Change, display_name: str) -> UUID:
    """Create a person in an action, and return their identifier. Raises InvalidRequest for what is no name."""
    person_id = UUID(bytes=uuid7().bytes)
    name = {"display_name": display_name, "folded_name": folded(display_name, "display_name")}
    own = {"person_id": person_id, "collection_id": change.collection_id, "source": PersonSource.HAND}
    await change.connection.execute(insert(person).values(**own, **name))
    return person_id


async def held(change: Change, person_id: str, etag: str) -> pb.LibraryPerson:
    """Return a person, whom nobody else changes until the transaction ends. Raises PersonNotFound and EtagStale."""
    await hold(change.connection, change.collection_id, alone=True)
    found = await shown(change, await person_of(change.connection, change.collection_id, person_id))
    if etag and etag != found.etag:
        raise EtagStale("The person has changed since you read them. Read them again.", field="etag")
    return found


async def shown(change: Change, person_id: UUID) -> pb.LibraryPerson:
    """Return a person whom there is."""
    return (await people_of(change.connection, change.collection_id, [person_id]))[0]


def is_one(person_id: UUID) -> ColumnElement[bool]:
    """Return the condition that a row of `person` is this one, or somebody merged into them."""
    return or_(person.c.person_id == person_id, person.c.merged_id == person_id)


async def add_aliases(change: Change, shown: pb.LibraryPerson, names: Iterable[str]) -> None:
    """Add names to a person's aliases, as many as there may be, in an action."""
    await _set_aliases(change, UUID(shown.person_id), shown.display_name, [*shown.aliases, *names])


async def _set_aliases(change: Change, person_id: UUID, display_name: str, names: Sequence[str]) -> None:
    wanted: dict[str, str] = {}
    for name in names:
        wanted.setdefault(folded(name, "aliases"), name)
    wanted.pop(fold(display_name), None)
    columns = person_alias.c
    held = select(columns.folded_name, columns.name).where(columns.person_id == person_id).order_by(columns.position)
    before = [tuple(row) for row in await change.connection.execute(held)]
    after = list(wanted.items())[:MOST_ALIASES]
    if before == after:
        return
    await change.connection.execute(delete(person_alias).where(columns.person_id == person_id))
    own = {"person_id": person_id, "collection_id": change.collection_id}
    rows = [
        {**own, "position": position, "name": name, "folded_name": key} for position, (key, name) in enumerate(after)
    ]
    if rows:
        await change.connection.execute(insert(person_alias), rows)


async def _values(change: Change, request: pb.UpdatePersonRequest, before: pb.LibraryPerson) -> dict[str, Any]:
    """Return the columns that change."""
    values: dict[str, Any] = {}
    if request.HasField("display_name") and request.display_name != before.display_name:
        name = {"display_name": request.display_name, "folded_name": folded(request.display_name, "display_name")}
        values |= name
    if request.HasField("hidden"):
        values["hidden"] = request.hidden
    if request.HasField("cover_face_id"):
        values["cover_face_id"] = await _cover(change.connection, change.collection_id, request)
    return values


async def _cover(connection: AsyncConnection, collection_id: int, request: pb.UpdatePersonRequest) -> UUID | None:
    if not request.cover_face_id:
        return None
    row = await face_of(connection, collection_id, request.cover_face_id, "cover_face_id")
    person_id = await person_of(connection, collection_id, request.person_id)
    if not row.source or row.person_id != str(person_id):
        raise InvalidRequest("cover_face_id must be a face of the person.", field="cover_face_id")
    return UUID(int=row.face_id.int)


def _summary(request: pb.UpdatePersonRequest, name: str) -> str:
    if request.HasField("display_name") and request.display_name != name:
        return f'Rename "{name}" to "{request.display_name}".'
    has = {"the aliases": request.HasField("aliases"), "whether to hide": request.HasField("hidden")}
    changed = [what for what, is_set in (has | {"the cover": request.HasField("cover_face_id")}).items() if is_set]
    return f'Change {" and ".join(changed) or "nothing"} of "{name}".'


def _named(text: str) -> list[ColumnElement[bool]]:
    """Return the conditions that each word begins one of a person's name, or of an alias."""
    if not text:
        return []
    wanted = [_pattern(word) for word in beginnings(text)] or [""]
    aliases = person_alias.c
    return [
        or_(
            _separated(person.c.folded_name).like(pattern),
            select(aliases.name)
            .where(aliases.person_id == person.c.person_id, _separated(aliases.folded_name).like(pattern))
            .exists(),
        )
        for pattern in wanted
    ]


def _pattern(word: str) -> str:
    is_spaced = word[0].isalnum() and not is_unspaced(word[0])
    return f"%{' ' * is_spaced}{word.translate(_ESCAPES)}%"


def _separated(column: Any) -> Any:
    return func.concat(" ", func.translate(column, _SEPARATORS, " " * len(_SEPARATORS)))


def _after(token: str) -> list[ColumnElement[bool]]:
    if not token:
        return []
    name, person_id = tokens.decode(token, 2)
    return [tuple_(person.c.folded_name, person.c.person_id) > tuple_(name, tokens.uuid_of(person_id))]

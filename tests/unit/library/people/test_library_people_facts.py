"""Faces follow the facts about them, and undoing an action puts the facts back."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.v1 import recognizer_pb2 as v1
from services.library.database.change import Change, Changes
from services.library.database.database import Database
from services.library.database.people_tables import DecisionKind, PersonSource, decision, face_refusal, person
from services.library.database.tables import face
from services.library.people.actions import act, hold, undo
from services.library.people.faces import refresh
from services.library.pictures.carrying import carry
from services.runtime.errors import ActionConflict
from tests.support.library import library
from tests.support.servers import LEFT, NEAR_LEFT, RIGHT, Place, nobody, result
from tests.support.servers import face as found_face

COLLECTION = "pictures"


class Library(NamedTuple):
    """A library without workers, and its database."""

    client: LibraryServiceStub
    changes: Changes

    async def add(self, *faces: tuple[Place, str]) -> list[UUID]:
        """Add a picture whose faces a recognizer names so; return the faces, from left to right."""
        found = result("svm", *(found_face(place, name) for place, name in faces), outcome=v1.OUTCOME_OK)
        s3_object = v1.S3Object(bucket="b", key=str(uuid4()))
        answer = pb.ImportedAnswer(s3_object=s3_object, result=found, create_time=Timestamp(seconds=1))
        response = await self.client.ImportAnswers(pb.ImportAnswersRequest(answers=[answer]))
        shown = await self.client.GetPicture(pb.GetPictureRequest(picture_id=response.results[0].picture_id))
        return [UUID(one.face_id) for one in shown.picture.faces]

    async def rows(self, statement: Any) -> list[Any]:
        async with self.changes.database.begin() as connection:
            return list((await connection.execute(statement)).all())

    async def names(self, *face_ids: UUID) -> list[str]:
        """Return whom the faces show."""
        shown = {row.face_id: row.display_name for row in await self.rows(select(face))}
        return [shown[one] for one in face_ids]

    async def decide(self, face_id: UUID, kind: int, person_id: UUID | None = None) -> UUID:
        """Decide a face in an action; return its action_id."""
        async with self.changes.begin(COLLECTION, "ann") as change:
            await hold(change.connection, change.collection_id)
            async with act(change, "NameFaces", "Name a face.") as action_id:
                await change.connection.execute(delete(decision).where(decision.c.face_id == face_id))
                values = {"face_id": face_id, "kind": kind, "person_id": person_id, "caller": "ann"}
                await change.connection.execute(insert(decision).values(values))
            await refresh(change, [await picture_of(change.connection, face_id)])
        return UUID(action_id)

    async def create(self, name: str) -> UUID:
        """Create a person."""
        async with self.changes.begin(COLLECTION, "ann") as change:
            return await create(change, name)

    async def undo(self, action_id: UUID) -> UUID:
        async with self.changes.begin(COLLECTION, "ann") as change:
            return UUID((await undo(change, action_id))[1])


async def create(change: Change, name: str) -> UUID:
    person_id = uuid4()
    values = {"display_name": name, "folded_name": name.casefold(), "source": PersonSource.HAND}
    own = {"person_id": person_id, "collection_id": change.collection_id}
    await change.connection.execute(insert(person).values(**own, **values))
    return person_id


async def picture_of(connection: AsyncConnection, face_id: UUID) -> UUID:
    found = select(face.c.picture_id).where(face.c.face_id == face_id)
    return UUID(int=(await connection.execute(found)).scalar_one().int)


@pytest.fixture
async def shelf(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Library]:
    monkeypatch.setenv("MARQUEE_S3_ALLOWED", "b")
    database = Database(database_url, 2)
    async with library(database_url, tmp_path, nobody(), library_workers=0) as client:
        yield Library(client, Changes(database))
    await database.close()


async def test_a_decision_holds_and_its_undoing_leaves_the_machine(shelf: Library) -> None:
    """A decided face shows who was decided; once that is undone, whom the recognizer says, and after a redo again."""
    (face_id,) = await shelf.add((LEFT, "Ada"))
    ben = await shelf.create("Ben")
    before = await shelf.rows(select(face))
    action_id = await shelf.decide(face_id, DecisionKind.PERSON, ben)
    assert await shelf.names(face_id) == ["Ben"]
    undoing = await shelf.undo(action_id)
    assert await shelf.rows(select(face)) == before
    await shelf.undo(undoing)
    assert await shelf.names(face_id) == ["Ben"]


async def test_an_action_that_was_overtaken_names_the_later_one(shelf: Library) -> None:
    """An action whose decision was changed since is not undone before the later action is."""
    (face_id,) = await shelf.add((LEFT, "Ada"))
    first = await shelf.decide(face_id, DecisionKind.IGNORED)
    second = await shelf.decide(face_id, DecisionKind.NOT_A_FACE)
    with pytest.raises(ActionConflict, match=str(second)):
        await shelf.undo(first)
    await shelf.undo(second)
    await shelf.undo(first)
    assert await shelf.names(face_id) == ["Ada"]


async def test_a_deleted_persons_faces_are_machines_again(shelf: Library) -> None:
    """A decision for somebody who was deleted since counts no more; machines name the face."""
    (face_id,) = await shelf.add((LEFT, "Ada"))
    ben = await shelf.create("Ben")
    await shelf.decide(face_id, DecisionKind.PERSON, ben)
    async with shelf.changes.begin(COLLECTION) as change:
        gone = update(person).where(person.c.person_id == ben).values(delete_time=func.now())
        await change.connection.execute(gone)
        await refresh(change, [await picture_of(change.connection, face_id)])
    assert await shelf.names(face_id) == ["Ada"]


async def test_a_drawn_face_is_an_action_too(shelf: Library) -> None:
    """A face that was drawn goes when that is undone, with its decision, and both come back by a redo."""
    (face_id,) = await shelf.add((LEFT, "Ada"))
    ben, drawn = await shelf.create("Ben"), uuid4()
    async with shelf.changes.begin(COLLECTION, "ann") as change:
        picture_id = await picture_of(change.connection, face_id)
        await hold(change.connection, change.collection_id)
        async with act(change, "DrawFace", "Draw a face.") as action_id:
            own = {"face_id": drawn, "picture_id": picture_id, "position": 1, "state": 1, "verdict": b"", "drawn": True}
            await change.connection.execute(insert(face).values(own))
            named = {"face_id": drawn, "kind": DecisionKind.PERSON, "person_id": ben}
            await change.connection.execute(insert(decision).values(named))
        await refresh(change, [picture_id])
    assert await shelf.names(face_id, drawn) == ["Ada", "Ben"]
    undoing = await shelf.undo(UUID(action_id))
    assert [row.face_id for row in await shelf.rows(select(face))] == [face_id]
    await shelf.undo(undoing)
    assert await shelf.names(face_id, drawn) == ["Ada", "Ben"]


async def test_what_was_decided_follows_a_picture_that_turns_out_to_be_another(shelf: Library) -> None:
    """Decisions and refusals of a picture hold for the faces of the one that it is, where none was made there."""
    left, right = await shelf.add((LEFT, "Ada"), (RIGHT, ""))
    (again,) = await shelf.add((NEAR_LEFT, "Ada"))
    ben, carl = await shelf.create("Ben"), await shelf.create("Carl")
    action_id = await shelf.decide(left, DecisionKind.PERSON, ben)
    await shelf.decide(right, DecisionKind.PERSON, carl)
    async with shelf.changes.begin(COLLECTION) as change:
        refused = {"face_id": left, "person_id": carl}
        await change.connection.execute(insert(face_refusal).values(refused))
        await hold(change.connection, change.collection_id)
        pictures = [await picture_of(change.connection, one) for one in (left, again)]
        await carry(change, *pictures)
        await change.connection.execute(delete(face).where(face.c.picture_id == pictures[0]))
    assert await shelf.names(again, right) == ["Ben", "Carl"]
    refusals = await shelf.rows(select(face_refusal.c.face_id, face_refusal.c.person_id))
    assert [tuple(one) for one in refusals] == [(again, carl)]
    await shelf.undo(action_id)
    assert await shelf.names(again) == ["Ada"]

"""A library with people, for tests."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from marquee.library.v1 import library_pb2
from marquee.library.v1 import people_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.library.v1.people_pb2_grpc import PeopleServiceStub
from marquee.v1 import recognizer_pb2 as v1
from tests.support.library import get, library_server, rows
from tests.support.servers import Place, face, nobody, result

_FACTS = (
    *("person", "person_alias", "identity", "decision", "face_refusal", "people_refusal", "skip", "opinion"),
    *("face", "picture_category", "picture"),
)
_BESIDE = ("update_time", "tried_time")
"""Columns that tell when something was done."""
_TIMES = count(1)


@dataclass(frozen=True)
class Album:
    """A library without workers."""

    url: str
    library: LibraryServiceStub
    people: PeopleServiceStub

    async def add(self, *faces: tuple[Place, str]) -> list[str]:
        """Add a picture whose faces a recognizer names so; return the faces, from left to right."""
        picture_id = await self._answered(str(uuid4()), faces)
        return [one.face_id for one in (await get(self.library, picture_id)).faces]

    async def add_again(self, face_id: str, *faces: tuple[Place, str]) -> None:
        """Have the recognizer find these faces in the face's picture now."""
        picture = await get(self.library, await self.picture_of(face_id))
        await self._answered(picture.places[0].s3_object.key, faces)

    async def _answered(self, key: str, faces: Sequence[tuple[Place, str]]) -> str:
        found = result("svm", *(face(place, name) for place, name in faces), outcome=v1.OUTCOME_OK)
        found.performed_features[:] = [v1.FEATURE_CELEBRITIES]
        when = Timestamp(seconds=next(_TIMES))
        answer = library_pb2.ImportedAnswer(s3_object=v1.S3Object(bucket="b", key=key), result=found, create_time=when)
        response = await self.library.ImportAnswers(library_pb2.ImportAnswersRequest(answers=[answer]))
        return response.results[0].picture_id

    async def create(self, name: str, *face_ids: str, **fields: Any) -> str:
        """Create a person, and return their identifier."""
        request = pb.CreatePersonRequest(display_name=name, face_ids=face_ids, **fields)
        return (await self.people.CreatePerson(request)).person.person_id

    async def face(self, face_id: str) -> library_pb2.PictureFace:
        """Return a face as it is by now."""
        return await self._found(face_id)

    async def picture_of(self, face_id: str) -> str:
        """Return the picture of a face."""
        ((picture_id,),) = await rows(self.url, f"SELECT picture_id FROM face WHERE face_id = '{face_id}'")  # noqa: S608
        return str(picture_id)

    async def shows(self, *face_ids: str) -> list[str]:
        """Return the names of whom faces show."""
        return [(await self._found(one)).display_name for one in face_ids]

    async def _found(self, face_id: str) -> library_pb2.PictureFace:
        shown = await get(self.library, await self.picture_of(face_id))
        return next(one for one in shown.faces if one.face_id == face_id)

    async def name(self, person_id: str, *face_ids: str) -> str:
        """Decide that faces show a person; return the action."""
        request = pb.NameFacesRequest(face_ids=face_ids, person_id=person_id)
        return (await self.people.NameFaces(request)).action_id

    async def undo(self, action_id: str) -> str:
        """Undo an action; return that which did so."""
        return (await self.people.UndoAction(pb.UndoActionRequest(action_id=action_id))).action_id

    async def facts(self) -> dict[str, list[str]]:
        """Return all that the database says of people and faces, but for when and by what it was done."""
        return {name: await self._rows(name) for name in _FACTS}

    async def _rows(self, table: str) -> list[str]:
        whole = f"to_jsonb({table}) - ARRAY[{', '.join(map(repr, _BESIDE))}]"
        return [str(row[0]) for row in await rows(self.url, f"SELECT ({whole})::text FROM {table} ORDER BY 1")]  # noqa: S608


@pytest.fixture
async def album(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Album]:
    """Return a library with people."""
    monkeypatch.setenv("MARQUEE_S3_ALLOWED", "b")
    async with (
        library_server(database_url, tmp_path, nobody(), library_workers=0) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield Album(database_url, LibraryServiceStub(channel), PeopleServiceStub(channel))

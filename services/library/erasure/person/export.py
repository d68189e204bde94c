"""ExportPerson: all that is held about somebody, as a tar file."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from sqlalchemy import ARRAY, BindParameter, Text, Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import library_pb2
from marquee.library.v1 import people_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.library.database.database import Database
from services.library.database.identifiers import uuid_of
from services.library.erasure.person import rows
from services.library.erasure.person.traits import Traits, candidates_of
from services.library.exchange import archive
from services.library.exchange.export import MOST_BYTES, Record, recorded
from services.library.faces.crops import crop
from services.library.people.view import found_faces, people_of
from services.library.pictures.content import Content
from services.runtime.errors import DomainError, Overloaded, PersonNotFound

_SIDE = 512
_MOST_RUNNING = 2
_RETRY_SECONDS = 10.0
_BATCH = 500
_FACES = """
SELECT face_id FROM face WHERE source <> 0 AND face.person_id = ANY(:person_ids)
UNION SELECT face_id FROM decision WHERE person_id = ANY(:ids) ORDER BY face_id
"""
_TABLES: Mapping[str, str] = {
    "decisions": "SELECT * FROM decision WHERE person_id = ANY(:ids) ORDER BY face_id",
    "refusals": "SELECT * FROM face_refusal WHERE person_id = ANY(:ids) ORDER BY face_id",
    "separations": "SELECT * FROM people_refusal WHERE person_id = ANY(:ids) OR other_id = ANY(:ids) ORDER BY 1, 2",
    "opinions": "SELECT * FROM opinion WHERE person_id = ANY(:ids) ORDER BY face_id, source",
    "identities": "SELECT * FROM identity WHERE person_id = ANY(:ids) ORDER BY recognizer, external_id",
    "enrollments": """
      SELECT recognizer, recognizer_collection, person_id, face_id, external_face_id, state, create_time
      FROM enrollment WHERE person_id = ANY(:ids) ORDER BY recognizer, face_id
    """,
    "vectors": """
      SELECT face_id, name AS model, version, metric, vector::text FROM face_vector JOIN vector_model USING (model_id)
      WHERE face_id = ANY(:face_ids) ORDER BY face_id, model_id
    """,
    "pictures": """
      SELECT DISTINCT picture_id, encode(sha256, 'hex') AS sha256, file_name, taken_time, picture.create_time
      FROM picture JOIN face USING (picture_id) WHERE face_id = ANY(:face_ids) ORDER BY picture_id
    """,
    "events": """
      SELECT type, event.picture_id, caller, data, create_time FROM event
      WHERE picture_id IN (SELECT picture_id FROM face WHERE face_id = ANY(:face_ids)) ORDER BY event_key
    """,
    "actions": """
      SELECT action_id, type, summary, caller, create_time FROM action WHERE action_id IN (
        SELECT action_id FROM action_row WHERE person_id = ANY(:ids)
      ) ORDER BY action_id
    """,
    "audits": "SELECT caller, method, person_id, create_time FROM audit WHERE person_id = ANY(:ids) ORDER BY audit_id",
}
_ANSWERS = """
SELECT answer_id, picture_id, create_time, result FROM answer
WHERE picture_id IN (SELECT picture_id FROM face WHERE face_id = ANY(:face_ids)) ORDER BY answer_id
"""
_IDS = {"ids": Uuid, "person_ids": Text, "face_ids": Uuid}


class PersonExport:
    """ExportPerson."""

    def __init__(self, database: Database, content: Content) -> None:
        self._database = database
        self._content = content
        self._running = 0

    async def export(self, request: pb.ExportPersonRequest) -> AsyncGenerator[pb.ExportPersonResponse]:
        """Yield the file in pieces. Raises PersonNotFound, Overloaded, DependencyUnavailable."""
        if self._running >= _MOST_RUNNING:
            raise Overloaded(f"{_MOST_RUNNING} exports run already. Try again later.", retry_after=_RETRY_SECONDS)
        self._running += 1
        try:
            collection_id = await self._database.collection_id(request.collection, make=False)
            record = Record()
            async with recorded(self._database, collection_id, library_pb2.PictureQuery(), record):
                async for one in self._entries(collection_id, request, record):
                    for start in range(0, len(one), MOST_BYTES):
                        yield pb.ExportPersonResponse(content=one[start : start + MOST_BYTES])
        finally:
            self._running -= 1

    async def _entries(
        self, collection_id: int, request: pb.ExportPersonRequest, record: Record
    ) -> AsyncIterator[bytes]:
        now = datetime.now(UTC)
        async with self._database.snapshot() as connection:
            traits = await _traits(connection, collection_id, request)
            ids = [UUID(one) for one in traits.person_ids]
            people = await people_of(connection, collection_id, ids)
            values: dict[str, Any] = {"ids": ids, "person_ids": list(traits.person_ids)}
            values["face_ids"] = [row.face_id for row in await _rows(connection, _FACES, values)]
            about = {"person_ids": traits.person_ids, "names": traits.names, "external_ids": traits.external_ids}
            shown = _dict(people[0]) if people else {}
            yield archive.entry("person.json", _json(about | {"person": shown}), now)
            for name, statement in _TABLES.items():
                found = [dict(row) for row in (await _rows(connection, statement, values)).mappings()]
                yield archive.entry(f"{name}.jsonl", _lines(found), now)
            said = [_said(row, traits) for row in await _rows(connection, _ANSWERS, values)]
            yield archive.entry("answers.jsonl", _lines(filter(None, said)), now)
            faces = []
            for start in range(0, len(values["face_ids"]), _BATCH):
                faces += await found_faces(connection, collection_id, values["face_ids"][start : start + _BATCH])
        yield archive.entry("faces.jsonl", _lines(map(_dict, faces)), now)
        for one in faces:
            if content := await self._crop(one):
                record.count += 1
                yield archive.entry(f"faces/{one.face.face_id}.webp", content, now)
        yield archive.END

    async def _crop(self, one: pb.FoundFace) -> bytes | None:
        """Return the face; None: its picture cannot be had, which faces.jsonl names."""
        if not one.face.verdict.HasField("box"):
            return None
        try:
            return await crop(await self._content.original(UUID(one.picture_id)), one.face.verdict.box, _SIDE)
        except DomainError:
            return None


async def _traits(connection: AsyncConnection, collection_id: int, request: pb.ExportPersonRequest) -> Traits:
    person_id = uuid_of(request.person_id)
    found = await rows.traits_of(connection, collection_id, person_id) if person_id else None
    if found is None:
        raise PersonNotFound(f"The collection has no person {request.person_id!r}.", field="person_id")
    return found


async def _rows(connection: AsyncConnection, statement: str, values: Mapping[str, Any]) -> Any:
    query = text(statement)
    named = set(query.compile().params)
    typed: list[BindParameter[Any]] = [
        bindparam(name, type_=ARRAY(kind)) for name, kind in _IDS.items() if name in named
    ]
    return await connection.execute(query.bindparams(*typed), {name: values[name] for name in named})


def _said(row: Any, traits: Traits) -> dict[str, Any] | None:
    """Return what an answer says of them; None: nothing."""
    result = recognizer_pb2.RecognizerResult.FromString(row.result)
    theirs = [_dict(one) for one in candidates_of([result]) if traits.match(one)]
    own = {"answer_id": row.answer_id, "picture_id": row.picture_id, "create_time": row.create_time}
    return {**own, "recognizer": result.recognizer, "candidates": theirs} if theirs else None


def _dict(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)


def _lines(found: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(_json(one) for one in found)


def _json(value: object) -> bytes:
    return json.dumps(value, default=str, ensure_ascii=False).encode() + b"\n"

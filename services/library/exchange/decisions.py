"""ExportDecisions: decided faces in folders, as trainers and calibration take them: PERSON/MOMENT/FACE.

What a moment is keeps near-duplicates from being test and training at once: pictures of the same pixels are one, and
those that a camera took within a minute.
"""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import library_pb2
from marquee.library.v1 import people_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.library.database.database import Database
from services.library.database.people_tables import DecisionKind
from services.library.exchange import archive
from services.library.exchange.export import MOST_BYTES, Record, recorded
from services.library.faces.crops import crop
from services.library.pictures.content import Content
from services.runtime.errors import ContentMissing, InvalidImage, Overloaded, PictureNotFound
from services.runtime.people import person_id_of

STRANGERS = "unknown"
"""Folder of people whom nobody knows, as calibration has it."""
LEFT_OUT = "left-out.tsv"
"""Which faces are missing, and why."""
_SIDE = 512
_MOST_LETTERS = 120
_MOST_RUNNING = 2
_RETRY_SECONDS = 10.0
_RESERVED = {STRANGERS, "thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "lost+found", LEFT_OUT}
_FORBIDDEN = frozenset('/\\:*?"<>|')
_TIMED = (library_pb2.TIME_SOURCE_EXIF, library_pb2.TIME_SOURCE_EXIF_LOCAL)
_UNUSABLE = (ContentMissing, PictureNotFound, InvalidImage)
_FROM = """
FROM decision
JOIN face ON face.face_id = decision.face_id
JOIN picture ON picture.picture_id = face.picture_id
LEFT JOIN person ON person.person_id = decision.person_id
LEFT JOIN person AS shown ON shown.person_id = coalesce(person.merged_id, person.person_id)
WHERE picture.collection_id = :collection_id AND picture.delete_time IS NULL AND picture.redirect_id IS NULL
  AND face.current AND NOT face.erased AND shown.delete_time IS NULL
"""
_PEOPLE = text(f"""
SELECT shown.person_id, shown.display_name, count(*) AS faces {_FROM}
  AND kind = 1
GROUP BY shown.person_id HAVING count(*) >= :least ORDER BY shown.person_id
""")
_COLUMNS = """
SELECT face.face_id, face.picture_id, verdict, decision.create_time, taken_time, taken_time_source, format,
  coalesce(encode(pixel_sha256, 'hex'), picture.picture_id::text) AS pixels, (
    SELECT count(*) FROM face AS other
    WHERE other.picture_id = face.picture_id AND other.current AND other.state <> :no_face
  ) AS faces
"""
_FACES = text(f"""
{_COLUMNS} {_FROM}
  AND decision.person_id IN (
    SELECT person_id FROM person WHERE person_id = :person_id OR merged_id = :person_id
  )
ORDER BY face.face_id
""")  # noqa: S608 - likewise
_IGNORED = text(f"{_COLUMNS} {_FROM} AND kind = :ignored ORDER BY face.face_id LIMIT 20000")


class _Folder(NamedTuple):
    """A folder of the archive."""

    name: str
    person_id: UUID | None
    """None: strangers."""


class DecisionExport:
    """ExportDecisions."""

    def __init__(self, database: Database, content: Content) -> None:
        self._database = database
        self._content = content
        self._running = 0

    async def export(self, request: pb.ExportDecisionsRequest) -> AsyncGenerator[pb.ExportDecisionsResponse]:
        """Yield the file in pieces. Raises Overloaded, DependencyUnavailable."""
        if self._running >= _MOST_RUNNING:
            raise Overloaded(f"{_MOST_RUNNING} exports run already. Try again later.", retry_after=_RETRY_SECONDS)
        self._running += 1
        try:
            collection_id = await self._database.collection_id(request.collection, make=False)
            record = Record()
            async with recorded(self._database, collection_id, library_pb2.PictureQuery(), record):
                folders, estimated = await self._folders(collection_id, request)
                async for piece in _pieces(self._entries(collection_id, folders, request.form, record)):
                    yield pb.ExportDecisionsResponse(content=piece, face_count=record.count, estimated_count=estimated)
                    estimated = 0
        finally:
            self._running -= 1

    async def _folders(self, collection_id: int, request: pb.ExportDecisionsRequest) -> tuple[list[_Folder], int]:
        """Return the folders, and how many faces there are for them."""
        values = {"collection_id": collection_id, "least": max(1, request.least_faces)}
        async with self._database.begin() as connection:
            people = (await connection.execute(_PEOPLE, values)).all()
            strangers = await _strangers(connection, collection_id) if _is_calibration(request.form) else []
        names = folder_names({UUID(int=row.person_id.int): row.display_name for row in people})
        folders = [_Folder(name, person_id) for person_id, name in names.items()]
        folders += [_Folder(STRANGERS, None)] if strangers else []
        return folders, sum(row.faces for row in people) + len(strangers)

    async def _entries(
        self, collection_id: int, folders: Sequence[_Folder], form: pb.DecisionForm.ValueType, record: Record
    ) -> AsyncIterator[bytes]:
        """Yield the entries of the archive."""
        left_out = []
        for folder in folders:
            async with self._database.begin() as connection:
                rows = await _rows(connection, collection_id, folder)
            for row in rows:
                try:
                    content, suffix = await self._picture(row, form)
                except _UNUSABLE as exc:
                    left_out.append(f"{row.face_id}\t{folder.name}\t{exc.message}\n")
                    continue
                record.count += 1
                path = f"{folder.name}/{_moment(row)}/{row.face_id}.{suffix}"
                yield archive.entry(path, content, row.create_time)
        if left_out:
            yield archive.entry(LEFT_OUT, "".join(left_out).encode(), datetime.now(UTC))
        yield archive.END

    async def _picture(self, row: Any, form: pb.DecisionForm.ValueType) -> tuple[bytes, str]:
        """Return a picture that shows the face alone, and the end of its file's name.

        Calibration gets the picture itself where it has one face, as it is what recognizers are asked about.
        """
        content = await self._content.original(UUID(int=row.picture_id.int))
        if _is_calibration(form) and row.faces == 1:
            return content, row.format.lower().replace("jpeg", "jpg")
        verdict = recognizer_pb2.Verdict.FromString(row.verdict)
        if not verdict.HasField("box"):
            raise ContentMissing("No recognizer says where this face is.")
        return await crop(content, verdict.box, _SIDE, form="JPEG"), "jpg"


def folder_names(people: Mapping[UUID, str]) -> dict[UUID, str]:
    """Return a folder's name for each person, which trainers read as theirs; namesakes have their identifier in it."""
    plain = {person_id: _plain(name) for person_id, name in people.items()}
    counts = Counter(map(person_id_of, plain.values()))
    return {
        person_id: name if _is_own(name, counts) else f"{name} {person_id}".strip() for person_id, name in plain.items()
    }


def _is_own(name: str, counts: Mapping[str, int]) -> bool:
    key = person_id_of(name)
    return bool(key) and counts[key] == 1 and name.casefold() not in _RESERVED


def _plain(name: str) -> str:
    """Return the name as every file system takes it."""
    letters = "".join(" " if not one.isprintable() or one in _FORBIDDEN else one for one in name)
    return " ".join(letters.split())[:_MOST_LETTERS].strip(" .")


def _is_calibration(form: pb.DecisionForm.ValueType) -> bool:
    return form == pb.DECISION_FORM_CALIBRATION


async def _strangers(connection: AsyncConnection, collection_id: int) -> Sequence[Any]:
    """Return faces of whom somebody decided that they do not matter: nobody knows them."""
    values = {"collection_id": collection_id, "ignored": DecisionKind.IGNORED.value}
    return (await connection.execute(_IGNORED, values | _NO_FACE)).all()


_NO_FACE = {"no_face": recognizer_pb2.VERDICT_STATE_NO_FACE}


async def _rows(connection: AsyncConnection, collection_id: int, folder: _Folder) -> Sequence[Any]:
    if folder.person_id is None:
        return await _strangers(connection, collection_id)
    values = {"collection_id": collection_id, "person_id": folder.person_id}
    return (await connection.execute(_FACES, values | _NO_FACE)).all()


def _moment(row: Any) -> str:
    return f"{row.taken_time:%Y-%m-%d_%H%M}" if row.taken_time_source in _TIMED else str(row.pixels)[:16]


async def _pieces(entries: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the entries in pieces of at most 1 MiB, as soon as each is full."""
    waiting = bytearray()
    async for one in entries:
        waiting += one
        for piece in _full(waiting):
            yield piece
    yield bytes(waiting)


def _full(waiting: bytearray) -> Iterator[bytes]:
    while len(waiting) > MOST_BYTES:
        yield bytes(waiting[:MOST_BYTES])
        del waiting[:MOST_BYTES]

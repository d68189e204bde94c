"""Pictures written into a file."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, bindparam, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid6 import uuid7

from marquee.library.v1 import library_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.library.database.database import Database
from services.library.database.tables import export, picture
from services.library.exchange import json_lines, table
from services.library.pictures.view import pictures_of, timestamp
from services.library.search.conditions import conditions
from services.library.search.paging import order_of
from services.runtime.doors.caller import current
from services.runtime.errors import OutOfTime, Overloaded
from services.runtime.limits import MIB

MOST_BYTES = MIB
"""Of a piece."""
RECORD_LOCK = 0x65787074
"""Advisory lock of a collection: an export is recorded alone, and not while an erasure looks at exports until its end.
So each sees the other: the receipt names the export, or the export does not have the picture."""
_BATCH = 100
"""Pictures that are read at a time: beside a piece, all of an export that is in memory."""
_SHARE = 4
"""One connection in so many, since an export has its own for as long as its caller takes."""
_RETRY_SECONDS = 10.0
STALL_SECONDS = 300.0
"""In which a caller takes a piece: an export that nobody reads keeps others, and the database, waiting."""
_ANSWERS = text("""
SELECT picture_id, answer_id, create_time, source, recognizer, model, version, outcome, cost_micro_usd
FROM unnest(:ids) AS listed (id) CROSS JOIN LATERAL (
  SELECT * FROM answer WHERE picture_id = id ORDER BY create_time DESC, answer_id DESC LIMIT 1000
) AS newest
ORDER BY picture_id, create_time DESC, answer_id DESC
""").bindparams(bindparam("ids", type_=ARRAY(Uuid)))


class _Form(NamedTuple):
    """How pictures are written."""

    head: Callable[[], bytes]
    lines: Callable[[pb.Picture], Sequence[bytes]]


_JSON_LINES = _Form(bytes, lambda picture: (json_lines.line(picture),))
_FORMS = {
    pb.EXPORT_FORMAT_UNSPECIFIED: _JSON_LINES,
    pb.EXPORT_FORMAT_JSON_LINES: _JSON_LINES,
    pb.EXPORT_FORMAT_CSV: _Form(table.head, lambda picture: table.rows(picture).splitlines(keepends=True)),
}


class Export:
    """ExportPictures."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._running = 0

    async def export(self, request: pb.ExportPicturesRequest) -> AsyncGenerator[pb.ExportPicturesResponse]:
        """Yield the file in pieces: pictures as they all were at one moment, by rising picture_id.

        Raises InvalidRequest, Overloaded, DependencyUnavailable.
        """
        form = _FORMS[request.format]
        with self._place():
            collection_id = await self._database.collection_id(request.collection, make=False)
            file, query = _File(), request.query
            async with (
                recorded(self._database, collection_id, query, file),
                self._database.snapshot() as connection,
            ):
                file.begin(form.head())
                async for ids in _found(connection, collection_id, request, file):
                    for one in await _pictures(connection, request.collection, ids):
                        for piece in file.put(form.lines(one)):
                            with _hurrying() as limit:
                                async with limit:
                                    yield piece
                yield file.piece()

    @contextmanager
    def _place(self) -> Iterator[None]:
        most = max(1, self._database.connections // _SHARE)
        if self._running >= most:
            raise Overloaded(f"{most} exports run here already. Try again later.", retry_after=_RETRY_SECONDS)
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1


class Record:
    """What is kept of an export, so that whoever erases a picture learns who may have it."""

    def __init__(self) -> None:
        self.export_id = UUID(int=uuid7().int)
        self.count = 0
        """Pictures so far."""


@asynccontextmanager
async def recorded(
    database: Database, collection_id: int, query: pb.PictureQuery, record: Record
) -> AsyncIterator[None]:
    """Record an export before it reads anything, and its end."""
    if collection_id:
        values = {"export_id": record.export_id, "collection_id": collection_id, "caller": current().name}
        async with database.begin() as connection:
            await connection.execute(select(func.pg_advisory_xact_lock(RECORD_LOCK, collection_id)))
            await connection.execute(insert(export).values(query=query.SerializeToString(), **values))
    try:
        yield
    finally:
        ended = update(export).where(export.c.export_id == record.export_id)
        async with database.begin() as connection:
            await connection.execute(ended.values(picture_count=record.count, end_time=func.now()))


@contextmanager
def _hurrying() -> Iterator[asyncio.Timeout]:
    """Yield the time for sending a piece. Raises OutOfTime in place of ending silently, as a generator does."""
    limit = asyncio.timeout(STALL_SECONDS)
    try:
        yield limit
    except GeneratorExit:
        if limit.expired():
            raise OutOfTime("Nobody has read the export for too long. Read its pieces as they come.") from None
        raise


class _File(Record):
    """What of a file is still to be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0
        """Pictures that there will be."""
        self._lines = bytearray()
        self._has_piece = False

    def begin(self, head: bytes) -> None:
        """Put what comes before the first picture."""
        self._lines += head

    def put(self, lines: Iterable[bytes]) -> Iterator[pb.ExportPicturesResponse]:
        """Put a picture's lines; yield the pieces that are full. Only a line that is longer than one is parted."""
        for line in lines:
            if self._lines and len(self._lines) + len(line) > MOST_BYTES:
                yield self.piece()
            self._lines += line
            while len(self._lines) > MOST_BYTES:
                rest = self._lines[MOST_BYTES:]
                del self._lines[MOST_BYTES:]
                yield self.piece()
                self._lines = rest
        self.count += 1

    def piece(self) -> pb.ExportPicturesResponse:
        """Return what there is as a piece."""
        content = bytes(self._lines)
        self._lines.clear()
        total = 0 if self._has_piece else self.total
        self._has_piece = True
        return pb.ExportPicturesResponse(
            content=content, picture_count=self.count, estimated_count=total, export_id=str(self.export_id)
        )


async def _found(
    connection: AsyncConnection, collection_id: int, request: pb.ExportPicturesRequest, file: _File
) -> AsyncIterator[Sequence[UUID]]:
    """Yield the identifiers of the pictures, which the database keeps meanwhile; tell the file how many there are."""
    wanted = await conditions(connection, collection_id, request.query, order_of(pb.PICTURE_ORDER_UNSPECIFIED))
    found = select(picture.c.picture_id, func.count().over().label("total")).where(*wanted.every)
    await connection.execute(text("SET LOCAL cursor_tuple_fraction = 1"))  # all rows are wanted, not the first
    result = await connection.stream(found.order_by(picture.c.picture_id).execution_options(yield_per=_BATCH))
    async for rows in result.partitions():
        file.total = rows[0].total
        yield [row.picture_id for row in rows]


async def _pictures(connection: AsyncConnection, collection: str, ids: Sequence[UUID]) -> list[pb.Picture]:
    """Return the pictures with a summary of their answers, newest first."""
    pictures = {one.picture_id: one for one in await pictures_of(connection, collection, ids)}
    for row in await connection.execute(_ANSWERS, {"ids": list(ids)}):
        result = recognizer_pb2.RecognizerResult(
            recognizer=row.recognizer,
            outcome=row.outcome,
            model=recognizer_pb2.Model(name=row.model, version=row.version),
            cost_micro_usd=row.cost_micro_usd,
        )
        pictures[str(row.picture_id)].answers.add(
            answer_id=str(row.answer_id), create_time=timestamp(row.create_time), source=row.source, result=result
        )
    return list(pictures.values())

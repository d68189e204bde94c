"""Pictures written into the library's tables as they are, without a gateway, and found by what they have."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import uuid6
from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as insert_new
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import library_pb2 as pb
from marquee.v1 import recognizer_pb2 as v1
from services.library.database import tables
from services.library.database.database import Database
from services.library.search.folding import fold
from services.library.search.terms import index

IDENTIFIED = v1.VERDICT_STATE_IDENTIFIED
_THEN = datetime(2024, 2, 29, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Named:
    """A face: somebody who is IDENTIFIED, or in another state."""

    person_id: str = ""
    display_name: str = ""
    score: float = 0.5
    state: int = IDENTIFIED


@dataclass(frozen=True)
class Row:
    """A picture and what is known of it."""

    file_name: str = "a.jpg"
    state: int = pb.PICTURE_STATE_RECOGNIZED
    taken: datetime = _THEN
    added: datetime = _THEN
    deleted: datetime | None = None
    redirect_id: UUID | None = None
    faces: Sequence[Named] = ()
    labels: Sequence[Sequence[str]] = ()
    """Names, each followed by those of its parents."""
    moderation_labels: Sequence[tuple[str, str]] = ()
    """Names and their parents."""
    texts: Sequence[str] = ()
    categories: Sequence[str] = ()
    recognizers: Sequence[tuple[str, int, int]] = ()
    """Name, outcome and cost of each answer."""
    places: Sequence[tuple[str, str]] = ()
    """Bucket and key; a path has no bucket."""
    picture_id: UUID = field(default_factory=lambda: UUID(int=uuid6.uuid7().int))

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.picture_id.bytes).digest()


async def write(url: str, rows: Sequence[Row], collection: str = "pictures") -> None:
    """Write the pictures into the collection, and have them found."""
    database = Database(url, 1)
    number = await database.collection_id(collection)
    async with database.begin() as connection:
        for table, values in _values(rows, number).items():
            for start in range(0, len(values), 1000):
                await connection.execute(insert(table), values[start : start + 1000])
        await _categorize(connection, rows, number)
        await index(connection, number, [row.picture_id for row in rows])
    await database.close()


def _values(rows: Sequence[Row], number: int) -> dict[Any, list[dict[str, Any]]]:
    return {
        tables.picture: [_picture(row, number) for row in rows],
        tables.face: [_face(row, position) for row in rows for position in range(len(row.faces))],
        tables.label: [label for row in rows for label in _labels(row)],
        tables.text_: [_text(row, position) for row in rows for position in range(len(row.texts))],
        tables.answer: [_answer(row, answer) for row in rows for answer in row.recognizers],
        tables.place: [_place(row, number, place) for row in rows for place in row.places],
    }


def _picture(row: Row, number: int) -> dict[str, Any]:
    return {
        "picture_id": row.picture_id,
        "collection_id": number,
        "state": row.state,
        "sha256": row.sha256,
        "redirect_id": row.redirect_id,
        "file_name": row.file_name,
        "create_time": row.added,
        "taken_time": row.taken,
        "taken_time_source": pb.TIME_SOURCE_EXIF,
        "delete_time": row.deleted,
    }


def _face(row: Row, position: int) -> dict[str, Any]:
    face: Any = row.faces[position]
    told = {"person_id": face.person_id, "display_name": face.display_name, "score": face.score, "state": face.state}
    verdict = v1.Verdict(**told).SerializeToString()
    return {"face_id": _new_id(), "picture_id": row.picture_id, "position": position, "verdict": verdict, **told}


def _labels(row: Row) -> list[dict[str, Any]]:
    labels: list[Any] = [v1.Label(name=name, score=0.5, parents=parents) for name, *parents in row.labels]
    labels += [v1.ModerationLabel(name=name, parent=parent, score=0.5) for name, parent in row.moderation_labels]
    return [
        {
            "picture_id": row.picture_id,
            "moderation": isinstance(label, v1.ModerationLabel),
            "position": position,
            "name": label.name,
            "score": label.score,
            "content": label.SerializeToString(),
        }
        for position, label in enumerate(labels)
    ]


def _text(row: Row, position: int) -> dict[str, Any]:
    found = v1.Text(content=row.texts[position], score=0.5)
    return {
        "picture_id": row.picture_id,
        "position": position,
        "content": found.content,
        "score": found.score,
        "found": found.SerializeToString(),
    }


def _answer(row: Row, answer: tuple[str, int, int]) -> dict[str, Any]:
    name, outcome, cost = answer
    return {
        "answer_id": _new_id(),
        "picture_id": row.picture_id,
        "recognizer": name,
        "source": pb.ANSWER_SOURCE_CALL,
        "outcome": outcome,
        "cost_micro_usd": cost,
        "result": v1.RecognizerResult(recognizer=name).SerializeToString(),
    }


def _place(row: Row, number: int, place: tuple[str, str]) -> dict[str, Any]:
    bucket, key = place
    return {
        "place_id": _new_id(),
        "picture_id": row.picture_id,
        "collection_id": number,
        "kind": tables.PlaceKind.S3 if bucket else tables.PlaceKind.PATH,
        "bucket": bucket,
        "key": key,
        "location": hashlib.sha256(f"{bucket}/{key}".encode()).digest(),
    }


async def _categorize(connection: AsyncConnection, rows: Sequence[Row], number: int) -> None:
    """Put the pictures into their categories, which are made if they are new."""
    names = sorted({name for row in rows for name in row.categories})
    for name in names:
        values = {"category_id": _new_id(), "collection_id": number, "name": name, "folded_name": fold(name)}
        await connection.execute(insert_new(tables.category).values(values).on_conflict_do_nothing())
    own = tables.category.c
    made = await connection.execute(select(own.name, own.category_id).where(own.collection_id == number))
    ids: dict[str, UUID] = {row.name: row.category_id for row in made}
    values = [
        {"picture_id": row.picture_id, "category_id": ids[name], "source": pb.CATEGORY_SOURCE_HAND}
        for row in rows
        for name in row.categories
    ]
    if values:
        await connection.execute(insert(tables.picture_category), values)


def _new_id() -> UUID:
    return UUID(int=uuid6.uuid7().int)

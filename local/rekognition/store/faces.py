"""The faces of collections."""

import sqlite3
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from local.rekognition.store.database import Database
from local.rekognition.store.index_cache import IndexCache, check
from local.rekognition.vision.vision import Embedding

_ADD = (
    "INSERT INTO faces (collection, id, image, picture, external, left, top, width, height, confidence, embedding)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True)
class NewFace:
    """A face to be kept: its place in shares of the picture, 0 to 100, and [128]."""

    box: tuple[float, float, float, float]
    """Left, top, width and height."""
    confidence: float
    embedding: Embedding


@dataclass(frozen=True)
class KnownFace:
    """A face in a collection."""

    number: int
    """Grows with every face that is added."""
    face_id: str
    image_id: str
    external_id: str | None
    user_id: str | None
    box: tuple[float, float, float, float]
    confidence: float


class FaceStore:
    """All faces of a database. Safe to share between threads; methods raise AwsError."""

    def __init__(self, database: Database, indexes: IndexCache) -> None:
        self._database = database
        self._indexes = indexes

    def add(self, collection: str, picture: str, external: str | None, faces: Sequence[NewFace]) -> list[KnownFace]:
        """Keeps all or none. Faces of the same picture, place and external id are those that are there already."""
        with self._database.writing() as sql:
            check(sql, collection)
            there = {face.box: face for face in _of_picture(sql, collection, picture, external)}
            image = next(iter(there.values())).image_id if there else str(uuid.uuid4())
            fresh = {face.box: str(uuid.uuid4()) for face in faces if face.box not in there}
            for face in faces:
                if face.box in fresh:
                    _insert(sql, (collection, fresh[face.box], image, picture, external), face)
            added = [face.embedding for face in faces if face.box in fresh]
            self._indexes.extend(collection, list(fresh.values()), np.array(added, np.float32).reshape(-1, 128))
            kept = {face.box: face for face in _of_picture(sql, collection, picture, external)}
        return [kept[face.box] for face in faces]

    def page(
        self, collection: str, after: int, most: int, user: str | None = None, ids: Sequence[str] | None = None
    ) -> list[KnownFace]:
        """In the order in which they were added, behind the number `after`; of a user, or among the ids."""
        query = "SELECT * FROM faces WHERE collection = ? AND number > ?"
        values: list[object] = [collection, after]
        if user is not None:
            query, values = f"{query} AND user = ?", [*values, user]
        if ids is not None:
            query, values = f"{query} AND id IN ({_marks(ids)})", [*values, *ids]
        with self._database.reading() as sql:
            check(sql, collection)
            return [_known(row) for row in sql.execute(f"{query} ORDER BY number LIMIT ?", (*values, most))]

    def by_id(self, collection: str, ids: Sequence[str]) -> dict[str, KnownFace]:
        """Those of the ids that there are."""
        return {face.face_id: face for face in self.page(collection, 0, len(ids), ids=ids)}

    def delete(self, collection: str, ids: Iterable[str]) -> tuple[list[str], list[KnownFace]]:
        """The ids that were deleted, and the faces that users own, which stay."""
        wanted = list(dict.fromkeys(ids))
        with self._database.writing() as sql:
            check(sql, collection)
            known = [_known(row) for row in _rows_of(sql, collection, wanted)]
            free = [face.face_id for face in known if face.user_id is None]
            sql.execute(f"DELETE FROM faces WHERE collection = ? AND id IN ({_marks(free)})", (collection, *free))  # noqa: S608 - question marks
            self._indexes.forget(collection)
        return free, [face for face in known if face.user_id is not None]


def _rows_of(sql: sqlite3.Connection, collection: str, ids: Sequence[str]) -> list[sqlite3.Row]:
    query = f"SELECT * FROM faces WHERE collection = ? AND id IN ({_marks(ids)})"  # noqa: S608 - question marks
    return sql.execute(query, (collection, *ids)).fetchall()


def _of_picture(sql: sqlite3.Connection, collection: str, picture: str, external: str | None) -> list[KnownFace]:
    query = "SELECT * FROM faces WHERE collection = ? AND picture = ? AND external IS ?"
    return [_known(row) for row in sql.execute(query, (collection, picture, external))]


def _insert(sql: sqlite3.Connection, where: tuple[str, str, str, str, str | None], face: NewFace) -> None:
    values = (*where, *face.box, face.confidence, face.embedding.astype(np.float32).tobytes())
    sql.execute(_ADD, values)


def _known(row: sqlite3.Row) -> KnownFace:
    box = (row["left"], row["top"], row["width"], row["height"])
    return KnownFace(row["number"], row["id"], row["image"], row["external"], row["user"], box, row["confidence"])


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))

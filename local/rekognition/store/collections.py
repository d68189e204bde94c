"""Collections and their faces."""

import sqlite3
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from local.rekognition.store.database import Database, check_collection
from local.rekognition.store.index import IndexCache
from local.rekognition.vision.view import Embedding
from local.rekognition.wire import errors
from services.svm.networks.network import DLIB

_INSERT = (
    "INSERT INTO faces (collection, id, image, picture, external, left, top, width, height, confidence, embedding)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True)
class CollectionSize:
    """The size of a collection and the time of its creation."""

    faces: int
    users: int
    created: float
    """Seconds since 1970."""


@dataclass(frozen=True)
class NewFace:
    """A face to be stored."""

    box: tuple[float, float, float, float]
    """Left, top, width and height in shares of the picture."""
    confidence: float
    """0 to 100."""
    embedding: Embedding
    """[128]."""


@dataclass(frozen=True)
class StoredFace:
    """A face in a collection."""

    number: int
    """Grows with every face that is added."""
    face_id: str
    image_id: str
    external_id: str | None
    user_id: str | None
    box: tuple[float, float, float, float]
    confidence: float


class CollectionStore:
    """The collections of a database. Safe to share between threads; methods raise AwsError."""

    def __init__(self, database: Database, indexes: IndexCache) -> None:
        self._database = database
        self._indexes = indexes

    def create(self, collection: str) -> None:
        """Create an empty collection. Raises ResourceAlreadyExistsException."""
        with self._database.writing() as sql:
            try:
                sql.execute("INSERT INTO collections VALUES (?, ?)", (collection, time.time()))
            except sqlite3.IntegrityError:
                raise errors.collection_exists(collection) from None

    def delete(self, collection: str) -> None:
        """Delete the collection with all its faces and users. Raises ResourceNotFoundException."""
        with self._database.writing() as sql:
            if not sql.execute("DELETE FROM collections WHERE id = ?", (collection,)).rowcount:
                raise errors.missing("collection", collection)
            self._indexes.forget(collection)

    def size(self, collection: str) -> CollectionSize:
        """Count the collection's faces and users. Raises ResourceNotFoundException."""
        with self._database.reading() as sql:
            row = sql.execute("SELECT created FROM collections WHERE id = ?", (collection,)).fetchone()
            if row is None:
                raise errors.missing("collection", collection)
            (faces,) = sql.execute("SELECT count(*) FROM faces WHERE collection = ?", (collection,)).fetchone()
            (users,) = sql.execute("SELECT count(*) FROM users WHERE collection = ?", (collection,)).fetchone()
        return CollectionSize(faces, users, row["created"])

    def names(self, after: str, limit: int) -> list[str]:
        """Return names in alphabetical order, beginning after `after`."""
        with self._database.reading() as sql:
            rows = sql.execute("SELECT id FROM collections WHERE id > ? ORDER BY id LIMIT ?", (after, limit))
            return [row["id"] for row in rows]


class FaceStore:
    """The faces of a database. Safe to share between threads; methods raise AwsError."""

    def __init__(self, database: Database, indexes: IndexCache) -> None:
        self._database = database
        self._indexes = indexes

    def add(self, collection: str, picture: str, external: str | None, faces: Sequence[NewFace]) -> list[StoredFace]:
        """Store all faces or none. A face with the same picture, box and external id is not stored twice."""
        with self._database.writing() as sql:
            check_collection(sql, collection)
            old = {face.box: face for face in _of_picture(sql, collection, picture, external)}
            image = next(iter(old.values())).image_id if old else str(uuid.uuid4())
            new = {face.box: face for face in faces if face.box not in old}
            ids = [str(uuid.uuid4()) for _ in new]
            for face_id, face in zip(ids, new.values(), strict=True):
                _insert(sql, (collection, face_id, image, picture, external), face)
            rows = np.array([face.embedding for face in new.values()], np.float32).reshape(-1, DLIB.length)
            self._indexes.add_faces(collection, ids, rows)
            by_box = {face.box: face for face in _of_picture(sql, collection, picture, external)}
        return [by_box[face.box] for face in faces]

    def page(
        self, collection: str, after: int, limit: int, user: str | None = None, ids: Sequence[str] | None = None
    ) -> list[StoredFace]:
        """Return faces in order of addition, beginning after the number `after`; optionally of a user or with ids."""
        query = "SELECT * FROM faces WHERE collection = ? AND number > ?"
        values: list[object] = [collection, after]
        if user is not None:
            query, values = f"{query} AND user = ?", [*values, user]
        if ids is not None:
            query, values = f"{query} AND id IN ({_marks(ids)})", [*values, *ids]
        with self._database.reading() as sql:
            check_collection(sql, collection)
            return [_face(row) for row in sql.execute(f"{query} ORDER BY number LIMIT ?", (*values, limit))]

    def by_id(self, collection: str, ids: Sequence[str]) -> dict[str, StoredFace]:
        """Return the faces with the ids, as far as they exist."""
        return {face.face_id: face for face in self.page(collection, 0, len(ids), ids=ids)}

    def delete(self, collection: str, ids: Iterable[str]) -> tuple[list[str], list[StoredFace]]:
        """Delete faces that no user owns. Return their ids, and the faces that users own, which stay."""
        with self._database.writing() as sql:
            check_collection(sql, collection)
            faces = _with_ids(sql, collection, list(dict.fromkeys(ids)))
            free = [face.face_id for face in faces if face.user_id is None]
            sql.execute(f"DELETE FROM faces WHERE collection = ? AND id IN ({_marks(free)})", (collection, *free))  # noqa: S608 - question marks
            self._indexes.forget(collection)
        return free, [face for face in faces if face.user_id is not None]


def _with_ids(sql: sqlite3.Connection, collection: str, ids: Sequence[str]) -> list[StoredFace]:
    query = f"SELECT * FROM faces WHERE collection = ? AND id IN ({_marks(ids)})"  # noqa: S608 - question marks
    return [_face(row) for row in sql.execute(query, (collection, *ids)).fetchall()]


def _of_picture(sql: sqlite3.Connection, collection: str, picture: str, external: str | None) -> list[StoredFace]:
    query = "SELECT * FROM faces WHERE collection = ? AND picture = ? AND external IS ?"
    return [_face(row) for row in sql.execute(query, (collection, picture, external))]


def _insert(sql: sqlite3.Connection, key: tuple[str, str, str, str, str | None], face: NewFace) -> None:
    sql.execute(_INSERT, (*key, *face.box, face.confidence, face.embedding.astype(np.float32).tobytes()))


def _face(row: sqlite3.Row) -> StoredFace:
    box = (row["left"], row["top"], row["width"], row["height"])
    return StoredFace(row["number"], row["id"], row["image"], row["external"], row["user"], box, row["confidence"])


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))

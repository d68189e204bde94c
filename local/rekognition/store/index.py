"""Exact search of embeddings, one matrix product a search, in indexes kept in step with the database."""

import sqlite3
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from local.rekognition.store.database import Database, check_collection
from local.rekognition.vision.similarity import similarity
from local.rekognition.vision.view import Embedding
from services.svm.networks.network import DLIB

Match = tuple[str, float]
"""The name of an embedding, and its similarity, 0 to 100."""


class FaceIndex:
    """Embeddings by name. Immutable: `with_rows` returns a new index."""

    def __init__(self, names: Sequence[str], rows: npt.NDArray[np.float32]) -> None:
        self.names = names
        self._rows = rows
        self._lengths = np.einsum("ij,ij->i", rows, rows)

    def with_rows(self, names: Sequence[str], rows: npt.NDArray[np.float32]) -> "FaceIndex":
        """Return an index that also holds these rows."""
        return FaceIndex([*self.names, *names], np.concatenate([self._rows, rows]))

    def embedding(self, name: str) -> Embedding | None:
        """Return the embedding with the name, None if there is none."""
        row = self._row_numbers.get(name)
        return None if row is None else self._rows[row]

    def similarity(self, name: str, embedding: Embedding | None) -> float:
        """Return the similarity of the named embedding to another, 0 if either is missing."""
        own = self.embedding(name)
        if own is None or embedding is None:
            return 0.0
        return similarity(float(np.linalg.norm(own - embedding)))

    def search(self, embedding: Embedding, limit: int, threshold: float, exclude: str | None = None) -> list[Match]:
        """Return at most `limit` matches with a similarity of `threshold` or more, most similar first."""
        squared = self._lengths - 2 * (self._rows @ embedding) + embedding @ embedding
        count = min(limit + (exclude is not None), len(self.names))
        nearest = np.argpartition(squared, count - 1)[:count] if count else np.empty(0, np.int64)
        rows = nearest[np.argsort(squared[nearest], kind="stable")]
        distances = np.sqrt(np.maximum(squared[rows], 0))
        matches = [(self.names[row], similarity(float(apart))) for row, apart in zip(rows, distances, strict=True)]
        return [match for match in matches if match[0] != exclude and match[1] >= threshold][:limit]

    @cached_property
    def _row_numbers(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names)}


class IndexCache:
    """One index of faces and one of users per collection, read once. Safe to share between threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._version = database.version()
        self._faces: dict[str, FaceIndex] = {}
        self._users: dict[str, FaceIndex] = {}

    def faces(self, collection: str) -> FaceIndex:
        """Return the embeddings by face id. Raises ResourceNotFoundException."""
        with self._database.reading() as sql:
            self._catch_up()
            check_collection(sql, collection)
            if collection not in self._faces:
                self._faces[collection] = FaceIndex(*_read(sql, collection, "id", "1"))
            return self._faces[collection]

    def users(self, collection: str) -> FaceIndex:
        """Return the mean embeddings of users with faces, by user id. Raises ResourceNotFoundException."""
        with self._database.reading() as sql:
            self._catch_up()
            check_collection(sql, collection)
            if collection not in self._users:
                self._users[collection] = FaceIndex(*_means(*_read(sql, collection, "user", "user IS NOT NULL")))
            return self._users[collection]

    def add_faces(self, collection: str, names: list[str], rows: npt.NDArray[np.float32]) -> None:
        """Add faces to the collection's index. Call this in the transaction that adds them."""
        if collection in self._faces:
            self._faces[collection] = self._faces[collection].with_rows(names, rows)

    def forget_users(self, collection: str) -> None:
        """Drop the index of users. Call this in the transaction that gives faces to users or takes them away."""
        self._users.pop(collection, None)

    def forget(self, collection: str) -> None:
        """Drop both indexes. Call this in the transaction that deletes faces or the collection."""
        self._faces.pop(collection, None)
        self._users.pop(collection, None)

    def _catch_up(self) -> None:
        version = self._database.version()
        if version != self._version:
            self._version = version
            self._faces.clear()
            self._users.clear()


def _read(sql: sqlite3.Connection, collection: str, name: str, which: str) -> tuple[list[str], npt.NDArray[np.float32]]:
    query = f"SELECT {name}, embedding FROM faces WHERE collection = ? AND {which} ORDER BY number"  # noqa: S608 - ours
    cursor = sql.cursor()
    cursor.row_factory = None  # tuples: twice as fast
    rows = cursor.execute(query, (collection,)).fetchall()
    numbers = np.frombuffer(b"".join(row[1] for row in rows), np.float32)
    return [row[0] for row in rows], numbers.reshape(-1, DLIB.length)


def _means(owners: list[str], rows: npt.NDArray[np.float32]) -> tuple[list[str], npt.NDArray[np.float32]]:
    users, places, counts = np.unique(owners, return_inverse=True, return_counts=True)
    sums = np.zeros((len(users), DLIB.length), np.float32)
    np.add.at(sums, places, rows)
    return [str(user) for user in users], np.asarray(sums / counts[:, np.newaxis], np.float32)

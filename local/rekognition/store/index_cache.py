"""The indexes that faces and users are searched in, read once and kept in step with the database."""

import sqlite3

import numpy as np
import numpy.typing as npt

from local.rekognition.store.database import Database
from local.rekognition.store.face_index import FaceIndex
from local.rekognition.wire import errors
from services.svm.faces.resnet import LENGTH


class IndexCache:
    """One index of faces and one of users a collection. Safe to share between threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._version = database.version()
        self._faces: dict[str, FaceIndex] = {}
        self._users: dict[str, FaceIndex] = {}

    def faces(self, collection: str) -> FaceIndex:
        """The embeddings by face id. Raises ResourceNotFoundException."""
        with self._database.reading() as sql:
            self._catch_up()
            check(sql, collection)
            if collection not in self._faces:
                self._faces[collection] = FaceIndex(*_read(sql, collection, "id", "1"))
            return self._faces[collection]

    def users(self, collection: str) -> FaceIndex:
        """The mean embeddings of the users who have faces, by user id. Raises ResourceNotFoundException."""
        with self._database.reading() as sql:
            self._catch_up()
            check(sql, collection)
            if collection not in self._users:
                self._users[collection] = FaceIndex(*_means(*_read(sql, collection, "user", "user IS NOT NULL")))
            return self._users[collection]

    def extend(self, collection: str, names: list[str], rows: npt.NDArray[np.float32]) -> None:
        """Faces came to the collection. To be called in the transaction that adds them."""
        if collection in self._faces:
            self._faces[collection] = self._faces[collection].with_rows(names, rows)

    def forget_users(self, collection: str) -> None:
        """Faces went to or from users. To be called in the transaction that moves them."""
        self._users.pop(collection, None)

    def forget(self, collection: str) -> None:
        """Faces left the collection, or all of it did. To be called in the transaction that removes them."""
        self._faces.pop(collection, None)
        self._users.pop(collection, None)

    def _catch_up(self) -> None:
        version = self._database.version()
        if version != self._version:
            self._version = version
            self._faces.clear()
            self._users.clear()


def check(sql: sqlite3.Connection, collection: str) -> None:
    """Raises ResourceNotFoundException where there is no such collection."""
    if not sql.execute("SELECT 1 FROM collections WHERE id = ?", (collection,)).fetchone():
        raise errors.missing("collection", collection)


def _read(sql: sqlite3.Connection, collection: str, name: str, which: str) -> tuple[list[str], npt.NDArray[np.float32]]:
    query = f"SELECT {name}, embedding FROM faces WHERE collection = ? AND {which} ORDER BY number"  # noqa: S608 - ours
    cursor = sql.cursor()
    cursor.row_factory = None  # tuples: twice as fast
    rows = cursor.execute(query, (collection,)).fetchall()
    numbers = np.frombuffer(b"".join(row[1] for row in rows), np.float32)
    return [row[0] for row in rows], numbers.reshape(-1, LENGTH)


def _means(owners: list[str], rows: npt.NDArray[np.float32]) -> tuple[list[str], npt.NDArray[np.float32]]:
    users, places, counts = np.unique(owners, return_inverse=True, return_counts=True)
    sums = np.zeros((len(users), LENGTH), np.float32)
    np.add.at(sums, places, rows)
    return [str(user) for user in users], np.asarray(sums / counts[:, np.newaxis], np.float32)

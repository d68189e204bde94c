"""Collections by name."""

import sqlite3
import time
from dataclasses import dataclass

from local.rekognition.store.database import Database
from local.rekognition.store.index_cache import IndexCache
from local.rekognition.wire import errors


@dataclass(frozen=True)
class Described:
    """What DescribeCollection tells."""

    faces: int
    users: int
    created: float
    """Seconds since 1970."""


class CollectionStore:
    """All collections of a database. Safe to share between threads; methods raise AwsError."""

    def __init__(self, database: Database, indexes: IndexCache) -> None:
        self._database = database
        self._indexes = indexes

    def create(self, collection: str) -> None:
        """Raises ResourceAlreadyExistsException."""
        with self._database.writing() as sql:
            try:
                sql.execute("INSERT INTO collections VALUES (?, ?)", (collection, time.time()))
            except sqlite3.IntegrityError:
                raise errors.exists("collection", collection) from None

    def delete(self, collection: str) -> None:
        """With all its faces and users. Raises ResourceNotFoundException."""
        with self._database.writing() as sql:
            if not sql.execute("DELETE FROM collections WHERE id = ?", (collection,)).rowcount:
                raise errors.missing("collection", collection)
            self._indexes.forget(collection)

    def describe(self, collection: str) -> Described:
        """Raises ResourceNotFoundException."""
        with self._database.reading() as sql:
            row = sql.execute("SELECT created FROM collections WHERE id = ?", (collection,)).fetchone()
            if row is None:
                raise errors.missing("collection", collection)
            (faces,) = sql.execute("SELECT count(*) FROM faces WHERE collection = ?", (collection,)).fetchone()
            (users,) = sql.execute("SELECT count(*) FROM users WHERE collection = ?", (collection,)).fetchone()
        return Described(faces, users, row["created"])

    def names(self, after: str, most: int) -> list[str]:
        """In alphabetical order, behind `after`."""
        with self._database.reading() as sql:
            rows = sql.execute("SELECT id FROM collections WHERE id > ? ORDER BY id LIMIT ?", (after, most))
            return [row["id"] for row in rows]

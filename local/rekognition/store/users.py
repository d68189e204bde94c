"""The users of collections: people, each with faces."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from local.rekognition.store.database import Database, check_collection
from local.rekognition.store.index import IndexCache
from local.rekognition.wire import errors

MAX_FACES = 100
"""AWS's limit of faces per user."""


@dataclass(frozen=True)
class User:
    """A user, and the number of their faces."""

    user_id: str
    faces: int

    @property
    def status(self) -> str:
        """ACTIVE with faces, CREATED without."""
        return "ACTIVE" if self.faces else "CREATED"


class UserStore:
    """The users of a database. Safe to share between threads; methods raise AwsError."""

    def __init__(self, database: Database, indexes: IndexCache) -> None:
        self._database = database
        self._indexes = indexes

    def create(self, collection: str, user: str) -> None:
        """Create a user without faces. Raises ConflictException if the user exists."""
        with self._database.writing() as sql:
            check_collection(sql, collection)
            try:
                sql.execute("INSERT INTO users VALUES (?, ?)", (collection, user))
            except sqlite3.IntegrityError:
                raise errors.user_exists(user) from None

    def delete(self, collection: str, user: str) -> None:
        """Delete the user; the faces stay, without an owner. Raises ResourceNotFoundException."""
        with self._database.writing() as sql:
            _check_user(sql, collection, user)
            sql.execute("UPDATE faces SET user = NULL WHERE collection = ? AND user = ?", (collection, user))
            sql.execute("DELETE FROM users WHERE collection = ? AND id = ?", (collection, user))
            self._indexes.forget_users(collection)

    def page(self, collection: str, after: str, limit: int) -> list[User]:
        """Return users in alphabetical order, beginning after `after`."""
        query = (
            "SELECT id, (SELECT count(*) FROM faces WHERE collection = users.collection AND user = users.id) AS faces"
            " FROM users WHERE collection = ? AND id > ? ORDER BY id LIMIT ?"
        )
        with self._database.reading() as sql:
            check_collection(sql, collection)
            return [User(row["id"], row["faces"]) for row in sql.execute(query, (collection, after, limit))]

    def get(self, collection: str, user: str) -> User:
        """Return the user. Raises ResourceNotFoundException."""
        with self._database.reading() as sql:
            _check_user(sql, collection, user)
            return User(user, _count(sql, collection, user))

    def associate(self, collection: str, user: str, faces: Sequence[str]) -> None:
        """Give the user all of the faces or none. Raises ServiceQuotaExceededException."""
        with self._database.writing() as sql:
            _check_user(sql, collection, user)
            if _count(sql, collection, user) + len(faces) > MAX_FACES:
                raise errors.quota(f"A user has at most {MAX_FACES} faces")
            self._set_owner(sql, collection, faces, user)

    def disassociate(self, collection: str, user: str, faces: Sequence[str]) -> None:
        """Take the faces from the user."""
        with self._database.writing() as sql:
            _check_user(sql, collection, user)
            self._set_owner(sql, collection, faces, None)

    def _set_owner(self, sql: sqlite3.Connection, collection: str, faces: Sequence[str], user: str | None) -> None:
        rows = [(user, collection, face) for face in faces]
        sql.executemany("UPDATE faces SET user = ? WHERE collection = ? AND id = ?", rows)
        self._indexes.forget_users(collection)


def _check_user(sql: sqlite3.Connection, collection: str, user: str) -> None:
    check_collection(sql, collection)
    if not sql.execute("SELECT 1 FROM users WHERE collection = ? AND id = ?", (collection, user)).fetchone():
        raise errors.missing("user", user)


def _count(sql: sqlite3.Connection, collection: str, user: str) -> int:
    query = "SELECT count(*) FROM faces WHERE collection = ? AND user = ?"
    return int(sql.execute(query, (collection, user)).fetchone()[0])

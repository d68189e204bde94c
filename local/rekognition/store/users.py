"""The users of collections: people, each with faces."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from local.rekognition.store.database import Database
from local.rekognition.store.index_cache import IndexCache, check
from local.rekognition.wire import errors

MOST_FACES = 100
"""AWS's limit of faces a user."""


@dataclass(frozen=True)
class User:
    """A user, and how many faces are theirs."""

    user_id: str
    faces: int

    @property
    def status(self) -> str:
        """CREATED until there is a face."""
        return "ACTIVE" if self.faces else "CREATED"


class UserStore:
    """All users of a database. Safe to share between threads; methods raise AwsError."""

    def __init__(self, database: Database, indexes: IndexCache) -> None:
        self._database = database
        self._indexes = indexes

    def create(self, collection: str, user: str) -> None:
        """Raises ConflictException where the user is there."""
        with self._database.writing() as sql:
            check(sql, collection)
            try:
                sql.execute("INSERT INTO users VALUES (?, ?)", (collection, user))
            except sqlite3.IntegrityError:
                raise errors.conflict(user) from None

    def delete(self, collection: str, user: str) -> None:
        """The user's faces stay and are nobody's. Raises ResourceNotFoundException."""
        with self._database.writing() as sql:
            _check_user(sql, collection, user)
            sql.execute("UPDATE faces SET user = NULL WHERE collection = ? AND user = ?", (collection, user))
            sql.execute("DELETE FROM users WHERE collection = ? AND id = ?", (collection, user))
            self._indexes.forget_users(collection)

    def page(self, collection: str, after: str, most: int) -> list[User]:
        """In alphabetical order, behind `after`."""
        query = (
            "SELECT id, (SELECT count(*) FROM faces WHERE collection = users.collection AND user = users.id) AS faces"
            " FROM users WHERE collection = ? AND id > ? ORDER BY id LIMIT ?"
        )
        with self._database.reading() as sql:
            check(sql, collection)
            return [User(row["id"], row["faces"]) for row in sql.execute(query, (collection, after, most))]

    def get(self, collection: str, user: str) -> User:
        """Raises ResourceNotFoundException."""
        with self._database.reading() as sql:
            _check_user(sql, collection, user)
            return User(user, _count(sql, collection, user))

    def associate(self, collection: str, user: str, faces: Sequence[str]) -> None:
        """Makes the faces the user's, all or none. Raises ServiceQuotaExceededException."""
        with self._database.writing() as sql:
            _check_user(sql, collection, user)
            if _count(sql, collection, user) + len(faces) > MOST_FACES:
                raise errors.quota(f"A user has at most {MOST_FACES} faces")
            self._give(sql, collection, faces, user)

    def disassociate(self, collection: str, user: str, faces: Sequence[str]) -> None:
        """Makes the faces nobody's."""
        with self._database.writing() as sql:
            _check_user(sql, collection, user)
            self._give(sql, collection, faces, None)

    def _give(self, sql: sqlite3.Connection, collection: str, faces: Sequence[str], user: str | None) -> None:
        pairs = [(user, collection, face) for face in faces]
        sql.executemany("UPDATE faces SET user = ? WHERE collection = ? AND id = ?", pairs)
        self._indexes.forget_users(collection)


def _check_user(sql: sqlite3.Connection, collection: str, user: str) -> None:
    check(sql, collection)
    if not sql.execute("SELECT 1 FROM users WHERE collection = ? AND id = ?", (collection, user)).fetchone():
        raise errors.missing("user", user)


def _count(sql: sqlite3.Connection, collection: str, user: str) -> int:
    query = "SELECT count(*) FROM faces WHERE collection = ? AND user = ?"
    return int(sql.execute(query, (collection, user)).fetchone()[0])

"""The SQLite database of collections: every change is kept as a whole or not at all."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from local.rekognition.wire import errors

_SCHEMA = """
CREATE TABLE IF NOT EXISTS collections (id TEXT PRIMARY KEY, created REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS users (
    collection TEXT NOT NULL REFERENCES collections ON DELETE CASCADE, id TEXT NOT NULL,
    PRIMARY KEY (collection, id)) STRICT;
CREATE TABLE IF NOT EXISTS faces (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    collection TEXT NOT NULL REFERENCES collections ON DELETE CASCADE, id TEXT NOT NULL,
    image TEXT NOT NULL, picture TEXT NOT NULL, external TEXT,
    left REAL NOT NULL, top REAL NOT NULL, width REAL NOT NULL, height REAL NOT NULL, confidence REAL NOT NULL,
    user TEXT, embedding BLOB NOT NULL,
    UNIQUE (collection, id)) STRICT;
CREATE INDEX IF NOT EXISTS faces_of_user ON faces (collection, user) WHERE user IS NOT NULL;
CREATE INDEX IF NOT EXISTS faces_of_picture ON faces (collection, picture);
"""
FILE = "collections.sqlite"


class Database:
    """One connection, used by one thread at a time. A killed process leaves what it committed."""

    def __init__(self, folder: Path | None) -> None:
        """Open FOLDER/collections.sqlite, or without a folder a database in memory.

        Raises OSError, sqlite3.DatabaseError.
        """
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = RLock()
        self._connection = sqlite3.connect(
            folder / FILE if folder else ":memory:", isolation_level=None, check_same_thread=False, timeout=10
        )
        self._connection.row_factory = sqlite3.Row
        try:
            self._connection.executescript(f"PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; {_SCHEMA}")
        except sqlite3.DatabaseError as exc:
            self._connection.close()
            problem = f"{folder / FILE if folder else ':memory:'} cannot be used: {exc}. Move it away to begin anew."
            raise sqlite3.DatabaseError(problem) from exc

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection, to this thread alone."""
        with self._lock:
            yield self._connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection in a transaction: committed at the end, rolled back by an exception."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:
                yield self._connection

    def version(self) -> int:
        """Return a number that changes when another process has changed the file."""
        with self._lock:
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])


def check_collection(sql: sqlite3.Connection, collection: str) -> None:
    """Raise ResourceNotFoundException unless the collection exists."""
    if not sql.execute("SELECT 1 FROM collections WHERE id = ?", (collection,)).fetchone():
        raise errors.missing("collection", collection)

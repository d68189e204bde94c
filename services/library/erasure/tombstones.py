"""Tombstones: keyed hashes of what was erased, by which it is known when it comes again."""

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.v1 import recognizer_pb2
from services.library.database.tables import TombstoneKind, tombstone, tombstone_key
from services.library.store.store import Store
from services.runtime.doors.watch import Watched, watched_keys
from services.runtime.errors import PictureErased
from services.runtime.storage.events import is_later

_REFUSED = (
    "This picture was erased, and is not to be added again. If there is another one at its place by now, name the "
    "object's version, or send the bytes."
)
_LAST = "G"
"""After all sequencers, which are hexadecimal."""


class Trace(NamedTuple):
    """What a picture is known by: its bytes, or the object that it was."""

    kind: TombstoneKind
    value: bytes
    sequencer: str = ""
    """Events of the object that are later tell of another picture."""

    @classmethod
    def of_content(cls, sha256: bytes) -> "Trace":
        """Return that of a picture's bytes."""
        return cls(TombstoneKind.CONTENT, sha256)

    @classmethod
    def of_object(cls, s3_object: recognizer_pb2.S3Object, sequencer: str = "") -> "Trace":
        """Return that of an object; a version is the same for ever."""
        value = f"{s3_object.bucket}\0{s3_object.key}\0{s3_object.version_id}".encode()
        return cls(TombstoneKind.PLACE, value, _LAST if s3_object.version_id else sequencer)

    @classmethod
    def of_person(cls, external_id: str) -> "Trace":
        """Return that of somebody whom recognizers call so."""
        return cls(TombstoneKind.PERSON, external_id.encode())


def of_place(row: Any, *, is_read: bool) -> Iterator[Trace]:
    """Yield what an object's place, a row, is known by: its version, and the key if it is still there.

    Of an object that was never read nobody can tell whether an event is about other bytes, so all are refused.
    """
    found = recognizer_pb2.S3Object(bucket=row.bucket, key=row.key, version_id=row.version_id)
    if row.version_id:
        yield Trace.of_object(found)
        found.version_id = ""
    if row.current:
        yield Trace.of_object(found, row.sequencer or ("" if is_read else _LAST))


class Tombstones:
    """Those of all collections. Raises ValueError and OSError for a file of keys that cannot be used."""

    def __init__(self, key_file: Path | None = None, log: Store | None = None) -> None:
        """Write those that are made into a log, too."""
        self._log = log
        self._keys = watched_keys("tombstone keys", key_file) if key_file else None
        self._kept: tuple[bytes, ...] = ()

    def files(self) -> Sequence[Watched[Any]]:
        """Return what to read again when it changes."""
        return () if self._keys is None else (self._keys,)

    async def check(
        self,
        connection: AsyncConnection,
        collection_id: int,
        *,
        sha256: bytes | None = None,
        s3_object: recognizer_pb2.S3Object | None = None,
        sequencer: str = "",
    ) -> None:
        """Raise PictureErased if the collection had these bytes, or this object, and is not to have it again.

        Whoever adds a picture calls this last, once its rows are inserted: an erasure beside it has then ended, and is
        seen. An object without a version is another one if its event is later than those that were known.
        """
        traces = [Trace.of_content(sha256)] if sha256 else []
        if s3_object is not None:
            traces.append(Trace.of_object(s3_object, sequencer))
        values = {digest: trace for trace in traces for digest in await self._digests(connection, collection_id, trace)}
        found = select(tombstone.c.digest, tombstone.c.sequencer).where(
            tombstone.c.collection_id == collection_id, tombstone.c.digest.in_(values)
        )
        for row in await connection.execute(found) if values else ():
            if not is_later(values[bytes(row.digest)].sequencer, row.sequencer):
                raise PictureErased(_REFUSED)

    async def bury(self, connection: AsyncConnection, collection_id: int, found: Iterable[Trace]) -> int:
        """Have the collection refuse all of this from now on; return how many tombstones that makes."""
        digests = {(await self._digests(connection, collection_id, trace))[0]: trace for trace in found}
        if not digests:
            return 0
        rows = [
            {"collection_id": collection_id, "digest": digest, "kind": trace.kind, "sequencer": trace.sequencer}
            for digest, trace in digests.items()
        ]
        new = insert(tombstone)
        if self._log is not None:  # before the transaction ends: what is erased is in the log
            await self._log.write(*entry_of(rows))
        later = {"sequencer": func.greatest(tombstone.c.sequencer, new.excluded.sequencer)}
        key = (tombstone.c.collection_id, tombstone.c.digest)
        await connection.execute(new.on_conflict_do_update(index_elements=key, set_=later), rows)
        return len(rows)

    async def among(
        self, connection: AsyncConnection, collection_id: int, traces: Iterable[Trace], digests: AbstractSet[bytes]
    ) -> bool:
        """Return whether any of the traces has one of these digests."""
        found = [one for trace in traces for one in await self._digests(connection, collection_id, trace)]
        return not digests.isdisjoint(found)

    async def erased(self, connection: AsyncConnection, collection_id: int, called: Iterable[str]) -> set[str]:
        """Return whom of those that recognizers call so the collection has erased."""
        traces = {one: Trace.of_person(one) for one in called if one}
        digests = {
            digest: one
            for one, trace in traces.items()
            for digest in await self._digests(connection, collection_id, trace)
        }
        own = tombstone.c.collection_id == collection_id, tombstone.c.digest.in_(digests)
        found = await connection.execute(select(tombstone.c.digest).where(*own)) if digests else None
        return {digests[bytes(one)] for one in found.scalars()} if found is not None else set()

    async def _digests(self, connection: AsyncConnection, collection_id: int, trace: Trace) -> list[bytes]:
        """Return the trace's digest by each key, by that of new tombstones first."""
        if not self._kept:
            kept = await connection.execute(select(tombstone_key.c.key).order_by(tombstone_key.c.create_time.desc()))
            self._kept = tuple(bytes(key) for key in kept.scalars())
        given = () if self._keys is None else tuple(key.encode() for key in self._keys.value)
        message = b"%d\0%d\0%b" % (collection_id, trace.kind, trace.value)
        return [hmac.digest(key, message, "sha256") for key in (*given, *self._kept)]


def entry_of(rows: Sequence[dict[str, Any]]) -> tuple[str, bytes]:
    """Return the name and the content of an entry of the log, which are the same for the same tombstones."""
    content = json.dumps([{**row, "digest": row["digest"].hex(), "kind": int(row["kind"])} for row in rows]).encode()
    return f"{rows[0]['collection_id']}/{rows[0]['digest'].hex()}-{hashlib.sha256(content).hexdigest()[:16]}", content


def rows_of(content: bytes) -> list[dict[str, Any]]:
    """Return the tombstones of an entry of the log."""
    return [{**row, "digest": bytes.fromhex(row["digest"])} for row in json.loads(content)]

"""Places: where pictures were found, and which of them is there now."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from uuid6 import uuid7

from marquee.library.v1 import library_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.library.database.change import Change
from services.library.database.tables import PlaceKind, picture, place
from services.runtime.storage.events import is_later

_COLUMNS = ("kind", "bucket", "key", "version_id", "location", "sequencer", "object_time")


@dataclass(frozen=True)
class Found:
    """Where a picture was found."""

    kind: PlaceKind
    key: str
    bucket: str = ""
    version_id: str = ""
    sequencer: str = ""
    """Of the event that told of the object."""
    object_time: datetime | None = None

    @classmethod
    def in_s3(cls, s3_object: recognizer_pb2.S3Object, sequencer: str = "", time: datetime | None = None) -> "Found":
        """Return the place of an object."""
        return cls(PlaceKind.S3, s3_object.key, s3_object.bucket, s3_object.version_id, sequencer, time)

    @classmethod
    def at_path(cls, path: str, time: datetime | None = None) -> "Found":
        """Return a name or path on a client's machine."""
        return cls(PlaceKind.PATH, path, object_time=time)

    @property
    def location(self) -> bytes:
        """Digest of what is the same for all versions of an object."""
        return hashlib.sha256("\0".join((str(self.kind.value), self.bucket, self.key)).encode()).digest()


async def hold(change: Change, found: Found) -> Sequence[Row[Any]]:
    """Keep others from adding places of this object until the transaction ends; return those that there are.

    Whoever holds pictures, too, holds the place before. A row has the picture's state besides.
    """
    lock = int.from_bytes(found.location[:8], "big", signed=True) ^ change.collection_id
    await change.connection.execute(select(func.pg_advisory_xact_lock(lock)))
    rows = select(place, picture.c.state).join(picture, place.c.picture_id == picture.c.picture_id)
    at = rows.where(place.c.collection_id == change.collection_id, place.c.location == found.location)
    return (await change.connection.execute(at.order_by(place.c.current.desc(), place.c.create_time.desc()))).all()


async def add(change: Change, picture_id: UUID, found: Found, beside: Sequence[Row[Any]] = ()) -> bool:
    """Have the picture, which is held, be found at this place, too; return whether that is new.

    `beside` is what `hold` has returned. An object is at its place until another one is written there: until then, or
    with an event that is earlier than one of those, the new place is the current one.
    """
    current = not is_stale(found, beside)
    values = {
        **{name: getattr(found, name) for name in _COLUMNS},
        "place_id": UUID(bytes=uuid7().bytes),
        "picture_id": picture_id,
        "collection_id": change.collection_id,
        "current": current,
    }
    new = insert(place).values(values)
    again = {
        "sequencer": func.greatest(place.c.sequencer, new.excluded.sequencer),
        "current": new.excluded.current,
        "object_time": func.coalesce(new.excluded.object_time, place.c.object_time),
    }
    key = [place.c.picture_id, place.c.location, place.c.version_id]
    statement = new.on_conflict_do_update(index_elements=key, set_=again)
    row = (await change.connection.execute(statement.returning(place.c.place_id, text("xmax = 0 AS is_new")))).one()
    others = [one.place_id for one in beside if one.current and one.place_id != row.place_id]
    if current and others:
        await change.connection.execute(update(place).where(place.c.place_id.in_(others)).values(current=False))
    return bool(row.is_new)


def is_stale(found: Found, beside: Sequence[Row[Any]]) -> bool:
    """Return whether another object is known to have been written there since."""
    return bool(found.sequencer) and any(is_later(one.sequencer, found.sequencer) for one in beside)


def same(found: Found, beside: Sequence[Row[Any]]) -> Row[Any] | None:
    """Return the place of this very object if it is one of these: of its version, of its event, or only imported.

    An event that is late, and names no version, tells of an object that is no longer to be had: what is there now is
    returned instead.
    """
    for one in beside:
        has_version = found.version_id and one.version_id == found.version_id
        has_event = found.sequencer and one.sequencer.upper() == found.sequencer.upper()
        is_imported = one.state == pb.PICTURE_STATE_IMPORTED and one.current and not one.version_id
        if has_version or is_imported or (has_event and not (found.version_id and one.version_id)):
            return one
    return beside[0] if not found.version_id and is_stale(found, beside) else None


async def complete(change: Change, place_id: UUID, found: Found) -> None:
    """Add to the place what an event has told of it."""
    known = {name: getattr(found, name) for name in ("version_id", "sequencer", "object_time") if getattr(found, name)}
    if known:
        await change.connection.execute(update(place).where(place.c.place_id == place_id).values(known))

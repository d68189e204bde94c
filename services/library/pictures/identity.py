"""What a picture is: the bytes of its file, of which a collection has each only once."""

import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from uuid6 import uuid7

from marquee.library.v1 import library_pb2 as pb
from services.library.database.change import Change
from services.library.database.tables import picture
from services.runtime.images.image import Image


@dataclass(frozen=True)
class File:
    """A file, before more of it is decoded than its header."""

    sha256: bytes
    format: str
    """JPEG, PNG or WEBP."""
    size_bytes: int


def look(content: bytes) -> File:
    """Return what the file is. Raises InvalidImage, ImageMissing and ImageTooLarge. Blocks."""
    return File(format=Image(content).format, sha256=hashlib.sha256(content).digest(), size_bytes=len(content))


async def stored(change: Change, file: File, values: dict[str, Any]) -> tuple[UUID, bool]:
    """Return the collection's picture with this file, held until the transaction ends, and whether it is new.

    A new one has these values. The object store has the file.
    """
    own = {"collection_id": change.collection_id, "stored": True, "state": pb.PICTURE_STATE_PENDING}
    row = {"picture_id": UUID(bytes=uuid7().bytes), "sha256": file.sha256, "format": file.format}
    new = insert(picture).values(**own, **row, size_bytes=file.size_bytes, **values)
    while True:
        made = await change.connection.execute(new.on_conflict_do_nothing(**_KEY).returning(picture.c.picture_id))
        if (picture_id := made.scalar_one_or_none()) is not None:
            return picture_id, True
        if (picture_id := await _hold(change, file)) is not None:  # else it was erased in between
            kept = update(picture).where(picture.c.picture_id == picture_id)
            await change.connection.execute(kept.values(stored=True, update_time=func.now()))
            return picture_id, False


_KEY: dict[str, Any] = {
    "index_elements": ["collection_id", "sha256"],
    "index_where": text("sha256 IS NOT NULL AND redirect_id IS NULL"),
}


async def _hold(change: Change, file: File) -> UUID | None:
    columns = picture.c
    at = (columns.collection_id == change.collection_id, columns.sha256 == file.sha256, columns.redirect_id.is_(None))
    found = await change.connection.execute(select(columns.picture_id).where(*at).with_for_update())
    return found.scalar_one_or_none()

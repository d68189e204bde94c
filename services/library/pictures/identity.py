"""What a picture is: the bytes of its file, of which a collection has each only once."""

import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from uuid6 import uuid7

from marquee.library.v1 import library_pb2 as pb
from services.library.database.change import Change
from services.library.database.tables import PlaceKind, picture, place
from services.library.erasure.erasure import remove
from services.library.erasure.tombstones import Tombstones
from services.library.pictures.carrying import carry
from services.library.search.terms import index, of_new
from services.library.store.rendition import Rendition
from services.runtime.errors import ContentMissing, PictureErased
from services.runtime.images.image import Image
from services.runtime.storage.s3 import Object


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


async def identify(change: Change, tombstones: Tombstones, picture_id: UUID, file: File, read: Object) -> UUID | None:
    """Give the picture, which is held, the identity of the object that was read for it; return the picture it is now.

    That is another one if the collection has these bytes already: then this one becomes a redirect, and its places,
    categories, answers and decisions are the other's. None: the bytes were erased, so the picture is gone. Raises
    ContentMissing if the picture is known, and the object is no longer it.
    """
    known = select(picture.c.sha256).where(picture.c.picture_id == picture_id)
    sha256 = (await change.connection.execute(known)).scalar_one()
    if sha256 is not None:
        if bytes(sha256) != file.sha256:
            raise ContentMissing("Another object has been written where the picture was.")
        return picture_id
    await _pin(change, picture_id, read)
    found = picture_id if await _is_first(change, picture_id, file, read) else await _hold(change, file)
    try:
        await tombstones.check(change.connection, change.collection_id, sha256=file.sha256)
    except PictureErased:
        await remove(change, tombstones, picture_id, "returned", file.sha256)
        return None
    if found is not None and found != picture_id:
        await _merge(change, picture_id, found)
    return found


async def describe(change: Change, picture_id: UUID, rendition: Rendition, *, stored: bool) -> None:
    """Write down what decoding the picture's file has yielded. The store has the thumbnail, and perhaps the file."""
    taken = rendition.taken
    values = {
        **{name: getattr(rendition, name) for name in ("format", "width", "height", "pixel_sha256")},
        "stored": picture.c.stored | stored,  # somebody may have sent the file meanwhile
        "thumbnail": True,
        "exif_time": taken.text,
        "update_time": func.now(),
        **({"taken_time": taken.time, "taken_time_source": taken.source} if taken.time else {}),
    }
    await change.connection.execute(update(picture).where(picture.c.picture_id == picture_id).values(values))


async def stored(change: Change, file: File, values: dict[str, Any]) -> tuple[UUID, bool]:
    """Return the collection's picture with this file, held until the transaction ends, and whether it is new.

    A new one has these values. The object store has the file.
    """
    new = _new(change, {**vars(file), "stored": True, **values})
    while True:
        made = await change.connection.execute(new.on_conflict_do_nothing(**_KEY).returning(picture.c.picture_id))
        if (picture_id := made.scalar_one_or_none()) is not None:
            return picture_id, True
        if (picture_id := await _hold(change, file)) is not None:  # else it was erased in between
            kept = update(picture).where(picture.c.picture_id == picture_id)
            await change.connection.execute(kept.values(stored=True, update_time=func.now()))
            return picture_id, False


async def pending(change: Change, values: dict[str, Any]) -> UUID:
    """Return a new picture with these values, whose bytes are not known yet."""
    made = await change.connection.execute(_new(change, values).returning(picture.c.picture_id))
    return UUID(int=made.scalar_one().int)


def _new(change: Change, values: dict[str, Any]) -> Any:
    own = {"picture_id": UUID(bytes=uuid7().bytes), "collection_id": change.collection_id}
    terms = of_new(change.collection_id, values["file_name"])
    return insert(picture).values(**own, state=pb.PICTURE_STATE_PENDING, **values, **terms)


_KEY: dict[str, Any] = {
    "index_elements": ["collection_id", "sha256"],
    "index_where": text("sha256 IS NOT NULL AND redirect_id IS NULL"),
}


async def _hold(change: Change, file: File) -> UUID | None:
    columns = picture.c
    at = (columns.collection_id == change.collection_id, columns.sha256 == file.sha256, columns.redirect_id.is_(None))
    found = await change.connection.execute(select(columns.picture_id).where(*at).with_for_update(key_share=True))
    return found.scalar_one_or_none()


async def held(change: Change, picture_id: UUID) -> UUID | None:
    """Return the picture, held until the transaction ends; None: it was erased meanwhile."""
    row = select(picture.c.picture_id).where(picture.c.picture_id == picture_id)
    return (await change.connection.execute(row.with_for_update(key_share=True))).scalar_one_or_none()


async def fetch(change: Change, picture_id: UUID) -> None:
    """Make a picture that was only imported one whose object is to be read."""
    values = {"state": pb.PICTURE_STATE_PENDING, "update_time": func.now()}
    await change.connection.execute(update(picture).where(picture.c.picture_id == picture_id).values(values))


async def _pin(change: Change, picture_id: UUID, read: Object) -> None:
    """Keep which version of the object was read, and when it was written."""
    its = (place.c.picture_id == picture_id, place.c.kind == PlaceKind.S3)
    time = {"object_time": func.coalesce(place.c.object_time, read.time)}
    await change.connection.execute(update(place).where(*its).values(time))
    if read.version:
        unknown = update(place).where(*its, place.c.version_id == "")
        await change.connection.execute(unknown.values(version_id=read.version))


async def _is_first(change: Change, picture_id: UUID, file: File, read: Object) -> bool:
    """Have the picture be that of the file, unless the collection has another one."""
    columns = picture.c
    is_unknown = columns.taken_time_source == pb.TIME_SOURCE_ADDED
    time = func.coalesce(columns.object_time, read.time)
    values = {
        **vars(file),
        "object_time": time,
        "taken_time": case((is_unknown, func.coalesce(time, columns.taken_time)), else_=columns.taken_time),
        "taken_time_source": case(
            (is_unknown & time.is_not(None), pb.TIME_SOURCE_OBJECT), else_=columns.taken_time_source
        ),
    }
    try:
        async with change.connection.begin_nested():
            await change.connection.execute(update(picture).where(columns.picture_id == picture_id).values(values))
    except IntegrityError:
        return False
    return True


async def _merge(change: Change, old: UUID, new: UUID) -> None:
    """Have what is known of the old picture be known of the new one, to which the old one becomes a redirect."""
    await carry(change, old, new)
    for statement in _MOVES:
        await change.connection.execute(text(statement), {"old": old, "new": new})
    for picture_id, values in ((old, {"redirect_id": new}), (new, {})):
        its = update(picture).where(picture.c.picture_id == picture_id)
        await change.connection.execute(its.values(update_time=func.now(), **values))
    await index(change.connection, change.collection_id, [new])
    await change.record("picture.merged", new, {"merged_picture_id": str(old)})


_MOVES = (
    """
    WITH moved AS (DELETE FROM place WHERE picture_id = :old RETURNING *)
    INSERT INTO place (
      place_id, picture_id, collection_id, kind, bucket, key, version_id, location, sequencer, current, object_time,
      create_time
    )
    SELECT place_id, :new, collection_id, kind, bucket, key, version_id, location, sequencer, current, object_time,
      create_time
    FROM moved
    ON CONFLICT (picture_id, location, version_id) DO UPDATE
    SET current = excluded.current, sequencer = greatest(place.sequencer, excluded.sequencer)
    """,
    """
    WITH moved AS (DELETE FROM picture_category WHERE picture_id = :old RETURNING *)
    INSERT INTO picture_category (picture_id, category_id, source, present)
    SELECT :new, category_id, source, present FROM moved
    ON CONFLICT (picture_id, category_id) DO NOTHING
    """,
    """
    WITH moved AS (DELETE FROM answer WHERE picture_id = :old RETURNING *)
    INSERT INTO answer (
      answer_id, picture_id, recognizer, model, version, source, outcome, cost_micro_usd, result, create_time
    )
    SELECT answer_id, :new, recognizer, model, version, source, outcome, cost_micro_usd, result, create_time
    FROM moved
    """,
    "DELETE FROM face WHERE picture_id = :old",
    "DELETE FROM label WHERE picture_id = :old",
    'DELETE FROM "text" WHERE picture_id = :old',
)
"""Answers never change, so each is deleted, and written once more."""

"""AddImage: a picture is kept, with where it was found, and queued to be recognized."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from marquee.library.v1 import library_pb2 as pb
from services.library.database.change import Change, Changes
from services.library.database.database import Database
from services.library.database.tables import picture
from services.library.erasure.tombstones import Tombstones
from services.library.pictures import identity, places
from services.library.pictures.identity import File
from services.library.pictures.places import Found
from services.library.pictures.view import pictures_of
from services.library.store.store import Store, original
from services.library.work import queue

_MOST_NAME = 1024
"""Characters of a file's name that are shown and searched; its place has all of them."""


class Addition:
    """How pictures get into the library."""

    def __init__(self, database: Database, changes: Changes, store: Store, tombstones: Tombstones) -> None:
        self._database = database
        self._changes = changes
        self._store = store
        self._tombstones = tombstones

    async def of_content(self, request: pb.AddImageRequest) -> pb.AddImageResponse:
        """Add a picture that was sent, and have its file stored before anything says so.

        Raises InvalidImage, PictureErased and what the store and the database raise.
        """
        content = request.image.content
        request.image.content = b""  # its digest stands for it from here on
        file = await asyncio.to_thread(identity.look, content)
        await self._keep(request.collection, file, content)

        async def make(change: Change) -> pb.AddImageResponse:
            picture_id, is_new = await identity.stored(change, file, _facts(request))
            found = Found.at_path(request.path, _object_time(request)) if request.path else None
            return await self._added(change, request, picture_id, found, is_new=is_new, file=file)

        return await self._changes.once(request, pb.AddImageResponse, make, digest=file.sha256)

    async def _keep(self, collection: str, file: File, content: bytes) -> None:
        """Write the file, unless it is there or is not to come back."""
        collection_id = await self._database.collection_id(collection)
        async with self._database.begin() as connection:
            await self._tombstones.check(connection, collection_id, sha256=file.sha256)
            known = (picture.c.collection_id == collection_id, picture.c.sha256 == file.sha256, picture.c.stored)
            is_stored = (await connection.execute(select(picture.c.picture_id).where(*known).limit(1))).first()
        if is_stored is None:
            await self._store.write(original(collection_id, file.sha256), content)

    async def _added(  # noqa: PLR0913 - what a picture is made of
        self,
        change: Change,
        request: pb.AddImageRequest,
        picture_id: UUID,
        found: Found | None,
        *,
        is_new: bool,
        file: File | None = None,
    ) -> pb.AddImageResponse:
        is_new_place = found is not None and await places.add(change, picture_id, found)
        if is_new:
            order: Any = {"features": request.features, "recognizers": request.recognizers}
            await queue.enqueue(change.connection, change.collection_id, picture_id, **order)
            await change.record("picture.added", picture_id)
        elif is_new_place:
            await change.record("place.added", picture_id)
        sha256 = file.sha256 if file else None
        await self._tombstones.check(change.connection, change.collection_id, sha256=sha256)
        (shown,) = await pictures_of(change.connection, change.collection, [picture_id])
        return pb.AddImageResponse(picture=shown, created=is_new)


def _facts(request: pb.AddImageRequest) -> dict[str, Any]:
    """Return the columns of a new picture that the request tells of."""
    name = request.path or request.image.s3_object.key
    when = _object_time(request)
    return {
        "file_name": name.rpartition("/")[2][:_MOST_NAME],
        "object_time": when,
        "taken_time": when or func.now(),
        "taken_time_source": pb.TIME_SOURCE_OBJECT if when else pb.TIME_SOURCE_ADDED,
    }


def _object_time(request: pb.AddImageRequest) -> datetime | None:
    return request.object_time.ToDatetime(UTC) if request.HasField("object_time") else None

"""AddImage: a picture is kept, with where it was found, and queued to be recognized."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from marquee.library.v1 import library_pb2 as pb
from services.library.categories import hand
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
from services.runtime import requests

_MOST_NAME = 1024
"""Characters of a file's name that are shown and searched; its place has all of them."""
_INSTANT = timedelta(microseconds=1)
_EARLIEST, _LATEST = datetime.min.replace(tzinfo=UTC) + _INSTANT, datetime.max.replace(tzinfo=UTC) - _INSTANT
"""The first instant of a datetime and its last are infinity to asyncpg, which reads them as no times of UTC."""


class Addition:
    """How pictures get into the library."""

    def __init__(
        self, database: Database, changes: Changes, store: Store, tombstones: Tombstones, s3_allowed: Sequence[str]
    ) -> None:
        self._database = database
        self._changes = changes
        self._store = store
        self._tombstones = tombstones
        self._s3_allowed = s3_allowed

    async def add(self, request: pb.AddImageRequest) -> pb.AddImageResponse:
        """Add a picture, and have it recognized.

        Raises InvalidRequest, InvalidImage, BucketNotAllowed, PictureErased, and what the store and the database raise.
        """
        requests.check_addition(request, self._s3_allowed)
        for name in request.categories:
            hand.folded(name, "categories")
        request_id = requests.request_id_of(request.request_id)
        is_object = request.image.HasField("s3_object")
        response = await (self._add_object(request) if is_object else self._add_content(request))
        response.request_id = request_id
        return response

    async def _add_content(self, request: pb.AddImageRequest) -> pb.AddImageResponse:
        """Add a picture that was sent, and have its file stored before anything says so."""
        content = request.image.content
        request.image.content = b""  # its digest stands for it from here on
        file = await asyncio.to_thread(identity.look, content)
        await self._keep(request.collection, file, content)

        async def make(change: Change) -> pb.AddImageResponse:
            picture_id, is_new = await identity.stored(change, file, _facts(request))
            is_new_place = bool(request.path) and await places.add(change, picture_id, _path(request))
            if is_new:
                await self._queue(change, request, picture_id)
            elif is_new_place:
                await change.record("place.added", picture_id)
            await hand.put(change, picture_id, request.categories)
            await self._tombstones.check(change.connection, change.collection_id, sha256=file.sha256)
            return await _response(change, picture_id, created=is_new)

        return await self._changes.once(request, pb.AddImageResponse, make, digest=file.sha256)

    async def _add_object(self, request: pb.AddImageRequest) -> pb.AddImageResponse:
        """Add an object in S3, which is read once it is recognized."""
        found = Found.in_s3(request.image.s3_object, request.sequencer, _object_time(request))

        async def make(change: Change) -> pb.AddImageResponse:
            picture_id, is_new = await self._object(change, request, found)
            await hand.put(change, picture_id, request.categories)
            where: Any = {"s3_object": request.image.s3_object, "sequencer": request.sequencer}
            await self._tombstones.check(change.connection, change.collection_id, **where)
            return await _response(change, picture_id, created=is_new)

        return await self._changes.once(request, pb.AddImageResponse, make)

    async def _object(self, change: Change, request: pb.AddImageRequest, found: Found) -> tuple[UUID, bool]:
        """Return the object's picture, and whether it is new."""
        beside = await places.hold(change, found)
        known = places.same(found, beside)
        if known is None or (picture_id := await identity.held(change, known.picture_id)) is None:
            picture_id = await identity.pending(change, _facts(request))
            await places.add(change, picture_id, found, beside)
            await self._queue(change, request, picture_id)
            return picture_id, True
        if known.state == pb.PICTURE_STATE_IMPORTED:
            await places.complete(change, known.place_id, found)
            await identity.fetch(change, picture_id)
            await self._queue(change, request, picture_id)
        return picture_id, False

    async def _keep(self, collection: str, file: File, content: bytes) -> None:
        """Write the file, unless it is not to come back or is there; the store may have lost a known picture's."""
        collection_id = await self._database.collection_id(collection)
        async with self._database.begin() as connection:
            await self._tombstones.check(connection, collection_id, sha256=file.sha256)
            known = (picture.c.collection_id == collection_id, picture.c.sha256 == file.sha256, picture.c.stored)
            is_known = (await connection.execute(select(picture.c.picture_id).where(*known).limit(1))).first()
        name = original(collection_id, file.sha256)
        if is_known is None or not await self._store.has(name):
            await self._store.write(name, content)

    async def _queue(self, change: Change, request: pb.AddImageRequest, picture_id: UUID) -> None:
        order: Any = {"features": request.features, "recognizers": request.recognizers}
        await queue.enqueue(change.connection, change.collection_id, picture_id, **order)
        await change.record("picture.added", picture_id)


async def _response(change: Change, picture_id: UUID, *, created: bool) -> pb.AddImageResponse:
    (shown,) = await pictures_of(change.connection, change.collection, [picture_id])
    return pb.AddImageResponse(picture=shown, created=created)


def _path(request: pb.AddImageRequest) -> Found:
    return Found.at_path(request.path, _object_time(request))


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
    when = request.object_time.ToDatetime(UTC) if request.HasField("object_time") else None
    return when and min(max(when, _EARLIEST), _LATEST)

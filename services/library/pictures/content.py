"""GetPictureContent: a picture's file from the store or from where it was found, and its thumbnail."""

import asyncio
import hashlib
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import library_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.library.database.database import Database
from services.library.database.tables import PlaceKind, picture, place
from services.library.pictures.view import find, not_found
from services.library.settings import LibrarySettings
from services.library.store.store import Store, original, thumbnail
from services.runtime import requests
from services.runtime.errors import BucketNotAllowed, ContentMissing, ObjectNotFound
from services.runtime.storage.s3 import ObjectStore

_MOST_PLACES = 8
"""That are looked at for a file."""


class Content:
    """Files of pictures."""

    def __init__(self, database: Database, store: Store, settings: LibrarySettings) -> None:
        self._database = database
        self._store = store
        self._objects = ObjectStore(settings.s3_endpoint_url)
        self._s3_allowed = settings.s3_allowed

    async def get(self, request: pb.GetPictureContentRequest) -> pb.GetPictureContentResponse:
        """Return the file. Raises PictureNotFound, ContentMissing, and what the store and S3 raise."""
        row, places = await self._rows(request)
        if request.variant == pb.CONTENT_VARIANT_THUMBNAIL:
            content = await self._store.read(thumbnail(row.collection_id, row.sha256)) if row.thumbnail else None
            media_type = "image/webp"
        else:
            content = await self._original(row, places)
            media_type = f"image/{row.format.lower()}"
        if content is None:
            raise ContentMissing("The library has no such file of this picture, or not yet.", field="variant")
        return pb.GetPictureContentResponse(content=content, media_type=media_type)

    async def original(self, picture_id: UUID) -> bytes:
        """Return the picture's file. Raises PictureNotFound, ContentMissing, and what the store and S3 raise."""
        async with self._database.begin() as connection:
            row, places = await _found(connection, picture_id)
        if (content := await self._original(row, places)) is None:
            raise ContentMissing("The file is neither in the library's store nor where it was found.")
        return content

    async def _rows(self, request: pb.GetPictureContentRequest) -> tuple[Row[Any], list[Row[Any]]]:
        """Return the picture, and the places where its file may be, the likeliest first."""
        collection_id = await self._database.collection_id(request.collection, make=False)
        async with self._database.begin() as connection:
            picture_id = await find(connection, collection_id, request.picture_id)
            return await _found(connection, picture_id)

    async def _original(self, row: Row[Any], places: list[Row[Any]]) -> bytes | None:
        if row.sha256 is None:
            return None
        if row.stored and (content := await self._store.read(original(row.collection_id, row.sha256))) is not None:
            return content
        for one in places:
            content = await self._read(one)
            if content is not None and hashlib.sha256(content).digest() == bytes(row.sha256):
                return content
        return None

    async def _read(self, where: Row[Any]) -> bytes | None:
        s3_object = recognizer_pb2.S3Object(bucket=where.bucket, key=where.key, version_id=where.version_id)
        try:
            requests.check_object(s3_object, self._s3_allowed)
            return await asyncio.to_thread(self._objects.fetch, s3_object)
        except (ObjectNotFound, BucketNotAllowed):
            return None


async def _found(connection: AsyncConnection, picture_id: UUID) -> tuple[Row[Any], list[Row[Any]]]:
    """Return the picture, and the places where its file may be, the likeliest first. Raises PictureNotFound."""
    row = (await connection.execute(select(picture).where(picture.c.picture_id == picture_id))).one_or_none()
    if row is None:  # erased in between
        raise not_found(str(picture_id))
    its = (place.c.picture_id == picture_id, place.c.kind == PlaceKind.S3)
    kept = (place.c.current | (place.c.version_id != ""),)
    order = (place.c.current.desc(), place.c.create_time.desc())
    found = await connection.execute(select(place).where(*its, *kept).order_by(*order).limit(_MOST_PLACES))
    return row, list(found.all())

"""What is done with a picture's bytes the first time that they are in memory, before it is recognized."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from uuid import UUID

from marquee.v1 import recognizer_pb2
from services.library.database.change import Changes
from services.library.erasure.tombstones import Tombstones
from services.library.people import actions
from services.library.pictures import identity
from services.library.settings import LibrarySettings
from services.library.store.rendition import render
from services.library.store.store import Store, original, thumbnail
from services.library.work.queue import Claim, hold
from services.runtime import requests
from services.runtime.errors import ContentMissing
from services.runtime.storage.s3 import ObjectStore

_DECODED_AT_ONCE = 2
"""Each may take 400 MiB."""


class Taken(NamedTuple):
    """What a claim's picture turned out to be."""

    picture_id: UUID | None
    """None: nothing, since its bytes were erased."""
    content: bytes | None = None
    """The bytes, if they had to be read."""


class Intake:
    """How bytes become what the library has of a picture."""

    def __init__(self, changes: Changes, store: Store, tombstones: Tombstones, settings: LibrarySettings) -> None:
        self._changes = changes
        self._store = store
        self.tombstones = tombstones
        self._settings = settings
        self._objects = ObjectStore(settings.s3_endpoint_url)
        # Of its own, since pictures that wait for their turn would hold the threads in which new ones are looked at.
        self._decoders = ThreadPoolExecutor(_DECODED_AT_ONCE, thread_name_prefix="decoder")

    async def take(
        self, claim: Claim, collection: str, row: Mapping[str, Any], s3_object: recognizer_pb2.S3Object | None
    ) -> Taken:
        """Identify the claim's picture, and write down what decoding it yields, unless that was done before.

        Raises LeaseLost, InvalidImage, ContentMissing and what S3, the store and the database raise.
        """
        if row["redirect_id"] is not None or row["thumbnail"]:
            return Taken(row["redirect_id"] or claim.picture_id)
        if row["stored"]:
            content = await self._store.read(original(claim.collection_id, row["sha256"]))
            if content is None:
                raise ContentMissing("The library's store has lost the file of this picture.")
            await self._describe(claim, collection, row["sha256"], content)
            return Taken(claim.picture_id, content)
        if s3_object is None:
            raise ContentMissing("The library has no file of this picture.")
        return await self._take_object(claim, collection, s3_object)

    async def _take_object(self, claim: Claim, collection: str, s3_object: recognizer_pb2.S3Object) -> Taken:
        requests.check_object(s3_object, self._settings.s3_allowed)
        read = await asyncio.to_thread(self._objects.fetch_object, s3_object)
        file = await asyncio.to_thread(identity.look, read.content)
        async with self._changes.begin(collection) as change:
            await actions.hold(change.connection, change.collection_id)
            await hold(change.connection, claim)
            found = await identity.identify(change, self.tombstones, claim.picture_id, file, read)
        if found == claim.picture_id:
            copies = self._settings.library_copy_objects
            if copies:
                await self._store.write(original(claim.collection_id, file.sha256), read.content)
            await self._describe(claim, collection, file.sha256, read.content, stored=copies)
        return Taken(found, read.content)

    async def _describe(
        self, claim: Claim, collection: str, sha256: bytes, content: bytes, *, stored: bool = True
    ) -> None:
        rendition = await asyncio.get_running_loop().run_in_executor(self._decoders, render, content)
        await self._store.write(thumbnail(claim.collection_id, sha256), rendition.thumbnail)
        async with self._changes.begin(collection) as change:
            await hold(change.connection, claim)
            await identity.describe(change, claim.picture_id, rendition, stored=stored)

"""Erasure: pictures that go for good.

One transaction takes all rows, leaves tombstones and writes a receipt with the names of the files, which are erased
after it. Whoever is ended between the two leaves a receipt that is not complete, and the maintenance completes it.
"""

from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, or_, select, update
from uuid6 import uuid7

from marquee.library.v1 import library_pb2 as pb
from services.library.database.change import Change, Changes
from services.library.database.tables import PlaceKind, event, picture, place, receipt
from services.library.database.tables import request as requests
from services.library.erasure import receipts, retention
from services.library.erasure.tombstones import Tombstones, Trace, of_place
from services.library.pictures.view import find, not_found
from services.library.settings import LibrarySettings
from services.library.store.store import Store, original, thumbnail
from services.runtime.doors import audit
from services.runtime.errors import PictureNotFound


class Erasure:
    """ErasePicture."""

    def __init__(self, changes: Changes, store: Store, tombstones: Tombstones, settings: LibrarySettings) -> None:
        self._changes = changes
        self._database = changes.database
        self._store = store
        self._tombstones = tombstones
        self._settle = timedelta(seconds=2 * settings.library_lease_seconds)

    async def erase(self, request: pb.ErasePictureRequest) -> pb.ErasePictureResponse:
        """Erase a picture. One that was erased before has its receipt returned."""

        async def change(change: Change) -> pb.ErasePictureResponse:
            try:
                picture_id = await find(change.connection, change.collection_id, request.picture_id, lock=True)
            except PictureNotFound:
                return pb.ErasePictureResponse(receipt=await _before(change, request.picture_id))
            return pb.ErasePictureResponse(receipt=await remove(change, self._tombstones, picture_id, "request"))

        response = await self._changes.once(request, pb.ErasePictureResponse, change)
        _audit(response.receipt, request.collection, "request")
        return pb.ErasePictureResponse(receipt=await self.complete(UUID(response.receipt.receipt_id)))

    async def expire(self, picture_id: UUID, collection: str) -> None:
        """Erase a picture if its time has come: nobody has taken it out of the trash, or erased it, meanwhile."""
        async with self._changes.begin(collection) as change:
            reason = await retention.reason(change.connection, picture_id)
            if reason is None:
                return
            content = await remove(change, self._tombstones, picture_id, reason)
        _audit(content, collection, reason)
        await self.complete(UUID(content.receipt_id))

    async def take(self, picture_id: UUID, collection: str, reason: str) -> pb.ErasureReceipt | None:
        """Erase a picture for a reason of the library's own, and return the receipt; None: it is gone."""
        async with self._changes.begin(collection) as change:
            try:
                found = await find(change.connection, change.collection_id, str(picture_id), lock=True)
            except PictureNotFound:
                return None
            content = await remove(change, self._tombstones, found, reason)
        _audit(content, collection, reason)
        return await self.complete(UUID(content.receipt_id))

    async def complete(self, receipt_id: UUID) -> pb.ErasureReceipt:
        """Erase the files of an erasure, and return its receipt. Repeating it harms nothing.

        A worker that had the picture may still write a thumbnail, so its files are erased again once it has ended.
        """
        columns = receipt.c
        own = select(columns.files, columns.content, (columns.create_time < func.now() - self._settle).label("settled"))
        own = own.where(columns.receipt_id == receipt_id)
        async with self._database.begin() as connection:
            row = (await connection.execute(own)).one()
        erased = [url for name in row.files for url in await self._store.erase(name)]
        async with self._database.begin() as connection:
            row = (await connection.execute(own.with_for_update())).one()
            content = pb.ErasureReceipt.FromString(row.content)
            if erased:
                content.objects[:] = receipts.capped(
                    (*(one for one in content.objects if one not in row.files), *erased)
                )
            is_whole = row.settled or not content.erased.get(receipts.LEASE)
            new = {"content": content.SerializeToString(), "complete": is_whole}
            await connection.execute(update(receipt).where(columns.receipt_id == receipt_id).values(new))
        return content


async def remove(
    change: Change, tombstones: Tombstones, picture_id: UUID, reason: str, sha256: bytes | None = None
) -> pb.ErasureReceipt:
    """Take the picture, which is locked, out of the database; its files follow by `complete`, or the maintenance.

    Redirects to it go with it. Events stay, and name it no longer, but for the one that tells of its erasure. `sha256`
    is that of its bytes if its row does not have it yet.
    """
    connection = change.connection
    row = (await connection.execute(select(picture).where(picture.c.picture_id == picture_id))).one()
    either = or_(picture.c.picture_id == picture_id, picture.c.redirect_id == picture_id)
    ids = receipts.ids_of((await connection.execute(select(picture.c.picture_id).where(either))).scalars().all())
    names = _files(row)
    content = pb.ErasureReceipt(
        receipt_id=str(uuid7()),
        picture_id=str(picture_id),
        erased=await receipts.count(connection, ids),
        objects=names if row.stored else [],
        exports=receipts.capped(await receipts.exports(connection, row, ids)),
        beyond_reach=await receipts.beyond_reach(connection, ids),
    )
    content.erase_time.GetCurrentTime()
    await tombstones.bury(connection, change.collection_id, await _traces(change, ids, row.sha256 or sha256))
    await _forget(change, ids)
    own = {"receipt_id": UUID(content.receipt_id), "collection_id": change.collection_id, "picture_id": picture_id}
    values = {"caller": change.caller, "files": names, "content": content.SerializeToString()}
    await connection.execute(insert(receipt).values(**own, **values))
    await change.record("picture.erased", picture_id, {"receipt_id": content.receipt_id, "reason": reason})
    return content


async def _forget(change: Change, ids: receipts.Ids) -> None:
    """Take all rows of the pictures out of the database."""
    about = event.c.picture_id == ids
    await change.connection.execute(update(event).where(about).values(picture_id=None, data={}))
    await change.connection.execute(delete(requests).where(requests.c.picture_id == ids))
    await change.connection.execute(delete(picture).where(picture.c.picture_id == ids))


async def _traces(change: Change, ids: receipts.Ids, sha256: bytes | None) -> list[Trace]:
    """Return what the pictures are known by."""
    about = (place.c.picture_id == ids, place.c.kind == PlaceKind.S3)
    rows = await change.connection.execute(select(place).where(*about))
    found = [trace for row in rows for trace in of_place(row, is_read=sha256 is not None)]
    return [Trace.of_content(bytes(sha256)), *found] if sha256 else found


async def _before(change: Change, picture_id: str) -> pb.ErasureReceipt:
    """Return the receipt of a picture that was erased before, or until now. Raises PictureNotFound."""
    columns = receipt.c
    with suppress(ValueError):
        about = (columns.collection_id == change.collection_id, columns.picture_id == UUID(picture_id))
        if content := (await change.connection.execute(select(columns.content).where(*about))).scalar_one_or_none():
            return pb.ErasureReceipt.FromString(content)
    raise not_found(picture_id)


def _audit(content: pb.ErasureReceipt, collection: str, reason: str) -> None:
    ids = {"picture_id": content.picture_id, "receipt_id": content.receipt_id}
    audit.record("erased", collection=collection, reason=reason, **ids)


def _files(row: Any) -> list[str]:
    names = (original, thumbnail) if row.sha256 else ()
    return [name(row.collection_id, bytes(row.sha256)) for name in names]

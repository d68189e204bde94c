"""The trash."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select, update

from marquee.library.v1 import library_pb2 as pb
from services.library.database.change import Change, Changes
from services.library.database.tables import picture
from services.library.pictures.view import find, pictures_of
from services.library.settings import LibrarySettings
from services.library.work.queue import enqueue
from services.runtime.errors import PictureErased


class Trash:
    """DeletePicture and UndeletePicture."""

    def __init__(self, changes: Changes, settings: LibrarySettings) -> None:
        self._changes = changes
        self._time = timedelta(days=settings.library_trash_days)

    async def delete(self, request: pb.DeletePictureRequest) -> pb.DeletePictureResponse:
        """Put a picture into the trash. A job that is running ends there; none begins."""

        async def change(change: Change) -> pb.DeletePictureResponse:
            picture_id = await find(change.connection, change.collection_id, request.picture_id, lock=True)
            columns = picture.c
            new = {"delete_time": func.now(), "update_time": func.now(), "expire_time": func.now() + self._time}
            own = update(picture).where(columns.picture_id == picture_id, columns.delete_time.is_(None))
            if (await change.connection.execute(own.values(new))).rowcount:
                await change.record("picture.deleted", picture_id)
            return pb.DeletePictureResponse(picture=await _shown(change, picture_id))

        return await self._changes.once(request, pb.DeletePictureResponse, change)

    async def undelete(self, request: pb.UndeletePictureRequest) -> pb.UndeletePictureResponse:
        """Take a picture out of the trash. Raises PictureErased once its time there has passed."""

        async def change(change: Change) -> pb.UndeletePictureResponse:
            picture_id = await find(change.connection, change.collection_id, request.picture_id, lock=True)
            await _restore(change, picture_id)
            return pb.UndeletePictureResponse(picture=await _shown(change, picture_id))

        return await self._changes.once(request, pb.UndeletePictureResponse, change)


async def _restore(change: Change, picture_id: UUID) -> None:
    columns = picture.c
    found = select(columns.state, columns.delete_time, (columns.expire_time <= func.now()).label("is_over"))
    row = (await change.connection.execute(found.where(columns.picture_id == picture_id))).one()
    if row.delete_time is None:
        return
    if row.is_over:
        raise PictureErased("The picture's time in the trash has passed: it is being erased.", field="picture_id")
    new = {"delete_time": None, "expire_time": None, "update_time": func.now()}
    await change.connection.execute(update(picture).where(columns.picture_id == picture_id).values(new))
    if row.state == pb.PICTURE_STATE_PENDING:  # workers leave what is in the trash
        await enqueue(change.connection, change.collection_id, picture_id)
    await change.record("picture.undeleted", picture_id)


async def _shown(change: Change, picture_id: UUID) -> pb.Picture:
    return (await pictures_of(change.connection, change.collection, [picture_id]))[0]

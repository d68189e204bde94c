"""Pictures: added and shown."""

from uuid import UUID

from marquee.library.v1 import library_pb2 as pb
from services.library.database.database import Database
from services.library.pictures.addition import Addition
from services.library.pictures.content import Content
from services.library.pictures.view import show
from services.library.work.signals import Signals
from services.runtime.errors import PictureErased, PictureNotFound


class Pictures:
    """AddImage, GetPicture and GetPictureContent."""

    def __init__(self, database: Database, addition: Addition, content: Content, signals: Signals) -> None:
        self._database = database
        self._addition = addition
        self._content = content
        self._signals = signals

    async def add(self, request: pb.AddImageRequest) -> pb.AddImageResponse:
        """Add a picture, and wait until it is recognized if asked to. Raises what `Addition.add` raises."""
        response = await self._addition.add(request)
        if request.wait:
            first_id = response.picture.picture_id
            await self._signals.until_ended(UUID(first_id))
            try:
                response.picture.CopyFrom(await show(self._database, request.collection, first_id))
            except PictureNotFound:
                raise PictureErased("The picture was erased, and is not to be added again.") from None
            response.created &= response.picture.picture_id == first_id  # else an object turned out to be another
        return response

    async def get(self, request: pb.GetPictureRequest) -> pb.GetPictureResponse:
        """Return a picture with all that is known of it. Raises PictureNotFound."""
        shown = await show(self._database, request.collection, request.picture_id, full=True)
        return pb.GetPictureResponse(picture=shown)

    async def content(self, request: pb.GetPictureContentRequest) -> pb.GetPictureContentResponse:
        """Return a file. Raises what `Content.get` raises."""
        return await self._content.get(request)

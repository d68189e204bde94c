"""Pictures: added and shown."""

from marquee.library.v1 import library_pb2 as pb
from services.library.database.change import Changes
from services.library.database.database import Database
from services.library.erasure.tombstones import Tombstones
from services.library.pictures.addition import Addition
from services.library.pictures.view import find, not_found, pictures_of
from services.library.settings import LibrarySettings
from services.library.store.store import Store
from services.runtime import requests


class Pictures:
    """AddImage, GetPicture and GetPictureContent."""

    def __init__(
        self, database: Database, changes: Changes, store: Store, settings: LibrarySettings, tombstones: Tombstones
    ) -> None:
        self._database = database
        self._store = store
        self._settings = settings
        self._addition = Addition(database, changes, store, tombstones)

    async def add(self, request: pb.AddImageRequest) -> pb.AddImageResponse:
        """Add a picture, and wait until it is recognized if asked to."""
        requests.check_addition(request, self._settings.s3_allowed)
        request_id = requests.request_id_of(request.request_id)
        if request.image.HasField("s3_object"):
            raise NotImplementedError
        response = await self._addition.of_content(request)
        response.request_id = request_id
        return response

    async def get(self, request: pb.GetPictureRequest) -> pb.GetPictureResponse:
        """Return a picture with all that is known of it. Raises PictureNotFound."""
        return pb.GetPictureResponse(picture=await self._shown(request.collection, request.picture_id))

    async def _shown(self, collection: str, picture_id: str) -> pb.Picture:
        collection_id = await self._database.collection_id(collection, make=False)
        async with self._database.begin() as connection:
            found = await find(connection, collection_id, picture_id)
            shown = await pictures_of(connection, collection, [found], full=True)
        if not shown:  # erased in between
            raise not_found(picture_id)
        return shown[0]

    async def content(self, request: pb.GetPictureContentRequest) -> pb.GetPictureContentResponse:
        """Return a file."""
        raise NotImplementedError

"""Pictures: added and shown."""

from marquee.library.v1 import library_pb2 as pb
from services.library.database.change import Changes
from services.library.database.database import Database
from services.library.erasure.tombstones import Tombstones
from services.library.settings import LibrarySettings
from services.library.store.store import Store


class Pictures:
    """AddImage, GetPicture and GetPictureContent."""

    def __init__(
        self, database: Database, changes: Changes, store: Store, settings: LibrarySettings, tombstones: Tombstones
    ) -> None:
        self._database = database
        self._changes = changes
        self._tombstones = tombstones
        self._store = store
        self._settings = settings

    async def add(self, request: pb.AddImageRequest) -> pb.AddImageResponse:
        """Add a picture."""
        raise NotImplementedError

    async def get(self, request: pb.GetPictureRequest) -> pb.GetPictureResponse:
        """Return a picture."""
        raise NotImplementedError

    async def content(self, request: pb.GetPictureContentRequest) -> pb.GetPictureContentResponse:
        """Return a file."""
        raise NotImplementedError

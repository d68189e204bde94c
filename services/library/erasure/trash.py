"""The trash."""

from marquee.library.v1 import library_pb2 as pb
from services.library.database.change import Changes
from services.library.database.database import Database
from services.library.settings import LibrarySettings


class Trash:
    """DeletePicture and UndeletePicture."""

    def __init__(self, database: Database, changes: Changes, settings: LibrarySettings) -> None:
        self._database = database
        self._changes = changes
        self._settings = settings

    async def delete(self, request: pb.DeletePictureRequest) -> pb.DeletePictureResponse:
        """Put a picture into the trash."""
        raise NotImplementedError

    async def undelete(self, request: pb.UndeletePictureRequest) -> pb.UndeletePictureResponse:
        """Take a picture out of the trash."""
        raise NotImplementedError

"""Finding pictures."""

from marquee.library.v1 import library_pb2 as pb
from services.library.database.database import Database


class Search:
    """SearchPictures."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def search(self, request: pb.SearchPicturesRequest) -> pb.SearchPicturesResponse:
        """Return a page of pictures."""
        raise NotImplementedError

"""Pictures written into a file."""

from collections.abc import AsyncIterator

from marquee.library.v1 import library_pb2 as pb
from services.library.database.database import Database


class Export:
    """ExportPictures."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def export(self, request: pb.ExportPicturesRequest) -> AsyncIterator[pb.ExportPicturesResponse]:
        """Yield the file in pieces."""
        raise NotImplementedError

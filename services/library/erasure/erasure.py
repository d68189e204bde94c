"""Erasure: pictures that go for good."""

from marquee.library.v1 import library_pb2 as pb
from services.library.database.change import Changes
from services.library.database.database import Database
from services.library.erasure.tombstones import Tombstones
from services.library.store.store import Store


class Erasure:
    """ErasePicture."""

    def __init__(self, database: Database, changes: Changes, store: Store, tombstones: Tombstones) -> None:
        self._database = database
        self._changes = changes
        self._tombstones = tombstones
        self._store = store

    async def erase(self, request: pb.ErasePictureRequest) -> pb.ErasePictureResponse:
        """Erase a picture."""
        raise NotImplementedError

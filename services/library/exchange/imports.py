"""Answers that were given elsewhere."""

from marquee.library.v1 import library_pb2 as pb
from services.library.database.change import Changes
from services.library.database.database import Database
from services.library.erasure.tombstones import Tombstones
from services.library.settings import LibrarySettings


class Imports:
    """ImportAnswers."""

    def __init__(self, database: Database, changes: Changes, settings: LibrarySettings, tombstones: Tombstones) -> None:
        self._database = database
        self._changes = changes
        self._tombstones = tombstones
        self._settings = settings

    async def import_answers(self, request: pb.ImportAnswersRequest) -> pb.ImportAnswersResponse:
        """Import answers."""
        raise NotImplementedError

"""Events, as others read them."""

from marquee.library.v1 import library_pb2 as pb
from services.library.database.database import Database


class Events:
    """ListEvents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, request: pb.ListEventsRequest) -> pb.ListEventsResponse:
        """Return events from a cursor on."""
        raise NotImplementedError

"""Jobs: asked for, listed and tried again."""

from marquee.library.v1 import library_pb2 as pb
from services.library.database.change import Changes
from services.library.database.database import Database


class Jobs:
    """RecognizePicture, ListJobs and RetryJobs."""

    def __init__(self, database: Database, changes: Changes) -> None:
        self._database = database
        self._changes = changes

    async def recognize(self, request: pb.RecognizePictureRequest) -> pb.RecognizePictureResponse:
        """Queue a picture again."""
        raise NotImplementedError

    async def list(self, request: pb.ListJobsRequest) -> pb.ListJobsResponse:
        """Return a page of jobs."""
        raise NotImplementedError

    async def retry(self, request: pb.RetryJobsRequest) -> pb.RetryJobsResponse:
        """Queue jobs again that were given up."""
        raise NotImplementedError

# ruff: noqa: ARG002, N802 - names and parameters are the contract's
"""LibraryService: each method has its request checked, and passes it on to the part that knows."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

from structlog.contextvars import bind_contextvars

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1 import library_pb2_grpc
from services.library.categories.categories import Categories
from services.library.erasure.erasure import Erasure
from services.library.erasure.trash import Trash
from services.library.exchange.export import Export
from services.library.exchange.imports import Imports
from services.library.pictures.events import Events
from services.library.pictures.pictures import Pictures
from services.library.search.search import Search
from services.library.work.jobs import Jobs
from services.runtime import requests
from services.runtime.server.calls import Context

R = TypeVar("R")


@dataclass(frozen=True)
class Parts:
    """What serves the methods."""

    pictures: Pictures
    search: Search
    export: Export
    imports: Imports
    jobs: Jobs
    trash: Trash
    erasure: Erasure
    categories: Categories
    events: Events


class Checked:
    """What the services of the library have in common."""

    _collection: str
    """What an empty collection stands for."""

    def _checked(self, request: R) -> R:
        """Return the request with its collection named. Raises InvalidRequest."""
        message: Any = request
        requests.check_library(message)
        message.collection = message.collection or self._collection
        bind_contextvars(collection=message.collection)
        return request


class LibraryServicer(library_pb2_grpc.LibraryServiceServicer, Checked):
    """LibraryService."""

    def __init__(self, parts: Parts, collection: str) -> None:
        self._parts = parts
        self._collection = collection

    async def AddImage(self, request: pb.AddImageRequest, context: Context) -> pb.AddImageResponse:
        """Answer as the contract says."""
        return await self._parts.pictures.add(self._checked(request))

    async def GetPicture(self, request: pb.GetPictureRequest, context: Context) -> pb.GetPictureResponse:
        """Answer as the contract says."""
        return await self._parts.pictures.get(self._checked(request))

    async def GetPictureContent(
        self, request: pb.GetPictureContentRequest, context: Context
    ) -> pb.GetPictureContentResponse:
        """Answer as the contract says."""
        return await self._parts.pictures.content(self._checked(request))

    async def SearchPictures(self, request: pb.SearchPicturesRequest, context: Context) -> pb.SearchPicturesResponse:
        """Answer as the contract says."""
        return await self._parts.search.search(self._checked(request))

    async def RecognizePicture(
        self, request: pb.RecognizePictureRequest, context: Context
    ) -> pb.RecognizePictureResponse:
        """Answer as the contract says."""
        return await self._parts.jobs.recognize(self._checked(request))

    async def DeletePicture(self, request: pb.DeletePictureRequest, context: Context) -> pb.DeletePictureResponse:
        """Answer as the contract says."""
        return await self._parts.trash.delete(self._checked(request))

    async def UndeletePicture(self, request: pb.UndeletePictureRequest, context: Context) -> pb.UndeletePictureResponse:
        """Answer as the contract says."""
        return await self._parts.trash.undelete(self._checked(request))

    async def ErasePicture(self, request: pb.ErasePictureRequest, context: Context) -> pb.ErasePictureResponse:
        """Answer as the contract says."""
        return await self._parts.erasure.erase(self._checked(request))

    async def SetCategory(self, request: pb.SetCategoryRequest, context: Context) -> pb.SetCategoryResponse:
        """Answer as the contract says."""
        return await self._parts.categories.set(self._checked(request))

    async def ListCategories(self, request: pb.ListCategoriesRequest, context: Context) -> pb.ListCategoriesResponse:
        """Answer as the contract says."""
        return await self._parts.categories.list(self._checked(request))

    async def DeleteCategory(self, request: pb.DeleteCategoryRequest, context: Context) -> pb.DeleteCategoryResponse:
        """Answer as the contract says."""
        return await self._parts.categories.delete(self._checked(request))

    async def CategorizePicture(
        self, request: pb.CategorizePictureRequest, context: Context
    ) -> pb.CategorizePictureResponse:
        """Answer as the contract says."""
        return await self._parts.categories.categorize(self._checked(request))

    async def ListEvents(self, request: pb.ListEventsRequest, context: Context) -> pb.ListEventsResponse:
        """Answer as the contract says."""
        return await self._parts.events.list(self._checked(request))

    async def ListJobs(self, request: pb.ListJobsRequest, context: Context) -> pb.ListJobsResponse:
        """Answer as the contract says."""
        return await self._parts.jobs.list(self._checked(request))

    async def RetryJobs(self, request: pb.RetryJobsRequest, context: Context) -> pb.RetryJobsResponse:
        """Answer as the contract says."""
        return await self._parts.jobs.retry(self._checked(request))

    async def ImportAnswers(self, request: pb.ImportAnswersRequest, context: Context) -> pb.ImportAnswersResponse:
        """Answer as the contract says."""
        return await self._parts.imports.import_answers(self._checked(request))

    async def ExportPictures(
        self, request: pb.ExportPicturesRequest, context: Context
    ) -> AsyncIterator[pb.ExportPicturesResponse]:
        """Answer as the contract says."""
        async with aclosing(self._parts.export.export(self._checked(request))) as pieces:
            async for piece in pieces:
                yield piece

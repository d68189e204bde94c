"""Finding pictures."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import library_pb2 as pb
from services.library.database.database import Database
from services.library.pictures.view import pictures_of
from services.library.search.finding import Page, Paging, find
from services.library.search.paging import order_of, place_of, token_of
from services.runtime import requests
from services.runtime.limits import MIB

_MOST_BYTES = 7 * MIB // 2
"""Of pictures in a response, so that also clients with gRPC's default limit of 4 MiB take it."""
_AT_A_TIME = 100
"""Pictures that are read before their bytes are counted."""


class Search:
    """SearchPictures."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def search(self, request: pb.SearchPicturesRequest) -> pb.SearchPicturesResponse:
        """Return a page of pictures. Raises InvalidRequest."""
        pages = Paging(order_of(request.order), requests.page_size_of(request), place_of(request))
        collection_id = await self._database.collection_id(request.collection, make=False)
        async with self._database.snapshot() as connection:
            page = await find(connection, collection_id, request.query, pages)
            return await _shown(connection, request, page)


async def _shown(
    connection: AsyncConnection, request: pb.SearchPicturesRequest, page: Page
) -> pb.SearchPicturesResponse:
    """Return the page with its pictures, or with as many of the first of them as a response holds."""
    ids = [place.picture_id for place in page.places]
    pictures: list[pb.Picture] = []
    room = _MOST_BYTES
    for start in range(0, len(ids), _AT_A_TIME):
        for picture in await pictures_of(connection, request.collection, ids[start : start + _AT_A_TIME]):
            room -= picture.ByteSize()
            if room < 0 and pictures:
                return _response(request, Page(page.places[: len(pictures)], page.places[len(pictures) - 1]), pictures)
            pictures.append(picture)
    return _response(request, page, pictures)


def _response(
    request: pb.SearchPicturesRequest, page: Page, pictures: Sequence[pb.Picture]
) -> pb.SearchPicturesResponse:
    token = token_of(request, page.end) if page.end else ""
    return pb.SearchPicturesResponse(pictures=pictures, next_page_token=token)

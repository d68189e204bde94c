"""Pages: orders of pictures, places in them, and the tokens that lead on. Pure."""

import base64
import hashlib
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from uuid import UUID

from sqlalchemy import ColumnElement, tuple_

from marquee.library.v1 import library_pb2 as pb
from services.library.database.tables import picture
from services.runtime.errors import InvalidRequest

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PLACE = struct.Struct(">q16s")
_DIGEST_BYTES = 16


@dataclass(frozen=True)
class Place:
    """Place of a picture in an order."""

    time: datetime
    picture_id: UUID


@dataclass(frozen=True)
class Order:
    """Order of pictures by a column, and by picture_id where that is the same."""

    column: Any
    is_descending: bool

    def after(self, place: Place) -> ColumnElement[bool]:
        """Return the condition of what follows the place."""
        own, there = tuple_(self.column, picture.c.picture_id), tuple_(place.time, place.picture_id)
        return own < there if self.is_descending else own > there

    def by(self, time: Any, picture_id: Any) -> list[Any]:
        """Return what to order by, of a selection with these columns."""
        return [time.desc(), picture_id.desc()] if self.is_descending else [time, picture_id]


_ORDERS = {
    pb.PICTURE_ORDER_UNSPECIFIED: Order(picture.c.taken_time, is_descending=True),
    pb.PICTURE_ORDER_TAKEN_NEWEST: Order(picture.c.taken_time, is_descending=True),
    pb.PICTURE_ORDER_TAKEN_OLDEST: Order(picture.c.taken_time, is_descending=False),
    pb.PICTURE_ORDER_ADDED_NEWEST: Order(picture.c.create_time, is_descending=True),
    pb.PICTURE_ORDER_ADDED_OLDEST: Order(picture.c.create_time, is_descending=False),
}


def order_of(value: "pb.PictureOrder.ValueType") -> Order:
    """Return the order."""
    return _ORDERS[value]


def token_of(request: pb.SearchPicturesRequest, place: Place) -> str:
    """Return the token of the page that follows the place."""
    content = _PLACE.pack((place.time - _EPOCH) // _MICROSECOND, place.picture_id.bytes)
    return base64.urlsafe_b64encode(_digest(request, content) + content).decode().rstrip("=")


def place_of(request: pb.SearchPicturesRequest) -> Place | None:
    """Return the place that the request's page follows; None: it is the first. Raises InvalidRequest."""
    if not request.page_token:
        return None
    try:
        token = base64.urlsafe_b64decode(request.page_token + "=" * (-len(request.page_token) % 4))
    except ValueError:
        _refuse()
    digest, content = token[:_DIGEST_BYTES], token[_DIGEST_BYTES:]
    if len(content) != _PLACE.size or digest != _digest(request, content):
        _refuse()
    microseconds, picture_id = _PLACE.unpack(content)
    try:
        return Place(_EPOCH + microseconds * _MICROSECOND, UUID(bytes=picture_id))
    except OverflowError:  # whoever has made it knows how
        _refuse()


def _digest(request: pb.SearchPicturesRequest, content: bytes) -> bytes:
    """Return what binds a token to collection, query and order."""
    asked = pb.SearchPicturesRequest(collection=request.collection, query=request.query, order=request.order)
    return hashlib.blake2b(asked.SerializeToString(deterministic=True) + content, digest_size=_DIGEST_BYTES).digest()


def _refuse() -> NoReturn:
    raise InvalidRequest(
        "Invalid page_token: it is for another collection, query or order, or was changed. Begin anew without.",
        field="page_token",
    )

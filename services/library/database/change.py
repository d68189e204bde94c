"""Changes: transactions in one collection, by one caller, with the events that tell of them."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from google.protobuf.message import Message
from sqlalchemy import insert, update
from sqlalchemy.dialects.postgresql import insert as insert_new
from sqlalchemy.ext.asyncio import AsyncConnection

from services.library.database.database import Database
from services.library.database.tables import event
from services.library.database.tables import request as requests
from services.runtime.doors.caller import current
from services.runtime.errors import RequestReused

R = TypeVar("R", bound=Message)


@dataclass(frozen=True)
class Change:
    """A transaction."""

    connection: AsyncConnection
    collection_id: int
    collection: str
    caller: str
    """Who makes the change; empty: the library itself."""

    async def record(self, kind: str, picture_id: UUID | None = None, data: Mapping[str, Any] | None = None) -> None:
        """Record an event, such as "picture.added"; docs/library.md lists them with their data."""
        values = {"type": kind, "picture_id": picture_id, "data": dict(data or {})}
        own = {"collection_id": self.collection_id, "caller": self.caller}
        await self.connection.execute(insert(event).values(**values, **own))


class Changes:
    """How the database is changed."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @asynccontextmanager
    async def begin(self, collection: str, caller: str = "") -> AsyncIterator[Change]:
        """Yield a change of the collection, which is made if it is new. It is committed unless the body raises."""
        collection_id = await self.database.collection_id(collection)
        async with self.database.begin() as connection:
            yield Change(connection, collection_id, collection, caller)

    async def once(self, request: Any, kind: type[R], make: Callable[[Change], Awaitable[R]], digest: bytes = b"") -> R:
        """Return the response that `make` returns for a change, or the one to the same request before.

        The request has a request_id and the name of its collection. `digest` stands for what it holds besides, such as
        a picture's bytes. Raises RequestReused if its request_id was another request's, and what `make` raises: then
        nothing was changed, and nothing is remembered.
        """
        async with self.begin(request.collection, current().name) as change:
            if not request.request_id:
                return await make(change)
            if (before := await _begun(change, request, digest)) is not None:
                return kind.FromString(before)
            response = await make(change)
            values = {"response": response.SerializeToString(), "picture_id": _picture_of(response)}
            await change.connection.execute(update(requests).where(*_key(change, request)).values(values))
            return response


async def _begun(change: Change, request: Any, digest: bytes) -> bytes | None:
    """Return the response to this very request if it was made before; None: this is the first time."""
    message = request.SerializeToString(deterministic=True)
    full = hashlib.sha256(request.DESCRIPTOR.full_name.encode() + digest + message).digest()
    key = {"collection_id": change.collection_id, "caller": change.caller, "request_id": request.request_id}
    new = insert_new(requests).values(**key, digest=full)
    held = new.on_conflict_do_update(index_elements=list(key), set_={"request_id": new.excluded.request_id})
    found = (await change.connection.execute(held.returning(requests.c.digest, requests.c.response))).one()
    if found.digest != full:
        raise RequestReused("This request_id was another request's. Give each request its own.", field="request_id")
    return None if found.response is None else bytes(found.response)


def _key(change: Change, request: Any) -> list[Any]:
    columns = requests.c
    return [
        columns.collection_id == change.collection_id,
        columns.caller == change.caller,
        columns.request_id == request.request_id,
    ]


def _picture_of(response: Any) -> UUID | None:
    """Return the picture that the response is about, with which it is forgotten."""
    picture = getattr(response, "picture", None)
    return UUID(picture.picture_id) if picture is not None and picture.picture_id else None

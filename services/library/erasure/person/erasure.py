"""ErasePerson: somebody goes for good, wherever the library and its recognizers have them.

One transaction takes all that names them as such, so that they are nobody's name from then on, and leaves a receipt
with what is still to be done: to look through what was said of pictures, and to have recognizers remove them. The call
does so for a while, and the maintenance does the rest.
"""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from uuid import UUID

from google.rpc.status_pb2 import Status
from sqlalchemy import func, insert, or_, select, text, update
from uuid6 import uuid7

from marquee.library.v1 import people_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.library.database.change import Change, Changes
from services.library.database.identifiers import uuid_of
from services.library.database.people_tables import person_receipt
from services.library.database.tables import PlaceKind, collection, place
from services.library.enrollment import ledger
from services.library.enrollment.recognizers import Recognizers
from services.library.erasure.erasure import Erasure
from services.library.erasure.person import rows
from services.library.erasure.person.traits import Traits
from services.library.erasure.tombstones import Tombstones, Trace
from services.library.people.actions import hold
from services.library.settings import LibrarySettings
from services.library.work.gateway import Gateway
from services.runtime import requests
from services.runtime.doors import audit
from services.runtime.doors.caller import current
from services.runtime.errors import DomainError, InvalidRequest, PersonNotFound
from services.runtime.status import StatusError, from_exception
from services.runtime.storage.s3 import ObjectStore, S3Url

_SECONDS = 5.0
"""For which a call goes on."""
_LONGEST_SECONDS = 3600.0
"""Between two attempts to reach a recognizer."""
_GATEWAY = "gateway"
_BACKUPS = (
    "Backups of the database that were made before. The log of erasures, if there is one, erases them again before a "
    "restored library serves; else whoever restores one does."
)
_BEYOND_REACH = (
    _BACKUPS,
    "Notifications that were sent.",
    "Models that were trained with pictures of them, or with exported decisions. Train anew without.",
    "Exports that were made before.",
    "Pictures themselves, their file names and texts that are read in them: ErasePicture erases a picture.",
    "Gateways: their caches keep answers, without the picture, for 300 s by default.",
    "Log lines and traces, which end as the operator has them end.",
)
_OBJECTS = "Objects in S3 of pictures that were erased: delete them there, with their earlier versions."
_columns = person_receipt.c
_is_due = _columns.next_attempt_time <= func.now()
_HAS_MORE = """
pending ->> 'scrub' = 'true' OR pending ->> 'categories' = 'true' OR jsonb_array_length(pending -> 'pictures') > 0
"""
_NOT_FOUND = 5


class PersonErasure:
    """ErasePerson."""

    def __init__(
        self, changes: Changes, erasure: Erasure, tombstones: Tombstones, gateway: Gateway, settings: LibrarySettings
    ) -> None:
        self._changes = changes
        self._erasure = erasure
        self._tombstones = tombstones
        self._recognizers = Recognizers(gateway)
        self._settings = settings
        self._objects = ObjectStore(settings.s3_endpoint_url)

    async def erase(self, request: pb.ErasePersonRequest) -> pb.ErasePersonResponse:
        """Erase a person. Who was erased before has their receipt returned. Raises PersonNotFound, InvalidRequest."""
        if request.erase_objects and not self._settings.library_erase_objects:
            message = "The operator does not let the library delete objects (MARQUEE_LIBRARY_ERASE_OBJECTS)."
            raise InvalidRequest(message, field="erase_objects")
        if request.erase_objects and not request.erase_pictures:
            raise InvalidRequest("erase_objects goes with erase_pictures.", field="erase_objects")
        collection_id = await self._changes.database.collection_id(request.collection, make=False)
        person_id = uuid_of(request.person_id)
        if not collection_id or person_id is None:
            raise _not_found(request.person_id)
        receipt_id = await self.begin(request, person_id)
        return pb.ErasePersonResponse(receipt=await self.go_on(receipt_id, _SECONDS))

    async def begin(self, request: pb.ErasePersonRequest, person_id: UUID) -> UUID:
        """Take what names them, and return the receipt of that, or of an erasure before. Raises PersonNotFound."""
        database = self._changes.database
        collection_id = await database.collection_id(request.collection)
        async with (
            ledger.alone(database, collection_id),
            self._changes.begin(request.collection, current().name) as change,
        ):
            await hold(change.connection, change.collection_id, alone=True)
            traits = await rows.traits_of(change.connection, change.collection_id, person_id)
            if traits is None:
                return await _before(change, person_id)
            receipt_id = await self._forget(change, traits, request)
        ids = {"person_id": traits.person_ids[0], "receipt_id": str(receipt_id)}
        audit.record("erased", collection=request.collection, **ids)
        return receipt_id

    async def go_on(self, receipt_id: UUID, seconds: float, *, always: bool = True) -> pb.PersonReceipt:
        """Do what is still to be done, for so long at most, and return how far it is. Repeating it harms nothing.

        `always`: also ask recognizers whose next turn has not come.
        """
        until = time.monotonic() + seconds
        await self._ask_recognizers(receipt_id, always=always)
        while await self._step(receipt_id) and time.monotonic() < until:
            pass
        async with self._changes.database.begin() as connection:
            row = (await connection.execute(select(person_receipt).where(_columns.receipt_id == receipt_id))).one()
        return pb.PersonReceipt.FromString(row.content)

    async def step(self) -> bool:
        """Go on with an erasure that is not complete; return whether there may be more to do."""
        due = select(_columns.receipt_id).where(~_columns.complete, or_(_is_due, text(_HAS_MORE)))
        async with self._changes.database.begin() as connection:
            found = (await connection.execute(due.order_by(_columns.create_time).limit(1))).scalar_one_or_none()
        if found is None:
            return False
        await self.go_on(UUID(int=found.int), _SECONDS, always=False)
        return True

    async def _forget(self, change: Change, traits: Traits, request: pb.ErasePersonRequest) -> UUID:
        gone = await rows.forget(change, traits)
        called = [Trace.of_person(one) for one in (*traits.person_ids, *traits.external_ids)]
        count = await self._tombstones.bury(change.connection, change.collection_id, called)
        beyond = [*_BEYOND_REACH, *([_OBJECTS] if request.erase_pictures and not request.erase_objects else [])]
        receipt = pb.PersonReceipt(
            receipt_id=str(uuid7()),
            person_id=traits.person_ids[0],
            erased=gone.counts | {"tombstone": count},
            beyond_reach=beyond,
        )
        receipt.erase_time.GetCurrentTime()
        pending = {
            **traits._asdict(),
            "pictures": list(map(str, gone.alone)) if request.erase_pictures else [],
            "objects": request.erase_objects,
            "after": "",
            "categories": True,
            "scrub": True,
            "recognizers": True,
            "attempts": 0,
        }
        own = {"receipt_id": UUID(receipt.receipt_id), "collection_id": change.collection_id, "caller": change.caller}
        values = {"person_id": UUID(receipt.person_id), "pending": pending, "content": receipt.SerializeToString()}
        await change.connection.execute(insert(person_receipt).values(**own, **values, next_attempt_time=func.now()))
        await change.record("person.erased", data={"receipt_id": receipt.receipt_id})
        return UUID(receipt.receipt_id)

    async def _step(self, receipt_id: UUID) -> bool:
        """Do some of what needs no recognizer; return whether there is more of it."""
        async with self._changes.database.begin() as connection:
            name = select(collection.c.name).join(person_receipt).where(_columns.receipt_id == receipt_id)
            collection_name = (await connection.execute(name)).scalar_one()
        async with self._changes.begin(collection_name) as change:
            categories = await _open(change, receipt_id)
            if categories and categories.pending["categories"]:
                traits = Traits.of(categories.pending)
                count = await rows.forget_categories(change.connection, change.collection_id, traits)
                await _keep(change, categories, {"category_rule": count}, categories=False)
                return True
        async with self._changes.begin(collection_name) as change:
            await hold(change.connection, change.collection_id)
            row = await _open(change, receipt_id)
            if row is None:
                return False
            if row.pending["scrub"]:
                after = uuid_of(row.pending["after"])
                last, counts = await rows.scrub(change, Traits.of(row.pending), after)
                await _keep(change, row, counts, after=str(last or ""), scrub=last is not None)
                return True
            picture_id = next(iter(row.pending["pictures"]), None)
        return picture_id is not None and await self._erase_picture(row, collection_name, picture_id)

    async def _erase_picture(self, row: Any, collection_name: str, picture_id: str) -> bool:
        objects = await self._objects_of(picture_id) if row.pending["objects"] else []
        receipt = await self._erasure.take(UUID(picture_id), collection_name, "person")
        for one in objects:
            await self._erase_object(one)
        async with self._changes.begin(collection_name) as change:
            held = await _open(change, UUID(int=row.receipt_id.int))
            if held is not None:
                left = [one for one in held.pending["pictures"] if one != picture_id]
                await _keep(change, held, {}, receipts=[receipt.receipt_id] if receipt else [], pictures=left)
        return True

    async def _objects_of(self, picture_id: str) -> list[S3Url]:
        found = select(place).where(place.c.picture_id == UUID(picture_id), place.c.kind == PlaceKind.S3)
        async with self._changes.database.begin() as connection:
            return [S3Url(row.bucket, row.key) for row in await connection.execute(found)]

    async def _erase_object(self, url: S3Url) -> None:
        """Delete an object with all its versions, where the library may."""
        with suppress(DomainError):
            s3_object = recognizer_pb2.S3Object(bucket=url.bucket, key=url.key)
            requests.check_object(s3_object, self._settings.s3_allowed, "erase_objects")
            await asyncio.to_thread(self._objects.erase, url)

    async def _ask_recognizers(self, receipt_id: UUID, *, always: bool) -> None:
        """Have all recognizers that enroll remove them, and write down what became of it."""
        async with self._changes.database.begin() as connection:
            own = select(person_receipt, _is_due.label("is_due")).where(_columns.receipt_id == receipt_id)
            row = (await connection.execute(own)).one()
            name = select(collection.c.name).where(collection.c.collection_id == row.collection_id)
            collection_name = (await connection.execute(name)).scalar_one()
        if row.complete or not row.pending["recognizers"] or not (always or row.is_due):
            return
        async with ledger.alone(self._changes.database, row.collection_id):
            found = await self._removed(Traits.of(row.pending))
        is_done = not any(one.code for one in found.values())
        async with self._changes.begin(collection_name) as change:
            held = await _open(change, receipt_id)
            if held is not None:
                await _keep(change, held, {}, statuses=found, recognizers=not is_done)

    async def _removed(self, traits: Traits) -> dict[str, Status]:
        """Return what each recognizer that enrolls says of having removed them."""
        called = (*traits.person_ids, *(one for one in traits.external_ids if not one.startswith("=")))
        try:
            names, _ = await self._recognizers.enrolling([])
        except StatusError as exc:
            return {_GATEWAY: exc.status}
        except DomainError as exc:
            return {_GATEWAY: from_exception(exc)}
        return {name: await self._removed_from(name, called) for name in names}

    async def _removed_from(self, name: str, called: Iterable[str]) -> Status:
        for one in dict.fromkeys(called):
            status = await self._recognizers.remove_person(name, one)
            if status.code and status.code != _NOT_FOUND:
                return status
        return Status()


async def _before(change: Change, person_id: UUID) -> UUID:
    own = select(_columns.receipt_id).where(
        _columns.collection_id == change.collection_id, _columns.person_id == person_id
    )
    found = (await change.connection.execute(own)).scalar_one_or_none()
    if found is None:
        raise _not_found(str(person_id))
    return UUID(int=found.int)


async def _open(change: Change, receipt_id: UUID) -> Any:
    """Lock a receipt, and return its row; None: it is complete."""
    own = select(person_receipt).where(_columns.receipt_id == receipt_id, ~_columns.complete)
    return (await change.connection.execute(own.with_for_update())).one_or_none()


async def _keep(
    change: Change, row: Any, counts: dict[str, int], *, receipts: Iterable[str] = (), **state: Any
) -> None:
    """Write down how far an erasure is."""
    receipt = pb.PersonReceipt.FromString(row.content)
    for name, count in counts.items():
        if count:
            receipt.erased[name] += count
    receipt.picture_receipt_ids[:] = [*receipt.picture_receipt_ids, *receipts][:1000]
    statuses: dict[str, Status] | None = state.pop("statuses", None)
    pending = {**row.pending, **state}
    if statuses is not None:
        receipt.recognizers.clear()
        for name, status in statuses.items():
            receipt.recognizers[name].CopyFrom(status)
        pending["attempts"] += 1
    receipt.complete = not (pending["categories"] or pending["scrub"] or pending["pictures"] or pending["recognizers"])
    values: dict[str, Any] = {"complete": receipt.complete, "content": receipt.SerializeToString()}
    values["pending"] = {} if receipt.complete else pending
    if statuses is not None and pending["recognizers"]:
        seconds = min(_LONGEST_SECONDS, 30.0 * 2 ** min(pending["attempts"] - 1, 10))
        values["next_attempt_time"] = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
    await change.connection.execute(update(person_receipt).where(_columns.receipt_id == row.receipt_id).values(values))


def _not_found(person_id: str) -> PersonNotFound:
    return PersonNotFound(f"The collection has no person {person_id!r}.", field="person_id")

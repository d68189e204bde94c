"""ReconcilePeople: what recognizers have enrolled beside what the library has, and how the two become one."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import grpc
from google.rpc import status_pb2

from marquee.library.v1 import people_pb2 as pb
from services.library.database.database import Database
from services.library.database.identifiers import uuid_of
from services.library.enrollment import differences, ledger
from services.library.enrollment.differences import Known
from services.library.enrollment.ledger import ENROLLED
from services.library.enrollment.recognizers import NotEnrolling, Recognizers
from services.library.enrollment.upkeep import Upkeep, rename
from services.library.people.view import person_of
from services.library.work.gateway import Gateway
from services.runtime import status
from services.runtime.status import StatusError

_MOST = 1000
_MISSING, _LEFT = pb.DIFFERENCE_KIND_FACE_MISSING, pb.DIFFERENCE_KIND_FACE_LEFT


class Reconciliation:
    """ReconcilePeople."""

    def __init__(self, database: Database, gateway: Gateway, upkeep: Upkeep) -> None:
        self._database = database
        self._gateway = gateway
        self._upkeep = upkeep

    async def reconcile(self, request: pb.ReconcilePeopleRequest) -> pb.ReconcilePeopleResponse:
        """Compare, and mend if asked to. Raises PersonNotFound, and StatusError of a gateway that is away."""
        collection_id = await self._database.collection_id(request.collection, make=False)
        only = await self._only(collection_id, request.person_id)
        recognizers = Recognizers.for_caller(self._gateway)
        names, failures = await recognizers.enrolling(request.recognizers)
        response, compared = pb.ReconcilePeopleResponse(failures=failures), set[str]()
        for name in names:
            try:
                async for external_id, found in self._compare(collection_id, recognizers, name, only):
                    compared.add(external_id)
                    response.differences.extend(found)
                    if len(response.differences) > _MOST:
                        break
            except (NotEnrolling, StatusError) as exc:
                response.failures[name].CopyFrom(exc.status)
        response.person_count, response.more = len(compared), len(response.differences) > _MOST
        del response.differences[_MOST:]
        if request.mend:
            await self._mend(collection_id, recognizers, response.differences)
        return response

    async def _only(self, collection_id: int, person_id: str) -> UUID | None:
        if not person_id:
            return None
        async with self._database.begin() as connection:
            return await person_of(connection, collection_id, person_id)

    async def _compare(
        self, collection_id: int, recognizers: Recognizers, name: str, only: UUID | None
    ) -> AsyncIterator[tuple[str, list[pb.Difference]]]:
        """Yield whom a recognizer knows, by what it calls them, or has lost; each with what differs."""
        seen: set[UUID] = set()
        async for people in self._listed(recognizers, name, only):
            async with self._database.begin() as connection:
                known = await differences.known_of(connection, collection_id, name, [one.person_id for one in people])
            for one in people:
                whose = known.get(one.person_id, Known())
                if whose.is_elsewhere:
                    continue
                found = differences.of_person(name, one, whose)
                if whose.own_id and not whose.is_gone:
                    seen.add(whose.own_id)
                    found += await self._faces(recognizers, name, whose)
                yield one.person_id, found
        async with self._database.begin() as connection:
            sent = await ledger.people_at(connection, collection_id, name)
            mine = sent if only is None else sent & {only}
            rows = await ledger.rows_of(connection, name, mine - seen)
        for row in rows:
            yield str(row.person_id), differences.lost([row])

    async def _listed(self, recognizers: Recognizers, name: str, only: UUID | None) -> AsyncIterator[Sequence[Any]]:
        """Yield the people whom a recognizer knows; of one of the library's people, whoever is them there."""
        if only is None:
            async for page in recognizers.people(name):
                yield page
            return
        async with self._database.begin() as connection:
            external_ids = await differences.external_ids_of(connection, name, only)
        for external_id in external_ids:
            person, _ = await recognizers.faces(name, external_id)
            if person is not None:
                yield [person]

    async def _faces(self, recognizers: Recognizers, name: str, whose: Known) -> list[pb.Difference]:
        """Return how a person's faces at a recognizer differ. The rows are read before, and so miss nothing later."""
        assert whose.own_id is not None  # noqa: S101 - for mypy
        async with self._database.begin() as connection:
            rows = await ledger.rows_of(connection, name, [whose.own_id])
        _, faces = await recognizers.faces(name, str(whose.own_id))
        return differences.of_faces(name, whose, rows, faces)

    async def _mend(self, collection_id: int, recognizers: Recognizers, found: Sequence[pb.Difference]) -> None:
        await self._mend_faces(collection_id, recognizers, [one for one in found if one.kind in (_MISSING, _LEFT)])
        for one in found:
            if one.kind == pb.DIFFERENCE_KIND_NAME:
                name = await self._name(one.person_id)
                _note(one, await rename(recognizers, one.recognizer, one.external_id, name))
            elif one.kind == pb.DIFFERENCE_KIND_PERSON_LEFT:
                _note(one, await recognizers.remove_person(one.recognizer, one.external_id))

    async def _mend_faces(self, collection_id: int, recognizers: Recognizers, found: Sequence[pb.Difference]) -> None:
        """Have faces sent anew or taken back, and note what came of it."""
        by_key = {(one.face_id, one.recognizer): one for one in found}
        face_ids = [parsed for one in dict.fromkeys(one.face_id for one in found) if (parsed := uuid_of(one))]
        async with self._database.begin() as connection:
            for one in found:
                await ledger.again(connection, one, is_missing=one.kind == _MISSING)
        if face_ids:
            await self._upkeep.settle(collection_id, face_ids, recognizers)
        async with self._database.begin() as connection:
            rows = {(str(row.face_id), row.recognizer): row for row in await ledger.rows_at(connection, face_ids)}
        for key, one in by_key.items():
            row = rows.get(key)
            is_theirs = row is not None and str(row.person_id) == one.external_id
            if one.kind == _MISSING:
                one.mended = row is not None and is_theirs and row.state == ENROLLED
            else:
                one.mended = not is_theirs
            if not one.mended:
                one.status.CopyFrom(_why(row))

    async def _name(self, person_id: str) -> str:
        async with self._database.begin() as connection:
            return await differences.name_of(connection, person_id)


def _note(one: pb.Difference, failure: Any) -> None:
    one.mended = not failure.code
    if failure.code:
        one.status.CopyFrom(failure)


def _why(row: ledger.Row | None) -> Any:
    if row is not None and row.status:
        return status_pb2.Status.FromString(row.status)
    return status.make(grpc.StatusCode.ABORTED, "CHANGED", "It was changed meanwhile. Compare again.")

"""Upkeep: what recognizers have enrolled follows what was decided.

A face is enrolled as whom it is decided to be. If that is somebody else by now, as after a correction or a merge, it is
taken back and enrolled as them; if it is nobody, as after a refusal, a deletion or an erasure, it is taken back alone.
A new name is told. What a recognizer that is away has missed is done once it answers, whoever was killed meanwhile.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, TypeAlias
from uuid import UUID

import structlog
from google.rpc.status_pb2 import Status
from sqlalchemy import func

from marquee.v1 import enrollment_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.library.database.database import Database
from services.library.enrollment import ledger
from services.library.enrollment.ledger import ENROLLED, REFUSED, REMOVING, WAITING, Row
from services.library.enrollment.portraits import Portraits
from services.library.enrollment.recognizers import NotEnrolling, Recognizers
from services.library.work.gateway import Gateway
from services.library.work.recording import TRANSIENT
from services.library.work.signals import POLL_SECONDS
from services.library.work.worker import forever
from services.runtime import status
from services.runtime.errors import DomainError, InvalidAnswer
from services.runtime.limits import MAX_IMAGE_BYTES

logger = structlog.get_logger()
Change: TypeAlias = tuple[Row, dict[str, Any] | None]
"""A row with its new values; None: it goes."""
_MOST_IMAGES = 32
_MOST_KEYS = 64


class Upkeep:
    """How enrollments are kept up."""

    def __init__(self, database: Database, gateway: Gateway, portraits: Portraits) -> None:
        self._database = database
        self._gateway = gateway
        self._portraits = portraits

    async def run(self) -> None:
        """Do what there is to do, again and again, until cancelled."""
        await forever(self._settle_all, "upkeep of enrollments", POLL_SECONDS)

    async def _settle_all(self) -> None:
        for collection_id in await ledger.due(self._database):
            await self.settle(collection_id)

    async def settle(
        self, collection_id: int, face_ids: Sequence[UUID] | None = None, recognizers: Recognizers | None = None
    ) -> dict[str, Status]:
        """Do what is due, or whatever there is to do about these faces; return what recognizers failed with."""
        recognizers = recognizers or Recognizers(self._gateway)
        failures: dict[str, Status] = {}
        async with ledger.alone(self._database, collection_id):
            rows = await ledger.claim(self._database, collection_id, face_ids)
            changes = await _taken_back(recognizers, rows, failures)
            await self._record(collection_id, changes)
            rows = [row for row in rows if row.is_owners]
            if moved := [row.face_id for row, values in changes if values is not None]:
                again = await ledger.claim(self._database, collection_id, moved)
                rows = [*rows, *(row for row in again if row.is_owners)]
            rows = list({(row.face_id, row.recognizer): row for row in rows}.values())
            await self._enroll(collection_id, recognizers, rows, failures)
        return failures

    async def _enroll(
        self, collection_id: int, recognizers: Recognizers, rows: Sequence[Row], failures: dict[str, Status]
    ) -> None:
        waiting = [row for row in rows if row.state in (WAITING, REMOVING)]
        for _, own in groupby(sorted(waiting, key=_whose), key=_whose):
            for some in _some(list(own)):
                await self._record(collection_id, await self._sent(recognizers, some, failures))
        await self._record(collection_id, await _renamed(recognizers, rows, failures))

    async def _sent(self, recognizers: Recognizers, rows: Sequence[Row], failures: dict[str, Status]) -> list[Change]:
        """Enroll faces of one person; return what came of it."""
        changes: list[Change] = []
        pictures: dict[UUID, bytes] = {}
        for face_id in dict.fromkeys(row.face_id for row in rows):
            own = [row for row in rows if row.face_id == face_id]
            try:
                pictures[face_id] = await self._portraits.of(face_id)
            except DomainError as exc:
                changes += [(row, _unfit(row, exc)) for row in own]
            else:
                await ledger.send(self._database, own, hashlib.sha256(pictures[face_id]).digest())
        for names, face_ids in _calls(rows, pictures):
            own = [row for row in rows if row.face_id in face_ids and row.recognizer in names]
            request = _request(own, names, [pictures[one] for one in face_ids])
            for name, result in (await recognizers.enroll(request)).items():
                its = sorted(
                    (row for row in own if row.recognizer == name), key=lambda row: face_ids.index(row.face_id)
                )
                changes += _enrolled(its, result, failures)
        return changes

    async def _record(self, collection_id: int, changes: Sequence[Change]) -> None:
        if changes:
            await ledger.write(self._database, collection_id, changes)


async def _taken_back(recognizers: Recognizers, rows: Sequence[Row], failures: dict[str, Status]) -> list[Change]:
    """Take back faces that are somebody else's or nobody's; return what came of it."""
    stale = [row for row in rows if not row.is_owners]
    changes = [(row, _moved(row)) for row in stale if not row.is_sent]
    sent = sorted((row for row in stale if row.is_sent), key=_place)
    for (name, _), own in groupby(sent, key=_place):
        for some in _some(list(own), _MOST_KEYS):
            request = pb.RemoveFacesRequest(person_id=str(some[0].person_id), recognizers=[name], faces=map(_key, some))
            for row, failure in zip(some, await recognizers.remove_faces(request), strict=True):
                if failure.code:
                    failures[name] = failure
                    changes.append((row, ledger.setback(row, failure) | {"state": REMOVING}))
                else:
                    changes.append((row, _moved(row)))
    return changes


async def _renamed(recognizers: Recognizers, rows: Sequence[Row], failures: dict[str, Status]) -> list[Change]:
    """Give enrolled people, about whom something has changed, their names; return what came of it."""
    changes: list[Change] = [(row, {"state": REFUSED, "status": row.status}) for row in rows if row.state == REFUSED]
    enrolled = sorted((row for row in rows if row.state == ENROLLED), key=_place)
    for (name, _), own in groupby(enrolled, key=_place):
        its = list(own)
        failure = await rename(recognizers, name, str(its[0].person_id), its[0].owner_name)
        if failure.code and status.code_of(failure) in TRANSIENT:
            failures[name] = failure
            changes += [(row, ledger.setback(row, failure)) for row in its]
        else:
            changes += [(row, {}) for row in its]
    return changes


async def rename(recognizers: Recognizers, name: str, person_id: str, display_name: str) -> Status:
    """Have a recognizer call a person so; return OK, or why it does not."""
    request = pb.EnrollFacesRequest(person_id=person_id, display_name=display_name, recognizers=[name])
    result = (await recognizers.enroll(request))[name]
    if isinstance(result, NotEnrolling):
        return result.status
    return result if isinstance(result, Status) else Status()


def _enrolled(rows: Sequence[Row], result: Any, failures: dict[str, Status]) -> list[Change]:
    """Return what came of rows of one recognizer, in the order of the pictures, and note why it failed if it did."""
    if isinstance(result, NotEnrolling):
        failures[rows[0].recognizer] = result.status
        return [(row, None) for row in rows]
    if isinstance(result, Status):
        failures[rows[0].recognizer] = result
        return [(row, ledger.setback(row, result)) for row in rows]
    if len(result.faces) != len(rows):
        return _enrolled(rows, status.from_exception(InvalidAnswer("It answered for other pictures.")), failures)
    return [(row, _face(face)) for row, face in zip(rows, result.faces, strict=True)]


def _face(face: pb.EnrolledFace) -> dict[str, Any]:
    if face.state == pb.ENROLLMENT_STATE_REFUSED:
        return {"state": REFUSED, "external_face_id": "", "status": face.status.SerializeToString()}
    return {"state": ENROLLED, "external_face_id": face.face_id}


def _unfit(row: Row, error: DomainError) -> dict[str, Any]:
    """Return the values of a row whose face cannot be cut out, for now or at all."""
    failure = status.from_exception(error)
    if status.code_of(failure) in TRANSIENT:
        return ledger.setback(row, failure)
    return {"state": REFUSED, "external_face_id": "", "status": failure.SerializeToString()}


def _moved(row: Row) -> dict[str, Any] | None:
    """Return the values of a row whose face is at the recognizer no longer; None: it is nobody's."""
    if row.owner_id is None or row.state == REFUSED:
        return None
    fresh = {"external_face_id": "", "content_sha256": b"", "state": WAITING, "allow_similar": True}
    return fresh | {"person_id": row.owner_id, "next_attempt_time": func.now()}


def _calls(rows: Sequence[Row], pictures: Mapping[UUID, bytes]) -> Iterator[tuple[frozenset[str], list[UUID]]]:
    """Yield recognizers, with faces that all of them get in one call."""
    by_names: dict[frozenset[str], list[UUID]] = {}
    for face_id in pictures:
        names = frozenset(row.recognizer for row in rows if row.face_id == face_id)
        by_names.setdefault(names, []).append(face_id)
    for names, face_ids in by_names.items():
        some: list[UUID] = []
        for face_id in face_ids:
            if len(some) == _MOST_IMAGES or sum(len(pictures[one]) for one in (*some, face_id)) > MAX_IMAGE_BYTES:
                yield names, some
                some = []
            some.append(face_id)
        yield names, some


def _request(rows: Sequence[Row], names: Iterable[str], pictures: Sequence[bytes]) -> pb.EnrollFacesRequest:
    return pb.EnrollFacesRequest(
        person_id=str(rows[0].person_id),
        display_name=rows[0].owner_name,
        images=[recognizer_pb2.Image(content=one) for one in pictures],
        recognizers=sorted(names),
        allow_similar=any(row.allow_similar for row in rows),
    )


def _key(row: Row) -> pb.FaceKey:
    if row.external_face_id:
        return pb.FaceKey(face=pb.FaceId(recognizer=row.recognizer, face_id=row.external_face_id))
    return pb.FaceKey(content_sha256=row.content_sha256.hex())


def _whose(row: Row) -> tuple[UUID, bool]:
    return row.person_id, row.allow_similar


def _place(row: Row) -> tuple[str, UUID]:
    return row.recognizer, row.person_id


def _some(rows: list[Row], most: int = _MOST_KEYS) -> Iterator[list[Row]]:
    return (rows[start : start + most] for start in range(0, len(rows), most))

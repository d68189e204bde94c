"""EnrollPerson: decided faces of a person go to the recognizers that enroll."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, literal, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import people_pb2 as pb
from services.library.database.database import Database
from services.library.database.people_tables import enrollment
from services.library.enrollment import ledger, portraits
from services.library.enrollment.ledger import Wish
from services.library.enrollment.recognizers import Recognizers
from services.library.enrollment.upkeep import Upkeep
from services.library.people.actions import hold
from services.library.people.view import faces_of, person_of
from services.library.work.gateway import Gateway
from services.runtime.errors import FaceNotFound

_BEST = 12
"""Faces that are enrolled if nobody says which: more of them tell recognizers little."""
_DECIDED = text("""
SELECT face_id FROM decision JOIN person USING (person_id)
WHERE face_id = ANY(:ids) AND :person_id IN (person.person_id, person.merged_id)
""")


class Enrolling:
    """EnrollPerson."""

    def __init__(self, database: Database, gateway: Gateway, upkeep: Upkeep) -> None:
        self._database = database
        self._gateway = gateway
        self._upkeep = upkeep

    async def enroll(self, request: pb.EnrollPersonRequest) -> pb.EnrollPersonResponse:
        """Enroll faces. Raises PersonNotFound, FaceNotFound, and StatusError of a gateway that is away."""
        collection_id = await self._database.collection_id(request.collection, make=False)
        async with self._database.begin() as connection:
            await person_of(connection, collection_id, request.person_id)
        recognizers = Recognizers.for_caller(self._gateway)
        names, failures = await recognizers.enrolling(request.recognizers)
        async with self._database.begin() as connection:
            await hold(connection, collection_id, alone=True)
            person_id = await person_of(connection, collection_id, request.person_id)
            face_ids = await self._face_ids(connection, collection_id, person_id, request.face_ids)
            wishes = [Wish(one, name, person_id, request.allow_similar) for name in names for one in face_ids]
            await ledger.wish(connection, wishes)
        if wishes:
            own = await self._upkeep.settle(collection_id, face_ids, recognizers)
            failures |= {name: one for name, one in own.items() if name in names}
        async with self._database.begin() as connection:
            enrollments = await _enrollments(connection, face_ids, names)
        return pb.EnrollPersonResponse(enrollments=enrollments, failures=failures)

    @staticmethod
    async def _face_ids(
        connection: AsyncConnection, collection_id: int, person_id: UUID, given: Sequence[str]
    ) -> list[UUID]:
        """Return the faces, which are decided to be the person: the given ones, or the best. Raises FaceNotFound."""
        if not given:
            return await portraits.best(connection, person_id, _BEST)
        ids = [UUID(int=row.face_id.int) for row in await faces_of(connection, collection_id, given)]
        values = {"ids": ids, "person_id": person_id}
        decided = set((await connection.execute(_DECIDED.bindparams(ledger.IDS), values)).scalars())
        for face_id in ids:
            if face_id not in decided:
                message = f"The face {str(face_id)!r} is not decided to be this person. NameFaces decides it."
                raise FaceNotFound(message, field="face_ids")
        return ids


async def _enrollments(
    connection: AsyncConnection, face_ids: Sequence[UUID], names: Sequence[str]
) -> list[pb.FaceEnrollment]:
    columns = enrollment.c
    its = select(enrollment).where(
        columns.face_id == any_(literal(list(face_ids), ARRAY(Uuid))), columns.recognizer.in_(names)
    )
    rows = (await connection.execute(its)).all()
    return [ledger.view(row) for row in sorted(rows, key=lambda row: (face_ids.index(row.face_id), row.recognizer))]

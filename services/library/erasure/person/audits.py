"""Audits: who looked up, changed or exported whom."""

from collections.abc import Sequence
from typing import Any

import structlog
from sqlalchemy import ARRAY, Text, Uuid, bindparam, select, text

from marquee.library.v1 import people_pb2 as pb
from services.library.database import tokens
from services.library.database.database import Database
from services.library.database.identifiers import uuid_of
from services.library.database.people_tables import audit
from services.library.pictures.view import timestamp
from services.runtime import requests
from services.runtime.doors.caller import current
from services.runtime.errors import DomainError

logger = structlog.get_logger()
_RECORD = text("""
INSERT INTO audit (collection_id, caller, method, person_id)
SELECT DISTINCT collection_id, CAST(:caller AS text), CAST(:method AS text), coalesce(merged_id, person_id) FROM person
WHERE person_id = ANY(:person_ids) AND collection_id = (SELECT collection_id FROM collection WHERE name = :collection)
""").bindparams(bindparam("person_ids", type_=ARRAY(Uuid)))
_SHOWN = text("SELECT person_id FROM face WHERE face_id::text = ANY(:ids) AND source <> 0").bindparams(
    bindparam("ids", type_=ARRAY(Text))
)
_OLD = text("""
DELETE FROM audit WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM audit WHERE create_time < now() - make_interval(days => :days) LIMIT :most
))
""")
_PERSON_FIELDS = ("person_id", "other_person_id")
_MOST = 5000


class Audits:
    """ListAudits, and what it lists."""

    def __init__(self, database: Database, days: int) -> None:
        self._database = database
        self._days = days

    async def note(self, request: Any) -> None:
        """Write down whom a request is about. A call never fails by it."""
        people = [getattr(request, name, "") for name in _PERSON_FIELDS]
        people += [*getattr(request, "merged_ids", ())]
        method = request.DESCRIPTOR.name.removesuffix("Request")
        await self.record(method, request.collection, [one for one in people if one], _faces_of(request))

    async def record(
        self, method: str, collection: str, person_ids: Sequence[str], face_ids: Sequence[str] = ()
    ) -> None:
        """Write down that the caller asked about people, or whom faces show. A call never fails by it."""
        try:
            async with self._database.begin() as connection:
                shown = await connection.execute(_SHOWN, {"ids": list(face_ids)}) if face_ids else None
                ids = [*person_ids, *(shown.scalars() if shown is not None else ())]
                parsed = [one for one in map(uuid_of, dict.fromkeys(map(str, ids))) if one]
                if parsed:
                    values = {"caller": current().name, "method": method, "person_ids": parsed}
                    await connection.execute(_RECORD, values | {"collection": collection})
        except DomainError as exc:
            logger.warning("audit not written", method=method, error=exc.message)

    async def list(self, request: pb.ListAuditsRequest) -> pb.ListAuditsResponse:
        """Return a page of audits, newest first. Raises InvalidRequest."""
        size, columns = requests.page_size_of(request), audit.c
        collection_id = await self._database.collection_id(request.collection, make=False)
        its = [columns.collection_id == collection_id]
        if request.person_id:
            its.append(columns.person_id == uuid_of(request.person_id))
        if request.page_token:
            its.append(columns.audit_id < tokens.number_of(*tokens.decode(request.page_token, 1)))
        newest = select(audit).where(*its).order_by(columns.audit_id.desc()).limit(size + 1)
        async with self._database.begin() as connection:
            rows = (await connection.execute(newest)).all()
        token = tokens.encode(rows[size - 1].audit_id) if len(rows) > size else ""
        return pb.ListAuditsResponse(audits=[shown(row) for row in rows[:size]], next_page_token=token)

    async def prune(self) -> bool:
        """Drop audits that are older than they are kept; return whether there may be more."""
        async with self._database.begin() as connection:
            return (await connection.execute(_OLD, {"days": self._days, "most": _MOST})).rowcount >= _MOST


def shown(row: Any) -> pb.Audit:
    """Return the audit, a row."""
    return pb.Audit(
        create_time=timestamp(row.create_time),
        caller=row.caller,
        method=row.method,
        person_id=str(row.person_id or ""),
    )


def _faces_of(request: Any) -> list[str]:
    """Return the one face that a request is about; of several it says whom they are to show."""
    return [face_id] if (face_id := getattr(request, "face_id", "")) else []

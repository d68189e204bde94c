"""Actions: what somebody did, written down so that it can be undone.

While a transaction is in an action, a trigger writes down each row of what was decided, refused and named, as it was
and as it is then. Undoing puts the rows back, if they still are as the action left them, and what machines concluded
from them follows.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, insert, literal, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid6 import uuid7

from marquee.library.v1 import people_pb2 as pb
from services.library.database import tokens
from services.library.database.change import Change, Changes
from services.library.database.identifiers import uuid_of
from services.library.database.people_tables import action, action_row
from services.library.database.tables import face
from services.library.people import faces
from services.library.pictures.view import timestamp
from services.runtime import requests
from services.runtime.errors import ActionConflict, ActionNotFound

_LOCK = 0x6D617273
"""Advisory lock of a collection's people, with its number."""
_KEYS = {
    "person": ("person_id",),
    "person_alias": ("person_id", "folded_name"),
    "identity": ("collection_id", "external_id", "recognizer", "recognizer_collection"),
    "decision": ("face_id",),
    "face_refusal": ("face_id", "person_id"),
    "people_refusal": ("person_id", "other_id"),
    "skip": ("collection_id", "suggestion_id"),
    "face": ("face_id",),
}
"""Tables of what is undone, with their keys."""
_DEPENDENTS = text("""
SELECT EXISTS (
  SELECT FROM decision WHERE person_id = :person_id
  UNION ALL SELECT FROM face_refusal WHERE person_id = :person_id
  UNION ALL SELECT FROM people_refusal WHERE :person_id IN (person_id, other_id)
  UNION ALL SELECT FROM identity WHERE person_id = :person_id
  UNION ALL SELECT FROM enrollment WHERE person_id = :person_id
  UNION ALL SELECT FROM person WHERE merged_id = :person_id
)
""")


class Actions:
    """UndoAction and ListActions."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    async def undo(self, request: pb.UndoActionRequest) -> pb.UndoActionResponse:
        """Undo an action. Raises ActionNotFound and ActionConflict."""

        async def change(change: Change) -> pb.UndoActionResponse:
            undone, action_id = await undo(change, _parsed(request.action_id))
            shown = _action(undone)
            shown.undone_by = action_id
            return pb.UndoActionResponse(action_id=action_id, action=shown)

        return await self._changes.once(request, pb.UndoActionResponse, change)

    async def list(self, request: pb.ListActionsRequest) -> pb.ListActionsResponse:
        """Return a page of actions, newest first. Raises InvalidRequest."""
        after, size = tokens.decode_id(request.page_token), requests.page_size_of(request)
        database, columns = self._changes.database, action.c
        collection_id = await database.collection_id(request.collection, make=False)
        its = [columns.collection_id == collection_id, *([columns.action_id < after] if after else [])]
        if request.person_id:
            about = action_row.c.action_id == columns.action_id, action_row.c.person_id == uuid_of(request.person_id)
            its.append(select(literal(1)).where(*about).exists())
        newest = select(action).where(*its).order_by(columns.action_id.desc()).limit(size + 1)
        async with database.begin() as connection:
            rows = (await connection.execute(newest)).all()
        token = tokens.encode(rows[size - 1].action_id) if len(rows) > size else ""
        return pb.ListActionsResponse(actions=[_action(row) for row in rows[:size]], next_page_token=token)


async def hold(connection: AsyncConnection, collection_id: int, *, alone: bool = False) -> None:
    """Keep the collection's people from being changed beside this transaction, before it locks anything else.

    Whoever writes of faces shares it with others; `alone`: whoever changes people has it for himself.
    """
    function = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
    values = {"lock": _LOCK, "collection_id": collection_id}
    await connection.execute(text(f"SELECT {function}(:lock, :collection_id)"), values)


@asynccontextmanager
async def act(change: Change, kind: str, summary: str) -> AsyncIterator[str]:
    """Have what the body changes be an action; yield its action_id. `kind`: the method."""
    connection, action_id = change.connection, UUID(bytes=uuid7().bytes)
    own = {"action_id": action_id, "collection_id": change.collection_id, "caller": change.caller}
    await connection.execute(insert(action).values(type=kind, summary=summary[:1000], **own))
    await connection.execute(text("SELECT set_config('marquee.action_id', :id, true)"), {"id": str(action_id)})
    yield str(action_id)
    await change.record("people.changed", data={"action_id": str(action_id), "type": kind})
    await connection.execute(text("SELECT set_config('marquee.action_id', '', true)"))


async def undo(change: Change, action_id: UUID) -> tuple[Any, str]:
    """Put back what an action changed; return the action, a row, and the new action_id that did so.

    Raises ActionNotFound, and ActionConflict if any of it has changed since.
    """
    connection = change.connection
    await hold(connection, change.collection_id, alone=True)
    columns = action.c
    own = select(action).where(columns.action_id == action_id, columns.collection_id == change.collection_id)
    undone = (await connection.execute(own.with_for_update())).one_or_none()
    if undone is None:
        raise ActionNotFound(f"The collection has no action {str(action_id)!r}.", field="action_id")
    if undone.undone_by is not None:
        raise ActionConflict(f"The action was undone before, by {undone.undone_by}.")
    rows = await _rows(connection, action_id)
    person_ids = {one.person_id for one in rows if one.person_id}
    locked = await faces.lock(connection, await _pictures(connection, rows))
    concerned = {*locked, *await faces.pictures_about(connection, person_ids)}
    async with act(change, "UndoAction", f"Undo: {undone.summary}") as undoing:
        for run in _runs(rows):
            await _restore(connection, run, action_id)
    concerned |= {*await faces.pictures_about(connection, person_ids), *await _pictures(connection, rows)}
    await connection.execute(update(action).where(columns.action_id == action_id).values(undone_by=UUID(undoing)))
    await connection.execute(update(action).where(columns.undone_by == action_id).values(undone_by=None))
    await faces.refresh(change, concerned)
    return undone, undoing


def _action(row: Any) -> pb.Action:
    return pb.Action(
        action_id=str(row.action_id),
        type=row.type,
        caller=row.caller,
        create_time=timestamp(row.create_time),
        summary=row.summary,
        undone_by=str(row.undone_by or ""),
    )


def _parsed(action_id: str) -> UUID:
    try:
        return UUID(action_id)
    except ValueError:
        raise ActionNotFound(f"The collection has no action {action_id!r}.", field="action_id") from None


async def _rows(connection: AsyncConnection, action_id: UUID) -> Sequence[Any]:
    """Return what the action changed, last first."""
    columns = action_row.c
    found = select(action_row).where(columns.action_id == action_id).order_by(columns.position.desc())
    return (await connection.execute(found)).all()


async def _pictures(connection: AsyncConnection, rows: Iterable[Any]) -> set[UUID]:
    ids = [one.face_id for one in rows if one.face_id]
    found = select(face.c.picture_id).where(face.c.face_id == any_(literal(ids, ARRAY(Uuid))))
    return {UUID(int=one.int) for one in (await connection.execute(found)).scalars()} if ids else set()


def _runs(rows: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield the rows in runs that are put back together: of one table, each of its rows once, all gone or none."""
    run: list[Any] = []
    seen: set[object] = set()
    for row in rows:
        key = (row.table_name, row.before is None), *(_either(row)[name] for name in _KEYS[row.table_name])
        if run and (key in seen or key[0] != (run[0].table_name, run[0].before is None)):
            yield run
            run, seen = [], set()
        run.append(row)
        seen.add(key)
    if run:
        yield run


async def _restore(connection: AsyncConnection, run: Sequence[Any], action_id: UUID) -> None:
    name = run[0].table_name
    rows = run if name == "face" else await _left(connection, run)
    if not rows:
        return
    await _check(connection, name, rows, action_id)
    keys = _KEYS[name]
    if rows[0].before is not None:
        columns = ", ".join(f'"{key}" = EXCLUDED."{key}"' for key in rows[0].before if key not in keys)
        then = f"UPDATE SET {columns}" if columns else "NOTHING"
        restored = f'INSERT INTO "{name}" SELECT * FROM jsonb_populate_recordset(NULL::"{name}", :rows)'  # noqa: S608
        conflict = ", ".join(f'"{key}"' for key in keys)
        statement = text(f"{restored} ON CONFLICT ({conflict}) DO {then}")
        await connection.execute(statement.bindparams(_json([row.before for row in rows])))
        return
    for row in rows if name == "person" else ():
        if (await connection.execute(_DEPENDENTS, {"person_id": row.person_id})).scalar():
            raise await _conflict(connection, row, action_id)
    own = " AND ".join(f'"{name}"."{key}" = own."{key}"' for key in keys)
    gone = text(f'DELETE FROM "{name}" USING jsonb_populate_recordset(NULL::"{name}", :rows) AS own WHERE {own}')  # noqa: S608
    await connection.execute(gone.bindparams(_json(list(map(_either, rows)))))


async def _left(connection: AsyncConnection, rows: Sequence[Any]) -> list[Any]:
    """Return the rows but for those of faces that were erased with their picture, and with what was decided of them."""
    ids = [row.face_id for row in rows if row.face_id]
    its = select(face.c.face_id).where(face.c.face_id == any_(literal(ids, ARRAY(Uuid))))
    there = set((await connection.execute(its)).scalars()) if ids else set()
    return [row for row in rows if not row.face_id or row.face_id in there]


async def _check(connection: AsyncConnection, name: str, rows: Sequence[Any], action_id: UUID) -> None:
    """Raise ActionConflict unless all rows are as the action left them; of a face, whether it is there."""
    own = " AND ".join(f'"{name}"."{key}" = own."{key}"' for key in _KEYS[name])
    listed = (
        f'jsonb_array_elements(:rows) WITH ORDINALITY AS one (row, number), jsonb_populate_record(NULL::"{name}", row)'
    )
    joined = f'{listed} AS own LEFT JOIN "{name}" ON {own}'
    current = text(f'SELECT number, to_jsonb("{name}") AS found FROM {joined}')  # noqa: S608 - of _KEYS alone
    for one in await connection.execute(current.bindparams(_json(list(map(_either, rows))))):
        row = rows[one.number - 1]
        if (one.found is None) != (row.after is None) if name == "face" else one.found != row.after:
            raise await _conflict(connection, row, action_id)


def _either(row: Any) -> Any:
    return row.after or row.before


def _json(rows: Sequence[Any]) -> Any:
    return bindparam("rows", rows, type_=JSONB)


async def _conflict(connection: AsyncConnection, row: Any, action_id: UUID) -> ActionConflict:
    """Return the error, which names the action to undo first."""
    columns = action_row.c
    about = columns.face_id == row.face_id if row.face_id else columns.person_id == row.person_id
    later = select(action.c.action_id, action.c.type).join(action_row, columns.action_id == action.c.action_id)
    found = later.where(about, columns.position > row.position, action.c.undone_by.is_(None))
    own = found.where(action.c.action_id != action_id, action.c.type != "UndoAction")
    last = (await connection.execute(own.order_by(columns.position.desc()).limit(1))).first()
    hint = f" Undo {last.type} {last.action_id} first." if last else ""
    return ActionConflict(f"What this action changed has changed since.{hint}")

"""Categories by hand: what a person decided of a picture, which no rule undoes."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import uuid6
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from marquee.library.v1 import library_pb2 as pb
from services.library.categories import rules
from services.library.database.change import Change
from services.library.database.tables import category, picture_category
from services.library.search import terms
from services.library.search.folding import fold
from services.runtime.errors import CategoryNotFound, InvalidRequest

_MAX = 256
"""Categories of a picture."""


async def put(change: Change, picture_id: UUID, add: Sequence[str], remove: Sequence[str] = ()) -> None:
    """Put a picture, whose row is locked, into categories by name, and take it out of others.

    Categories to add that do not exist are created. Raises CategoryNotFound and InvalidRequest.
    """
    added, removed = _by_fold(add, "add"), _by_fold(remove, "remove")
    if both := added.keys() & removed.keys():
        raise InvalidRequest(f"{added[min(both)]!r} is to be added and to be removed.", field="remove")
    if not added and not removed:
        return
    await rules.hold(change.connection, change.collection_id)
    found = await _made(change, added) | await _found(change, removed)
    rows = [
        {"picture_id": picture_id, "category_id": found[name], "present": name in added}
        for name in sorted(found, key=found.__getitem__)  # the same order everywhere, so that nobody waits in a circle
    ]
    new = insert(picture_category).values(source=pb.CATEGORY_SOURCE_HAND)
    keys = [picture_category.c.picture_id, picture_category.c.category_id]
    changed = {"source": new.excluded.source, "present": new.excluded.present}
    await change.connection.execute(new.on_conflict_do_update(index_elements=keys, set_=changed), rows)
    await _check_count(change, picture_id)
    await terms.index(change.connection, change.collection_id, [picture_id])
    data = {"added": list(added.values()), "removed": list(removed.values())}
    await change.record("picture.categorized", picture_id, data)


def folded(name: str, field: str) -> str:
    """Return what tells the name from others. Raises InvalidRequest if there is nothing."""
    text = fold(name)
    if not text.strip():
        raise InvalidRequest(f"{name!r} is no name.", field=field)
    return text


def _by_fold(names: Sequence[str], field: str) -> dict[str, str]:
    return {folded(name, field): name for name in reversed(names)}


async def _made(change: Change, names: Mapping[str, str]) -> dict[str, UUID]:
    """Return the categories by folded name, after creating those that do not exist."""
    if not names:
        return {}
    rows = [
        {"category_id": UUID(int=uuid6.uuid7().int), "collection_id": change.collection_id, "name": name}
        | {"folded_name": key}
        for key, name in sorted(names.items())
    ]
    new = insert(category).on_conflict_do_nothing().returning(category.c.category_id, category.c.name)
    for made in await change.connection.execute(new.values(rows)):
        await change.record("category.set", data={"category_id": str(made.category_id), "name": made.name})
    return await _of(change, names)


async def _found(change: Change, names: Mapping[str, str]) -> dict[str, UUID]:
    found = await _of(change, names) if names else {}
    if missing := names.keys() - found.keys():
        raise CategoryNotFound(f"The collection has no category {names[min(missing)]!r}.", field="remove")
    return found


async def _of(change: Change, names: Mapping[str, str]) -> dict[str, UUID]:
    columns = category.c
    wanted = select(columns.folded_name, columns.category_id).where(
        columns.collection_id == change.collection_id, columns.folded_name.in_(names)
    )
    return {row.folded_name: row.category_id for row in await change.connection.execute(wanted)}


async def _check_count(change: Change, picture_id: UUID) -> None:
    columns = picture_category.c
    present = select(func.count()).where(columns.picture_id == picture_id, columns.present)
    if (await change.connection.execute(present)).scalar_one() > _MAX:
        raise InvalidRequest(f"The picture would be in more than {_MAX} categories.", field="add")

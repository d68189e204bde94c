"""Retention: how long pictures are kept at most, by rules of the operator's.

A rule's days stand in the collection and the category that it is for, so that one statement tells when a picture ends.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.library.database.tables import category, collection
from services.library.search.folding import fold

_ANY = "*"
_DUE = (
    """
SELECT picture_id, collection.name FROM picture JOIN collection USING (collection_id)
WHERE expire_time <= now() ORDER BY expire_time LIMIT :most
""",
    *(
        f"""
SELECT picture_id, collection.name FROM collection CROSS JOIN LATERAL (
  SELECT picture_id FROM picture
  WHERE picture.collection_id = collection.collection_id AND redirect_id IS NULL AND delete_time IS {trashed} NULL
    AND picture.create_time <= now() - make_interval(days => retention_days)
  ORDER BY {order} LIMIT :most
) AS picture
WHERE retention_days IS NOT NULL LIMIT :most
"""  # noqa: S608 - of constants alone
        for trashed, order in (("", "picture.create_time, picture_id"), ("NOT", "delete_time"))
    ),
)
_DUE_IN_CATEGORIES = """
SELECT picture_id, collection.name
FROM category JOIN collection USING (collection_id) JOIN picture_category USING (category_id)
JOIN picture USING (picture_id)
WHERE category.retention_days IS NOT NULL AND present
  AND picture.create_time <= now() - make_interval(days => category.retention_days)
LIMIT :most
"""
"""Looks at all pictures of such categories, unlike the others, which find the oldest by an index."""
_IS_DUE = text("""
SELECT expire_time IS NOT NULL AND expire_time <= now() AS trashed FROM picture JOIN collection USING (collection_id)
WHERE picture_id = :id AND LEAST(
  expire_time, picture.create_time + make_interval(days => LEAST(collection.retention_days, (
    SELECT min(retention_days) FROM picture_category JOIN category USING (category_id)
    WHERE picture_category.picture_id = :id AND present
  )))
) <= now()
FOR UPDATE OF picture
""")


class Rule(NamedTuple):
    """How long pictures of a collection are kept, or those of one of its categories."""

    collection: str
    category: str
    """Folded name; empty: all pictures."""
    days: int


def rules_of(setting: str) -> tuple[Rule, ...]:
    """Return the rules of a setting that its pattern allows: COLLECTION[/CATEGORY]=DAYS, separated by commas."""
    found = []
    for part in filter(None, map(str.strip, setting.split(","))):
        where, _, days = part.rpartition("=")
        name, _, label = where.partition("/")
        found.append(Rule(name, fold(label), int(days)))
    return tuple(found)


async def write(connection: AsyncConnection, rules: Sequence[Rule]) -> None:
    """Have collections and categories say how many days the rules give them; the fewest count."""
    names: dict[int, str] = {}
    for row in (await connection.execute(select(collection))).all():
        names[row.collection_id] = row.name
        days = _fewest(rules, row.name, "")
        if days != row.retention_days:
            own = update(collection).where(collection.c.collection_id == row.collection_id)
            await connection.execute(own.values(retention_days=days))
    columns = category.c
    about = or_(columns.retention_days.isnot(None), columns.folded_name.in_({rule.category for rule in rules} - {""}))
    for row in (await connection.execute(select(category).where(about))).all():
        days = _fewest(rules, names[row.collection_id], row.folded_name)
        if days != row.retention_days:
            own = update(category).where(columns.category_id == row.category_id)
            await connection.execute(own.values(retention_days=days))


async def due(connection: AsyncConnection, most: int, *, in_categories: bool) -> list[Any]:
    """Return pictures, as `picture_id` and `name` of the collection, that seem to have reached their end."""
    found: list[Any] = []
    for statement in (*_DUE, *([_DUE_IN_CATEGORIES] if in_categories else [])):
        if len(found) < most:
            found += (await connection.execute(text(statement), {"most": most - len(found)})).all()
    return found


async def reason(connection: AsyncConnection, picture_id: Any) -> str | None:
    """Lock the picture and return why it is to be erased, "trash" or "retention"; None: it is not, or is gone."""
    row = (await connection.execute(_IS_DUE, {"id": picture_id})).one_or_none()
    return None if row is None else "trash" if row.trashed else "retention"


def _fewest(rules: Iterable[Rule], collection: str, category: str) -> int | None:
    days = (rule.days for rule in rules if rule.collection in (collection, _ANY) and rule.category == category)
    return min(days, default=None)

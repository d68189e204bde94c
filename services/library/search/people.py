"""People as texts: whom somebody means by an identifier, a recognizer's identifier or an alias, and back again.

Names are no part of it: pictures have terms of them.
"""

from collections.abc import Collection, Iterable

from sqlalchemy import ARRAY, Text, Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.library.database.identifiers import uuids_of
from services.library.search.folding import fold
from services.library.search.terms import TermKind

_MEANT = text("""
SELECT CAST(person_id AS text) AS given, false AS alias, coalesce(merged_id, person_id) AS person_id FROM person
WHERE collection_id = :collection_id AND person_id = ANY(:ids)
UNION
SELECT external_id, false, coalesce(merged_id, person_id) FROM identity JOIN person USING (person_id)
WHERE identity.collection_id = :collection_id AND external_id = ANY(:entries)
UNION
SELECT person_alias.folded_name, true, coalesce(merged_id, person_id) FROM person_alias JOIN person USING (person_id)
WHERE person_alias.collection_id = :collection_id AND person_alias.folded_name = ANY(:names)
""").bindparams(
    bindparam("ids", type_=ARRAY(Uuid)), bindparam("entries", type_=ARRAY(Text)), bindparam("names", type_=ARRAY(Text))
)
_KNOWN_AS = text("""
WITH one AS (
  SELECT person_id, coalesce(merged_id, person_id) AS named_id FROM person
  WHERE person_id = ANY(:ids) OR merged_id = ANY(:ids)
)
SELECT named_id, CAST(person_id AS text) AS known_as, false AS alias FROM one
UNION ALL SELECT named_id, external_id, false FROM one JOIN identity USING (person_id)
UNION ALL SELECT named_id, folded_name, true FROM one JOIN person_alias USING (person_id)
""").bindparams(bindparam("ids", type_=ARRAY(Uuid)))


async def meant(connection: AsyncConnection, collection_id: int, entries: Collection[str]) -> dict[str, list[str]]:
    """Return the person_ids that each entry means besides itself: people by now, if they were merged."""
    if not entries:
        return {}
    folded = {entry: fold(entry) for entry in entries}
    values = {"ids": uuids_of(entries), "entries": list(entries), "names": sorted(set(folded.values()))}
    rows = (await connection.execute(_MEANT, {"collection_id": collection_id, **values})).all()
    found: dict[tuple[bool, str], set[str]] = {}
    for row in rows:
        found.setdefault((row.alias, row.given), set()).add(str(row.person_id))
    nobody: set[str] = set()
    return {
        entry: sorted(found.get((False, entry), nobody) | found.get((True, folded[entry]), nobody)) for entry in entries
    }


async def known_as(connection: AsyncConnection, person_ids: Iterable[str]) -> dict[str, list[tuple[TermKind, str]]]:
    """Return what people, by identifier, are known as besides their names."""
    if not (ids := uuids_of(set(person_ids))):
        return {}
    found: dict[str, list[tuple[TermKind, str]]] = {}
    for row in await connection.execute(_KNOWN_AS, {"ids": ids}):
        value = (TermKind.NAME if row.alias else TermKind.PERSON, row.known_as)
        found.setdefault(str(row.named_id), []).append(value)
    return found

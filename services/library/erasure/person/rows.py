"""Rows that tell of somebody who is erased: taken away at once, or looked for, some pictures at a time."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, BindParameter, Text, Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.v1 import recognizer_pb2
from services.library.categories import rules
from services.library.database.change import Change
from services.library.erasure.person.traits import Traits, strip_result, strip_verdict
from services.library.notifications.rules import forget as forget_rules
from services.library.people import faces
from services.library.search.folding import fold

_BATCH = 500
"""Pictures that are looked through in a transaction."""
_ONE = text("""
SELECT one.person_id FROM person AS named JOIN person AS one
  ON coalesce(named.merged_id, named.person_id) IN (one.person_id, one.merged_id)
WHERE named.person_id = :person_id AND named.collection_id = :collection_id ORDER BY one.merged_id NULLS FIRST
""")
_NAMES = text("""
SELECT display_name FROM person WHERE person_id = ANY(:ids)
UNION SELECT name FROM person_alias WHERE person_id = ANY(:ids)
UNION SELECT coalesce(row.value ->> 'display_name', row.value ->> 'name') FROM action_row
  CROSS JOIN LATERAL (VALUES (before), (after)) AS row (value)
  WHERE table_name IN ('person', 'person_alias') AND action_row.person_id = ANY(:ids) AND row.value IS NOT NULL
""")
_EXTERNAL = text("SELECT external_id FROM identity WHERE person_id = ANY(:ids)")
_NAMESAKES = text("""
SELECT external_id FROM identity JOIN person USING (person_id)
WHERE person.collection_id = :collection_id AND NOT person_id = ANY(:ids) AND person.folded_name = ANY(:folded)
UNION SELECT person_id::text FROM person
WHERE collection_id = :collection_id AND NOT person_id = ANY(:ids) AND folded_name = ANY(:folded)
""")
_FACES = text("""
SELECT face_id FROM face WHERE person_id = ANY(:person_ids) AND source <> 0
UNION SELECT face_id FROM decision WHERE person_id = ANY(:ids)
UNION SELECT opinion.face_id FROM opinion JOIN face USING (face_id) JOIN stale_picture USING (picture_id)
WHERE opinion.person_id = ANY(:ids) AND band = 1
  AND NOT EXISTS (SELECT FROM decision WHERE decision.face_id = opinion.face_id)
  AND NOT EXISTS (
    SELECT FROM face_refusal WHERE face_refusal.face_id = opinion.face_id AND face_refusal.person_id = opinion.person_id
  )
""")
_ALONE = text("""
SELECT DISTINCT face.picture_id FROM face JOIN picture USING (picture_id)
WHERE face_id = ANY(:face_ids) AND redirect_id IS NULL AND NOT EXISTS (
  SELECT FROM face AS other WHERE other.picture_id = face.picture_id AND other.current AND other.source <> 0
    AND NOT other.face_id = ANY(:face_ids)
)
""")
_IN_ACTION = """
  action_row.action_id IN (SELECT action_id FROM action WHERE collection_id = :collection_id) AND (
    action_row.person_id = ANY(:ids) OR face_id = ANY(:face_ids)
    OR EXISTS (SELECT FROM unnest(CAST(:person_ids AS text[])) AS one (id)
      WHERE strpos(before::text, id) > 0 OR strpos(after::text, id) > 0)
  )
"""
_SUMMARIES = text(f"""
UPDATE action SET summary = '' WHERE collection_id = :collection_id AND summary <> '' AND (
  EXISTS (SELECT FROM action_row WHERE action_row.action_id = action.action_id AND {_IN_ACTION})
  OR EXISTS (SELECT FROM unnest(CAST(:names AS text[])) AS one (name) WHERE strpos(summary, '"' || name || '"') > 0)
)
""")  # noqa: S608 - of constants alone
_BYTES = "EXISTS (SELECT FROM unnest(:needles) AS one (needle) WHERE position(convert_to(needle, 'UTF8') IN {}) > 0)"
_GONE: Mapping[str, str] = {
    "face_vector": "DELETE FROM face_vector WHERE face_id = ANY(:face_ids)",
    "stale_face": "DELETE FROM stale_face WHERE face_id = ANY(:face_ids)",
    "action_row": f"DELETE FROM action_row WHERE {_IN_ACTION}",  # noqa: S608 - of constants alone
    "skip": """
      DELETE FROM skip WHERE collection_id = :collection_id AND EXISTS (
        SELECT FROM unnest(CAST(:person_ids AS text[])) AS one (id) WHERE strpos(suggestion_id, id) > 0
      )
    """,
    "audit": "UPDATE audit SET person_id = NULL WHERE person_id = ANY(:ids)",
    "event": """
      UPDATE event SET data = '{}' WHERE collection_id = :collection_id AND EXISTS (
        SELECT FROM jsonb_path_query(data, '$.**') AS one (value)
        WHERE jsonb_typeof(value) = 'string' AND value #>> '{}' = ANY(:needles)
      )
    """,
    "request": "DELETE FROM request WHERE collection_id = :collection_id AND " + _BYTES.format("response"),  # noqa: S608 - likewise
    "export": "UPDATE export SET query = '' WHERE collection_id = :collection_id AND " + _BYTES.format("query"),  # noqa: S608 - likewise
    **{
        name: f"DELETE FROM {name} WHERE person_id = ANY(:ids)"  # noqa: S608 - of constants alone
        for name in ("opinion", "decision", "face_refusal", "identity", "person_alias", "enrollment")
    },
    "people_refusal": "DELETE FROM people_refusal WHERE person_id = ANY(:ids) OR other_id = ANY(:ids)",
    "person": "DELETE FROM person WHERE person_id = ANY(:ids)",
}
_DISSOLVED = """
WITH held AS (SELECT DISTINCT cluster_id FROM face WHERE face_id = ANY(:face_ids) AND cluster_id IS NOT NULL),
freed AS (
  UPDATE face SET cluster_id = NULL WHERE cluster_id IN (SELECT cluster_id FROM held) RETURNING face_id
), again AS (
  INSERT INTO stale_face (face_id) SELECT face_id FROM freed WHERE NOT face_id = ANY(:face_ids)
)
DELETE FROM cluster WHERE cluster_id IN (SELECT cluster_id FROM held)
"""
_ERASED = """
UPDATE face SET erased = true, person_id = '', display_name = '', score = 0, source = 0, state = :unknown,
  tried_time = coalesce(tried_time, now())
WHERE face_id = ANY(:face_ids)
"""
_COVERS = "UPDATE person SET cover_face_id = NULL WHERE cover_face_id = ANY(:face_ids)"
_PICTURES = text("SELECT DISTINCT picture_id FROM face WHERE face_id = ANY(:face_ids)")
_NEXT = text("""
SELECT picture_id FROM picture WHERE collection_id = :collection_id AND picture_id > :after
ORDER BY picture_id LIMIT :most
""")
_FOUND_ANSWERS = text(f"""
SELECT answer_id, picture_id, result FROM answer WHERE picture_id = ANY(:ids) AND {_BYTES.format("result")}
""")  # noqa: S608 - likewise
_FOUND_FACES = text(f"""
SELECT face_id, picture_id, verdict, erased FROM face
WHERE picture_id = ANY(:ids) AND (erased OR {_BYTES.format("verdict")})
""")  # noqa: S608 - likewise
_RULES = text("""
DELETE FROM category_rule WHERE kind = 2 AND (value = ANY(:called) OR folded_value = ANY(:folded))
  AND category_id IN (SELECT category_id FROM category WHERE collection_id = :collection_id)
RETURNING category_id
""").bindparams(bindparam("called", type_=ARRAY(Text)), bindparam("folded", type_=ARRAY(Text)))
_RESTATED = text("""
UPDATE category SET revision = revision + 1, applied = false, applied_id = NULL WHERE category_id = ANY(:ids)
""").bindparams(bindparam("ids", type_=ARRAY(Uuid)))
_FIRST = UUID(int=0)
_TYPES = {"ids": Uuid, "face_ids": Uuid, "person_ids": Text, "names": Text, "needles": Text, "folded": Text}


class Forgotten(NamedTuple):
    """What went."""

    counts: dict[str, int]
    """Rows, by table."""
    pictures: list[UUID]
    """That showed them."""
    alone: list[UUID]
    """Those on which nobody else is known."""


async def traits_of(connection: AsyncConnection, collection_id: int, person_id: UUID) -> Traits | None:
    """Return what somebody is told by, also of who was deleted; None: the collection has no such person."""
    values = {"person_id": person_id, "collection_id": collection_id}
    ids = list((await connection.execute(_ONE, values)).scalars())
    if not ids:
        return None
    own = {"ids": ids, "collection_id": collection_id}
    names = [one for one in (await _run(connection, _NAMES, own)).scalars() if one]
    external = (await _run(connection, _EXTERNAL, own)).scalars().all()
    folded = list({fold(name) for name in names})
    namesakes = (await _run(connection, _NAMESAKES, own | {"folded": folded})).scalars().all()
    return Traits(tuple(map(str, ids)), tuple(external), tuple(names), tuple(namesakes))


async def forget(change: Change, traits: Traits) -> Forgotten:
    """Take them out of all that is found without looking for it. The caller holds the collection's people alone."""
    connection = change.connection
    values: dict[str, Any] = {
        "collection_id": change.collection_id,
        "ids": [UUID(one) for one in traits.person_ids],
        "person_ids": list(traits.person_ids),
        "names": list(traits.names),
        "needles": traits.needles,
    }
    values["face_ids"] = list((await _run(connection, _FACES, values)).scalars())
    pictures = list((await _run(connection, _PICTURES, values)).scalars())
    concerned = await faces.pictures_about(connection, values["ids"])
    await faces.lock(connection, [*pictures, *concerned])
    alone = list((await _run(connection, _ALONE, values)).scalars())
    counts = {"cluster": await _count(connection, _DISSOLVED, values)}
    counts["face"] = await _count(connection, _ERASED, values | {"unknown": recognizer_pb2.VERDICT_STATE_UNKNOWN})
    await _count(connection, _COVERS, values)
    counts["action"] = (await _run(connection, _SUMMARIES, values)).rowcount
    for name, statement in _GONE.items():
        counts[name] = await _count(connection, statement, values)
    sent = [await forget_rules(connection, change.collection_id, one, traits.names) for one in traits.person_ids]
    counts["notification_rule"] = sum(sent)
    await faces.refresh(change, {*map(_id, pictures), *concerned})
    return Forgotten({name: count for name, count in counts.items() if count}, pictures, alone)


async def scrub(change: Change, traits: Traits, after: UUID | None) -> tuple[UUID | None, dict[str, int]]:
    """Take them out of what was said of some pictures; return the last of these, None: there are no more."""
    connection = change.connection
    values = {"collection_id": change.collection_id, "after": after or _FIRST, "most": _BATCH}
    ids = list((await connection.execute(_NEXT, values)).scalars())
    if not ids:
        return None, {}
    own = {"ids": ids, "needles": traits.needles}
    answers = (await _run(connection, _FOUND_ANSWERS, own)).all()
    found = (await _run(connection, _FOUND_FACES, own)).all()
    locked = await faces.lock(connection, [_id(row.picture_id) for row in (*answers, *found)])
    counts = {"answer": await _scrub_answers(connection, answers, traits)}
    counts["face"] = await _scrub_faces(connection, found, traits)
    if locked:
        await faces.refresh(change, locked)
    return _id(ids[-1]), counts


async def forget_categories(connection: AsyncConnection, collection_id: int, traits: Traits) -> int:
    """Delete rules of categories that name them, of which pictures follow; return how many there were.

    In a transaction that has locked no picture.
    """
    await rules.lock(connection, collection_id)
    folded = [] if traits.namesakes else [fold(name) for name in traits.names]
    values = {"called": [*traits.person_ids, *traits.external_ids], "folded": folded, "collection_id": collection_id}
    ids = list((await connection.execute(_RULES, values)).scalars())
    await connection.execute(_RESTATED, {"ids": ids})
    return len(ids)


async def _scrub_answers(connection: AsyncConnection, rows: Iterable[Any], traits: Traits) -> int:
    changed = []
    for row in rows:
        result = recognizer_pb2.RecognizerResult.FromString(row.result)
        if strip_result(result, traits.match):
            changed.append({"id": row.answer_id, "content": result.SerializeToString()})
    if changed:
        await connection.execute(text("SELECT set_config('marquee.erasing', 'on', true)"))
        await connection.execute(text("UPDATE answer SET result = :content WHERE answer_id = :id"), changed)
        await connection.execute(text("SELECT set_config('marquee.erasing', '', true)"))
    return len(changed)


async def _scrub_faces(connection: AsyncConnection, rows: Sequence[Any], traits: Traits) -> int:
    changed = []
    for row in rows:
        verdict = recognizer_pb2.Verdict.FromString(row.verdict)
        stripped = strip_verdict(verdict, traits.match)
        if row.erased:
            box = verdict.box if verdict.HasField("box") else None
            verdict = recognizer_pb2.Verdict(box=box, state=recognizer_pb2.VERDICT_STATE_UNKNOWN)
        if stripped or verdict.SerializeToString() != bytes(row.verdict):
            changed.append({"id": row.face_id, "content": verdict.SerializeToString()})
    if changed:
        await connection.execute(text("UPDATE face SET verdict = :content WHERE face_id = :id"), changed)
    return len(changed)


async def _count(connection: AsyncConnection, statement: str, values: Mapping[str, Any]) -> int:
    return int((await _run(connection, text(statement), values)).rowcount)


async def _run(connection: AsyncConnection, statement: Any, values: Mapping[str, Any]) -> Any:
    """Execute a statement with those of the values that it names."""
    named = set(statement.compile().params)
    typed: list[BindParameter[Any]] = [
        bindparam(name, type_=ARRAY(kind)) for name, kind in _TYPES.items() if name in named
    ]
    return await connection.execute(statement.bindparams(*typed), {name: values[name] for name in named})


def _id(key: UUID) -> UUID:
    return UUID(int=key.int)

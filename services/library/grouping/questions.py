"""Questions that are open: whom a face or a cluster shows, and whether two people are one."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.library.grouping.bands import Space
from services.runtime.errors import InvalidRequest

MOST = 10_000
"""Questions that are counted."""
_LOOKED_AT = 300
"""Of each kind, the largest clusters or the likeliest faces, among which the next question is."""
_PERSON = bindparam("person_id", type_=Uuid)
_OPEN = """
  face.current AND NOT face.erased AND face.source = 0
  AND NOT EXISTS (SELECT FROM decision WHERE decision.face_id = face.face_id)
  AND picture.delete_time IS NULL AND picture.redirect_id IS NULL
"""
"""Condition of a face that shows nobody who is known, and of which nothing was decided."""
_LIKELY = """
SELECT opinion.face_id, named.person_id, max(opinion.score) AS score
FROM opinion JOIN face ON face.face_id = opinion.face_id JOIN picture ON picture.picture_id = face.picture_id
JOIN person ON person.person_id = opinion.person_id
JOIN person AS named ON named.person_id = coalesce(person.merged_id, person.person_id)
WHERE :chosen AND named.delete_time IS NULL AND :open
  AND NOT EXISTS (
    SELECT FROM face_refusal JOIN person AS refused ON refused.person_id = face_refusal.person_id
    WHERE face_refusal.face_id = face.face_id AND coalesce(refused.merged_id, refused.person_id) = named.person_id
  )
  AND NOT EXISTS (
    SELECT FROM face AS other WHERE other.picture_id = face.picture_id AND other.current AND other.source <> 0
      AND other.person_id = named.person_id::text
  )
GROUP BY opinion.face_id, named.person_id
""".replace(":open", _OPEN)
"""Faces and whom they may show, unless that was refused, or the person is in the picture already."""
_FACES = text(
    f"""
WITH likely AS ({
        _LIKELY.replace(
            ":chosen",
            '''
  (opinion.face_id, opinion.source, opinion.person_id) IN (
    SELECT best.face_id, best.source, best.person_id FROM opinion AS best
    JOIN face AS its ON its.face_id = best.face_id JOIN picture AS whose ON whose.picture_id = its.picture_id
    WHERE best.band = 2 AND whose.collection_id = :collection_id AND its.source = 0
      AND (CAST(:person_id AS uuid) IS NULL OR best.person_id = :person_id)
    ORDER BY best.score DESC LIMIT :most
  )''',
        )
    })
SELECT 'face:' || face_id || ':' || person_id AS suggestion_id, 1 AS gain, score, count(*) OVER () AS total,
  skip.create_time IS NOT NULL AS skipped
FROM likely LEFT JOIN skip ON skip.collection_id = :collection_id
  AND skip.suggestion_id = 'face:' || face_id || ':' || person_id
ORDER BY skip.create_time NULLS FIRST, score DESC, face_id LIMIT 1
"""  # noqa: S608 - of constants alone
).bindparams(_PERSON)
_CLUSTERS = text(
    f"""
WITH largest AS (
  SELECT cluster_id FROM cluster
  WHERE collection_id = :collection_id AND NOT EXISTS (
    SELECT FROM face JOIN decision USING (face_id) WHERE face.cluster_id = cluster.cluster_id AND decision.kind = 1
  )
  ORDER BY size DESC, cluster_id LIMIT :looked_at
), own AS (
  SELECT face.cluster_id, face.face_id FROM largest JOIN face USING (cluster_id) JOIN picture USING (picture_id)
  WHERE {_OPEN}
), counted AS (
  SELECT cluster_id, count(*) AS gain FROM own GROUP BY cluster_id
), likely AS ({_LIKELY.replace(":chosen", "opinion.face_id IN (SELECT face_id FROM own)")}
), proposed AS (
  SELECT DISTINCT ON (own.cluster_id) own.cluster_id, person_id, count(*) AS votes, avg(score) AS score
  FROM own JOIN likely USING (face_id) GROUP BY own.cluster_id, person_id
  ORDER BY own.cluster_id, count(*) DESC, avg(score) DESC, person_id
), asked AS (
  SELECT 'cluster:' || counted.cluster_id || CASE WHEN 2 * votes > gain THEN ':' || person_id ELSE '' END AS id,
    gain, CASE WHEN 2 * votes > gain THEN score ELSE 0 END AS score,
    CASE WHEN 2 * votes > gain THEN person_id END AS person_id
  FROM counted LEFT JOIN proposed USING (cluster_id)
)
SELECT id AS suggestion_id, gain, CAST(score AS real) AS score, count(*) OVER () AS total,
  skip.create_time IS NOT NULL AS skipped
FROM asked LEFT JOIN skip ON skip.collection_id = :collection_id AND skip.suggestion_id = id
WHERE CAST(:person_id AS uuid) IS NULL OR person_id = :person_id
ORDER BY skip.create_time NULLS FIRST, gain DESC, score DESC, id LIMIT 1
"""  # noqa: S608 - of constants alone
).bindparams(_PERSON)
_PEOPLE = """
WITH known AS (
  SELECT cluster.cluster_id, cluster.size, cluster.mean, min(named.person_id::text)::uuid AS person_id
  FROM cluster JOIN face USING (cluster_id) JOIN decision ON decision.face_id = face.face_id
  JOIN person ON person.person_id = decision.person_id
  JOIN person AS named ON named.person_id = coalesce(person.merged_id, person.person_id)
  WHERE cluster.collection_id = :collection_id AND named.delete_time IS NULL
  GROUP BY cluster.cluster_id HAVING count(DISTINCT named.person_id) = 1
  ORDER BY size DESC, cluster_id LIMIT :looked_at
), near AS (
  SELECT least(one.person_id, other.person_id) AS one_id, greatest(one.person_id, other.person_id) AS other_id,
    min(one.mean :operator other.mean) AS distance, max(least(one.size, other.size)) AS gain
  FROM known AS one JOIN known AS other ON one.person_id < other.person_id
  WHERE one.mean :operator other.mean <= :suggest
  GROUP BY 1, 2
)
SELECT 'people:' || one_id || ':' || other_id AS suggestion_id, gain, CAST(0 AS real) AS score,
  count(*) OVER () AS total, skip.create_time IS NOT NULL AS skipped
FROM near LEFT JOIN skip ON skip.collection_id = :collection_id
  AND skip.suggestion_id = 'people:' || one_id || ':' || other_id
WHERE NOT EXISTS (
    SELECT FROM people_refusal AS apart
    JOIN person AS one ON one.person_id = apart.person_id JOIN person AS other ON other.person_id = apart.other_id
    WHERE (coalesce(one.merged_id, one.person_id), coalesce(other.merged_id, other.person_id))
      IN ((one_id, other_id), (other_id, one_id))
  )
  AND (CAST(:person_id AS uuid) IS NULL OR :person_id IN (one_id, other_id))
ORDER BY skip.create_time NULLS FIRST, gain DESC, distance, one_id LIMIT 1
"""
_MEMBERS = text(
    f"""
SELECT face.face_id FROM face JOIN picture USING (picture_id) JOIN cluster USING (cluster_id)
JOIN face_vector ON face_vector.face_id = face.face_id AND face_vector.model_id = cluster.model_id
WHERE face.cluster_id = :cluster_id AND {_OPEN}
  AND NOT EXISTS (
    SELECT FROM face AS other JOIN decision ON decision.face_id = other.face_id
    JOIN person ON person.person_id = decision.person_id
    WHERE other.picture_id = face.picture_id AND coalesce(person.merged_id, person.person_id) = :person_id
  )
ORDER BY face_vector.vector <-> cluster.mean, face.face_id
"""  # noqa: S608 - of constants alone
).bindparams(_PERSON)
_OPERATORS = {"l2": "<->", "cosine": "<=>"}


class Question(NamedTuple):
    """A question."""

    suggestion_id: str
    gain: int
    score: float
    total: int
    """Number of open questions of its kind."""
    skipped: bool


async def most_gaining(
    connection: AsyncConnection, collection_id: int, space: Space | None, person_id: UUID | None
) -> Sequence[Question]:
    """Return the open question of each kind that gains most, the best first; only about the person, if one is given."""
    values = {"collection_id": collection_id, "person_id": person_id}
    rows = [await connection.execute(_FACES, {**values, "most": MOST})]
    rows.append(await connection.execute(_CLUSTERS, {**values, "looked_at": _LOOKED_AT}))
    if space is not None and space.bands is not None:
        people = text(_PEOPLE.replace(":operator", _OPERATORS[space.metric])).bindparams(_PERSON)
        suggest = {"looked_at": _LOOKED_AT, "suggest": space.own(space.bands.suggest)}
        rows.append(await connection.execute(people, {**values, **suggest}))
    found = [Question(*row) for result in rows for row in result]
    return sorted(found, key=lambda one: (one.skipped, -one.gain, -one.score, one.suggestion_id))


async def open_faces(connection: AsyncConnection, cluster_id: UUID, person_id: UUID | None) -> list[str]:
    """Return the faces of a cluster that an answer names, those most like the others first.

    `person_id`: whom; pictures that show them already are left out.
    """
    rows = await connection.execute(_MEMBERS, {"cluster_id": cluster_id, "person_id": person_id})
    return [str(one) for one in rows.scalars()]


class Asked(NamedTuple):
    """What a suggestion_id asks."""

    kind: str
    """face, cluster or people."""
    own_id: UUID
    """The face, the cluster or one person."""
    person_id: UUID | None
    """The person, or the other one; None: who a cluster is."""


def asked(suggestion_id: str) -> Asked:
    """Return what a suggestion_id asks. Raises InvalidRequest."""
    kind, *ids = suggestion_id.split(":")
    try:
        own_id, *others = (UUID(one) for one in ids)
    except ValueError:
        own_id, others = None, []
    if own_id is None or len(others) > 1 or kind not in _KINDS or (not others and kind != "cluster"):
        raise InvalidRequest("suggestion_id names no question.", field="suggestion_id")
    return Asked(kind, own_id, others[0] if others else None)


_KINDS = ("face", "cluster", "people")

"""A look at a face: who is near it, the cluster that it joins or begins, and whom it shows by that."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import ARRAY, Uuid, any_, bindparam, column, delete, insert, literal, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid6 import uuid7

from marquee.library.v1.people_pb2 import BAND_ASSIGN
from services.library.database.people_tables import DecisionKind, cluster, opinion
from services.library.database.tables import face
from services.library.faces.neighbours import nearest
from services.library.grouping import clustering, naming
from services.library.grouping.bands import Bands, Space
from services.library.grouping.clustering import Cluster, Neighbour
from services.library.grouping.naming import Known, Said
from services.library.people.resolution import NEIGHBOURS

_IDS = bindparam("ids", type_=ARRAY(Uuid))
_WITHOUT = bindparam("without", type_=Uuid)
_FACES = (
    text("""
SELECT face.face_id, face.picture_id, cluster.cluster_id, vector,
  CASE WHEN named.delete_time IS NULL THEN named.person_id END AS person_id,
  ARRAY(
    SELECT coalesce(person.merged_id, person.person_id) FROM face_refusal JOIN person USING (person_id)
    WHERE face_refusal.face_id = face.face_id
  ) AS refused
FROM face
JOIN face_vector ON face_vector.face_id = face.face_id AND face_vector.model_id = :model_id
LEFT JOIN cluster ON cluster.cluster_id = face.cluster_id AND cluster.model_id = :model_id
LEFT JOIN decision ON decision.face_id = face.face_id AND decision.face_id IS DISTINCT FROM :without
LEFT JOIN person ON person.person_id = decision.person_id
LEFT JOIN person AS named ON named.person_id = coalesce(person.merged_id, person.person_id)
WHERE face.face_id = ANY(:ids) AND NOT face.erased AND decision.kind IS DISTINCT FROM :not_a_face
""")
    .bindparams(_IDS, _WITHOUT, bindparam("not_a_face", DecisionKind.NOT_A_FACE.value))
    .columns(column("face_id", Uuid), column("picture_id", Uuid), column("cluster_id", Uuid), column("vector", HALFVEC))
)
_PEOPLE = text("""
SELECT DISTINCT face.cluster_id, named.person_id
FROM face JOIN decision USING (face_id) JOIN person ON person.person_id = decision.person_id
JOIN person AS named ON named.person_id = coalesce(person.merged_id, person.person_id)
WHERE face.cluster_id = ANY(:ids) AND named.delete_time IS NULL AND face.face_id IS DISTINCT FROM :without
""").bindparams(_IDS, _WITHOUT)
_AGAIN = text("""
INSERT INTO stale_face (face_id)
SELECT face_id FROM face
WHERE (face_id = ANY(:ids) OR cluster_id = :cluster_id) AND tried_time IS NOT NULL AND face_id <> :face_id
  AND NOT EXISTS (SELECT FROM decision WHERE decision.face_id = face.face_id AND decision.kind = 1)
  AND NOT EXISTS (SELECT FROM stale_face AS known WHERE known.face_id = face.face_id)
""").bindparams(_IDS, bindparam("cluster_id", type_=Uuid))
_RECOUNT = text("""
UPDATE cluster SET size = found.size, mean = coalesce(found.mean, cluster.mean)
FROM (
  SELECT own.cluster_id, count(vector) AS size, avg(vector) AS mean
  FROM cluster AS own
  LEFT JOIN face ON face.cluster_id = own.cluster_id
  LEFT JOIN face_vector ON face_vector.face_id = face.face_id AND face_vector.model_id = own.model_id
  WHERE own.cluster_id = ANY(:ids)
  GROUP BY own.cluster_id
) AS found
WHERE cluster.cluster_id = found.cluster_id
""").bindparams(_IDS)
_SPREAD_NEIGHBOURS = 100
"""That are looked at again when a decision has changed."""


class _Cluster(NamedTuple):
    shape: Cluster
    people: frozenset[UUID]
    """Whom decided faces of it show."""

    def may_take(self, one: Neighbour) -> bool:
        """Return whether nobody has told the face from those of the cluster."""
        if one.person_id is not None and self.people and one.person_id not in self.people:
            return False
        return not self.people or bool(self.people - one.refused)


class Looks:
    """Looks at faces in a transaction that no other one looks beside, by what the collection's people are compared."""

    def __init__(
        self,
        connection: AsyncConnection,
        collection_id: int,
        space: Space,
        bands: Bands,
        *,
        without: UUID | None = None,
    ) -> None:
        """Look as if nothing were decided of the face `without`."""
        self._without = without
        self._connection = connection
        self._collection_id = collection_id
        self._space = space
        self._bands = bands

    async def look(self, face_id: UUID, *, spread: bool = False) -> bool:
        """Look at a face, and return whether it may have another name now.

        `spread`: what was decided of it has changed, so that those near it are to be looked at again.
        """
        own = await self._faces({face_id: 0.0})
        if not own:
            await self._leave(face_id)
            return await self._say(face_id, {})
        one = own[0]
        near = await self._near(one, _SPREAD_NEIGHBOURS if spread else clustering.NEIGHBOURS)
        clusters = await self._clusters({one.cluster_id, *(other.cluster_id for other in near)} - {None})
        if one.cluster_id is None and (joined := await self._group(one, near[: clustering.NEIGHBOURS], clusters)):
            one = one._replace(cluster_id=joined)
            clusters |= await self._clusters({joined})
        if spread:
            await self._look_again(one, [other.face_id for other in near], one.cluster_id)
        return await self._say(face_id, {} if one.person_id else self._told(one, near, clusters))

    async def told(self, face_id: UUID) -> Mapping[UUID, Said]:
        """Return whom a face shows by those near it; of a decided one, nobody. Changes nothing."""
        own = await self._faces({face_id: 0.0})
        if not own or own[0].person_id:
            return {}
        near = await self._near(own[0], clustering.NEIGHBOURS)
        clusters = await self._clusters({own[0].cluster_id, *(other.cluster_id for other in near)} - {None})
        return self._told(own[0], near, clusters)

    async def recount(self, cluster_ids: Collection[UUID]) -> None:
        """Count clusters that faces have left, and drop those that are empty."""
        if cluster_ids:
            await self._connection.execute(_RECOUNT, {"ids": list(cluster_ids)})
            await self._connection.execute(
                delete(cluster).where(_among(cluster.c.cluster_id, cluster_ids), cluster.c.size == 0)
            )

    async def _faces(self, distances: Mapping[UUID, float]) -> list[Neighbour]:
        """Return faces with a vector, nearest first; those that are none, or nobody's any more, are left out."""
        values = {"ids": list(distances), "model_id": self._space.model_id, "without": self._without}
        rows = await self._connection.execute(_FACES, values)
        found = [_neighbour(row, distances) for row in rows]
        return sorted(found, key=lambda one: (one.distance, one.face_id))

    async def _near(self, one: Neighbour, count: int) -> list[Neighbour]:
        """Return faces of other pictures that are near enough for a question."""
        rows = await nearest(
            self._connection,
            one.vector.tolist(),
            self._space.model_id,
            self._collection_id,
            count + 1,
            self._space.own(self._bands.suggest),
        )
        euclidean = self._space.euclidean
        distances = {row.face_id: euclidean(row.distance) for row in rows if row.picture_id != one.picture_id}
        return await self._faces(distances) if distances else []

    async def _clusters(self, cluster_ids: Collection[UUID | None]) -> dict[UUID, _Cluster]:
        if not cluster_ids:
            return {}
        people: dict[UUID, set[UUID]] = {}
        values = {"ids": list(cluster_ids), "without": self._without}
        for row in await self._connection.execute(_PEOPLE, values):
            people.setdefault(_id(row.cluster_id), set()).add(_id(row.person_id))
        columns = cluster.c
        found = select(columns.cluster_id, columns.size, columns.mean).where(_among(columns.cluster_id, cluster_ids))
        return {
            (key := _id(row.cluster_id)): _Cluster(
                Cluster(row.size, np.asarray(row.mean, np.float32)), frozenset(people.get(key, ()))
            )
            for row in await self._connection.execute(found)
        }

    async def _group(self, one: Neighbour, near: Sequence[Neighbour], clusters: Mapping[UUID, _Cluster]) -> UUID | None:
        """Have the face join a cluster, or begin one; return it."""
        votes = clustering.voted(near, self._bands)
        columns = face.c
        own = select(columns.cluster_id).where(columns.picture_id == one.picture_id, columns.cluster_id.is_not(None))
        taken = {_id(key) for key in (await self._connection.execute(own)).scalars()} if votes else set()
        shapes = {key: clusters[key].shape for key in votes if key not in taken and clusters[key].may_take(one)}
        joined = clustering.joined(one.vector, votes, shapes, self._bands)
        group = [one] if joined else clustering.begun(one, near, self._bands)
        if not group:
            return None
        cluster_id = joined or await self._begin(one)
        await self._add(cluster_id, clusters[joined].shape if joined else None, group)
        people = {other.person_id for other in group} - {None}
        is_known = people <= clusters[joined].people if joined else not people
        waiting = [other.face_id for other in near if other.cluster_id is None and other.distance <= self._bands.vote]
        await self._look_again(one, waiting, None if is_known else cluster_id)
        return cluster_id

    async def _begin(self, one: Neighbour) -> UUID:
        cluster_id = UUID(bytes=uuid7().bytes)
        own = {"cluster_id": cluster_id, "collection_id": self._collection_id, "model_id": self._space.model_id}
        await self._connection.execute(insert(cluster).values(**own, size=0, mean=one.vector))
        return cluster_id

    async def _add(self, cluster_id: UUID, shape: Cluster | None, group: Sequence[Neighbour]) -> None:
        """Add faces to a cluster."""
        size, total = (shape.size, shape.middle * np.float32(shape.size)) if shape else (0, np.float32(0))
        total, size = total + np.sum([one.vector for one in group], axis=0), size + len(group)
        values = {"size": size, "mean": total / np.float32(size)}
        await self._connection.execute(update(cluster).where(cluster.c.cluster_id == cluster_id).values(**values))
        its = _among(face.c.face_id, [one.face_id for one in group])
        await self._connection.execute(update(face).where(its).values(cluster_id=cluster_id))

    async def _leave(self, face_id: UUID) -> None:
        columns = face.c
        own = select(columns.cluster_id).where(columns.face_id == face_id, columns.cluster_id.is_not(None))
        if (left := (await self._connection.execute(own)).scalar()) is not None:
            await self._connection.execute(update(face).where(columns.face_id == face_id).values(cluster_id=None))
            await self.recount([left])

    async def _look_again(self, one: Neighbour, face_ids: Sequence[UUID], cluster_id: UUID | None) -> None:
        """Have these faces, and those of the cluster, looked at later, unless they are to be or were decided."""
        if face_ids or cluster_id:
            values = {"ids": list(face_ids), "cluster_id": cluster_id, "face_id": one.face_id}
            await self._connection.execute(_AGAIN, values)

    def _told(
        self, one: Neighbour, near: Iterable[Neighbour], clusters: Mapping[UUID, _Cluster]
    ) -> Mapping[UUID, Said]:
        own = clusters[one.cluster_id] if one.cluster_id else None
        people = own.people if own else frozenset()
        known = [known for other in near for known in _known(other, clusters)]
        told = naming.opinions(one.vector, known, own.shape if own else None, people, self._bands)
        return {person_id: said for person_id, said in told.items() if person_id not in one.refused}

    async def _say(self, face_id: UUID, told: Mapping[UUID, Said]) -> bool:
        """Write down whom the face shows by those near it; return whether that changes whom it may be named."""
        columns = opinion.c
        its = columns.face_id == face_id, columns.source == NEIGHBOURS
        rows = await self._connection.execute(select(columns.person_id, columns.score, columns.band).where(*its))
        before = {_id(row.person_id): (float(np.float32(row.score)), row.band) for row in rows}
        after = {person_id: (float(np.float32(said.score)), said.band) for person_id, said in told.items()}
        if before == after:
            return False
        await self._connection.execute(delete(opinion).where(*its))
        if told:
            model = {"model": self._space.name, "version": self._space.version}
            common = {"face_id": face_id, "source": NEIGHBOURS, **model}
            values = [{**common, "person_id": key, **said._asdict()} for key, said in told.items()]
            await self._connection.execute(insert(opinion), values)
        return _naming(before) != _naming(after)


def _naming(said: Mapping[UUID, tuple[float, int]]) -> Mapping[UUID, tuple[float, int]]:
    return {key: one for key, one in said.items() if one[1] == BAND_ASSIGN}


def _known(one: Neighbour, clusters: Mapping[UUID, _Cluster]) -> Iterable[Known]:
    people = clusters[one.cluster_id].people if one.cluster_id else frozenset()
    if one.person_id is not None:
        yield Known(one.person_id, one.distance, one.vector, decided=True)
    elif len(people) == 1 and not people & one.refused:
        yield Known(next(iter(people)), one.distance, one.vector, decided=False)


def _neighbour(row: Any, distances: Mapping[UUID, float]) -> Neighbour:
    face_id = _id(row.face_id)
    return Neighbour(
        face_id=face_id,
        picture_id=_id(row.picture_id),
        cluster_id=_id(row.cluster_id) if row.cluster_id else None,
        distance=distances[face_id],
        vector=np.asarray(row.vector, np.float32),
        person_id=_id(row.person_id) if row.person_id else None,
        refused=frozenset(map(_id, row.refused)),
    )


def _among(its: Any, ids: Collection[UUID | None]) -> Any:
    return its == any_(literal(list(ids), ARRAY(Uuid)))


def _id(key: UUID) -> UUID:
    return UUID(int=key.int)

"""Grouping in a library: new faces, and those of which a fact has changed."""

from collections import Counter
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from bench.library.synthetic import Crowd, Faces
from services.library.database.change import Changes
from services.library.database.database import Database
from services.library.grouping.grouping import Grouping, restart
from services.library.grouping.measuring import Measuring
from services.library.work.signals import Signals
from tests.support.library import rows, run_sql
from tests.support.library_grouping import ASSIGN_AND_SUGGEST, face_id, fill

ANNA, BEN = UUID(int=1), UUID(int=2)
SHOWN = "SELECT face_id, person_id FROM face WHERE source = 3"
CLUSTERS = "SELECT face_id, cluster_id FROM face WHERE cluster_id IS NOT NULL"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Yield connections to the library's database."""
    opened = Database(database_url, 4)
    yield opened
    await opened.close()


@pytest.fixture
def crowd() -> Faces:
    """Return faces of few people, and thus of many pictures each."""
    return Crowd(8, 0.01).faces(160)


async def look(database: Database) -> None:
    """Look at all faces that wait for it."""
    changes = Changes(database)
    grouping = Grouping(changes, Signals(database))
    while await grouping.step():
        pass


async def people(url: str) -> None:
    """Have two people in the library."""
    for person_id, name in ((ANNA, "Anna"), (BEN, "Ben")):
        await run_sql(
            url,
            "INSERT INTO person (person_id, collection_id, display_name, folded_name, source)"  # noqa: S608 - of the test
            f" SELECT '{person_id}', collection_id, '{name}', '{name.lower()}', 1 FROM collection",
        )


async def decide(url: str, number: int, person_id: UUID = ANNA) -> None:
    """Decide whom a face shows."""
    await run_sql(
        url,
        f"INSERT INTO decision (face_id, kind, person_id) VALUES ('{face_id(number)}', 1, '{person_id}')",  # noqa: S608
    )


def members(found: dict[object, object], crowd: Faces) -> dict[object, Counter[int]]:
    """Return how many faces of each person each cluster has."""
    clusters: dict[object, Counter[int]] = {}
    for number, person in enumerate(crowd.people.tolist()):
        if cluster_id := found.get(face_id(number)):
            clusters.setdefault(cluster_id, Counter())[person] += 1
    return clusters


async def test_faces_of_one_person_become_a_cluster(database_url: str, database: Database, crowd: Faces) -> None:
    """Each cluster is of one person, and nobody is in one of its pictures twice; sizes are right."""
    await fill(database_url, [crowd], distances=ASSIGN_AND_SUGGEST)
    await look(database)
    clusters = members(dict(await rows(database_url, CLUSTERS)), crowd)
    assert len(clusters) >= 6
    assert all(len(its) == 1 for its in clusters.values())
    sizes = dict(await rows(database_url, "SELECT cluster_id, size FROM cluster"))
    assert sizes == {key: its.total() for key, its in clusters.items()}
    twice = "SELECT FROM face WHERE cluster_id IS NOT NULL GROUP BY picture_id, cluster_id HAVING count(*) > 1"
    assert await rows(database_url, twice) == []


async def test_a_picture_is_told_of_once_its_faces_were_looked_at(
    database_url: str, database: Database, crowd: Faces
) -> None:
    """Each picture has one event, and looking again makes no other."""
    await fill(database_url, [crowd], distances=ASSIGN_AND_SUGGEST)
    await people(database_url)
    await look(database)
    await decide(database_url, 0)
    await look(database)
    told = "SELECT picture_id, count(*) FROM event WHERE type = 'picture.grouped' GROUP BY picture_id"
    assert dict(await rows(database_url, told)) == dict.fromkeys(
        (one for (one,) in await rows(database_url, "SELECT picture_id FROM picture")), 1
    )


async def test_naming_a_face_names_its_cluster_and_undoing_it_takes_the_names_back(
    database_url: str, database: Database, crowd: Faces
) -> None:
    """The faces named are those of the cluster and of very near ones, and only the person's."""
    await fill(database_url, [crowd], distances=ASSIGN_AND_SUGGEST)
    await people(database_url)
    await look(database)
    found = dict(await rows(database_url, CLUSTERS))
    number = next(one for one in range(160) if face_id(one) in found)
    await decide(database_url, number)
    await look(database)
    own = {one for one, cluster_id in found.items() if cluster_id == found[face_id(number)]} - {face_id(number)}
    shown = dict(await rows(database_url, SHOWN))
    assert own <= shown.keys()
    assert {crowd.people[one.int - face_id(0).int] for one in shown} == {crowd.people[number]}  # type: ignore[attr-defined]
    await run_sql(database_url, "DELETE FROM decision")
    await look(database)
    assert await rows(database_url, SHOWN) == []


async def test_a_refused_face_keeps_out(database_url: str, database: Database, crowd: Faces) -> None:
    """It has no name by its cluster, while others of it do."""
    await fill(database_url, [crowd], distances=ASSIGN_AND_SUGGEST)
    await people(database_url)
    await look(database)
    found = dict(await rows(database_url, CLUSTERS))
    largest = Counter(found.values()).most_common(1)[0][0]
    refused, number, *_ = (one for one in range(160) if found.get(face_id(one)) == largest)
    await run_sql(
        database_url,
        f"INSERT INTO face_refusal (face_id, person_id) VALUES ('{face_id(refused)}', '{ANNA}')",  # noqa: S608
    )
    await decide(database_url, number)
    await look(database)
    shown = dict(await rows(database_url, SHOWN))
    assert face_id(refused) not in shown
    assert len(shown) > 3


async def test_what_is_no_face_leaves_its_cluster(database_url: str, database: Database, crowd: Faces) -> None:
    """So do faces that are gone with their picture, and a cluster that nobody is in any more."""
    await fill(database_url, [crowd], distances=ASSIGN_AND_SUGGEST)
    await look(database)
    await run_sql(
        database_url,
        "INSERT INTO decision (face_id, kind) SELECT face_id, 3 FROM face WHERE cluster_id IS NOT NULL LIMIT 1",
    )
    await look(database)
    counted = "SELECT cluster_id, count(*) FROM face WHERE cluster_id IS NOT NULL GROUP BY cluster_id"
    sizes = "SELECT cluster_id, size FROM cluster"
    assert dict(await rows(database_url, sizes)) == dict(await rows(database_url, counted))
    await run_sql(database_url, "DELETE FROM picture")
    await look(database)
    assert await rows(database_url, sizes) == []


async def test_nobody_is_named_by_distances_that_nobody_knows(database_url: str, database: Database) -> None:
    """A model of unknown distances groups nothing, until enough was decided to measure them."""
    await fill(database_url, [Crowd(40, 0.01).faces(400)])
    await people(database_url)
    await look(database)
    assert await rows(database_url, CLUSTERS) == []
    assert await rows(database_url, "SELECT FROM face WHERE tried_time IS NULL") == []
    await _name_all(database_url)
    await Measuring(Changes(database)).step()
    await look(database)
    assert len(await rows(database_url, CLUSTERS)) > 100


async def _name_all(url: str) -> None:
    whose = Crowd(40, 0.01).faces(400).people.tolist()
    values = ", ".join(f"('{face_id(at)}'::uuid, '{UUID(int=1000 + one)}'::uuid)" for at, one in enumerate(whose))
    await run_sql(
        url,
        "INSERT INTO person (person_id, collection_id, display_name, folded_name, source)"  # noqa: S608
        f" SELECT DISTINCT whose, collection_id, 'x', 'x', 1 FROM (VALUES {values}) AS v (face_id, whose), collection",
    )
    await run_sql(
        url,
        "INSERT INTO decision (face_id, kind, person_id)"  # noqa: S608
        f" SELECT v.face_id, 1, whose FROM (VALUES {values}) AS v (face_id, whose)",
    )


async def test_another_model_groups_anew(database_url: str, database: Database, crowd: Faces) -> None:
    """The clusters of the old one are gone, and all faces have been looked at again."""
    await fill(database_url, [crowd], distances=ASSIGN_AND_SUGGEST)
    await look(database)
    before = set(await rows(database_url, "SELECT cluster_id FROM cluster"))
    async with database.begin() as connection:
        await restart(connection, 1)
    await look(database)
    after = set(await rows(database_url, "SELECT cluster_id FROM cluster"))
    assert len(after) >= 6
    assert not after & before

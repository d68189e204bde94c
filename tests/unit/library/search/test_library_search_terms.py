"""What pictures are found by: terms and words of their rows."""

import asyncio
from pathlib import Path
from uuid import UUID

import asyncpg

from marquee.v1 import recognizer_pb2 as v1
from services.library.database.database import Database
from services.library.search.terms import TermKind, index, term
from tests.support.library import added, library, rows
from tests.support.library_crowd import fill
from tests.support.library_rows import Named, Row, write
from tests.support.servers import nobody

_TERMS = "SELECT tsvector_to_array(terms) FROM picture"


async def test_a_picture_has_terms_of_its_rows(database_url: str) -> None:
    """Named people, labels with parents, recognizers that answered and states of faces are terms."""
    row = Row(
        file_name="Übung.JPG",
        faces=[Named("ann", "Änn Lee", 0.75), Named("x", "X", 0.9, v1.VERDICT_STATE_UNKNOWN)],
        labels=[("Dog", "Animal", "Pet")],
        moderation_labels=[("Beer", "Alcohol")],
        recognizers=[("svm", v1.OUTCOME_OK, 3), ("keras", v1.OUTCOME_TIMEOUT, 4)],
        texts=["It's 東京"],
    )
    await write(database_url, [row])
    connection = await asyncpg.connect(database_url)
    found = set(await connection.fetchval(_TERMS))
    labels = [(TermKind.LABEL, name) for name in ("dog", "animal", "pet", "beer", "alcohol")]
    expected = [
        *((TermKind.PERSON, "ann"), (TermKind.NAME, "ann lee"), (TermKind.COUNT, 1), (TermKind.RECOGNIZER, "svm")),
        *((TermKind.VERDICT, 1), (TermKind.VERDICT, 2), *labels),
    ]
    assert {term(kind, 1, value) for kind, value in expected} < found
    assert not {term(TermKind.PERSON, 1, "x"), term(TermKind.RECOGNIZER, 1, "keras")} & found
    words = await connection.fetchval("SELECT tsvector_to_array(words) FROM picture")
    assert sorted(words) == sorted(
        [*("ann", "lee", "ubung", "jpg", "dog", "animal", "pet", "beer", "alcohol"), *("it", "s", "東京", "京")]
    )
    rest = await connection.fetchrow("SELECT folded_name, score, cost_micro_usd FROM picture")
    assert tuple(rest) == ("ubung.jpg", 0.75, 7)
    await connection.close()


async def test_a_new_picture_is_found_by_its_name(database_url: str, tmp_path: Path) -> None:
    """A picture that was just added has all terms that its rows amount to: working them out again changes nothing."""
    everything = "SELECT xmin::text, tsvector_to_array(terms), words::text, folded_name FROM picture"
    async with library(database_url, tmp_path, nobody(), library_workers=0) as client:
        picture_id = (await added(client, path="Ferien/Übung 1.JPG")).picture_id
    (before,) = await rows(database_url, everything)
    assert before[3] == "ubung 1.jpg"
    database = Database(database_url)
    async with database.begin() as connection:
        await index(connection, 1, [UUID(picture_id)])
    await database.close()
    assert await rows(database_url, everything) == [before]


async def test_terms_of_collections_differ(database_url: str) -> None:
    """The same picture has no term in two collections, so that a search of one never meets those of another."""
    await write(database_url, [Row(faces=[Named("a", "A")], labels=[("Dog",)])], "one")
    await write(database_url, [Row(faces=[Named("a", "A")], labels=[("Dog",)])], "two")
    connection = await asyncpg.connect(database_url)
    one, two = await connection.fetch(_TERMS)
    assert one[0]
    assert not set(one[0]) & set(two[0])
    await connection.close()


async def test_hostile_rows_are_found_by_something(database_url: str) -> None:
    """Quotes, backslashes, long words and thousands of words are kept as far as the index holds them."""
    words = [" ".join(f"w{text}x{word}'\\&" + "ü" * 90 for word in range(20)) for text in range(400)]
    await write(database_url, [Row(file_name="'\\" * 400, texts=words, labels=[("'; DROP TABLE picture; --",)])])
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT length(words) FROM picture") == 4000
    await connection.close()


async def test_changes_of_one_picture_follow_each_other(database_url: str) -> None:
    """Changes of the same picture at once leave the terms of all of them."""
    rows = [Row() for _ in range(3)]
    await write(database_url, rows)
    database = Database(database_url, 8)
    number = await database.collection_id("pictures")

    async def name(number_of_change: int) -> None:
        async with database.begin() as connection:
            for row in rows:
                values = (row.picture_id, number_of_change, f"person-{number_of_change}")
                await connection.exec_driver_sql(
                    "INSERT INTO face (face_id, picture_id, position, state, person_id, verdict) "
                    "VALUES (gen_random_uuid(), $1, $2, 1, $3, '')",
                    values,
                )
            await index(connection, number, [row.picture_id for row in reversed(rows)])

    await asyncio.gather(*(name(change) for change in range(8)))
    await database.close()
    connection = await asyncpg.connect(database_url)
    for (found,) in await connection.fetch(_TERMS):
        assert {term(TermKind.PERSON, number, f"person-{change}") for change in range(8)} < set(found)
    await connection.close()


async def test_made_up_pictures_are_found_as_real_ones_are(database_url: str) -> None:
    """The large collection of tests and measurements has the very terms and words that its rows would be given."""
    await fill(database_url, 300)
    connection = await asyncpg.connect(database_url)
    columns = "SELECT picture_id, terms, words, folded_name, score, cost_micro_usd FROM picture ORDER BY picture_id"
    before = await connection.fetch(columns)
    database = Database(database_url, 1)
    number = await database.collection_id("pictures")
    async with database.begin() as change:
        await index(change, number, [row["picture_id"] for row in before])
    await database.close()
    assert await connection.fetch(columns) == before
    await connection.close()

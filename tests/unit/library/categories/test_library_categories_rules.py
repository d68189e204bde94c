"""Categories by rule: what fits is put into them, and what was decided by hand stays."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import delete

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.v1 import recognizer_pb2 as v1
from services.library.categories import rules
from services.library.database.database import Database
from services.library.database.tables import picture as picture_table
from tests.support import library
from tests.support.library_rows import Named, Row, write
from tests.support.processes import PATIENCE
from tests.support.servers import Scripted, gateway, leaf, nobody, picture


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[LibraryServiceStub]:
    async with library.library(database_url, tmp_path, nobody(), library_workers=0) as client:
        yield client


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, 2)
    yield database
    await database.close()


async def followed(database: Database) -> int:
    """Have all pictures follow all changes; return in how many steps."""
    steps = 0
    while await rules.apply_some(database):
        steps += 1
    return steps


async def set_rules(client: LibraryServiceStub, name: str, *its_rules: pb.CategoryRule) -> str:
    category = pb.Category(name=name, rules=its_rules)
    return (await client.SetCategory(pb.SetCategoryRequest(category=category))).category.category_id


async def names(client: LibraryServiceStub, rows: Sequence[Row]) -> list[list[str]]:
    """Return the names of the categories that each picture is in."""
    requests = (pb.GetPictureRequest(picture_id=str(row.picture_id)) for row in rows)
    return [[one.name for one in (await client.GetPicture(request)).picture.categories] for request in requests]


async def test_rules_fit_labels_parents_and_people(
    client: LibraryServiceStub, database: Database, database_url: str
) -> None:
    """A rule fits a label or its parent, or somebody IDENTIFIED by person_id or name, from its score on."""
    rows = [
        Row(labels=[("Dog", "Animal")]),
        Row(moderation_labels=[("Beer", "Alcohol")]),
        Row(faces=[Named("ann", "Änn Lee", 0.75)]),
        Row(faces=[Named("ann", "Änn Lee", 0.75, v1.VERDICT_STATE_UNKNOWN)]),
        Row(),
    ]
    await write(database_url, rows)
    await write(database_url, [other := Row(labels=[("Dog",)])], "other")
    await set_rules(client, "Tiere", pb.CategoryRule(label="ANIMAL"))
    await set_rules(client, "Sure animals", pb.CategoryRule(label="dog", min_score=0.6))
    await set_rules(client, "Either", pb.CategoryRule(label="alcohol"), pb.CategoryRule(person="ann lee"))
    await set_rules(client, "Ann", pb.CategoryRule(person="ann", min_score=0.75))
    await followed(database)
    assert await names(client, rows) == [["Tiere"], ["Either"], ["Ann", "Either"], [], []]
    shown = await client.GetPicture(pb.GetPictureRequest(picture_id=str(other.picture_id), collection="other"))
    assert list(shown.picture.categories) == []
    found = await client.SearchPictures(pb.SearchPicturesRequest(query=pb.PictureQuery(text="tiere")))
    assert [one.picture_id for one in found.pictures] == [str(rows[0].picture_id)]


async def test_rules_fit_the_same_people_before_and_after(
    client: LibraryServiceStub, database: Database, database_url: str
) -> None:
    """Case does not matter for names, and does for identifiers, whether the picture or the rule was there first."""
    rows = [Row(faces=[Named(person_id, name)]) for person_id, name in (("ada", "Countess"), ("1", "ada"))]
    await write(database_url, rows)
    await set_rules(client, "Ada", pb.CategoryRule(person="ADA"))
    await followed(database)
    assert await names(client, rows) == [[], ["Ada"]]
    async with database.begin() as connection:
        await rules.apply(connection, 1, [row.picture_id for row in rows])
    assert await names(client, rows) == [[], ["Ada"]]


async def test_pictures_that_are_erased_meanwhile_hold_up_no_others(
    client: LibraryServiceStub, database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pictures follow a change, also when one of some that do so is erased at that moment."""
    monkeypatch.setattr(rules, "_BATCH", 2)
    first, *others = rows = [Row(labels=[("Dog",)]) for _ in range(3)]
    await write(database_url, rows)
    await set_rules(client, "Dogs", pb.CategoryRule(label="dog"))
    async with database.begin() as connection:
        await connection.execute(delete(picture_table).where(picture_table.c.picture_id == first.picture_id))
        following = asyncio.create_task(rules.apply_some(database))
        await library.blocked(database_url)
    assert await following
    await followed(database)
    assert await names(client, others) == [["Dogs"], ["Dogs"]]


async def test_a_recognized_picture_follows_rules_at_once(database_url: str, tmp_path: Path) -> None:
    """A picture is in its categories as soon as it is recognized."""
    dog = v1.RecognizerResult(labels=[v1.Label(name="Dog", score=0.9, parents=["Animal"])])
    async with (
        leaf(Scripted("dogs", result=dog)) as dogs,
        gateway({"dogs": dogs}) as address,
        library.library(database_url, tmp_path, address) as client,
    ):
        await set_rules(client, "Animals", pb.CategoryRule(label="animal", min_score=0.5))
        request = pb.AddImageRequest(image=v1.Image(content=picture()), wait=True)
        shown = (await client.AddImage(request, timeout=PATIENCE)).picture
    assert [(one.name, one.source) for one in shown.categories] == [("Animals", pb.CATEGORY_SOURCE_RULE)]


async def test_rules_that_change_meanwhile_miss_no_picture(database_url: str, tmp_path: Path) -> None:
    """Pictures that are recognized while rules change end where the last rules put them."""
    dog = v1.RecognizerResult(labels=[v1.Label(name="Dog", score=0.9)])
    additions = [
        pb.AddImageRequest(image=v1.Image(content=picture((8 + width, 6))), wait=True, categories=["By hand"])
        for width in range(24)
    ]
    async with (
        leaf(Scripted("dogs", result=dog)) as dogs,
        gateway({"dogs": dogs}) as address,
        library.library(database_url, tmp_path, address) as client,
    ):
        adding = [asyncio.ensure_future(client.AddImage(one, timeout=PATIENCE)) for one in additions]
        for label in ("Cat", "Dog") * 4:
            await set_rules(client, "A", pb.CategoryRule(label=label))
        await asyncio.gather(*adding)
        database = Database(database_url, 1)
        await followed(database)
        await database.close()
        categories = (await client.ListCategories(pb.ListCategoriesRequest())).categories
    assert [(one.name, one.picture_count) for one in categories] == [("A", 24), ("By hand", 24)]


async def test_changed_rules_are_followed(client: LibraryServiceStub, database: Database, database_url: str) -> None:
    """Pictures leave a category whose rules fit them no longer, and are found by its new name."""
    rows = [Row(labels=[("Dog",)]), Row(labels=[("Cat",)])]
    await write(database_url, rows)
    category_id = await set_rules(client, "A", pb.CategoryRule(label="Dog"))
    await followed(database)
    assert await names(client, rows) == [["A"], []]
    category = pb.Category(category_id=category_id, name="Katzen", rules=[pb.CategoryRule(label="Cat")])
    await client.SetCategory(pb.SetCategoryRequest(category=category))
    await followed(database)
    assert await names(client, rows) == [[], ["Katzen"]]
    for text, count in (("katzen", 1), ("a", 2)):  # both files are a.jpg
        found = await client.SearchPictures(pb.SearchPicturesRequest(query=pb.PictureQuery(text=text)))
        assert len(found.pictures) == count


async def test_a_decision_by_hand_beats_rules(
    client: LibraryServiceStub, database: Database, database_url: str
) -> None:
    """A rule neither undoes what a person put in, nor puts back what a person took out."""
    rows = [Row(labels=[("Dog",)]), Row()]
    await write(database_url, rows)
    await set_rules(client, "A", pb.CategoryRule(label="Dog"))
    await followed(database)
    out, inside = (str(row.picture_id) for row in rows)
    await client.CategorizePicture(pb.CategorizePictureRequest(picture_id=out, remove=["A"]))
    await client.CategorizePicture(pb.CategorizePictureRequest(picture_id=inside, add=["A"]))
    await set_rules(client, "A", pb.CategoryRule(label="Dog"), pb.CategoryRule(label="Cat"))
    await followed(database)
    assert await names(client, rows) == [[], ["A"]]


async def test_many_pictures_follow_in_steps(
    client: LibraryServiceStub, database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changes are followed some pictures at a time, the trash included; a change in between begins anew."""
    monkeypatch.setattr(rules, "_BATCH", 4)
    rows = [Row(labels=[("Dog", "Animal")], deleted=None if number % 3 else Row().taken) for number in range(10)]
    await write(database_url, rows)
    category_id = await set_rules(client, "A", pb.CategoryRule(label="Cat"), pb.CategoryRule(label="Dog"))
    assert await rules.apply_some(database)
    assert sum(map(len, await names(client, rows))) == 4
    await set_rules(client, "A", pb.CategoryRule(label="Animal"))
    assert await followed(database) == 3
    assert await names(client, rows) == [["A"]] * 10
    await client.DeleteCategory(pb.DeleteCategoryRequest(category_id=category_id))
    await followed(database)
    found = await client.SearchPictures(pb.SearchPicturesRequest(query=pb.PictureQuery(text="a")))
    assert await names(client, rows) == [[]] * 10
    assert len(found.pictures) == 6

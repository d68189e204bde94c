"""Categories: made, listed, filled by hand and deleted."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import grpc
import pytest

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.v1 import recognizer_pb2 as v1
from services.library.categories import hand
from services.library.categories.rules import apply_some
from services.library.database.change import Changes
from services.library.database.database import Database
from services.runtime import status
from tests.support import library
from tests.support.library_rows import Row, write
from tests.support.servers import code_and_reason, nobody, picture


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[LibraryServiceStub]:
    async with library.library(database_url, tmp_path, nobody(), library_workers=0) as client:
        yield client


@pytest.fixture
async def picture_id(database_url: str) -> str:
    """Return the identifier of a picture that the collection has."""
    row = Row()
    await write(database_url, [row])
    return str(row.picture_id)


def setting(name: str, **fields: object) -> pb.SetCategoryRequest:
    request_id = str(fields.pop("request_id", ""))
    return pb.SetCategoryRequest(category=pb.Category(name=name, **fields), request_id=request_id)


async def refusal(call: grpc.aio.UnaryUnaryCall) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return code_and_reason(status.from_rpc_error(caught.value))


async def listed(client: LibraryServiceStub, **fields: object) -> list[tuple[str, int]]:
    response = await client.ListCategories(pb.ListCategoriesRequest(**fields))
    return [(one.name, one.picture_count) for one in response.categories]


async def found(client: LibraryServiceStub, text: str) -> int:
    request = pb.SearchPicturesRequest(query=pb.PictureQuery(text=text))
    return len((await client.SearchPictures(request)).pictures)


async def test_a_category_is_made_and_changed(client: LibraryServiceStub) -> None:
    """A name stands for one category, whatever its case and accents; rules are kept as they were given."""
    rules = [pb.CategoryRule(label="Hund", min_score=0.5), pb.CategoryRule(person="Änn")]
    made = (await client.SetCategory(setting("Été", rules=rules))).category
    assert (made.name, made.collection, list(made.rules), made.picture_count) == ("Été", "pictures", rules, 0)
    assert made.create_time.seconds
    again = (await client.SetCategory(setting("ete"))).category
    assert (again.category_id, again.name, list(again.rules)) == (made.category_id, "ete", [])
    renamed = (await client.SetCategory(setting("Winter", category_id=made.category_id))).category
    assert (renamed.category_id, renamed.name) == (made.category_id, "Winter")
    assert await listed(client) == [("Winter", 0)]


async def test_a_repeated_request_changes_nothing(client: LibraryServiceStub) -> None:
    """The same request_id answers the same; for another request it is refused."""
    first = await client.SetCategory(setting("A", request_id="1"))
    await client.SetCategory(setting("B", category_id=first.category.category_id))
    assert await client.SetCategory(setting("A", request_id="1")) == first
    assert await listed(client) == [("B", 0)]
    assert await refusal(client.SetCategory(setting("C", request_id="1"))) == ("INVALID_ARGUMENT", "REQUEST_REUSED")


@pytest.mark.parametrize(
    "category",
    [
        pb.Category(),
        pb.Category(name=" \t"),
        pb.Category(name="a\0b"),
        pb.Category(name="x" * 201),
        pb.Category(name="a", rules=[pb.CategoryRule()]),
        pb.Category(name="a", rules=[pb.CategoryRule(label="")]),
        pb.Category(name="a", rules=[pb.CategoryRule(label="b", min_score=1.5)]),
        pb.Category(name="a", rules=[pb.CategoryRule(label="b", min_score=float("nan"))]),
        pb.Category(name="a", rules=[pb.CategoryRule(label="b")] * 257),
    ],
)
async def test_what_is_no_category_is_refused(client: LibraryServiceStub, category: pb.Category) -> None:
    """A category has a name, and a rule what it looks at and a score of 0 to 1."""
    request = pb.SetCategoryRequest(category=category)
    assert await refusal(client.SetCategory(request)) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


async def test_a_name_of_another_category_is_refused(client: LibraryServiceStub) -> None:
    """Renaming makes no two categories of one name."""
    await client.SetCategory(setting("A"))
    other = (await client.SetCategory(setting("B"))).category.category_id
    assert await refusal(client.SetCategory(setting("a", category_id=other))) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


@pytest.mark.parametrize("category_id", ["", "1", "'; --", "00000000-0000-7000-8000-000000000000"])
async def test_an_unknown_category_is_not_found(client: LibraryServiceStub, category_id: str) -> None:
    """What is no identifier, or that of no category of this collection, is NOT_FOUND."""
    made = await client.SetCategory(pb.SetCategoryRequest(collection="other", category=pb.Category(name="A")))
    for unknown in (category_id, made.category.category_id):
        request = pb.DeleteCategoryRequest(category_id=unknown)
        assert await refusal(client.DeleteCategory(request)) == ("NOT_FOUND", "CATEGORY_NOT_FOUND")
        if unknown:
            request = setting("B", category_id=unknown)
            assert await refusal(client.SetCategory(request)) == ("NOT_FOUND", "CATEGORY_NOT_FOUND")


async def test_categories_are_listed_by_name_in_pages(client: LibraryServiceStub) -> None:
    """Pages follow the folded name, none is missed or repeated, and a token of another kind is refused."""
    names = ["Ägypten", "berlin", "Zoo", "'; DROP TABLE category; --", "\N{GRINNING FACE}", "שלום", "东京"]
    for name in names:
        await client.SetCategory(setting(name))
    everything = [name for name, _ in await listed(client)]
    assert sorted(everything) == sorted(names)
    assert [name for name in everything if name in {"Ägypten", "berlin", "Zoo"}] == ["Ägypten", "berlin", "Zoo"]
    pages, token = [], ""
    while not pages or token:
        response = await client.ListCategories(pb.ListCategoriesRequest(page_size=2, page_token=token))
        pages.append([one.name for one in response.categories])
        token = response.next_page_token
    assert [len(page) for page in pages] == [2, 2, 2, 1]
    assert [name for page in pages for name in page] == everything
    for field in ({"page_token": "?"}, {"page_token": "AA=="}, {"page_size": -1}):
        request = pb.ListCategoriesRequest(**field)
        assert await refusal(client.ListCategories(request)) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


async def test_a_picture_is_put_into_categories_by_hand(client: LibraryServiceStub, picture_id: str) -> None:
    """Categories that do not exist are made, and the picture is found by them, until it is taken out again."""
    put = pb.CategorizePictureRequest(picture_id=picture_id, add=["Urlaub", "ÉTÉ"])
    shown = (await client.CategorizePicture(put)).picture
    assert [(one.name, one.source) for one in shown.categories] == [
        ("ÉTÉ", pb.CATEGORY_SOURCE_HAND),
        ("Urlaub", pb.CATEGORY_SOURCE_HAND),
    ]
    assert (await listed(client), await found(client, "ete")) == ([("ÉTÉ", 1), ("Urlaub", 1)], 1)
    taken = pb.CategorizePictureRequest(picture_id=picture_id, add=["Urlaub"], remove=["été"])
    shown = (await client.CategorizePicture(taken)).picture
    assert [one.name for one in shown.categories] == ["Urlaub"]
    assert (await listed(client), await found(client, "ete")) == ([("ÉTÉ", 0), ("Urlaub", 1)], 0)


async def test_categorizing_is_refused_as_a_whole(client: LibraryServiceStub, picture_id: str) -> None:
    """An unknown picture, a category that is not there, or one on both sides changes nothing."""
    cases = [
        (pb.CategorizePictureRequest(picture_id=picture_id), "INVALID_REQUEST"),
        (pb.CategorizePictureRequest(picture_id=picture_id, add=["A"], remove=["a"]), "INVALID_REQUEST"),
        (pb.CategorizePictureRequest(picture_id=picture_id, add=[""]), "INVALID_REQUEST"),
        (pb.CategorizePictureRequest(picture_id=picture_id, add=["A"], remove=["B"]), "CATEGORY_NOT_FOUND"),
        (pb.CategorizePictureRequest(picture_id="1", add=["A"]), "PICTURE_NOT_FOUND"),
        (pb.CategorizePictureRequest(picture_id=picture_id, collection="other", add=["A"]), "PICTURE_NOT_FOUND"),
    ]
    for request, reason in cases:
        assert (await refusal(client.CategorizePicture(request)))[1] == reason
    assert await listed(client) == []


async def test_a_deleted_category_leaves_its_pictures(
    client: LibraryServiceStub, picture_id: str, database_url: str
) -> None:
    """Its pictures stay, and soon are no longer found by its name; a new category of that name is another."""
    await client.CategorizePicture(pb.CategorizePictureRequest(picture_id=picture_id, add=["Urlaub"]))
    first = (await client.ListCategories(pb.ListCategoriesRequest())).categories[0].category_id
    await client.DeleteCategory(pb.DeleteCategoryRequest(category_id=first))
    shown = (await client.GetPicture(pb.GetPictureRequest(picture_id=picture_id))).picture
    assert (list(shown.categories), await listed(client)) == ([], [])
    database = Database(database_url, 1)
    while await apply_some(database):
        pass
    await database.close()
    assert await found(client, "urlaub") == 0
    second = (await client.SetCategory(setting("Urlaub"))).category.category_id
    assert second != first


async def test_a_category_that_is_being_made_by_hand_is_changed(
    client: LibraryServiceStub, picture_id: str, database_url: str
) -> None:
    """Who sets a category waits for who makes one of this name, and changes that."""
    database = Database(database_url, 1)
    async with Changes(database).begin("pictures") as change:
        await hand.put(change, UUID(picture_id), ["Urlaub"])
        call = asyncio.ensure_future(client.SetCategory(setting("urlaub")))
        await library.blocked(database_url)
    made = (await call).category
    await database.close()
    assert (made.name, made.picture_count) == ("urlaub", 1)
    assert await listed(client) == [("urlaub", 1)]


async def test_an_added_picture_is_put_into_categories(client: LibraryServiceStub) -> None:
    """AddImage puts a picture into categories, also one that the collection has already."""
    for name in ("Paris", "paris", "2024"):
        request = pb.AddImageRequest(image=v1.Image(content=picture()), categories=[name])
        response = await client.AddImage(request)
    assert [one.name for one in response.picture.categories] == ["2024", "Paris"]
    assert await listed(client) == [("2024", 1), ("Paris", 1)]
    request = pb.AddImageRequest(image=v1.Image(content=picture((9, 9))), categories=[" "])
    assert await refusal(client.AddImage(request)) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert len((await client.SearchPictures(pb.SearchPicturesRequest())).pictures) == 1


async def test_changes_are_told(client: LibraryServiceStub, picture_id: str) -> None:
    """Each change of a category or of a picture's categories is an event."""
    await client.CategorizePicture(pb.CategorizePictureRequest(picture_id=picture_id, add=["A"]))
    made = (await client.SetCategory(setting("A"))).category
    await client.DeleteCategory(pb.DeleteCategoryRequest(category_id=made.category_id))
    events = (await client.ListEvents(pb.ListEventsRequest())).events
    assert [one.type for one in events] == [
        *("category.set", "picture.categorized", "category.set", "category.deleted")
    ]
    assert dict(events[1].data)["added"] == ["A"]
    assert events[1].picture_id == picture_id
    assert dict(events[3].data) == {"category_id": made.category_id, "name": "A"}

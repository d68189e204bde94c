"""SearchPictures as callers see it: pages, tokens, hostile texts, and what is never shown."""

import base64
import hashlib
import struct
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from services.library.search.folding import words
from tests.support.library import library, refused
from tests.support.library_rows import Named, Row, write

_LEAP_DAY = datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)
_HOSTILE = [
    *(
        "'; DROP TABLE picture; --",
        "a' | 'b",
        "\\",
        "%_%",
        "$1",
        "../../etc/passwd",
        "x" * 200,
        "🎉👩🏽\u200d🚀",
        "مرحبا بالعالم",
    ),
    *("\u202eevil", "Straße", "名前", '"); SELECT pg_sleep(9)--', ":param", "{}", "NULL"),
]


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[LibraryServiceStub]:
    """Return a client of a library that recognizes nothing."""
    async with library(database_url, tmp_path, "localhost:1", library_workers=0) as stub:
        yield stub


def _search(**fields: object) -> pb.SearchPicturesRequest:
    return pb.SearchPicturesRequest(**fields)


def _ids(response: pb.SearchPicturesResponse) -> list[str]:
    return [picture.picture_id for picture in response.pictures]


async def test_pages_miss_nothing_that_was_there(client: LibraryServiceStub, database_url: str) -> None:
    """Pages neither overlap nor miss what was there at the first of them, whatever is added meanwhile."""
    rows = [Row(taken=_LEAP_DAY + timedelta(days=day // 3)) for day in range(10)]
    await write(database_url, rows)
    request = _search(page_size=3)
    seen: list[str] = []
    while True:
        response = await client.SearchPictures(request)
        seen += _ids(response)
        await write(database_url, [Row(taken=_LEAP_DAY + timedelta(days=99))])
        request.page_token = response.next_page_token
        if not request.page_token:
            break
    assert seen == [str(row.picture_id) for row in sorted(rows, key=lambda row: (row.taken, row.picture_id))][::-1]


async def test_a_token_is_for_its_search_alone(client: LibraryServiceStub, database_url: str) -> None:
    """A token for another query, order or collection, or a changed one, is INVALID_ARGUMENT."""
    await write(database_url, [Row(), Row()])
    await write(database_url, [Row(), Row()], "other")
    token = (await client.SearchPictures(_search(page_size=1))).next_page_token
    assert token
    foreign = [
        _search(page_token=token, query=pb.PictureQuery(text="a")),
        _search(page_token=token, order=pb.PICTURE_ORDER_ADDED_OLDEST),
        _search(page_token=token, collection="other"),
        _search(page_token=token[:-2] + ("AA" if token[-2:] != "AA" else "BB")),
        *(_search(page_token=text) for text in ("x", "ä", "AAAA", token + "AAAA", "=" * 9)),
    ]
    for request in foreign:
        assert await refused(client.SearchPictures(request)) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


@pytest.mark.parametrize("microseconds", [2**63 - 1, -(2**63)])
async def test_a_forged_token_is_refused(client: LibraryServiceStub, microseconds: int) -> None:
    """A token that leads to no time is INVALID_ARGUMENT, also from who knows how tokens are made."""
    content = struct.pack(">q16s", microseconds, bytes(16))
    asked = pb.SearchPicturesRequest(collection="pictures", query=pb.PictureQuery()).SerializeToString()
    token = base64.urlsafe_b64encode(hashlib.blake2b(asked + content, digest_size=16).digest() + content).decode()
    request = _search(page_token=token.rstrip("="))
    assert await refused(client.SearchPictures(request)) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


async def test_hidden_pictures_are_not_found(client: LibraryServiceStub, database_url: str) -> None:
    """What lies in the trash is found there alone, redirects nowhere, and no collection shows another's."""
    shown, deleted = Row(file_name="a b.jpg"), Row(file_name="a c.jpg", deleted=_LEAP_DAY)
    await write(database_url, [shown, deleted, Row(redirect_id=shown.picture_id)])
    await write(database_url, [Row(file_name="a d.jpg")], "other")
    for query in (pb.PictureQuery(), pb.PictureQuery(text="a"), pb.PictureQuery(file_name="A ")):
        assert _ids(await client.SearchPictures(_search(query=query))) == [str(shown.picture_id)]
        query.in_trash = True
        assert _ids(await client.SearchPictures(_search(query=query))) == [str(deleted.picture_id)]
        assert not _ids(await client.SearchPictures(_search(query=query, collection="unheard-of")))


async def test_names_are_found_as_they_are(client: LibraryServiceStub, database_url: str) -> None:
    """Quotes, signs, emoji, other scripts and long names are found by themselves, and find nothing else."""
    rows = {text: _named(text) for text in _HOSTILE}
    await write(database_url, list(rows.values()))
    for text, row in rows.items():
        terms = pb.TermFilter(all_of=[text])
        queries = [
            pb.PictureQuery(people=pb.PeopleFilter(all_of=[text])),
            pb.PictureQuery(people=pb.PeopleFilter(only=[text])),
            *(pb.PictureQuery(labels=terms), pb.PictureQuery(categories=terms), pb.PictureQuery(file_name=text)),
            *(pb.PictureQuery(place_prefix=text), pb.PictureQuery(place_prefix=f"s3://bucket/{text}")),
        ]
        for query in queries:
            assert _ids(await client.SearchPictures(_search(query=query))) == [str(row.picture_id)], query
        found = _ids(await client.SearchPictures(_search(query=pb.PictureQuery(text=text))))
        assert found == [str(row.picture_id)] * bool(words(text)), text


def _named(text: str) -> Row:
    return Row(
        file_name=text,
        faces=[Named(f"id of {text}", text)],
        labels=[(text,)],
        texts=[text],
        categories=[text],
        places=[("", text), ("bucket", text)],
    )


async def test_times_are_points_in_time(client: LibraryServiceStub, database_url: str) -> None:
    """A span begins with its begin and ends before its end, in whatever zone and on leap days, to the microsecond."""
    await write(database_url, [Row(taken=_LEAP_DAY)])

    async def finds(begin: datetime, end: datetime) -> bool:
        span = pb.TimeRange(begin=begin, end=end)
        return bool(_ids(await client.SearchPictures(_search(query=pb.PictureQuery(taken=span)))))

    moment = timedelta(microseconds=1)
    assert await finds(_LEAP_DAY, _LEAP_DAY + moment)
    assert not await finds(_LEAP_DAY - moment, _LEAP_DAY)
    assert not await finds(_LEAP_DAY + moment, datetime.max.replace(tzinfo=UTC))
    assert await finds(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


async def test_a_response_stays_below_the_limit_of_a_message(client: LibraryServiceStub, database_url: str) -> None:
    """Pictures with much to show make shorter pages, below gRPC's default limit; together they are all of them."""
    texts = [f"{number} " + "x" * 1900 for number in range(400)]
    rows = [Row(texts=texts) for _ in range(7)]
    await write(database_url, rows)
    first = await client.SearchPictures(_search())
    assert 1 < len(first.pictures) < len(rows)
    assert first.ByteSize() < 4 * 1024 * 1024
    second = await client.SearchPictures(_search(page_token=first.next_page_token))
    assert sorted(_ids(first) + _ids(second)) == sorted(str(row.picture_id) for row in rows)


@pytest.mark.parametrize(
    "request_",
    [
        _search(order=9),
        _search(page_size=-1),
        _search(query=pb.PictureQuery(states=[0])),
        _search(query=pb.PictureQuery(states=[99])),
        _search(query=pb.PictureQuery(verdict_states=[0])),
        _search(query=pb.PictureQuery(sha256="abc")),
        _search(query=pb.PictureQuery(text="\0")),
        _search(query=pb.PictureQuery(text="x" * 501)),
        _search(query=pb.PictureQuery(people=pb.PeopleFilter(only=["a"] * 9))),
    ],
    ids=lambda request: str(request).replace("\n", " ")[:40],
)
async def test_what_cannot_be_asked_is_refused(client: LibraryServiceStub, request_: pb.SearchPicturesRequest) -> None:
    """What the library does not know, or is over its limit, is INVALID_ARGUMENT rather than an empty page."""
    assert await refused(client.SearchPictures(request_)) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


async def test_pages_have_at_most_a_thousand(client: LibraryServiceStub, database_url: str) -> None:
    """A page has 100 pictures by default, and never more than 1000."""
    await write(database_url, [Row() for _ in range(1001)])
    assert len(_ids(await client.SearchPictures(_search()))) == 100
    response = await client.SearchPictures(_search(page_size=5000))
    assert len(_ids(response)) == 1000
    assert response.next_page_token

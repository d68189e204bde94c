"""Search finds exactly what looking at each picture finds, page by page, whichever way the database takes."""

import asyncio
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marquee.library.v1 import library_pb2 as pb
from marquee.v1 import recognizer_pb2 as v1
from services.library.database.database import Database
from services.library.search import finding
from services.library.search.search import Search
from tests.support import library
from tests.support.library_reference import found
from tests.support.library_rows import Named, Row, write

_PEOPLE = [
    *(("ann", "Änn Lee"), ("ann-2", "ANN LEE"), ("bob", "Bob"), ("carl", "Carl O'Hara"), ("dora", "")),
    *(("", "Bob"), ("", "Émile"), ("emile", "Emile"), ("ann", "Ann Smith"), ("x' | y", "\\'; --")),
]
_LABELS = [("Dog", "Animal", "Pet"), ("Cat", "Animal"), ("Tree",), ("Straße", "Road"), ("🎉",), ("Ubermensch",)]
_CATEGORIES = ["Holidays", "Ärzte", "Work & Play"]
_TEXTS = ["STOP", "It's 東京都", "100% off_now", "שָׁלוֹם עולם", "a b c", "été"]
_FILES = ["IMG_1.jpg", "100%.png", "a_b\\c.webp", "Été à Paris.JPG", "🎉.jpg", "img_10.jpg"]
_PLACES = [
    ("photos", "2024/a.jpg"),
    ("photos", "2024%/b.jpg"),
    ("photos-2", "x"),
    ("", "/home/a_b/c.jpg"),
    ("", "d.jpg"),
]
_OUTCOMES = [v1.OUTCOME_OK, v1.OUTCOME_PARTIAL, v1.OUTCOME_ERROR]
_LEAP_DAY = datetime(2024, 2, 29, tzinfo=UTC)


def _rows(count: int) -> list[Row]:
    chance = random.Random(7)  # noqa: S311 - the same pictures each time

    def some(values: list[Any], most: int) -> list[Any]:
        return chance.sample(values, chance.randint(0, most))

    def time() -> datetime:
        return _LEAP_DAY + timedelta(hours=chance.randint(0, 200), microseconds=chance.choice((0, 0, 1)))

    states = [state for state in pb.PictureState.values() if state]
    rows = [
        Row(
            file_name=chance.choice(_FILES),
            state=chance.choice(states),
            taken=time(),
            added=time(),
            deleted=time() if chance.random() < 0.1 else None,
            faces=[
                Named(person_id, name, score=chance.randint(0, 4) / 4, state=chance.choice((1, 1, 1, 2, 3)))
                for person_id, name in some(_PEOPLE, 3)
            ],
            labels=some(_LABELS, 3),
            moderation_labels=some([("Beer", "Alcohol"), ("Wine", "Alcohol")], 1),
            texts=some(_TEXTS, 2),
            categories=some(_CATEGORIES, 2),
            recognizers=[(name, chance.choice(_OUTCOMES), chance.randint(0, 3)) for name in some(["svm", "Keras"], 2)],
            places=some(_PLACES, 2),
        )
        for _ in range(count)
    ]
    return [*rows, *(Row(redirect_id=row.picture_id) for row in rows[:3])]


_ROWS = _rows(700)
_ENTRIES = [
    "ann",
    "ANN",
    "ann lee",
    "bob",
    "BOB",
    "emile",
    "dora",
    "carl o'hara",
    "nobody",
    "",
    "x' | y",
    "\\'; --",
    "'",
]
_NAMES = ["dog", "ANIMAL", "strasse", "road", "🎉", "alcohol", "übermensch", "Nothing", "", "'|", "tree & cat"]
_TEXT_QUERIES = [
    "stop",
    "sto",
    "東京",
    "京",
    "都",
    "100%",
    "img 1",
    "paris été",
    "שלום",
    "!!!",
    "it's",
    "a b",
    "' | 'x",
    "🎉",
]
_PREFIXES = [
    "s3://photos/",
    "s3://photos",
    "s3://",
    "s3://photos/2024%",
    "/home/a_b",
    "/home/a%",
    "d",
    "s3://photos/2024/a",
]


def _entries(values: list[str], most: int = 3) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), max_size=most)


def _sparse(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return one that gives None four times in five, so that a query asks for a few things only."""
    return st.sampled_from((0, 0, 0, 0, 1)).flatmap(lambda is_set: strategy if is_set else st.none())


def _filters(values: list[str], **more: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    three = {"all_of": _entries(values, 2), "any_of": _entries(values), "none_of": _entries(values, 2)}
    return st.fixed_dictionaries({name: _sparse(one) for name, one in (three | more).items()})


def _spans(values: st.SearchStrategy[Any], names: tuple[str, str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({name: st.none() | values for name in names})


_TIMES = st.integers(0, 200).map(lambda hours: _LEAP_DAY + timedelta(hours=hours))
_QUERIES = st.fixed_dictionaries(
    {
        "people": _sparse(
            _filters(_ENTRIES, only=_entries(_ENTRIES, 4), count=_spans(st.integers(-1, 4), ("min", "max")))
        ),
        "labels": _sparse(_filters(_NAMES)),
        "categories": _sparse(_filters(["holidays", "ARZTE", "work & play", "none", ""])),
        "recognizers": _sparse(_filters(["svm", "keras", "none"])),
        "verdict_states": _sparse(st.lists(st.integers(1, 4), max_size=2)),
        "states": _sparse(st.lists(st.integers(1, 5), max_size=2)),
        "taken": _sparse(_spans(_TIMES, ("begin", "end"))),
        "added": _sparse(_spans(_TIMES, ("begin", "end"))),
        "score": _sparse(_spans(st.sampled_from((0.0, 0.25, 0.5, 1.0)), ("min", "max"))),
        "text": _sparse(st.sampled_from(_TEXT_QUERIES)),
        "file_name": _sparse(st.sampled_from(["IMG", "100%", "a_b\\", "a%", "ete a", "🎉", "x"])),
        "cost": _sparse(_spans(st.integers(0, 5), ("min_micro_usd", "max_micro_usd"))),
        "in_trash": _sparse(st.booleans()),
        "sha256": _sparse(st.sampled_from([row.sha256.hex() for row in _ROWS[:3]])),
        "place_prefix": _sparse(st.sampled_from(_PREFIXES)),
    }
).map(lambda values: pb.PictureQuery(**_set(values)))


def _set(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values that are there, also within."""
    there = {name: value for name, value in values.items() if value is not None}
    return {name: _set(value) if isinstance(value, dict) else value for name, value in there.items()}


Order: TypeAlias = "pb.PictureOrder.ValueType"
Found = Callable[[pb.SearchPicturesRequest], list[str]]


@pytest.fixture(scope="module")
def all_found(postgres: Path) -> Iterator[Found]:
    """Return a function that gives the picture_ids of all pages of a query."""
    with asyncio.Runner() as runner:
        own = library.database(postgres)
        url = runner.run(own.__aenter__())
        runner.run(write(url, _ROWS))
        database = Database(url, 2)
        yield lambda request: runner.run(_pages(Search(database), request))
        runner.run(database.close())
        runner.run(own.__aexit__(None, None, None))


async def _pages(search: Search, request: pb.SearchPicturesRequest) -> list[str]:
    ids: list[str] = []
    request.page_token = ""
    while True:
        response = await search.search(request)
        assert len(response.pictures) <= (request.page_size or 100)
        ids += [picture.picture_id for picture in response.pictures]
        request.page_token = response.next_page_token
        if not request.page_token:
            return ids


_SETTINGS = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
_ORDER = st.sampled_from(pb.PictureOrder.values())


@_SETTINGS
@given(_QUERIES, _ORDER)
def test_search_finds_what_fits(all_found: Found, query: pb.PictureQuery, order: Order) -> None:
    """All pages together are the pictures that fit, each once, in the order asked for."""
    request: Any = pb.SearchPicturesRequest(collection="pictures", query=query, order=order, page_size=400)
    assert all_found(request) == found(_ROWS, query, order)


@_SETTINGS
@given(query=_QUERIES, order=_ORDER, size=st.integers(5, 40), sorted_most=st.sampled_from((0, 20, 300)))
def test_bounds_change_no_answer(
    all_found: Found, query: pb.PictureQuery, order: Order, size: int, sorted_most: int
) -> None:
    """However few pictures a page may read before it takes another way or ends, all of them find the same."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"PROBE": 50, "WALK": 250, "MOST_SORTED": sorted_most}.items():
            patch.setattr(finding, name, value)
        request: Any = pb.SearchPicturesRequest(collection="pictures", query=query, order=order, page_size=size)
        assert all_found(request) == found(_ROWS, query, order)

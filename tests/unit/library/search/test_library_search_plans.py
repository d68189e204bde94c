"""How the database finds pictures among 200,000: by which index, and after how many rows."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from marquee.library.v1 import library_pb2 as pb
from services.library.database.database import Database
from services.library.search.finding import FURTHER, MOST_SORTED, PROBE, WALK
from services.library.search.search import Search
from tests.support import library
from tests.support.library_crowd import PEOPLE, fill

pytestmark = pytest.mark.slow
_COUNT = 200_000
_TAKEN, _ADDED, _SEARCH = "picture_taken_idx", "picture_added_idx", "picture_search_idx"


def _labels(*names: str, none_of: str = "") -> pb.PictureQuery:
    return pb.PictureQuery(labels=pb.TermFilter(all_of=names, none_of=[none_of] if none_of else []))


def _people(**filters: list[str]) -> pb.PictureQuery:
    return pb.PictureQuery(people=pb.PeopleFilter(**filters))


@pytest.fixture(scope="module")
def crowd(postgres: Path) -> Iterator[tuple[asyncio.Runner, str]]:
    """Return a loop and the URL of the pictures' database."""
    with asyncio.Runner() as runner:
        own = library.database(postgres)
        url = runner.run(own.__aenter__())
        runner.run(fill(url, _COUNT, whole=False))
        yield runner, url
        runner.run(own.__aexit__(None, None, None))


async def _scans(url: str, request: pb.SearchPicturesRequest) -> list[dict[str, Any]]:
    """Return the plans' scans of pictures of the statements by which the request is answered, but for showing them."""
    statements: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        if "FROM picture" in statement and "unnest($1" not in statement:
            statements.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    database = Database(url, 1)
    try:
        await Search(database).search(request)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
        await database.close()
    connection = await asyncpg.connect(url)
    plans = [
        json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *parameters))
        for statement, parameters in statements
    ]
    await connection.close()
    return [scan for plan in plans for scan in _scans_of(plan[0]["Plan"])]


def _scans_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "Scan" in plan["Node Type"] and (plan.get("Relation Name") == "picture" or "Index Name" in plan):
        yield plan
    for child in plan.get("Plans", ()):
        yield from _scans_of(child)


def _rows_read(scan: dict[str, Any]) -> int:
    removed = scan.get("Rows Removed by Filter", 0) + scan.get("Rows Removed by Index Recheck", 0)
    return int((scan["Actual Rows"] + removed) * scan["Actual Loops"])


@pytest.mark.parametrize(
    ("query", "indexes", "most_rows"),
    [
        pytest.param(pb.PictureQuery(), {_TAKEN}, 101, id="everything"),
        pytest.param(_labels("Everywhere"), {_TAKEN}, 110, id="nearly everything"),
        pytest.param(_labels("Even"), {_TAKEN}, 1500, id="one in ten"),
        pytest.param(_labels("Rare", "Rarer"), {_TAKEN, _SEARCH}, 2 * PROBE + 10, id="rare and rare"),
        pytest.param(_labels("Even", "Sometimes"), {_TAKEN, _SEARCH}, 2 * PROBE + 20, id="common and rare"),
        pytest.param(_labels("Even", "Odd"), {_TAKEN, _SEARCH}, 2 * PROBE, id="never together"),
        pytest.param(_labels("Even", none_of="Everywhere"), {_TAKEN, _SEARCH}, 2 * PROBE, id="never without"),
        pytest.param(_labels("Old"), {_TAKEN, _SEARCH}, 2 * PROBE + MOST_SORTED, id="long ago"),
        pytest.param(_people(none_of=["person-0"]), {_TAKEN}, 200, id="none of somebody"),
        pytest.param(_labels(none_of="Everywhere"), {_TAKEN}, 2 * WALK, id="what nearly all have"),
        pytest.param(_people(only=["person-0"]), {_TAKEN}, 2 * PROBE * (1 + FURTHER), id="only"),
        pytest.param(_people(only=["person-4900"]), {_TAKEN, _SEARCH}, 2 * PROBE + 100, id="only somebody rare"),
        pytest.param(pb.PictureQuery(text=PEOPLE[900][1]), {_TAKEN, _SEARCH}, 2 * PROBE + 2000, id="free text"),
        pytest.param(pb.PictureQuery(file_name="IMG_01234"), {_TAKEN, "picture_name_idx"}, 2 * PROBE + 100, id="file"),
        pytest.param(pb.PictureQuery(states=[4]), {"picture_state_idx"}, 0, id="a rare state"),
        pytest.param(pb.PictureQuery(score=pb.ScoreRange(min=2)), {_TAKEN}, 2 * WALK, id="no such score"),
    ],
)
def test_pictures_are_found_by_an_index(
    crowd: tuple[asyncio.Runner, str], query: pb.PictureQuery, indexes: set[str], most_rows: int
) -> None:
    """Rare, common and never meeting terms alike are found after few rows, by the index that fits them."""
    runner, url = crowd
    scans = runner.run(_scans(url, pb.SearchPicturesRequest(collection="pictures", query=query)))
    assert not [scan for scan in scans if scan["Node Type"] == "Seq Scan"]
    assert {scan["Index Name"] for scan in scans if "Index Name" in scan} == indexes
    assert sum(_rows_read(scan) for scan in scans if scan["Node Type"] != "Bitmap Index Scan") <= most_rows


def test_a_deep_page_reads_no_more_than_the_first(crowd: tuple[asyncio.Runner, str]) -> None:
    """A later page is found from its place on, not by going through those before."""
    runner, url = crowd

    async def token() -> str:
        database = Database(url, 1)
        request = pb.SearchPicturesRequest(collection="pictures", page_size=100, order=pb.PICTURE_ORDER_ADDED_NEWEST)
        for _ in range(3):
            request.page_token = (await Search(database).search(request)).next_page_token
        await database.close()
        return request.page_token

    request = pb.SearchPicturesRequest(collection="pictures", page_size=100, order=pb.PICTURE_ORDER_ADDED_NEWEST)
    request.page_token = runner.run(token())
    (scan,) = runner.run(_scans(url, request))
    assert (scan["Index Name"], _rows_read(scan)) == (_ADDED, 101)

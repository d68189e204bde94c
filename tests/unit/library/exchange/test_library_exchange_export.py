"""ExportPictures: files of pictures, as they were at one moment, that leave nothing open."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.v1 import recognizer_pb2 as v1
from services.library.exchange import export, table
from services.runtime.server import deadline
from tests.support.library import library_server
from tests.support.servers import nobody

HOSTILE = (
    *("'; DROP TABLE picture; --", "../../etc/passwd", "=HYPERLINK(1)", '"a",b;c', "%s%n{0}$1:name", "x" * 190),
    *("👩‍👩‍👧🏴‍☠️", "\u202e\u0645\u0631\u062d\u0628", "a\nb\r\nc\u2028d", "\ufeff\u200b", "İıſ"),
)
LITTLE = (("grpc.http2.lookahead_bytes", 64 * 1024), ("grpc.http2.bdp_probe", 0))
PEOPLE = [f"person {number}" for number in range(40)]


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[LibraryServiceStub]:
    """Serve a library without workers, whose connections are enough for one export; its client takes in little."""
    settings = {"s3_allowed": ("b",), "library_workers": 0}
    async with (
        library_server(database_url, tmp_path, nobody(), **settings) as address,
        grpc.aio.insecure_channel(address, options=LITTLE) as channel,
    ):
        yield LibraryServiceStub(channel)


async def add(client: LibraryServiceStub, *people: str, collection: str = "", **found: Any) -> list[str]:
    """Import an answer for each of the people; return their pictures' identifiers."""
    answers = [
        pb.ImportedAnswer(
            s3_object=v1.S3Object(bucket="b", key=f"{number} {name}"),
            result=v1.RecognizerResult(recognizer="svm", outcome=v1.OUTCOME_OK, **{**named(name), **found}),
            create_time=Timestamp(seconds=1),
        )
        for number, name in enumerate(people)
    ]
    response = await client.ImportAnswers(pb.ImportAnswersRequest(answers=answers, collection=collection))
    assert [one.imported for one in response.results] == [True] * len(people)
    return [one.picture_id for one in response.results]


def named(name: str) -> dict[str, Any]:
    return {"image_candidates": [v1.Candidate(display_name=name, score=0.9)]}


async def add_large(client: LibraryServiceStub, count: int) -> None:
    """Import pictures whose lines are 200 KB long."""
    urls = ["x" * 2000] * 16
    crowd = [v1.Candidate(display_name=f"somebody {number}", score=0.9, urls=urls) for number in range(6)]
    for start in range(0, count, 5):
        await add(client, *PEOPLE[start : min(start + 5, count)], image_candidates=crowd)


async def exported(client: LibraryServiceStub, **fields: Any) -> list[pb.ExportPicturesResponse]:
    return [piece async for piece in client.ExportPictures(pb.ExportPicturesRequest(**fields))]


def lines(pieces: list[pb.ExportPicturesResponse]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in b"".join(piece.content for piece in pieces).splitlines()]


def rows(pieces: list[pb.ExportPicturesResponse]) -> list[dict[str, str]]:
    text = b"".join(piece.content for piece in pieces).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def export_rows(url: str) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(url)
    found = await connection.fetch("SELECT * FROM export ORDER BY create_time")
    await connection.close()
    return [dict(one) for one in found]


async def drained(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def ended(url: str) -> dict[str, Any]:
    """Return the row of the only export, once it has ended."""
    while True:
        (row,) = await export_rows(url)
        if row["end_time"] is not None:
            return row


async def test_an_export_has_what_the_query_finds(client: LibraryServiceStub, database_url: str) -> None:
    """Pictures come by rising picture_id, of one collection, and the export is written down with its query."""
    ids = await add(client, "Raj", "Nina", "Raj")
    await add(client, "Raj", collection="other")
    query = pb.PictureQuery(people=pb.PeopleFilter(all_of=["raj"]))
    pieces = await exported(client, query=query)
    found = lines(pieces)
    assert [one["picture_id"] for one in found] == sorted([ids[0], ids[2]])
    assert {one["collection"] for one in found} == {"pictures"}
    assert found[0]["answers"][0]["result"]["recognizer"] == "svm"
    assert (pieces[0].estimated_count, pieces[-1].picture_count) == (2, 2)
    (written,) = await export_rows(database_url)
    assert (str(written["export_id"]), written["picture_count"]) == (pieces[0].export_id, 2)
    assert pb.PictureQuery.FromString(written["query"]) == query
    assert written["caller"] == "anonymous"
    assert written["end_time"] is not None


async def test_a_collection_without_pictures_is_an_empty_file(client: LibraryServiceStub, database_url: str) -> None:
    """What is not there is no error: JSON Lines have no line, CSV has its titles."""
    assert lines(await exported(client, collection="none")) == []
    (piece,) = await exported(client, collection="none", format=pb.EXPORT_FORMAT_CSV)
    assert piece.content == table.head()
    assert await export_rows(database_url) == []


async def test_texts_come_back_as_they_were(client: LibraryServiceStub) -> None:
    """Names of objects, people and labels survive in JSON Lines; in CSV each picture is a row without formulas."""
    labels = [v1.Label(name=name, score=0.5) for name in HOSTILE]
    await add(client, *HOSTILE, labels=labels)
    found = lines(await exported(client))
    assert [one["places"][0]["s3_object"]["key"] for one in found] == [f"{n} {name}" for n, name in enumerate(HOSTILE)]
    assert [one["faces"][0]["verdict"]["display_name"] for one in found] == list(HOSTILE)
    assert {label["name"] for label in found[0]["labels"]} == set(HOSTILE)
    in_table = rows(await exported(client, format=pb.EXPORT_FORMAT_CSV))
    assert [one["picture_id"] for one in in_table] == [one["picture_id"] for one in found]
    assert [one["name"] for one in in_table if one["name"].startswith(tuple("=+-@"))] == []


async def test_pieces_are_whole_lines_of_at_most_a_mebibyte(client: LibraryServiceStub) -> None:
    """Long files come in several pieces that each end with a line; counts rise with them."""
    await add_large(client, 12)
    pieces = await exported(client)
    assert len(pieces) == 3
    assert all(len(one.content) <= export.MOST_BYTES and one.content.endswith(b"\n") for one in pieces)
    assert [one.picture_count for one in pieces] == [5, 10, 12]
    assert [one.estimated_count for one in pieces] == [12, 0, 0]
    assert len(lines(pieces)) == 12


async def test_a_file_is_of_one_moment(client: LibraryServiceStub, database_url: str) -> None:
    """What is added or changed after the first piece is not in the file."""
    await add_large(client, 30)
    stream = aiter(client.ExportPictures(pb.ExportPicturesRequest()))
    pieces = [await anext(stream)]
    await add(client, "late")
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE picture SET file_name = 'changed'")
    await connection.close()
    assert (await export_rows(database_url))[0]["end_time"] is None
    pieces += [piece async for piece in stream]
    assert len(lines(pieces)) == 30
    assert "changed" not in {one["file_name"] for one in lines(pieces)}


async def test_a_cancelled_export_leaves_nothing_open(client: LibraryServiceStub, database_url: str) -> None:
    """While one runs, another is refused for now; cancelled, it ends its transaction, and the next one is served."""
    await add_large(client, 30)
    call = client.ExportPictures(pb.ExportPicturesRequest())
    await call.read()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await exported(client)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    call.cancel()
    assert 0 < (await ended(database_url))["picture_count"] < 30
    connection = await asyncpg.connect(database_url)
    idle = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()"
    assert await connection.fetchval(idle) == 0
    await connection.close()
    assert len(lines(await exported(client))) == 30


async def test_an_export_waits_for_an_erasure_to_end(client: LibraryServiceStub, database_url: str) -> None:
    """One that begins while an erasure lists exports reads only once that has ended, without the erased picture."""
    await add(client, "Raj", "Nina")
    connection = await asyncpg.connect(database_url)
    erasure = connection.transaction()
    await erasure.start()
    lock = "SELECT pg_advisory_xact_lock_shared($1, collection_id) FROM collection"
    await connection.fetch(lock, export.RECORD_LOCK)
    exporting = asyncio.create_task(exported(client))
    waiting = """
    SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
    WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted
    """
    while not await connection.fetchval(waiting):
        pass
    await connection.execute("DELETE FROM picture WHERE file_name LIKE '%Raj'")
    await erasure.commit()
    await connection.close()
    assert [one["file_name"] for one in lines(await exporting)] == ["1 Nina"]


async def test_an_export_that_nobody_reads_ends(
    client: LibraryServiceStub, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller who takes no piece for long loses the call, so that others get their turn."""
    await add_large(client, 30)
    monkeypatch.setattr(export, "STALL_SECONDS", 0.1)
    call = client.ExportPictures(pb.ExportPicturesRequest())
    await call.read()
    assert (await ended(database_url))["picture_count"] < 30
    with pytest.raises(grpc.aio.AioRpcError, match="Nobody has read"):
        await drained(call)


async def test_an_export_takes_its_time(client: LibraryServiceStub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a deadline it goes on for longer than other calls may."""
    await add_large(client, 30)
    monkeypatch.setattr(deadline, "DEFAULT_DEADLINE_SECONDS", 0.01)
    assert len(lines(await exported(client))) == 30


async def test_an_unknown_format_is_refused(client: LibraryServiceStub) -> None:
    """A format that this release does not have is INVALID_ARGUMENT."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await exported(client, format=9)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT

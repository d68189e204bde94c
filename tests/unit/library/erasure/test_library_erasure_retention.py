"""Retention and the maintenance: what happens to pictures in time, with one replica or several."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from pydantic import ValidationError

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from services.library.database.database import Database
from services.library.erasure.retention import Rule, rules_of
from services.library.erasure.sweep import Sweep
from services.library.settings import LibrarySettings
from services.library.store.store import Store
from services.runtime.errors import Misconfigured
from tests.support import library
from tests.support.library import added, refused
from tests.support.processes import PATIENCE
from tests.support.servers import nobody, picture


async def until(database: asyncpg.Connection, condition: str) -> None:
    """Wait until the database says so."""
    async with asyncio.timeout(PATIENCE):
        while not await database.fetchval(f"SELECT {condition}"):  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.02)


def test_rules_are_read_as_they_are_written() -> None:
    """A collection, a category in one or in all, with the category's name folded."""
    assert rules_of("") == ()
    assert rules_of(" visits=30, */Été = 7".replace(" = ", "=")) == (Rule("visits", "", 30), Rule("*", "ete", 7))


@pytest.mark.parametrize(
    "setting", ["visits", "visits=0", "visits=-1", "=3", "a b=3", "visits=1.5", "x=99999999", "x/=3"]
)
def test_a_rule_that_is_none_is_refused(setting: str) -> None:
    """A server does not start with a rule that might mean something else."""
    with pytest.raises(ValidationError):
        LibrarySettings(library_retention=setting)


async def test_pictures_are_erased_when_their_time_has_come(
    client: LibraryServiceStub, database: asyncpg.Connection, database_url: str, tmp_path: Path
) -> None:
    """The trash empties itself, and retention erases by age, by the fewest days; what is younger says when it ends."""
    old, trashed, filed, young = [await added(client, picture((size, 9))) for size in (9, 10, 11, 12)]
    other = await added(client, collection="other")
    await database.execute("UPDATE picture SET create_time = now() - interval '40 days'")
    await database.execute("UPDATE picture SET create_time = now() WHERE picture_id = $1", uuid.UUID(young.picture_id))
    for one in (trashed, filed):
        await database.execute(
            "UPDATE picture SET create_time = now() - interval '8 days' WHERE picture_id = $1",
            uuid.UUID(one.picture_id),
        )
    await client.DeletePicture(pb.DeletePictureRequest(picture_id=trashed.picture_id))
    await database.execute("UPDATE picture SET expire_time = now() WHERE delete_time IS NOT NULL")
    await database.execute(
        "WITH made AS (INSERT INTO category (category_id, collection_id, name, folded_name) "
        "SELECT $1, collection_id, 'Visits', 'visits' FROM picture WHERE picture_id = $1 RETURNING category_id) "
        "INSERT INTO picture_category (picture_id, category_id, source) SELECT category_id, category_id, 2 FROM made",
        uuid.UUID(filed.picture_id),
    )
    rules = {"library_retention": "pictures=30,*/visits=7"}
    async with library.library(database_url, tmp_path / "store", nobody(), library_workers=0, **rules) as other_client:
        await until(database, "count(*) = 2 FROM picture")
        await until(database, "count(*) = 3 FROM receipt WHERE complete")
        shown = (await other_client.GetPicture(pb.GetPictureRequest(picture_id=young.picture_id))).picture
        assert shown.expire_time.ToDatetime() - shown.create_time.ToDatetime() == timedelta(days=30)
        key = {"picture_id": other.picture_id, "collection": "other"}
        assert not (await other_client.GetPicture(pb.GetPictureRequest(**key))).picture.HasField("expire_time")
    kinds = {
        row["id"]: row["reason"]
        for row in await database.fetch(
            "SELECT picture_id::text AS id, data ->> 'reason' AS reason FROM event WHERE type = 'picture.erased'"
        )
    }
    assert kinds == {old.picture_id: "retention", trashed.picture_id: "trash", filed.picture_id: "retention"}
    code = await refused(client.GetPicture(pb.GetPictureRequest(picture_id=old.picture_id)))
    assert code == ("NOT_FOUND", "PICTURE_NOT_FOUND")


async def test_an_interrupted_erasure_is_completed(
    client: LibraryServiceStub, database: asyncpg.Connection, database_url: str, tmp_path: Path
) -> None:
    """A process that ends after the rows and before the files leaves a receipt, by which the files go all the same."""
    shown = await added(client)
    (file,) = (tmp_path / "store").rglob(shown.sha256)
    content = file.read_bytes()
    await client.ErasePicture(pb.ErasePictureRequest(picture_id=shown.picture_id))
    file.write_bytes(content)
    await database.execute("UPDATE receipt SET complete = false, create_time = now() - interval '1 hour'")
    async with library.library(database_url, tmp_path / "store", nobody(), library_workers=0):
        await until(database, "bool_and(complete) FROM receipt")
    assert not file.exists()


async def test_a_store_that_is_away_delays_the_files_alone(
    client: LibraryServiceStub, database: asyncpg.Connection, tmp_path: Path
) -> None:
    """The rows go; the call says that the store fails, and the same call succeeds once it is back."""
    shown = await added(client, request_id="add")
    (file,) = (tmp_path / "store").rglob(shown.sha256)
    content = file.read_bytes()
    file.unlink()
    file.mkdir()
    request = pb.ErasePictureRequest(picture_id=shown.picture_id, request_id="erase")
    assert (await refused(client.ErasePicture(request)))[0] == "UNAVAILABLE"
    assert await database.fetchval("SELECT count(*) FROM picture") == 0
    file.rmdir()
    file.write_bytes(content)
    receipt = (await client.ErasePicture(request)).receipt
    assert receipt.objects == [file.as_uri()]
    assert not file.exists()


async def test_names_leave_a_receipt_after_a_day(
    client: LibraryServiceStub, database: asyncpg.Connection, database_url: str, tmp_path: Path
) -> None:
    """A receipt keeps its numbers and forgets files and places; requests are forgotten, too."""
    shown = await added(client, path="ada.jpg", request_id="a")
    kept = await added(client, picture((9, 9)), request_id="b")
    first = await client.ErasePicture(pb.ErasePictureRequest(picture_id=shown.picture_id, request_id="c"))
    await database.execute("UPDATE receipt SET create_time = now() - interval '25 hours'")
    await database.execute("UPDATE request SET create_time = now() - interval '25 hours' WHERE request_id <> 'b'")
    async with library.library(database_url, tmp_path / "store", nobody(), library_workers=0):
        await until(database, "bool_and(brief) FROM receipt")
        await until(database, "count(*) = 1 FROM request")
    again = (await client.ErasePicture(pb.ErasePictureRequest(picture_id=shown.picture_id))).receipt
    assert again.erased == first.receipt.erased
    assert not again.objects
    assert again.beyond_reach
    assert not [one for one in again.beyond_reach if "ada.jpg" in one]
    assert kept.picture_id == (await added(client, picture((9, 9)), request_id="b")).picture_id


async def test_replicas_take_turns(
    client: LibraryServiceStub, database: asyncpg.Connection, database_url: str, tmp_path: Path
) -> None:
    """Several replicas that begin at once erase each picture once."""
    for size in range(9, 19):
        shown = await added(client, picture((size, 9)))
        await client.DeletePicture(pb.DeletePictureRequest(picture_id=shown.picture_id))
    await database.execute("UPDATE picture SET expire_time = now()")
    store = tmp_path / "store"
    async with (
        library.library(database_url, store, nobody(), library_workers=0),
        library.library(database_url, store, nobody(), library_workers=0),
    ):
        await until(database, "count(*) = 0 FROM picture")
        await until(database, "bool_and(complete) FROM receipt")
    assert await database.fetchval("SELECT count(*) FROM receipt") == 10
    assert [path for path in store.rglob("*") if path.is_file()] == []


async def test_files_without_a_picture_are_swept(client: LibraryServiceStub, database_url: str, tmp_path: Path) -> None:
    """Old files that no picture has go, with halves of files; pictures' files, new files and foreign names stay."""
    shown = await added(client)
    folder = tmp_path / "store"
    names = [
        f"1/ab/ab{'0' * 62}",
        f"1/ab/ab{'0' * 62}.webp",
        f"1/ab/.ab{'0' * 62}.{'1' * 32}.partial",
        "1/ab/notes.txt",
    ]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"picture")
    (folder / f"1/ab/ab{'1' * 62}").write_bytes(b"new")
    for name in (*names, f"1/{shown.sha256[:2]}/{shown.sha256}"):
        os.utime(folder / name, (0, 0))
    database = Database(database_url)
    assert await Sweep(database, Store(folder.as_uri())).run(datetime.now(UTC) - timedelta(days=1)) == 3
    left = {path.name for path in folder.rglob("*") if path.is_file()}
    assert left == {"library", "notes.txt", f"ab{'1' * 62}", shown.sha256}
    await database.close()


async def test_a_folder_of_many_files_is_swept(database_url: str, tmp_path: Path) -> None:
    """However many files the store names at a time, those without a picture go."""

    class Crowded(Store):
        async def names(self, before: datetime) -> AsyncIterator[list[str]]:  # noqa: ARG002 - as the store has it
            yield [f"1/00/{number:064x}" for number in range(20_000)]

        async def erase(self, name: str, before: datetime | None = None) -> list[str]:  # noqa: ARG002 - as above
            return [name]

    database = Database(database_url)
    assert await Sweep(database, Crowded(tmp_path.as_uri())).run(datetime.now(UTC)) == 20_000
    await database.close()


async def test_the_store_of_another_database_is_not_swept(database_url: str, tmp_path: Path) -> None:
    """A library that is given a store by mistake, such as a new one that of an old one, erases nothing there."""
    (tmp_path / "library").write_bytes(b"another")
    database = Database(database_url)
    with pytest.raises(Misconfigured, match="another database"):
        await Sweep(database, Store(tmp_path.as_uri())).run(datetime.now(UTC))
    await database.close()

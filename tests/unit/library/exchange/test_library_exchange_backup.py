"""A library restored from a dump, by the commands of docs/backup.md, goes on where the dump was taken."""

import asyncio
import os
import re
import shlex
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from local import postgres
from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.v1 import recognizer_pb2 as v1
from services.library.database.migration import is_current
from tests.support.library import library
from tests.support.processes import PATIENCE, ROOT, run
from tests.support.servers import Scripted, candidate, gateway, leaf, nobody, picture, result

WAITING = (pb.PICTURE_STATE_PENDING, pb.PICTURE_STATE_UNSPECIFIED)
PAGE = (ROOT / "docs/backup.md").read_text()


def commands(*programs: str) -> Iterator[str]:
    """Yield the page's command for each of the programs."""
    for program in programs:
        (command,) = re.findall(rf"^ *({program} .*)$", PAGE, re.MULTILINE)
        yield command


def typed(command: str, folder: Path, **variables: str) -> None:
    """Type a command of the page, with the embedded server's programs."""
    own = f"PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH\n"  # the page's `python` is this one
    programs = own + "\n".join(re.findall("^PACKAGE=.*$|^PATH=.*$", PAGE, re.MULTILINE))
    done = run(["bash", "-ec", f"{programs}\n{command}"], cwd=folder, env=os.environ | variables)
    assert done.returncode == 0, done.stderr


@asynccontextmanager
async def restored(server: Path, source: str, folder: Path) -> AsyncIterator[str]:
    """Dump a database, restore it into another one, raise its events' positions, and yield its URL."""
    name = f"r{uuid.uuid4().hex}"
    url = postgres.url(server, name)
    dump, *others = commands("pg_dump", "createdb", "pg_restore", "vacuumdb")
    typed(dump, folder, DATABASE=source)
    try:
        for command in others:
            typed(command.replace("library_restored", name), folder, SERVER=postgres.url(server), RESTORED=url)
        await execute(url, *re.findall("^UPDATE event .*;$", PAGE, re.MULTILINE))
        yield url
    finally:
        await execute(postgres.url(server), f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def events(client: LibraryServiceStub, cursor: str = "", size: int = 100) -> pb.ListEventsResponse:
    return await client.ListEvents(pb.ListEventsRequest(cursor=cursor, page_size=size))


async def names(client: LibraryServiceStub, text: str) -> list[str]:
    response = await client.SearchPictures(pb.SearchPicturesRequest(query=pb.PictureQuery(text=text)))
    return [one.file_name for one in response.pictures]


async def add(client: LibraryServiceStub, width: int, *, wait: bool = False) -> pb.Picture:
    image = v1.Image(content=picture((width, 6)))
    response = await client.AddImage(pb.AddImageRequest(image=image, path=f"{width}.jpg", wait=wait))
    return response.picture


async def recognized(client: LibraryServiceStub, picture_id: str) -> None:
    """Return once the picture is recognized."""
    async with asyncio.timeout(PATIENCE):
        while (await client.GetPicture(pb.GetPictureRequest(picture_id=picture_id))).picture.state in WAITING:  # noqa: ASYNC110 - a worker changes it
            await asyncio.sleep(0.05)


async def test_a_restored_library_goes_on(database_url: str, postgres: Path, tmp_path: Path) -> None:
    """It has the pictures and finds them, goes on from readers' cursors, and recognizes what was waiting."""
    store = tmp_path / "store"
    svm = Scripted("svm", result=result("svm", image_candidates=[candidate("Ada")]))
    async with leaf(svm) as recognizer, gateway({"svm": recognizer}) as up:
        async with library(database_url, store, up) as client:
            await add(client, 10, wait=True)
            cursor = (await events(client, size=1)).next_cursor
        async with library(database_url, store, nobody()) as client:
            waiting = await add(client, 20)
            before = (await events(client, cursor)).events
        async with restored(postgres, database_url, tmp_path) as url, library(url, store, up) as client:
            assert await is_current(url)
            await recognized(client, waiting.picture_id)
            assert sorted(await names(client, "ada")) == ["10.jpg", "20.jpg"]
            assert (await add(client, 10)).state == pb.PICTURE_STATE_RECOGNIZED
            after = (await events(client, cursor)).events
            assert [one.type for one in after[: len(before)]] == [one.type for one in before]
            new = (await events(client, str(before[-1].event_id + 1000))).events
            assert [one.type for one in new] == [one.type for one in after[len(before) - 1 :]]

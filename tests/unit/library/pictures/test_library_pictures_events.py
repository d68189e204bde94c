"""Events, which readers follow by a cursor while others write."""

import asyncio

import asyncpg

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.v1 import recognizer_pb2
from tests.support.library import refused
from tests.support.servers import picture

_INSERT = "INSERT INTO event (collection_id, type) SELECT collection_id, $2 FROM collection WHERE name = $1"


async def listed(client: LibraryServiceStub, cursor: str = "", **fields: object) -> tuple[list[str], str]:
    response = await client.ListEvents(pb.ListEventsRequest(cursor=cursor, **fields))
    return [one.type for one in response.events], response.next_cursor


async def test_what_happens_to_a_picture_is_listed(client: LibraryServiceStub) -> None:
    """Adding a picture and a place of it are events with who did it, in the collection, and in no other."""
    for path in ("a.jpg", "b.jpg", "b.jpg"):
        request = pb.AddImageRequest(image=recognizer_pb2.Image(content=picture()), path=path, collection="own")
        added = await client.AddImage(request)
    response = await client.ListEvents(pb.ListEventsRequest(collection="own"))
    assert [one.type for one in response.events] == ["picture.added", "place.added"]
    assert {one.picture_id for one in response.events} == {added.picture.picture_id}
    assert {one.caller for one in response.events} == {"anonymous"}
    assert await listed(client, collection="other") == ([], "0")
    assert await listed(client, response.next_cursor, collection="own") == ([], response.next_cursor)


async def test_events_of_late_transactions_are_not_missed(client: LibraryServiceStub, database_url: str) -> None:
    """An event that is written first and committed last is listed after those that a reader has seen meanwhile."""
    slow, quick = [await asyncpg.connect(database_url) for _ in range(2)]
    await quick.execute("INSERT INTO collection (name) VALUES ('pictures')")
    transaction = slow.transaction()
    await transaction.start()
    await slow.execute(_INSERT, "pictures", "slow")
    await quick.execute(_INSERT, "pictures", "quick")
    seen, cursor = await listed(client)
    await transaction.commit()
    await quick.execute(_INSERT, "pictures", "last")
    assert (seen, (await listed(client, cursor))[0]) == (["quick"], ["slow", "last"])
    assert (await listed(client))[0] == ["quick", "slow", "last"]
    await slow.close()
    await quick.close()


async def test_readers_beside_writers_see_every_event_once(client: LibraryServiceStub, database_url: str) -> None:
    """Two readers that page by threes while four writers commit see all events, each once and in one order."""
    connections = [await asyncpg.connect(database_url) for _ in range(4)]
    await connections[0].execute("INSERT INTO collection (name) VALUES ('pictures')")

    async def write(number: int) -> None:
        for count in range(15):
            async with connections[number].transaction():
                await connections[number].execute(_INSERT, "pictures", f"{number}.{count}")
                await asyncio.sleep(0.001 * number)

    async def read() -> list[str]:
        seen: list[str] = []
        cursor = ""
        while len(seen) < 60:
            page, cursor = await listed(client, cursor, page_size=3)
            seen += page
        return seen

    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(read()) for _ in range(2)]
        for number in range(4):
            group.create_task(write(number))
    first, second = (one.result() for one in readers)
    assert first == second
    assert sorted(first) == sorted(f"{number}.{count}" for number in range(4) for count in range(15))
    for connection in connections:
        await connection.close()


async def test_a_cursor_that_is_none_is_refused(client: LibraryServiceStub) -> None:
    """A cursor comes from an earlier call; anything else is INVALID_ARGUMENT."""
    for cursor in ("x", "-1", "1.5", "٣", "9" * 30):
        asked = pb.ListEventsRequest(cursor=cursor)
        assert await refused(client.ListEvents(asked)) == ("INVALID_ARGUMENT", "INVALID_REQUEST")

"""Measure SearchPictures among a million pictures: queries of every kind, and page 1,000.

usage: PYTHONPATH=. python bench/library/search.py [--pictures 1000000] [--calls 100] [--folder FOLDER]

Starts an embedded PostgreSQL with its default memory, copies pictures with six million labels and half a million faces
into it, which takes about four minutes and 5 GB, and a library in a process of its own. Calls go over loopback one
after the other, each for a page of 100 pictures with all that is shown of them. Where a kind has several queries, they
take turns. Prints Markdown rows: p50, p99 and maximum of a call, pictures a page, and what database and processes take.
Everything is deleted at the end.
"""

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import asyncpg
import grpc

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from tests.support.library import measured_database
from tests.support.library_crowd import PEOPLE, VOCABULARY, fill
from tests.support.processes import memory_mib, server

WARM_UP = 5


def labels(*names: str, none_of: str = "") -> pb.PictureQuery:
    """Return the query for pictures with all of these labels, and without the other."""
    return pb.PictureQuery(labels=pb.TermFilter(all_of=names, none_of=[none_of] if none_of else []))


def people(**filters: Sequence[str]) -> pb.PictureQuery:
    """Return the query for pictures of people."""
    return pb.PictureQuery(people=pb.PeopleFilter(**filters))


KINDS = {
    "everything": [pb.PictureQuery()],
    "rare ∧ rare (0.02 %, 0.01 %)": [labels("Rare", "Rarer")],
    "common ∧ rare (10 %, 0.03 %)": [labels("Even", "Sometimes")],
    "10 % ∧ 10 % that never meet": [labels("Even", "Odd")],
    "10 % ∧ ¬ what they all have": [labels("Even", none_of="Everywhere")],
    "one person, frequent to rare": [people(all_of=[PEOPLE[number][1]]) for number in (0, 9, 99, 999, 4999)],
    "none of a person, frequent to rare": [people(none_of=[f"person-{number}"]) for number in (0, 9, 99, 999, 4999)],
    "only one person, frequent to rare": [people(only=[f"person-{number}"]) for number in (0, 9, 99, 999, 4999)],
    "only two people": [people(only=[f"person-{number}", f"person-{2 * number + 1}"]) for number in (0, 9, 99, 999)],
    "free text: name, text, file": [
        *(pb.PictureQuery(text=PEOPLE[number][1]) for number in (3, 333, 3333)),
        *(pb.PictureQuery(text=VOCABULARY[number]) for number in (3, 333, 3333)),
        pb.PictureQuery(text="img 0123456"),
    ],
    "beginning of a file's name": [pb.PictureQuery(file_name=f"IMG_0{number}") for number in (1, 12, 1234, 123456)],
    "10 %, all of them long ago": [labels("Old")],
    "none of what 99.9 % have": [labels(none_of="Everywhere")],
    "a score that none has": [pb.PictureQuery(score=pb.ScoreRange(min=2))],
}
DEEP = {"page 1,000 of everything": pb.PictureQuery(), "page 1,000 of 10 %": labels("Even")}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1_000_000)
    parser.add_argument("--calls", type=int, default=100, help="of each kind")
    parser.add_argument("--folder", type=Path, help="on the disk to measure; default: the temporary folder")
    args = parser.parse_args()
    with measured_database(args.folder) as (folder, url):
        measure(folder, url, args.pictures, args.calls)


def measure(folder: Path, url: str, pictures: int, calls: int) -> None:
    """Serve a library of so many pictures with its data in the folder, and search it."""
    begin = time.perf_counter()
    asyncio.run(fill(url, pictures))
    print(f"{pictures} pictures copied in {time.perf_counter() - begin:.0f} s.\n")
    settings = {
        "MARQUEE_LIBRARY_DATABASE_URL": url,
        "MARQUEE_LIBRARY_STORE": (folder / "store").as_uri(),
        "MARQUEE_LIBRARY_WORKERS": "0",
        "MARQUEE_LOG_LEVEL": "warning",
    }
    with server("services.library", os.environ | settings) as library:
        asyncio.run(report(library.address, calls))
        print()
        asyncio.run(say_sizes(url))
        print(f"| memory of the library's process | {memory_mib(library.process.pid):.0f} MiB |")


async def report(address: str, calls: int) -> None:
    """Print a row for each kind of query."""
    print("| query | p50 ms | p99 ms | max ms | pictures a page |\n|---|---|---|---|---|")
    async with grpc.aio.insecure_channel(address) as channel:
        await asyncio.wait_for(channel.channel_ready(), 60)
        client = LibraryServiceStub(channel)
        for kind, queries in KINDS.items():
            await row(client, kind, [pb.SearchPicturesRequest(query=query) for query in queries], calls)
        for kind, query in DEEP.items():
            await row(client, kind, [await deep(client, query, 1000)], calls)


async def row(client: LibraryServiceStub, kind: str, requests: Sequence[pb.SearchPicturesRequest], calls: int) -> None:
    """Print how long the calls take."""
    for request in requests * WARM_UP:
        await client.SearchPictures(request, wait_for_ready=True)
    seconds, found = [], []
    for request in islice(cycle(requests), calls):
        begin = time.perf_counter()
        response = await client.SearchPictures(request)
        seconds.append(1000 * (time.perf_counter() - begin))
        found.append(len(response.pictures))
    median, most = statistics.median(seconds), statistics.quantiles(seconds, n=100, method="inclusive")[98]
    page = f"{min(found)}" if min(found) == max(found) else f"{min(found)} to {max(found)}"
    print(f"| {kind} | {median:.1f} | {most:.1f} | {max(seconds):.1f} | {page} |", flush=True)


async def deep(client: LibraryServiceStub, query: pb.PictureQuery, number: int) -> pb.SearchPicturesRequest:
    """Return the request for the page of this number, for which all before it are read."""
    request = pb.SearchPicturesRequest(query=query)
    for _ in range(number - 1):
        response = await client.SearchPictures(request, wait_for_ready=True)
        if not response.next_page_token:
            break
        request.page_token = response.next_page_token
    return request


async def say_sizes(url: str) -> None:
    """Print what the database takes."""
    connection = await asyncpg.connect(url)
    print("| what | takes |\n|---|---|")
    total = await connection.fetchval("SELECT pg_size_pretty(pg_database_size(current_database()))")
    print(f"| the database on disk | {total} |")
    for name in ("picture", "label", "face", "answer", "place", "job"):
        size = await connection.fetchval("SELECT pg_size_pretty(pg_total_relation_size($1::regclass))", name)
        print(f"| of it, table {name} with its indexes | {size} |")
    index = await connection.fetchval("SELECT pg_size_pretty(pg_relation_size('picture_search_idx'))")
    print(f"| of it, the index of terms and words | {index} |")
    memory = await connection.fetchval("SHOW shared_buffers")
    print(f"| memory of the database for pages | {memory}, and the system's |")
    await connection.close()


if __name__ == "__main__":
    main()

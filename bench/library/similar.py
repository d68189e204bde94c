"""Measure FindSimilarFaces among a million faces: the nearest 20, what filters leave, and what the index misses.

usage: PYTHONPATH=. python bench/library/similar.py [--faces 1000000] [--calls 100] [--samples 100] [--mib 1024]
    [--folder FOLDER]

Starts an embedded PostgreSQL with its default memory, copies synthetic faces at an EER of 1 % into it, and a library
in a process of its own, which builds the index. Calls go over loopback one after the other, each for the 20 faces that
are nearest to another one. Filters are labels of pictures at random. Prints how long the index took and takes, Markdown
rows (p50, p99 and maximum of a call, the fewest faces found, how many calls compared all that fit), and recall@10
against comparing with all. A million faces take about 4 GB of disk; everything is deleted at the end.
"""

import argparse
import asyncio
import io
import os
import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import grpc
import numpy as np
from uuid6 import uuid7

from bench.library.synthetic import Crowd, Faces
from marquee.library.v1 import people_pb2 as pb
from marquee.library.v1.library_pb2 import PICTURE_STATE_RECOGNIZED, TIME_SOURCE_ADDED, PictureQuery, TermFilter
from marquee.library.v1.people_pb2_grpc import PeopleServiceStub
from marquee.v1 import recognizer_pb2
from services.library.faces.vectors import as_text
from services.library.search.folding import fold
from services.library.search.terms import TermKind, term
from tests.support.library import measured_database
from tests.support.processes import server

FILTERS = {"50": 50, "5,000": 4_850, "500,000": 500_000}
"""Faces that are left, about; 5,000 at most, which are compared one by one."""
LIMIT = 20
FACES_A_PERSON = 40
VERDICT = recognizer_pb2.Verdict(
    box=recognizer_pb2.BoundingBox(left=0.25, top=0.25, width=0.5, height=0.5),
    state=recognizer_pb2.VERDICT_STATE_UNKNOWN,
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=1_000_000)
    parser.add_argument("--calls", type=int, default=100, help="of each kind")
    parser.add_argument("--samples", type=int, default=100, help="faces by which recall is measured")
    parser.add_argument("--mib", type=int, default=1024, help="memory to build the index with")
    parser.add_argument("--folder", type=Path, help="on the disk to measure; default: the temporary folder")
    args = parser.parse_args()
    with measured_database(args.folder) as (folder, url):
        begin = time.perf_counter()
        ids = asyncio.run(fill(url, args.faces))
        print(f"{args.faces} faces copied in {time.perf_counter() - begin:.0f} s.")
        settings = {
            "MARQUEE_LIBRARY_DATABASE_URL": url,
            "MARQUEE_LIBRARY_STORE": (folder / "store").as_uri(),
            "MARQUEE_LIBRARY_WORKERS": "0",
            "MARQUEE_LIBRARY_INDEX_MIB": str(args.mib),
            "MARQUEE_LOG_LEVEL": "warning",
        }
        with server("services.library", os.environ | settings) as library:
            asyncio.run(report(library.address, url, ids, args))


async def fill(url: str, count: int) -> list[UUID]:
    """Copy so many faces into the database; return some of their face_ids."""
    connection = await asyncpg.connect(url)
    await connection.execute("INSERT INTO collection (name) VALUES ('pictures')")
    await connection.execute(
        "INSERT INTO vector_model (name, version, metric, dimensions) VALUES ('synthetic', '1', 'l2', 128);"
        "INSERT INTO used_model (collection_id, model_id) SELECT collection_id, model_id FROM collection, vector_model"
    )
    pictures: dict[int, UUID] = {}
    ids: list[UUID] = []
    for faces in Crowd(max(2, count // FACES_A_PERSON), 0.01).batches(count):
        own = [UUID(bytes=uuid7().bytes) for _ in faces.people]
        await _copy(connection, faces, own, pictures, count)
        ids += random.sample(own, max(1, len(own) * 1000 // count))
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
    return ids


async def _copy(connection: Any, faces: Faces, ids: Sequence[UUID], pictures: dict[int, UUID], count: int) -> None:
    numbers = [int(one) for one in faces.pictures]
    new = {one: UUID(bytes=uuid7().bytes) for one in dict.fromkeys(numbers) if one not in pictures}
    pictures |= new
    columns = ["picture_id", "collection_id", "state", "taken_time_source", "terms"]
    rows = [(one, 1, PICTURE_STATE_RECOGNIZED, TIME_SOURCE_ADDED, _terms(count)) for one in new.values()]
    await _put(connection, "picture", columns, rows)
    verdict = f"\\x{VERDICT.SerializeToString().hex()}"
    columns = ["face_id", "picture_id", "position", "state", "verdict", "tried_time"]
    values = zip(ids, numbers, strict=True)
    await _put(connection, "face", columns, [(i, pictures[n], 0, VERDICT.state, verdict, "now") for i, n in values])
    columns = ["face_id", "model_id", "collection_id", "picture_id", "vector"]
    vectors = zip(ids, numbers, faces.vectors, strict=True)
    await _put(connection, "face_vector", columns, [(i, 1, 1, pictures[n], as_text(v)) for i, n, v in vectors])


async def _put(connection: Any, table: str, columns: list[str], rows: Sequence[Sequence[object]]) -> None:
    text = "".join("\t".join(str(one).replace("\\", "\\\\") for one in row) + "\n" for row in rows)
    await connection.copy_to_table(table, source=io.BytesIO(text.encode()), columns=columns, format="text")


def _terms(count: int) -> str:
    """Return the labels of a picture, each at random, so that as many faces are left as its name says."""
    labels = [name for name, left in FILTERS.items() if random.random() < left / count]  # noqa: S311
    return " ".join(f"'{term(TermKind.LABEL, 1, fold(name))}'" for name in labels)


async def report(address: str, url: str, ids: Sequence[UUID], args: argparse.Namespace) -> None:
    """Wait for the index, search, and print."""
    connection = await asyncpg.connect(url)
    begin = time.perf_counter()
    while not await connection.fetchval("SELECT indexed FROM vector_model"):  # noqa: ASYNC110 - the library changes it
        await asyncio.sleep(0.2)
    size = await connection.fetchval("SELECT pg_relation_size('face_vector_model_1_idx')")
    seconds = time.perf_counter() - begin
    print(f"Index built in {seconds:.0f} s with {args.mib} MiB; it takes {size / 2**20:.0f} MiB. HNSW m = 16.\n")
    print(
        "| filter leaves | p50 ms | p99 ms | max ms | fewest found | compared all that fit |\n|---|---|---|---|---|---|"
    )
    async with grpc.aio.insecure_channel(address) as channel:
        people = PeopleServiceStub(channel)
        for name, query in {"all": None, **{name: _labelled(name) for name in FILTERS}}.items():
            chosen = random.choices(ids, k=args.calls + 5)  # noqa: S311
            print(f"| {name} | {await _measured(people, chosen, query)} |", flush=True)
        request = pb.CheckIndexRequest(sample_size=args.samples, neighbour_count=10)
        check = await people.CheckIndex(request, timeout=1800)
    print(
        f"\nrecall@10 {check.recall:.4f} of {check.sample_size} faces; {check.index_milliseconds:.1f} ms by the index,"
        f" {check.exact_milliseconds:.0f} ms comparing with all, at the median."
    )
    await connection.close()


async def _measured(people: PeopleServiceStub, ids: Sequence[UUID], query: PictureQuery | None) -> str:
    seconds, found, exact = [], [], 0
    for face_id in ids:
        begin = time.perf_counter()
        request = pb.FindSimilarFacesRequest(face_id=str(face_id), query=query, limit=LIMIT)
        response = await people.FindSimilarFaces(request, timeout=300)
        seconds.append(time.perf_counter() - begin)
        found.append(len(response.faces))
        exact += response.exact
    times = np.array(sorted(seconds[5:])) * 1000
    shown = (statistics.median(times), np.quantile(times, 0.99), times[-1])
    return " | ".join((*(f"{one:.1f}" for one in shown), str(min(found)), f"{exact} of {len(ids)}"))


def _labelled(name: str) -> PictureQuery:
    return PictureQuery(labels=TermFilter(all_of=[name]))


if __name__ == "__main__":
    main()

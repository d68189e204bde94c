"""Group synthetic faces in a library, and count the pairs of faces that it takes for one person's.

usage: PYTHONPATH=. python bench/library/grouping.py [--people 2000] [--faces 10000 30000 100000] [--eer 0.01 0.03]
                                                     [--folder FOLDER]

Starts an embedded PostgreSQL, copies faces of bench/library/synthetic.py into it, has the index of their vectors made,
and looks at each face as the library's worker does. The bands are measured on 400 other people. Prints Markdown rows:
precision and recall over pairs of faces in one cluster, the share of faces in a cluster, clusters, how many clusters a
person has that has any, time of all and of the last tenth, and memory. Everything is deleted at the end.
"""

import argparse
import asyncio
import resource
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import numpy as np
import numpy.typing as npt

from bench.library.synthetic import Crowd
from services.library.database.change import Changes
from services.library.database.database import Database
from services.library.faces.models import Indexes
from services.library.grouping.bands import Bands
from services.library.grouping.grouping import Grouping
from services.library.grouping.measuring import of_faces
from services.library.work.signals import Signals
from tests.support.library import measured_database
from tests.support.library_grouping import face_id, fill

INDEX_MIB = 256
KNOWN_PEOPLE, KNOWN_FACES = 400, 4000
COLUMNS = ("EER", "faces", "assign, suggest", "pair precision", "pair recall", "in a cluster", "clusters", "per person")
COSTS = ("s", "faces/s", "faces/s, last tenth", "MiB of the worker", "MiB of the tables")


class Run(NamedTuple):
    """How long it took."""

    seconds: float
    last_rate: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=2000)
    parser.add_argument("--faces", type=int, nargs="+", default=[10_000, 30_000, 100_000])
    parser.add_argument("--eer", type=float, nargs="+", default=[0.01, 0.03])
    parser.add_argument("--folder", type=Path, help="on the disk to use; default: the temporary folder")
    args = parser.parse_args()
    columns = (*COLUMNS, *COSTS)
    print(f"| {' | '.join(columns)} |", f"|{'---:|' * len(columns)}", sep="\n")
    for eer in args.eer:
        known = Crowd(KNOWN_PEOPLE, eer, seed=1).faces(KNOWN_FACES)
        if (bands := of_faces(known.people, known.vectors)) is None:
            raise SystemExit("So few people tell nothing.")
        for count in args.faces:
            with measured_database(args.folder) as (_, url):
                print(asyncio.run(measure(url, Crowd(args.people, eer), count, bands)), flush=True)


async def measure(url: str, crowd: Crowd, count: int, bands: Bands) -> str:
    """Group the faces; return the row."""
    await fill(url, crowd.batches(count), distances=(bands.assign, bands.suggest))
    database = Database(url, 4)
    try:
        await Indexes(database, INDEX_MIB).build()
        run = await look(Grouping(Changes(database), Signals(database)), count)
    finally:
        await database.close()
    connection = await asyncpg.connect(url)
    found = dict(await connection.fetch("SELECT face_id, cluster_id FROM face"))
    tables = await connection.fetchval("SELECT pg_database_size(current_database())") / 2**20
    await connection.close()
    people = np.concatenate([batch.people for batch in crowd.batches(count)])
    worker = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rates = f"{run.seconds:.0f} | {count / run.seconds:.0f} | {run.last_rate:.0f} | {worker:.0f} | {tables:.0f}"
    return (
        f"| {crowd.eer:.0%} | {count} | {bands.assign:.3f}, {bands.suggest:.3f} | {quality(found, people)} | {rates} |"
    )


async def look(grouping: Grouping, count: int) -> Run:
    """Look at all faces."""
    begin = time.perf_counter()
    times = [begin]
    while await grouping.step():
        times.append(time.perf_counter())
    tenth = len(times) // 10
    return Run(times[-1] - begin, count * tenth / (len(times) - 1) / (times[-1] - times[-1 - tenth]))


def quality(found: dict[object, object], people: npt.NDArray[np.int64]) -> str:
    """Return precision and recall of pairs, the share of grouped faces, the clusters, and those of a person."""
    shares: Counter[tuple[object, int]] = Counter(
        (cluster_id, person) for at, person in enumerate(people.tolist()) if (cluster_id := found[face_id(at)])
    )
    clusters: Counter[object] = Counter()
    for (cluster_id, _), size in shares.items():
        clusters[cluster_id] += size
    right, told = pairs(shares), pairs(clusters)
    per_person = len(shares) / max(1, len({person for _, person in shares}))
    grouped = clusters.total() / len(people)
    numbers = f"{right / told:.5f} | {right / pairs(Counter(people.tolist())):.3f}" if told else "none | 0"
    return f"{numbers} | {grouped:.1%} | {len(clusters)} | {per_person:.2f}"


def pairs(sizes: Mapping[Any, int]) -> int:
    """Return the number of pairs within groups of these sizes."""
    return sum(size * (size - 1) // 2 for size in sizes.values())


if __name__ == "__main__":
    main()

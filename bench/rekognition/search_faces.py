"""Measure how fast the local endpoint searches a collection.

usage: PYTHONPATH=. python bench/rekognition/search_faces.py [--faces 100000] [--searches 300]

Stores embeddings like dlib's (random directions, length 1.44) in one of the endpoint's collections, loads it again and
searches it on one core. Every answer is compared with that of a search in double precision.
"""

import argparse
import os
import statistics
import tempfile
import time
import uuid
from contextlib import closing
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is imported: the search is measured on one core

import numpy as np
import numpy.typing as npt

from local.rekognition.store.collections import CollectionStore, FaceStore, NewFace
from local.rekognition.store.database import Database
from local.rekognition.store.index import FaceIndex, IndexCache

LENGTH = 1.4445
"""The mean length of the embeddings of 110 measured faces."""
MOST = 80


def main() -> None:
    """Print the time to load the collection and to search it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--searches", type=int, default=300)
    args = parser.parse_args()
    random = np.random.default_rng(7)
    rows = random.standard_normal((args.faces, 128)).astype(np.float32)
    rows *= LENGTH / np.linalg.norm(rows, axis=1, keepdims=True)
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), rows)
        index, seconds = load(Path(folder))
    print(f"{args.faces} faces loaded in {seconds:.2f} s")
    queries = rows[random.integers(0, args.faces, args.searches)]
    queries += random.standard_normal(queries.shape).astype(np.float32) * 0.03
    report(index, rows, queries)


def fill(folder: Path, rows: npt.NDArray[np.float32]) -> None:
    """Create the collection `c` with a face for each row."""
    faces = [NewFace((number / len(rows), 0.0, 1.0, 1.0), 99.0, row) for number, row in enumerate(rows)]
    with closing(Database(folder)) as database:
        indexes = IndexCache(database)
        CollectionStore(database, indexes).create("c")
        for start in range(0, len(faces), 10_000):
            FaceStore(database, indexes).add("c", uuid.uuid4().hex, None, faces[start : start + 10_000])


def load(folder: Path) -> tuple[FaceIndex, float]:
    """Return the index that the first search after a start loads, and the seconds that loading takes."""
    before = time.perf_counter()
    with closing(Database(folder)) as database:
        index = IndexCache(database).faces("c")
    return index, time.perf_counter() - before


def report(index: FaceIndex, rows: npt.NDArray[np.float32], queries: npt.NDArray[np.float32]) -> None:
    """Time the searches one by one; print percentiles and how many answers equal those in double precision."""
    exact = rows.astype(np.float64)
    wall, processor, right = [], [], 0
    for embedding in queries:
        before, cpu_before = time.perf_counter(), time.process_time()
        matches = index.search(embedding, MOST, 0)
        processor.append(1000 * (time.process_time() - cpu_before))
        wall.append(1000 * (time.perf_counter() - before))
        distances = np.linalg.norm(exact - embedding.astype(np.float64), axis=1)
        nearest = {index.names[row] for row in np.argsort(distances)[:MOST]}
        right += nearest == {name for name, _ in matches}
    for what, times in (("wall", wall), ("processor", processor)):
        p95 = statistics.quantiles(times, n=20)[-1]
        print(f"search, {what}: p50 {statistics.median(times):.2f} ms, p95 {p95:.2f} ms")
    print(f"the same {MOST} faces as in double precision: {right} of {len(queries)}")


if __name__ == "__main__":
    main()

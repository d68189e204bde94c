"""Measure exports: pictures a second, and the memory that the library's process takes for them.

usage: PYTHONPATH=. python bench/library/export.py [--pictures 100000]

Starts PostgreSQL with that many made-up pictures of two faces, ten labels and three answers, and a library beside it.
Exports a tenth of them and all, in both forms. Prints Markdown rows: bytes, seconds, pictures a second, and resident
memory before and at its peak, read 50 times a second.
"""

import argparse
import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import asyncpg
import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.v1 import recognizer_pb2 as v1
from tests.support.library import measured_database
from tests.support.processes import memory_mib, server

FORMS = {"JSON Lines": pb.EXPORT_FORMAT_JSON_LINES, "CSV": pb.EXPORT_FORMAT_CSV}
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
_PICTURES = """
INSERT INTO picture (picture_id, collection_id, state, sha256, format, width, height, size_bytes, stored, file_name,
  taken_time, taken_time_source, cost_micro_usd, score)
SELECT uuidv7(make_interval(secs => number - $1)), 1, 2, sha256(number::text::bytea), 'JPEG', 4000, 3000, 3000000, true,
  'IMG_' || number || '.jpg', timestamptz '2024-01-01Z' + make_interval(mins => number), 1, 2000, 0.9
FROM generate_series(1, $1) AS number
"""
_ROWS = (
    """INSERT INTO place (place_id, picture_id, collection_id, kind, bucket, key, location)
    SELECT uuidv7(), picture_id, 1, 1, 'photos', 'archive/2024/' || file_name, sha256 FROM picture""",
    """INSERT INTO face (face_id, picture_id, position, state, person_id, display_name, score, verdict)
    SELECT uuidv7(), picture_id, position, 1, 'ada', 'Ada Lovelace', 0.9, $1
    FROM picture, generate_series(0, 1) AS position""",
    """INSERT INTO label (picture_id, position, name, score, content)
    SELECT picture_id, position, 'Boat', 0.9, $1 FROM picture, generate_series(0, 9) AS position""",
    """INSERT INTO answer (answer_id, picture_id, recognizer, model, version, source, outcome, cost_micro_usd, result)
    SELECT uuidv7(), picture_id, 'svm' || number, 'embedding', '1', 1, 1, 1000, $1
    FROM picture, generate_series(1, 3) AS number""",
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100_000)
    count = parser.parse_args().pictures
    with measured_database() as (folder, url):
        asyncio.run(fill(url, count))
        environment = {"MARQUEE_LIBRARY_DATABASE_URL": url, "MARQUEE_LIBRARY_STORE": (folder / "store").as_uri()}
        with server("services.library", environment | {"MARQUEE_LIBRARY_WORKERS": "0"}) as library:
            measure(library.address, library.process.pid, count)


async def fill(url: str, count: int) -> None:
    """Put made-up pictures into the collection."""
    connection = await asyncpg.connect(url)
    await connection.execute("INSERT INTO collection (name) VALUES ('pictures')")
    await connection.execute(_PICTURES, count)
    for statement, content in zip(_ROWS, (None, *(one.SerializeToString() for one in _contents())), strict=True):
        await connection.execute(statement, *((content,) if content else ()))
    await connection.execute("VACUUM (ANALYZE)")
    await connection.close()


def _contents() -> Iterator[v1.Verdict | v1.Label | v1.RecognizerResult]:
    box = v1.BoundingBox(left=0.1, top=0.2, width=0.3, height=0.4)
    candidate = v1.Candidate(person_id="ada", display_name="Ada Lovelace", score=0.9)
    support = [v1.Support(recognizer=name, candidate=candidate) for name in ("svm1", "svm2")]
    named = v1.Verdict(box=box, state=v1.VERDICT_STATE_IDENTIFIED, person_id="ada", display_name="Ada Lovelace")
    named.support.extend(support)
    yield named
    yield v1.Label(name="Boat", score=0.9, parents=["Vehicle", "Transport"])
    yield v1.RecognizerResult(recognizer="svm", faces=[v1.Face(box=box, candidates=[candidate])])


def measure(address: str, pid: int, count: int) -> None:
    """Export a tenth of the pictures and all, in both forms, and print a row for each."""
    options = (("grpc.max_receive_message_length", -1),)
    with grpc.insecure_channel(address, options=options) as channel:
        stub = LibraryServiceStub(channel)
        list(stub.ExportPictures(_request(pb.EXPORT_FORMAT_CSV, count // 100)))  # warms up
        print("| form | pictures | MB | seconds | pictures a second | MiB before | MiB at most |")
        print("|---|---|---|---|---|---|---|")
        for name, form in FORMS.items():
            for number in (count // 10, count):
                before = memory_mib(pid)
                with peak(pid) as found:
                    begin = time.monotonic()
                    pieces = [
                        (len(one.content), one.picture_count) for one in stub.ExportPictures(_request(form, number))
                    ]
                    seconds = time.monotonic() - begin
                size, exported = sum(length for length, _ in pieces) / 1e6, pieces[-1][1]
                row = (name, f"{exported:,}", f"{size:.1f}", f"{seconds:.1f}", f"{exported / seconds:,.0f}")
                print(f"| {' | '.join(row)} | {before:.0f} | {max(found):.0f} |", flush=True)


def _request(form: pb.ExportFormat.ValueType, number: int) -> pb.ExportPicturesRequest:
    """Return a request for about that many of the pictures, which are a minute apart."""
    end = Timestamp(seconds=int(BEGIN.timestamp()) + 60 * (number + 1))
    return pb.ExportPicturesRequest(format=form, query=pb.PictureQuery(taken=pb.TimeRange(end=end)))


@contextmanager
def peak(pid: int) -> Iterator[list[float]]:
    """Read the process's resident memory 50 times a second; yield the list that grows with it."""
    found, ended = [memory_mib(pid)], threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            found.append(memory_mib(pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


if __name__ == "__main__":
    main()

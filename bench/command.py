"""Measure the command beside a bare loop of the same calls, and how long one picture and an import take.

usage: PYTHONPATH=. python bench/command.py [--files 300] [--runs 5] [--slow 0.05]

Starts a server that answers every picture alike, at once. Prints Markdown rows: pictures a second of a loop of calls
without records and output, and of `marquee recognize` as JSON, CSV and tables, with 4 and 16 jobs, each the best of
RUNS in turn, its share of the loop, and the processor's time a picture, which other work on the machine changes less;
pictures a second against a server that takes SLOW seconds, by jobs; and the best time, and processor's time, of whole
processes: one picture, `import marquee` with a client, and the interpreter and gRPC alone.
"""

import argparse
import asyncio
import contextlib
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import grpc
from PIL import Image

from marquee.cli.commands import app
from marquee.requests import build_request
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.recognizer_pb2_grpc import RecognizerServiceStub
from tests.support.client import two_people
from tests.support.processes import free_port, spawn

METHOD = "/marquee.v1.RecognizerService/RecognizeImage"
OUTPUTS = ("json", "csv", "table")


class Taken(NamedTuple):
    """Seconds."""

    wall: float
    processor: float

    def best(self, other: "Taken") -> "Taken":
        """Return the less of each."""
        return Taken(min(self.wall, other.wall), min(self.processor, other.processor))


class Recognizer(grpc.GenericRpcHandler):
    """Answers every call with two faces after so many seconds, without looking at it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._answer = two_people().SerializeToString()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Return the only method's handler."""
        return grpc.unary_unary_rpc_method_handler(self._answer_to) if details.method == METHOD else None

    async def _answer_to(self, _request: bytes, _context: object) -> bytes:
        await asyncio.sleep(self._seconds)
        return self._answer


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--slow", type=float, default=0.05, metavar="SECONDS")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        asyncio.run(serve(args.serve, args.slow))
        return
    with tempfile.TemporaryDirectory() as folder:
        files = pictures(Path(folder), args.files)
        with server(0) as address:
            throughput(address, files, args.runs)
            processes(address, files[0], 3 * args.runs)
        with server(args.slow) as address:
            scaling(address, files, args.slow)


def throughput(address: str, files: Sequence[str], runs: int) -> None:
    """Print the pictures a second of the loop and of each way to call the command."""
    ways: dict[str, Callable[[], object]] = {"loop of calls": partial(loop, address, files)}
    for output in OUTPUTS:
        for jobs in (4, 16):
            ways[f"`-o {output} -j {jobs}`"] = partial(command, address, files, output, jobs)
    best = {name: Taken(float("inf"), float("inf")) for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            best[name] = best[name].best(taken(way))
    print(f"| {len(files)} pictures | pictures/s | share of the loop | processor, ms a picture |\n|---|---|---|---|")
    for name, one in best.items():
        share = best["loop of calls"].wall / one.wall
        print(f"| {name} | {len(files) / one.wall:.0f} | {share:.2f} | {1000 * one.processor / len(files):.2f} |")


def scaling(address: str, files: Sequence[str], slow: float) -> None:
    """Print the pictures a second against the slow server by jobs."""
    print(f"\n| `--jobs`, {1000 * slow:.0f} ms a picture | pictures/s | jobs / {slow} s |\n|---|---|---|")
    for jobs in (1, 4, 16, 64):
        some = files[: max(40, 8 * jobs)]
        rate = len(some) / taken(partial(command, address, some, "json", jobs)).wall
        print(f"| {jobs} | {rate:.0f} | {jobs / slow:.0f} |")


def processes(address: str, file: str, runs: int) -> None:
    """Print the best time of whole processes."""
    client = f"import marquee; marquee.Client({address!r})"
    rows = {
        "python": ["-c", ""],
        "python, `import grpc`": ["-c", "import grpc"],
        "`import marquee`, and a client": ["-c", client],
        "one picture, table": ["-m", "marquee", "recognize", "--address", address, file],
        "one picture, JSON": ["-m", "marquee", "recognize", "--address", address, file, "-o", "json"],
        "`marquee --help`": ["-m", "marquee", "--help"],
    }
    best = {name: Taken(float("inf"), float("inf")) for name in rows}
    for _ in range(runs):
        for name, arguments in rows.items():
            best[name] = best[name].best(taken(partial(execute, arguments)))
    print("\n| whole process | s | processor, s |\n|---|---|---|")
    for name, one in best.items():
        print(f"| {name} | {one.wall:.2f} | {one.processor:.2f} |")


def loop(address: str, files: Sequence[str]) -> None:
    """Call the server for each file, one after another, and do nothing with the answers."""
    with grpc.insecure_channel(address) as channel:
        stub = RecognizerServiceStub(channel)
        for file in files:
            answer: pb.RecognizeImageResponse = stub.RecognizeImage(build_request(file), timeout=12)
            assert answer.results  # noqa: S101 - what is measured are answers


def command(address: str, files: Sequence[str], output: str, jobs: int) -> None:
    """Run the command in this process, its output nowhere."""
    arguments = ["recognize", "--address", address, "-o", output, "-j", str(jobs), *files]
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123 - as a shell does
        code = app(arguments, standalone_mode=False)
    assert not code, code  # noqa: S101 - a failed run is no measurement


def execute(arguments: Sequence[str]) -> None:
    """Run Python as a process."""
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)


def taken(function: Callable[[], object]) -> Taken:
    """Return how long the function takes, with the processes that it starts."""
    begin, before = time.perf_counter(), os.times()
    function()
    return Taken(time.perf_counter() - begin, sum(os.times()[:4]) - sum(before[:4]))


def pictures(folder: Path, number: int) -> list[str]:
    """Write so many small pictures, all different; return their paths."""
    paths = [folder / f"{index:05}.jpg" for index in range(number)]
    for index, path in enumerate(paths):
        buffer = io.BytesIO()
        Image.effect_noise((96, 96), 20 + index % 50).save(buffer, "JPEG")
        path.write_bytes(buffer.getvalue())
    return [str(path) for path in paths]


@contextlib.contextmanager
def server(slow: float) -> Iterator[str]:
    """Serve in a process of its own; yield the address."""
    port = free_port()
    with spawn([sys.executable, __file__, "--serve", str(port), "--slow", str(slow)]):
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(60)
        yield f"127.0.0.1:{port}"


async def serve(port: int, slow: float) -> None:
    """Serve until killed."""
    running = grpc.aio.server()
    running.add_generic_rpc_handlers([Recognizer(slow)])
    running.add_insecure_port(f"127.0.0.1:{port}")
    await running.start()
    await running.wait_for_termination()


if __name__ == "__main__":
    main()

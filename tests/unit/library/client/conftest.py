"""A library over a gateway with one recognizer, which the client's and the command's tests call."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import grpc
import pytest
from structlog.testing import capture_logs

from marquee.library.v1.library_pb2_grpc import LibraryServiceServicer, add_LibraryServiceServicer_to_server
from marquee.v1 import recognizer_pb2 as pb
from tests.support.client import Result, marquee
from tests.support.library import library_server
from tests.support.servers import LEFT, RIGHT, Scripted, face, gateway, leaf, result

Command: TypeAlias = Callable[..., Awaitable[Result]]


@contextmanager
def serving(library: LibraryServiceServicer) -> Iterator[str]:
    """Serve a library whose answers a test chooses; yield the address."""
    server = grpc.server(ThreadPoolExecutor(2))
    add_LibraryServiceServicer_to_server(library, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield address
    finally:
        server.stop(0).wait()


@pytest.fixture
def command(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:  # noqa: ARG001 - sets the variable
    """Return what runs `marquee library` in an empty folder, beside the library's event loop."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    async def run(*arguments: str, stdin: bytes | None = None) -> Result:
        return await asyncio.to_thread(marquee, "library", *arguments, stdin=stdin)

    return run


@pytest.fixture
def recognizer() -> Scripted:
    """Find Anna, somebody unknown and a boat in every picture, for 7 millionths of a dollar."""
    boat = pb.Label(name="Boat", score=0.5, parents=["Vehicle"])
    found = result("svm", face(LEFT, "Anna"), face(RIGHT), labels=[boat], cost_micro_usd=7)
    return Scripted("svm", result=found)


@pytest.fixture
async def address(
    recognizer: Scripted, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[str]:
    """Serve the library at MARQUEE_LIBRARY_ADDRESS. Its log, which would be among the command's output, is dropped."""
    with capture_logs():
        async with (
            leaf(recognizer) as target,
            gateway({"svm": target}) as gateway_address,
            library_server(database_url, tmp_path / "store", gateway_address, s3_allowed="photos") as address,
        ):
            monkeypatch.setenv("MARQUEE_LIBRARY_ADDRESS", address)
            yield address

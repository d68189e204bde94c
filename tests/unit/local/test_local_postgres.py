"""The local system's PostgreSQL as a process."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from local import postgres
from tests.support.processes import PATIENCE, free_port, run, spawn, wait_until

COMMAND = (sys.executable, "-m", "local.postgres")


@asynccontextmanager
async def server(data: Path, **environment: str) -> AsyncIterator[tuple[subprocess.Popen[bytes], asyncpg.Connection]]:
    """Start the server; yield it with a connection once it accepts some."""
    with spawn([*COMMAND, data], env=os.environ | environment, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: process.poll() is not None or accepts(data))
        connection = await asyncpg.connect(postgres.url(postgres.socket_path(data).parent))
        try:
            yield process, connection
        finally:
            connection.terminate()
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)


def accepts(data: Path) -> bool:
    """Return whether the server accepts connections, which it does some time after it listens."""
    pid_file = data / "postmaster.pid"
    return pid_file.exists() and "ready" in pid_file.read_text()


async def test_data_survive_kill_and_stop(tmp_path: Path) -> None:
    """What was committed is there after kill -9; SIGINT ends it in order, whoever is connected."""
    async with server(tmp_path / "postgres") as (process, connection):
        await connection.execute("CREATE TABLE a AS SELECT 'Änne' AS b")
        process.kill()
        process.wait(PATIENCE)
        (tmp_path / "postgres/postmaster.pid").unlink()
    async with server(tmp_path / "postgres") as (process, connection):
        assert await connection.fetchval("SELECT lower(b) FROM a") == "änne"
        assert await connection.fetchval("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")
        assert await connection.fetchval("SHOW listen_addresses") == ""
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


async def test_a_long_path_has_its_socket_elsewhere(tmp_path: Path) -> None:
    """A path that is too long for a socket has it in a folder that nobody else can enter."""
    data = tmp_path / ("long" * 25) / "postgres"
    data.parent.mkdir()
    socket = postgres.socket_path(data)
    try:
        async with server(data) as (_, connection):
            assert await connection.fetchval("SELECT 1") == 1
        assert not socket.is_relative_to(tmp_path)
        assert socket.parent.stat().st_mode & 0o777 == 0o700
    finally:
        shutil.rmtree(socket.parent, ignore_errors=True)


async def test_a_folder_of_new_data_is_copied(tmp_path: Path) -> None:
    """Data that were made before, as in an image, need neither initdb nor a shell."""
    assert run([*COMMAND, tmp_path / "new", "--initdb"]).returncode == 0
    async with server(tmp_path / "postgres", MARQUEE_LOCAL_POSTGRES=str(tmp_path / "new")) as (_, connection):
        await connection.execute("CREATE TABLE a ()")
    copied = {path.name for path in (tmp_path / "new").iterdir()}
    assert "PG_VERSION" in copied
    assert "postmaster.pid" not in copied


async def test_it_answers_at_an_address(tmp_path: Path) -> None:
    """With --host it lets in whoever reaches the address, too."""
    port = free_port()
    command = [*COMMAND, "--host=127.0.0.1", tmp_path / "postgres"]
    with spawn(command, env=os.environ | {"PGPORT": str(port)}, stderr=subprocess.DEVNULL) as process:
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        wait_until(lambda: process.poll() is not None or accepts(tmp_path / "postgres"))
        connection = await asyncpg.connect(url, timeout=PATIENCE)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()

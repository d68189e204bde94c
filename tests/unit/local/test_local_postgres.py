"""Tests of PostgreSQL on this machine, as the stand-in of a cluster."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

import asyncpg
import pytest

from tests.support.processes import PATIENCE, free_port, spawn, wait_until

pytestmark = pytest.mark.slow


def test_it_answers_at_an_address() -> None:
    """New data are made, and whoever reaches the address is let in, for whom pgvector is there."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="marquee-pg-") as folder:  # whose path is short enough for a socket
        Path(folder).chmod(0o755)
        command = [sys.executable, "-m", "local.postgres", "--host=127.0.0.1", f"{folder}/data"]
        with spawn(command, env=os.environ | {"PGPORT": str(port)}):
            wait_until(lambda: _answers(port))
            assert asyncio.run(_extensions(port)) >= {"vector"}


def _answers(port: int) -> bool:
    try:
        asyncio.run(_extensions(port))
    except (OSError, asyncpg.PostgresError):
        return False
    return True


async def _extensions(port: int) -> set[str]:
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    connection = await asyncpg.connect(url, timeout=PATIENCE)
    try:
        return {row["name"] for row in await connection.fetch("SELECT name FROM pg_available_extensions")}
    finally:
        await connection.close()

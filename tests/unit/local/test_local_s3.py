"""Tests of the S3 server on this machine, which serves folders as buckets."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from mypy_boto3_s3 import S3Client

from tests.support.processes import PATIENCE, free_port, run, spawn, wait_until

pytestmark = pytest.mark.slow


@contextmanager
def _serving(*args: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    command = [sys.executable, "-m", "local.s3", "--port", str(port), *args]
    with spawn(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        yield process, port


def _client(port: int) -> "S3Client":
    keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
    return boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1", **keys)


def test_folder_is_a_bucket(tmp_path: Path) -> None:
    """A file's key is its path, any credentials can read it, and SIGTERM ends the server."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.txt").write_text("a")
    with _serving(f"bucket={tmp_path}") as (process, port):
        wait_until(lambda: _is_listening(port))
        with _client(port).get_object(Bucket="bucket", Key="deep/a.txt")["Body"] as body:
            assert body.read() == b"a"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_folder_must_exist(tmp_path: Path) -> None:
    """A missing folder is refused with the right form, and nothing is served."""
    result = run([sys.executable, "-m", "local.s3", f"bucket={tmp_path / 'none'}"])
    assert result.returncode == 2
    assert "must be BUCKET=FOLDER with an existing folder" in result.stderr


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

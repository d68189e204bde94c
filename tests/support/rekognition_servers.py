"""Servers that boto3 takes for AWS."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest import mock

import boto3
from starlette.applications import Starlette

from local import pictures
from local.rekognition import gallery
from local.rekognition.operations.backend import Backend
from local.rekognition.vision.view import Vision
from local.rekognition.wire.app import create_app, server
from local.rekognition.wire.protocol import operation_handler
from local.stack import CREDENTIALS
from services.runtime.storage.s3 import ObjectStore
from tests.support.s3_store import s3_store

BUCKET = "pics"
NOWHERE = "http://127.0.0.1:9"


@contextmanager
def demo_aws() -> Iterator[SimpleNamespace]:
    """Serve S3 with an empty bucket, and Rekognition with the demo's gallery: `url`, `s3_url`, and `s3`, a client."""
    with TemporaryDirectory() as folder, s3_store(BUCKET) as s3_url:
        pictures.write_gallery(Path(folder))
        with endpoint(Path(folder), s3_url) as url:
            s3 = boto3.Session().client("s3", endpoint_url=s3_url)
            yield SimpleNamespace(url=url, s3_url=s3_url, s3=s3)
            s3.close()


@contextmanager
def endpoint(folder: Path | None, s3_url: str = NOWHERE, **fields: Any) -> Iterator[str]:
    """Serve the local Rekognition endpoint with a gallery and other fields of its Backend.

    Yields its URL, with credentials in the environment.
    """
    vision = Vision()
    people, _ = gallery.read(folder, vision) if folder else (gallery.Gallery(), [])
    app = create_app(operation_handler(Backend(vision, ObjectStore(s3_url), people, **fields).operations()))
    with serving(app) as url, mock.patch.dict(os.environ, CREDENTIALS):
        yield url


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """Serve an app of the endpoint; yields its URL."""
    running = server(app)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=running.run, args=([listening],))
        thread.start()
        while not running.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            running.should_exit = True
            thread.join()

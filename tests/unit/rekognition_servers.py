"""Servers that boto3 takes for AWS."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import uvicorn
from moto.server import ThreadedMotoServer
from starlette.applications import Starlette

from local.rekognition import gallery, server
from local.rekognition.app import create_app
from local.rekognition.operations import Knowledge, operations
from local.rekognition.replies import answering
from local.rekognition.vision import Vision
from services.runtime.s3 import ObjectStore

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def s3_server() -> Iterator[str]:
    """Moto's S3; gives its URL."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def endpoint(folder: Path | None, s3_url: str, **told: Any) -> Iterator[str]:
    """The local Rekognition endpoint with a gallery, and `told` of its Knowledge; gives its URL."""
    vision = Vision()
    known, _ = gallery.read(folder, vision) if folder else (gallery.Gallery(), [])
    with serving(create_app(answering(operations(Knowledge(vision, ObjectStore(s3_url), known, **told))))) as url:
        yield url


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """An app of the endpoint's; gives its URL."""
    running = uvicorn.Server(server.config(app))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=running.run, args=([listening],))
        thread.start()
        while not running.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            running.should_exit = True
            thread.join()


class CannedAws(ThreadingHTTPServer):
    """Answers each operation as told, in AWS's form, and counts what it was asked."""

    daemon_threads = True

    def __init__(self, answers: dict[str, tuple[int, object]], delay: float = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Canned)
        self.answers = answers
        self.delay = delay
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Canned(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        self.rfile.read(int(self.headers["Content-Length"]))
        operation = self.headers["X-Amz-Target"].removeprefix("RekognitionService.")
        server.asked.append(operation)
        time.sleep(server.delay)
        status, told = server.answers[operation]
        body = told.encode() if isinstance(told, str) else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def canned_aws(answers: dict[str, tuple[int, object]], delay: float = 0) -> Iterator[CannedAws]:
    """A running CannedAws."""
    with CannedAws(answers, delay) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

"""Lambda's Runtime API, as https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html has it, for one function."""

import json
import os
import queue
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.background import in_background
from tests.support.processes import PATIENCE, spawn

_BASE = "/2018-06-01/runtime"
_FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:marquee"


class RuntimeApi(ThreadingHTTPServer):
    """Hands the function one event at a time, and gives back what it answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.answers: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.seconds = float(PATIENCE)

    def invoke(self, event: object) -> tuple[str, Any]:
        """("response", the result) or ("error", what was raised)."""
        self.events.put((uuid.uuid4().hex, event))
        return self.answers.get(timeout=PATIENCE)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert self.path == f"{_BASE}/invocation/next"
        request_id, event = self.server.events.get()
        body = json.dumps(event).encode()
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", request_id)
        self.send_header("Lambda-Runtime-Deadline-Ms", str(int((time.time() + self.server.seconds) * 1000)))
        self.send_header(
            "Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:marquee"
        )
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.answers.put((self.path.rpartition("/")[2], json.loads(body)))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running(handler: str, **environment: str) -> Iterator[RuntimeApi]:
    """The function in AWS's own runtime client."""
    with in_background(RuntimeApi()) as api:
        where = {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_address[1]}", "AWS_LAMBDA_FUNCTION_NAME": "marquee"}
        command = [sys.executable, "-m", "awslambdaric", handler]
        with spawn(command, env=os.environ | where | environment):
            yield api

"""An AWS whose answers a test makes up request by request."""

import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal

import boto3
from moto.server import create_backend_app
from werkzeug.serving import make_server

from services.rekognition.settings import RekognitionSettings
from tests.support.background import in_background

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

RESET = "reset"
"""An answer that is none: the connection breaks."""
Answer = tuple[int, object] | str
Script = Callable[[str, dict[str, Any]], Answer]
TABLE = "money"


class ScriptedAws(ThreadingHTTPServer):
    """Asks the script for each answer, JSON or a text as it is; remembers what it was asked, and when."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        self.requests: list[tuple[str, dict[str, Any], float]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def times(self, operation: str) -> list[float]:
        return [when for name, _, when in self.requests if name == operation]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        operation = self.headers["X-Amz-Target"].removeprefix("RekognitionService.")
        self.server.requests.append((operation, body, time.monotonic()))
        answer = self.server.script(operation, body)
        if isinstance(answer, str):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        status, response = answer
        content = response.encode() if isinstance(response, str) else json.dumps(response).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def finish(self) -> None:
        if not self.wfile.closed and self.connection.fileno() >= 0:
            super().finish()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def scripted_aws(script: Script) -> Iterator[ScriptedAws]:
    """A running ScriptedAws."""
    with in_background(ScriptedAws(script)) as server:
        yield server


def refusal(code: str, http_status: int = 400) -> Answer:
    return http_status, {"__type": code, "Message": "User: arn:aws:iam::123456789012:user/secret is not allowed"}


@contextmanager
def dynamodb() -> Iterator[str]:
    """Moto's DynamoDB with the table; gives its URL. One thread, since moto checks and writes in two steps."""
    server = make_server("127.0.0.1", 0, create_backend_app("dynamodb"), threaded=False)
    with in_background(server):
        url = f"http://127.0.0.1:{server.server_port}"
        client = boto3.Session().client("dynamodb", endpoint_url=url)
        with table(client, TABLE, pk="HASH", sk="RANGE"):
            yield url
        client.close()


@contextmanager
def table(client: "DynamoDBClient", name: str, **keys: Literal["HASH", "RANGE"]) -> Iterator[None]:
    """An empty one with these keys of texts."""
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    try:
        yield
    finally:
        client.delete_table(TableName=name)


def settings(url: str, **own: object) -> RekognitionSettings:
    """Settings for an AWS at the URL, with a rate that no test reaches and the patience of a busy machine."""
    patient = {"rekognition_connect_timeout_seconds": 60, "rekognition_read_timeout_seconds": 60}
    return RekognitionSettings(rekognition_endpoint_url=url, **(patient | {"rekognition_rate": 10_000} | own))

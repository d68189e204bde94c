"""Stand-ins for AWS: servers on this machine, responses scripted by a test, and a record of the permissions needed."""

import json
import os
import queue
import socket
import struct
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from unittest import mock

import boto3
import botocore.session
import yaml
from moto.server import DomainDispatcherApplication, create_backend_app
from starlette.types import ASGIApp
from werkzeug.serving import WSGIRequestHandler, make_server

from local import pictures
from local.rekognition import gallery
from local.rekognition.operations.backend import Backend
from local.rekognition.vision.view import Vision
from local.rekognition.wire.app import create_app, server
from local.rekognition.wire.protocol import operation_handler
from local.stack import CREDENTIALS
from services.rekognition.settings import RekognitionSettings
from services.runtime.storage.s3 import ObjectStore
from tests.support.processes import PATIENCE, ROOT, spawn

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Server = TypeVar("Server", bound=HTTPServer)


@contextmanager
def in_background(server: Server) -> Iterator[Server]:
    """Run the server in a thread of its own; yield it, and close it afterwards."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def s3_store(*buckets: str) -> Iterator[str]:
    """Serve S3 with these buckets and put credentials into the environment; yield its URL.

    All stores of a process share their buckets.
    """
    server = make_server("127.0.0.1", 0, _OneAtATime(), threaded=True, request_handler=_Quiet)
    with in_background(server), mock.patch.dict(os.environ, CREDENTIALS):
        url = f"http://127.0.0.1:{server.server_port}"
        _create(buckets, url)
        yield url


def _create(buckets: Sequence[str], url: str) -> None:
    client = boto3.Session().client("s3", endpoint_url=url)
    for bucket in buckets:
        client.create_bucket(Bucket=bucket)
    client.close()


class _OneAtATime:
    """Moto behind a lock: it checks If-Match before it writes, whereas S3 does both in one step."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with self._lock:
            return list(self._moto(environ, start_response))


class _Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        pass


RESET = "reset"
"""An answer that breaks the connection instead of responding."""
Answer = tuple[int, object] | str
Script = Callable[[str, dict[str, Any]], Answer]
TABLE = "money"


class ScriptedAws(ThreadingHTTPServer):
    """Answers each request from the script, with JSON or a text, and records the requests and their times."""

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
    """Run a ScriptedAws; yield it."""
    with in_background(ScriptedAws(script)) as server:
        yield server


def refusal(code: str, http_status: int = 400) -> Answer:
    return http_status, {"__type": code, "Message": "User: arn:aws:iam::123456789012:user/secret is not allowed"}


@contextmanager
def dynamodb() -> Iterator[str]:
    """Serve moto's DynamoDB with the table; yield its URL.

    It has one thread, since moto checks and writes in two steps.
    """
    server = make_server("127.0.0.1", 0, create_backend_app("dynamodb"), threaded=False)
    with in_background(server):
        url = f"http://127.0.0.1:{server.server_port}"
        client = boto3.Session().client("dynamodb", endpoint_url=url)
        with table(client, TABLE, pk="HASH", sk="RANGE"):
            yield url
        client.close()


@contextmanager
def table(client: "DynamoDBClient", name: str, **keys: Literal["HASH", "RANGE"]) -> Iterator[None]:
    """Create an empty table with these string keys; delete it afterwards."""
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
    """Return settings for an AWS at the URL, with a rate that no test reaches and timeouts for a busy machine."""
    patient = {"rekognition_connect_timeout_seconds": 60, "rekognition_read_timeout_seconds": 60}
    return RekognitionSettings(rekognition_endpoint_url=url, **(patient | {"rekognition_rate": 10_000} | own))


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

    Yields its URL and puts credentials into the environment.
    """
    vision = Vision()
    people, _ = gallery.read(folder, vision) if folder else (gallery.Gallery(), [])
    backend = Backend(vision, ObjectStore(s3_url), people, **fields)
    with (
        backend.operations() as operations,
        serving(create_app(operation_handler(operations))) as url,
        mock.patch.dict(os.environ, CREDENTIALS),
    ):
        yield url


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve an app of the endpoint; yield its URL."""
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


REGION, ACCOUNT = "us-east-1", "123456789012"
Permission = tuple[str, str]
"""An action, "rekognition:IndexFaces", and the resource's ARN, or "*" if the action has none."""


class Permissions(set[Permission]):
    """The permissions that the recorded calls need."""

    def take(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        """Handle `provide-client-params`: add the permissions of the call."""
        service, operation = str(model.service_model.service_name), str(model.name)
        self.update(
            {"rekognition": _rekognition, "s3": _s3, "dynamodb": _dynamodb, "sqs": _sqs}[service](operation, params)
        )


@contextmanager
def record_permissions() -> Iterator[Permissions]:
    """Record the permissions for all calls of the clients created inside the context."""
    calls = Permissions()
    create = botocore.session.Session.create_client

    def create_client(self: Any, *args: Any, **kwargs: Any) -> Any:
        client = create(self, *args, **kwargs)
        client.meta.events.register("provide-client-params.*.*", calls.take)
        return client

    botocore.session.Session.create_client = create_client
    try:
        yield calls
    finally:
        botocore.session.Session.create_client = create


def _rekognition(operation: str, params: dict[str, Any]) -> Iterator[Permission]:
    """Yield the call's permissions; Rekognition reads S3 objects with those of the caller."""
    named = params.get("CollectionId")
    collection = f"arn:aws:rekognition:{REGION}:{ACCOUNT}:collection/{named}"
    yield f"rekognition:{operation}", collection if named and operation != "CreateCollection" else "*"
    for picture in ("Image", "SourceImage", "TargetImage"):
        if reference := params.get(picture, {}).get("S3Object"):
            yield _read(reference["Bucket"], reference["Name"], versioned="Version" in reference)


def _s3(operation: str, params: dict[str, Any]) -> Iterator[Permission]:
    assert operation in ("GetObject", "HeadObject")
    yield "s3:ListBucket", f"arn:aws:s3:::{params['Bucket']}"  # else S3 says of a missing object that it is forbidden
    yield _read(params["Bucket"], params["Key"], versioned="VersionId" in params)


def _read(bucket: str, key: str, *, versioned: bool) -> Permission:
    return f"s3:GetObject{'Version' if versioned else ''}", f"arn:aws:s3:::{bucket}/{key}"


def _dynamodb(operation: str, params: dict[str, Any]) -> Iterator[Permission]:
    for table in params.get("RequestItems", [params.get("TableName")]):
        yield f"dynamodb:{operation}", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}"


def _sqs(operation: str, params: dict[str, Any]) -> Iterator[Permission]:
    account, name = params["QueueUrl"].split("/")[-2:]
    yield f"sqs:{operation.removesuffix('Batch')}", f"arn:aws:sqs:{REGION}:{account}:{name}"


_BASE = "/2018-06-01/runtime"
_FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:marquee"


class RuntimeApi(ThreadingHTTPServer):
    """Lambda's runtime API: hands the function one event at a time and returns its response."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _RuntimeHandler)
        self.events: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.answers: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.seconds = float(PATIENCE)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a function that is ended while it waits for its next event."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def invoke(self, event: object) -> tuple[str, Any]:
        """Return ("response", the result) or ("error", the exception)."""
        self.events.put((uuid.uuid4().hex, event))
        return self.answers.get(timeout=PATIENCE)


class _RuntimeHandler(BaseHTTPRequestHandler):
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


class _CloudFormation(yaml.SafeLoader):
    """YAML loader that drops CloudFormation's tags, such as !Ref."""


_CloudFormation.add_multi_constructor("!", lambda _, __, node: node.value)


def lambda_template() -> dict[str, Any]:
    """Return the function's template; of !Ref and the like only the value is left."""
    text = (ROOT / "deploy/lambda/template.yaml").read_text()
    template: dict[str, Any] = yaml.load(text, _CloudFormation)  # noqa: S506 - a SafeLoader
    return template


@contextmanager
def lambda_function(handler: str, log: Path | None = None, **environment: str) -> Iterator[RuntimeApi]:
    """Run the function in AWS's own runtime client; yield the API that invokes it. The log gets its standard error."""
    with in_background(RuntimeApi()) as api:
        where = {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_address[1]}", "AWS_LAMBDA_FUNCTION_NAME": "marquee"}
        command = [sys.executable, "-m", "awslambdaric", handler]
        environment = os.environ | where | environment
        with log.open("ab") if log else nullcontext() as stderr, spawn(command, env=environment, stderr=stderr):
            yield api

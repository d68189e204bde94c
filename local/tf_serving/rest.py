"""The REST API: states and metadata of models, as in model_servers/http_rest_api_handler.cc.

Paths: `kModelStatusApiRegex` in model_servers/http_rest_api_util.cc; codes: `ToHTTPStatusCode` in http_server.cc;
the form of an error: `MakeJsonFromStatus` in util/json_tensor.cc. Predictions are served over gRPC only.
"""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import uvicorn
from google.protobuf.json_format import MessageToDict, MessageToJson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2

from local.tf_serving.errors import Refusal, invalid
from local.tf_serving.servables import Servables
from local.tf_serving.status import model_status

_STATUS_PATH = re.compile(
    r"/v1/models(?:/([^/:]+))?(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?(?:/(metadata))?", re.IGNORECASE
)
_CODES = {grpc.StatusCode.INVALID_ARGUMENT: 400, grpc.StatusCode.NOT_FOUND: 404}


def application(servables: Servables) -> Starlette:
    """Return the application for an ASGI server."""

    def endpoint(request: Request) -> Response:
        try:
            return _response(_body(request.method, request.url.path, servables))
        except Refusal as exc:
            return _response(json.dumps({"error": exc.text}, indent=4), _CODES[exc.code])

    return Starlette(routes=[Route("/{path:path}", endpoint, methods=["GET", "POST"])])


@contextmanager
def rest_server(servables: Servables, host: str, port: int) -> Iterator[None]:
    """Serve REST in a thread: in the main one uvicorn would take the signals. Raises OSError if the port is taken."""
    server = uvicorn.Server(uvicorn.Config(application(servables), log_level="warning"))
    with socket.create_server((host, port)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), name="rest", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.should_exit = True
            thread.join()


def _body(method: str, path: str, servables: Servables) -> str:
    match = _STATUS_PATH.fullmatch(path) if method == "GET" else None
    if match is None:
        raise invalid(f"Malformed request: {method} {path}")
    name, version, label, metadata = match.groups()
    if not name:
        raise invalid("Missing model name in request.")
    spec = model_pb2.ModelSpec(name=name, version_label=label)
    if version:
        spec.version.value = int(version)
    return _metadata(spec, servables) if metadata else _text(model_status(spec, servables))


def _metadata(spec: Any, servables: Servables) -> str:
    number, model = servables.find(spec)
    served = model_pb2.ModelSpec(name=spec.name)
    served.version.value = number
    signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=model.signatures)
    return json.dumps({"model_spec": _fields(served), "metadata": {"signature_def": _fields(signatures)}}, indent=1)


def _fields(message: Any) -> Any:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def _text(message: Any) -> str:
    return MessageToJson(message, indent=1, always_print_fields_with_no_presence=True)


def _response(text: str, status: int = 200) -> Response:
    return Response(f"{text}\n", status, media_type="application/json")

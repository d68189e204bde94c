"""The REST API: states and metadata of models, as model_servers/http_rest_api_handler.cc has them.

Paths: `kModelStatusApiRegex` in model_servers/http_rest_api_util.cc; codes: `ToHTTPStatusCode` in http_server.cc;
the form of an error: `MakeJsonFromStatus` in util/json_tensor.cc. Predictions are asked for by gRPC.
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

from local.tf_serving.errors import Refused, invalid
from local.tf_serving.servables import Servables
from local.tf_serving.status import model_status

_STATUS_PATH = re.compile(
    r"/v1/models(?:/([^/:]+))?(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?(?:/(metadata))?", re.IGNORECASE
)
_CODES = {grpc.StatusCode.INVALID_ARGUMENT: 400, grpc.StatusCode.NOT_FOUND: 404}


def application(servables: Servables) -> Starlette:
    """The application for an ASGI server."""

    def answer(request: Request) -> Response:
        try:
            return _json(_answer(request.method, request.url.path, servables))
        except Refused as exc:
            return _json(json.dumps({"error": exc.text}, indent=4), _CODES[exc.code])

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


@contextmanager
def served(servables: Servables, host: str, port: int) -> Iterator[None]:
    """Serves REST in a thread: uvicorn would take the signals of the main one. Raises OSError for a taken port."""
    server = uvicorn.Server(uvicorn.Config(application(servables), log_level="warning"))
    with socket.create_server((host, port)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],), name="rest", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.should_exit = True
            thread.join()


def _answer(method: str, path: str, servables: Servables) -> str:
    matched = _STATUS_PATH.fullmatch(path) if method == "GET" else None
    if matched is None:
        raise invalid(f"Malformed request: {method} {path}")
    name, version, label, metadata = matched.groups()
    if not name:
        raise invalid("Missing model name in request.")
    spec = model_pb2.ModelSpec(name=name, version_label=label)
    if version:
        spec.version.value = int(version)
    return _metadata(spec, servables) if metadata else _text(model_status(spec, servables))


def _metadata(spec: Any, servables: Servables) -> str:
    number, model = servables.find(spec)
    told = model_pb2.ModelSpec(name=spec.name)
    told.version.value = number
    signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=model.signatures)
    return json.dumps({"model_spec": _fields(told), "metadata": {"signature_def": _fields(signatures)}}, indent=1)


def _fields(message: Any) -> Any:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def _text(message: Any) -> str:
    return MessageToJson(message, indent=1, always_print_fields_with_no_presence=True)


def _json(text: str, status: int = 200) -> Response:
    return Response(f"{text}\n", status, media_type="application/json")

"""The REST API: predictions, states and metadata of models, and metrics for Prometheus.

Rules in TensorFlow Serving: model_servers/http_rest_api_handler.cc; paths: http_rest_api_util.cc:31-34; codes:
`ToHTTPStatusCode` (http_server.cc:46-87); the form of an error: `MakeJsonFromStatus` (util/json_tensor.cc:1129).
"""

import json
import re
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import grpc
import uvicorn
from google.protobuf.json_format import MessageToDict, MessageToJson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2, predict_pb2

from local.tf_serving.errors import Refusal, invalid
from local.tf_serving.forms.metrics import Metrics
from local.tf_serving.forms.payload import Payload, to_json
from local.tf_serving.models.model import SIGNATURE
from local.tf_serving.options import ServerOptions
from local.tf_serving.prediction import PredictionService
from local.tf_serving.servables import Servables
from local.tf_serving.status import model_status

Predict = Callable[[Any], Awaitable[Any]]
"""From a PredictRequest to its PredictResponse. Raises Refusal."""
_FLAGS = re.IGNORECASE | re.ASCII
_STATUS_PATH = re.compile(
    r"/v1/models(?:/([^/:]+))?(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?(?:/(metadata))?", _FLAGS
)
_PREDICT_PATH = re.compile(
    r"/v1/models/([^/:]+)(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?:(classify|regress|predict)", _FLAGS
)
_PATHS = {"GET": _STATUS_PATH, "POST": _PREDICT_PATH}
_MAX_VERSION = 2**63 - 1
_Code = grpc.StatusCode
_CODES = {
    _Code.CANCELLED: 499,
    _Code.INVALID_ARGUMENT: 400,
    _Code.DEADLINE_EXCEEDED: 504,
    _Code.NOT_FOUND: 404,
    _Code.ALREADY_EXISTS: 409,
    _Code.PERMISSION_DENIED: 403,
    _Code.RESOURCE_EXHAUSTED: 429,
    _Code.FAILED_PRECONDITION: 400,
    _Code.ABORTED: 409,
    _Code.OUT_OF_RANGE: 400,
    _Code.UNIMPLEMENTED: 501,
    _Code.UNAVAILABLE: 503,
    _Code.UNAUTHENTICATED: 401,
}
"""All others are 500."""


class RestApi:
    """What is served on the REST port."""

    def __init__(self, servables: Servables, predict: Predict, metrics: Metrics, metrics_path: str) -> None:
        """Serve metrics at `metrics_path`, unless it is empty."""
        self._servables = servables
        self._predict = predict
        self._metrics = metrics
        self._metrics_path = metrics_path

    async def respond(self, request: Request) -> Response:
        """Return the response of the path."""
        path = request.scope["raw_path"].decode("latin-1")
        if path == self._metrics_path:
            return PlainTextResponse(self._metrics.text())
        pattern = _PATHS.get(request.method)
        match = pattern.fullmatch(path) if pattern else None
        name, api = (unquote(match[1] or ""), match[4] or "") if match else ("", "")
        try:
            with self._metrics.request(name, api, entrypoint="REST"):
                if match is None:
                    raise invalid(f"Malformed request: {request.method} {path}")
                return _response(await self._body(_spec(*match.groups()[:3]), api, await request.body()))
        except Refusal as exc:
            return _response(json.dumps({"error": exc.text}, indent=4), _CODES.get(exc.code, 500))

    async def _body(self, spec: Any, api: str, body: bytes) -> str:
        match api.lower():
            case "predict":
                return await self._prediction(spec, body)
            case "metadata":
                return _metadata(spec, self._servables)
            case "":
                return _text(model_status(spec, self._servables))
        raise Refusal(_Code.UNIMPLEMENTED, f"The stand-in has no {api}; TensorFlow Serving does.")

    async def _prediction(self, spec: Any, body: bytes) -> str:
        """Return the outputs in JSON (`ProcessPredictRequest`, http_rest_api_handler.cc:152-178)."""
        payload = Payload(body)
        name = payload.signature or SIGNATURE
        _, model = self._servables.find(spec)
        if name not in model.signatures:
            raise invalid(f'Serving signature name: "{name}" not found in signature def')
        spec.signature_name = name
        request = predict_pb2.PredictRequest(model_spec=spec, inputs=payload.inputs(model.signatures[name].inputs))
        return to_json((await self._predict(request)).outputs, is_row=payload.is_row)


@contextmanager
def rest_server(servables: Servables, host: str, port: int, api: RestApi | None = None) -> Iterator[None]:
    """Serve REST in a thread: in the main one uvicorn would take the signals. Raises OSError if the port is taken."""
    api = api or RestApi(servables, PredictionService(servables, None, ServerOptions()).predict, Metrics(), "")
    application = Starlette(routes=[Route("/{path:path}", api.respond, methods=["GET", "POST"])])
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
    with socket.create_server((host, port)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), name="rest", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.should_exit = True
            thread.join()


def _spec(name: str | None, version: str | None, label: str | None) -> Any:
    """Return the ModelSpec of a path's parts (`ParseModelInfo`, http_rest_api_util.cc:90-131). Raises Refusal."""
    if not name:
        raise invalid("Missing model name in request.")
    spec = model_pb2.ModelSpec(name=unquote(name))
    if version and int(version) > _MAX_VERSION:
        raise invalid(f"Failed to convert version: {version} to numeric.")
    if version:
        spec.version.value = int(version)
    if label:
        spec.version_label = unquote(label)
    return spec


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

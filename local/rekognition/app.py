"""Rekognition's protocol over HTTP: AWS's JSON 1.1, as boto3 speaks it."""

import re
import uuid
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from local.rekognition import requests
from local.rekognition.errors import AwsError
from local.rekognition.operations import Operations

_TARGET = "RekognitionService."
_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/[^/]+/rekognition/aws4_request,")


def create_app(operations: Operations) -> Starlette:
    """`POST /` serves the operations; `GET /healthz` tells that it does."""
    built = {
        "RecognizeCelebrities": operations.recognize_celebrities,
        "DetectLabels": operations.detect_labels,
    }

    async def serve(request: Request) -> Response:
        _check_signed(request.headers.get("authorization", ""))
        name = request.headers.get("x-amz-target", "").removeprefix(_TARGET)
        if name not in built:
            raise AwsError("UnknownOperationException", _unknown(name, list(built)))
        body = await request.body()
        return _answer(await run_in_threadpool(lambda: built[name](requests.read(name, body))))

    return Starlette(
        routes=[Route("/", serve, methods=["POST"]), Route("/healthz", _healthy)],
        exception_handlers={AwsError: _refuse, Exception: _fail},
    )


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _refuse(_: Request, exc: Exception) -> Response:
    if not isinstance(exc, AwsError):
        raise exc
    return _answer({"__type": exc.code, "Code": exc.code, "Message": exc.message}, exc.http_status)


async def _fail(request: Request, _: Exception) -> Response:
    return await _refuse(request, AwsError("InternalServerError", "Internal server error", 500))


def _answer(body: dict[str, Any], http_status: int = 200) -> Response:
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    return JSONResponse(body, http_status, headers, media_type="application/x-amz-json-1.1")


def _check_signed(authorization: str) -> None:
    if not authorization:
        raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token")
    if not _SIGNED.match(authorization):
        raise AwsError("IncompleteSignatureException", "The Authorization header is no SigV4 for rekognition.")


def _unknown(name: str, built: list[str]) -> str:
    if name in requests.service_model().operation_names:
        return f"{name} is not built into this endpoint; it has {' and '.join(built)}."
    return f"Rekognition has no operation {name!r}."

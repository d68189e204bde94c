"""Rekognition's protocol over HTTP: AWS's JSON 1.1, as boto3 speaks it."""

import re
import uuid

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from local.rekognition.errors import AwsError
from local.rekognition.replies import Answering, Reply, refusal

_TARGET = "RekognitionService."
_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/[^/]+/rekognition/aws4_request,")


def create_app(answering: Answering) -> Starlette:
    """`POST /` serves the operations; `GET /healthz` tells that it does."""

    async def serve(request: Request) -> Response:
        _check_signed(request.headers.get("authorization", ""))
        name = request.headers.get("x-amz-target", "").removeprefix(_TARGET)
        body = await request.body()
        return _response(await run_in_threadpool(answering, name, body))

    return Starlette(
        routes=[Route("/", serve, methods=["POST"]), Route("/healthz", _healthy)],
        exception_handlers={AwsError: _refuse, Exception: _fail},
    )


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _refuse(_: Request, exc: Exception) -> Response:
    if not isinstance(exc, AwsError):
        raise exc
    return _response(refusal(exc))


async def _fail(request: Request, _: Exception) -> Response:
    return await _refuse(request, AwsError("InternalServerError", "Internal server error", 500))


def _response(reply: Reply) -> Response:
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    return Response(reply.body, reply.http_status, headers, media_type="application/x-amz-json-1.1")


def _check_signed(authorization: str) -> None:
    if not authorization:
        raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token")
    if not _SIGNED.match(authorization):
        raise AwsError("IncompleteSignatureException", "The Authorization header is no SigV4 for rekognition.")

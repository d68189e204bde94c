"""Rekognition's protocol over HTTP: AWS's JSON 1.1, as boto3 speaks it."""

import asyncio
import uuid

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from local.rekognition.wire.access import Access, SignedRequest
from local.rekognition.wire.errors import AwsError
from local.rekognition.wire.faults import Faults, Reset
from local.rekognition.wire.replies import Answering, Reply, refusal
from local.rekognition.wire.server import cut
from local.rekognition.wire.tally import Tally

_TARGET = "RekognitionService."


def create_app(answering: Answering, access: Access | None = None, faults: Faults | None = None) -> Starlette:
    """`POST /` serves the operations; `GET /healthz` tells that it does, `GET /calls` what became of requests."""
    door = _Door(answering, access or Access(), faults or Faults())
    return Starlette(
        routes=[
            Route("/", door.serve, methods=["POST"]),
            Route("/healthz", _healthy),
            Route("/calls", door.calls),
        ],
        exception_handlers={Exception: _fail},
    )


class _Door:
    """What every request passes: access, then its fate, then the operation."""

    def __init__(self, answering: Answering, access: Access, faults: Faults) -> None:
        self._answering = answering
        self._access = access
        self._faults = faults
        self._tally = Tally()

    async def serve(self, request: Request) -> Response:
        name = request.headers.get("x-amz-target", "").removeprefix(_TARGET)
        body = await request.body()
        try:
            self._access.check(name, SignedRequest(str(request.url), dict(request.headers), body))
            return await self._meet_fate(request, name, body)
        except AwsError as exc:
            self._tally.count(name, _kind(exc))
            return _response(refusal(exc))

    async def calls(self, _: Request) -> Response:
        return JSONResponse(self._tally.told())

    async def _meet_fate(self, request: Request, name: str, body: bytes) -> Response:
        fate = self._faults.next()
        await asyncio.sleep(fate.seconds)
        if fate.refusal:
            raise fate.refusal
        if fate.reset is Reset.BEFORE:
            return self._lose(request, name)
        reply = await run_in_threadpool(self._answering, name, body)
        self._tally.count(name, "billed" if reply.http_status < 400 else "refused")  # noqa: PLR2004 - HTTP's errors
        return self._lose(request, name) if fate.reset else _response(reply)

    def _lose(self, request: Request, name: str) -> Response:
        self._tally.count(name, "reset")
        cut(request)
        return Response()  # to nobody


def _kind(exc: AwsError) -> str:
    if exc.http_status >= 500:  # noqa: PLR2004 - HTTP's errors of the server
        return "failed"
    return "throttled" if exc.code in ("ThrottlingException", "ProvisionedThroughputExceededException") else "refused"


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _fail(_: Request, __: Exception) -> Response:
    return _response(refusal(AwsError("InternalServerError", "Internal server error", 500)))


def _response(reply: Reply) -> Response:
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    return Response(reply.body, reply.http_status, headers, media_type="application/x-amz-json-1.1")

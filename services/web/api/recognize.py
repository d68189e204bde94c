"""Recognition for those who have a file and curl: `POST /v1/recognize`, and the same as server-sent events."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from typing import TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message
from starlette.datastructures import ImmutableMultiDict
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from marquee.v1 import recognizer_pb2 as pb
from services.runtime import status
from services.runtime.errors import ImageMissing, InvalidRequest
from services.web import errors, options
from services.web.api.codec import to_json
from services.web.api.connect import seconds_of
from services.web.gateway import LIST, RECOGNIZE, STREAM, Gateway
from services.web.uploads import read_upload

T = TypeVar("T")
Fields: TypeAlias = ImmutableMultiDict[str, str]
JSON = "application/json"
EVENTS = "text/event-stream"
OTHERS = ("s3", "timeout")
"""Fields beside those of the contract."""
BODIES = ("image/*", "application/octet-stream", "multipart/form-data", "application/x-www-form-urlencoded")
_HOW_TO_SEND = (
    "A form has it as the file `image` (curl -F image=@picture.jpg); it may be the body, too (curl --data-binary "
    "@picture.jpg), or an object in S3 (s3=s3://bucket/key)."
)
_KEEP_ALIVE_SECONDS = 5.0


class RecognizeApi:
    """The endpoints. Calls are the current visitor's; a call ends when its deadline passes or its client goes away."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> Sequence[Route]:
        """Return the routes."""
        return (
            Route("/v1/recognize", self.recognize, methods=["POST"]),
            Route("/v1/recognize/stream", self.stream, methods=["POST"]),
            Route("/v1/recognizers", self.list, methods=["GET"]),
        )

    async def recognize(self, request: Request) -> Response:
        """Answer with RecognizeImage's response."""
        message, timeout = await _read(request)
        return _answer(await _while_connected(request, self._gateway.call(RECOGNIZE, message, timeout)))

    async def stream(self, request: Request) -> Response:
        """Answer with StreamRecognizeImage's responses as events; what fails before the first is an error."""
        message, timeout = await _read(request)
        responses = self._gateway.stream(STREAM, message, timeout)
        del message
        first: pb.RecognizeImageResponse = await _while_connected(request, anext(responses))
        return StreamingResponse(_events(first, responses), headers={"X-Accel-Buffering": "no"}, media_type=EVENTS)

    async def list(self, request: Request) -> Response:
        """Answer with ListRecognizers' response."""
        if unknown := request.query_params.keys() - {"timeout"}:
            raise InvalidRequest(f"There is no option {min(unknown)!r} here; known: timeout.", field=min(unknown))
        await request.body()
        message = pb.ListRecognizersRequest()
        call = self._gateway.call(LIST, message, _timeout(request, request.query_params))
        return _answer(await _while_connected(request, call))


def _answer(message: Message) -> Response:
    return Response(f"{to_json(message)}\n", media_type=JSON, headers={"Cache-Control": "no-store"})


async def _read(request: Request) -> tuple[pb.RecognizeImageRequest, float | None]:
    """Return the call that a request makes, and in how many seconds. Raises DomainError and HTTPException."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and not kind.startswith("image/") and kind not in BODIES:
        kinds = ", ".join(BODIES)
        raise HTTPException(415, f"Content-Type is {kind!r}; send a picture as {kinds}.", {"Accept-Post": kinds})
    encoding = request.headers.get("content-encoding", "")
    if encoding.strip().lower() not in ("", "identity"):
        words = f"Content-Encoding is {encoding!r}; send the picture as it is."
        raise HTTPException(415, words, {"Accept-Encoding": "identity"})
    options.check(request.query_params, OTHERS)
    try:
        upload = await read_upload(request)
    except ImageMissing as exc:
        raise ImageMissing(f"{exc.message} {_HOW_TO_SEND}") from None
    options.check(upload.fields, OTHERS)
    if upload.image.content and upload.fields.get("s3"):
        raise InvalidRequest("Send a picture or s3, not both.", field="s3")
    return options.recognition(upload.fields, upload.image), _timeout(request, upload.fields)


def _timeout(request: Request, fields: Fields) -> float | None:
    """Return the caller's deadline in seconds: the field `timeout`, or else Connect's header. Raises InvalidRequest."""
    given = fields.get("timeout", "").strip()
    if not given:
        return seconds_of(request.headers)
    try:
        seconds = float(given.removesuffix("s"))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise InvalidRequest(f"timeout: {given} is no value of it; it takes seconds, such as 2.5.", field="timeout")
    return seconds


async def _while_connected(request: Request, call: Awaitable[T]) -> T:
    """Return what the call does; cancel it when the client goes. Raises StatusError."""
    calling, leaving = asyncio.ensure_future(call), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait((calling, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not calling.done():
            raise status.StatusError(status.make(grpc.StatusCode.CANCELLED, "CLIENT_GONE", "The client has gone."))
        return calling.result()
    finally:
        calling.cancel()
        leaving.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _events(first: Message, responses: AsyncGenerator[Message, None]) -> AsyncIterator[str]:
    """Yield each response as an event, and how it ended; a comment where nothing has come for a while."""
    yield _event("result", to_json(first))
    coming = asyncio.ensure_future(anext(responses))
    try:
        while True:
            done, _ = await asyncio.wait((coming,), timeout=_KEEP_ALIVE_SECONDS)
            if not done:
                yield ": waiting\n\n"
                continue
            yield _event("result", to_json(coming.result()))
            coming = asyncio.ensure_future(anext(responses))
    except StopAsyncIteration:
        yield _event("done", "{}")
    except Exception as exc:  # noqa: BLE001 - an answer that has begun can end with an event alone
        yield _event("error", _error(exc))
    finally:
        coming.cancel()
        await asyncio.wait((coming,))
        await responses.aclose()


def _event(name: str, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n"


def _error(exc: Exception) -> str:
    return json.dumps(errors.connect_json(errors.logged_status(exc)), ensure_ascii=False)

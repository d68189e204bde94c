"""The first page: drop a picture, see who it is."""

import asyncio
import base64
import re
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import structlog
from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from marquee.v1 import recognizer_pb2 as pb
from services.runtime import status
from services.runtime.doors.scopes import Scope
from services.runtime.errors import DomainError
from services.runtime.status import StatusError
from services.web import errors
from services.web.access import visit
from services.web.gateway import LIST, RECOGNIZE, STREAM, Gateway
from services.web.options import recognition
from services.web.pages import words
from services.web.pages.render import Renderer
from services.web.pages.results import files, view
from services.web.pages.results.progress import Arrivals, Progress
from services.web.uploads import Upload, read_upload

logger = structlog.get_logger()
_EVENTS = "text/event-stream"
_KEY = re.compile(r"[a-z][a-z0-9-]{0,31}")
_TEMPLATE_KEY = "picture-0"
"""Of the picture that scripts copy."""
_LIST_SECONDS = 2.0
_PATIENCE_SECONDS = 0.3
"""How long the first view waits for the list of recognizers if it knows an older one."""
_FRESH_SECONDS = 5.0
_HEARTBEAT_SECONDS = 10.0
_HEARTBEAT = ": waiting\n\n"
"""A comment, which keeps proxies from closing the stream."""
_MAGIC = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"RIFF", "image/webp"))
_CHUNK_BYTES = 48 * 1024
"""A multiple of 3, so that chunks of base64 join."""


class RecognizePage:
    """The page and what its form sends."""

    def __init__(self, gateway: Gateway, renderer: Renderer) -> None:
        self._gateway = gateway
        self._renderer = renderer
        self._roster = Roster(gateway)

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes."""
        return (Route("/", self.show), Route("/recognize", self.recognize, methods=["POST"]))

    async def show(self, request: Request) -> Response:
        """Answer GET /."""
        del request
        return self._renderer.page("recognize.html", **await self._form())

    async def recognize(self, request: Request) -> Response:
        """Answer POST /recognize: with events where they are asked for, else with a page.

        Each event is all that is known of the picture by then, as HTML.
        """
        if _EVENTS in request.headers.get("accept", ""):
            upload = await read_upload(request)
            return StreamingResponse(
                self._events(_key(upload), upload.file_name, recognition(upload.fields, upload.image)),
                media_type=_EVENTS,
                headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
            )
        return await self._whole(request)

    async def _form(self) -> dict[str, Any]:
        """Return what the template of the page needs besides a result."""
        roster, problem = await self._roster.listed()
        caller = visit.current().caller
        collections = None if caller is None or caller.collections is None else sorted(caller.collections)
        return {
            "roster": roster,
            "states": words.STATES,
            "problem": problem,
            "blank": view.waiting(_TEMPLATE_KEY, roster),
            "features": _offered(roster),
            "policies": _policies(),
            "collections": collections,
            "result": None,
            "links": {},
            "picture": "",
        }

    async def _whole(self, request: Request) -> Response:
        """Return the page with the result in it."""
        code, upload = 200, Upload(pb.Image(), ImmutableMultiDict())
        try:
            upload = await read_upload(request)
            asked = recognition(upload.fields, upload.image)
            answer = await self._gateway.call(RECOGNIZE, asked)
            roster = _asked(self._roster.known, asked.recognizers)
            result = view.result(_key(upload), upload.file_name, answer, roster, is_done=True)
            shown = {"result": result, "links": _links(upload.file_name, answer)}
        except (DomainError, StatusError) as exc:
            code = errors.http_status(exc)
            failed = status.from_exception(exc)
            shown = {"problem": words.failure(failed), "detail": failed.message}
        picture = upload.image.content
        token = f"picture:{secrets.token_urlsafe()}"
        values = await self._form() | shown | {"picture": token if _media_type(picture) else ""}
        page = self._renderer.text("recognize.html", **values)
        return StreamingResponse(
            _with_picture(page, token, picture), code, {"Cache-Control": "no-store"}, media_type="text/html"
        )

    async def _events(self, key: str, file_name: str, asked: pb.RecognizeImageRequest) -> AsyncIterator[str]:
        """Yield events until the call ends; cancels it if the visitor leaves."""
        progress = Progress(key, file_name, _asked(await self._roster.recent(), asked.recognizers))
        arrivals = Arrivals(self._gateway.stream(STREAM, asked))
        del asked  # with the picture, whose bytes the call lets go of once they are sent
        try:
            yield self._event(progress)
            while not progress.is_over:
                was_slow = progress.is_slow
                patience = _HEARTBEAT_SECONDS if was_slow else view.SLOW_SECONDS - progress.seconds
                news = await arrivals.next(patience)
                progress.add(news)
                yield self._event(progress) if news or not was_slow else _HEARTBEAT
        finally:
            arrivals.cancel()

    def _event(self, progress: Progress) -> str:
        links = _links(progress.file_name, progress.answer) if progress.is_over else {}
        html = self._renderer.text("result.html", result=progress.result(), links=links, picture="")
        return "".join(f"data: {line}\n" for line in re.split(r"\r\n|\r|\n", html) if line.strip()) + "\n"


class Roster:
    """The recognizers behind the gateway, as the page has heard of them last."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._time = float("-inf")
        self._asking: asyncio.Task[None] | None = None
        self.known: Sequence[pb.Recognizer] = ()
        """What is known without asking."""

    async def listed(self) -> tuple[Sequence[pb.Recognizer], words.Words | None]:
        """Return the recognizers, and what is wrong if the gateway does not list them."""
        if not visit.current().may(Scope.RECOGNIZE):
            return (), words.FORBIDDEN
        try:
            await self._ask(_PATIENCE_SECONDS if self.known else _LIST_SECONDS)
        except (DomainError, StatusError) as exc:
            return self.known, words.failure(status.from_exception(exc))
        return self.known, None

    async def recent(self) -> Sequence[pb.Recognizer]:
        """Return the recognizers without waiting, unless none are known."""
        if not visit.current().may(Scope.RECOGNIZE):
            return ()
        try:
            await self._ask(0 if self.known else _PATIENCE_SECONDS)
        except (DomainError, StatusError):
            logger.info("no recognizers listed")
        return self.known

    async def _ask(self, patience: float) -> None:
        """Ask the gateway, unless it was asked just now, and wait for so long. Raises StatusError, DomainError."""
        if time.monotonic() - self._time < _FRESH_SECONDS:
            return
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._refresh())
            self._asking.add_done_callback(lambda task: task.cancelled() or task.exception())
        done, _ = await asyncio.wait({self._asking}, timeout=patience)
        if done:
            await self._asking

    async def _refresh(self) -> None:
        listed = await self._gateway.call(LIST, pb.ListRecognizersRequest(), _LIST_SECONDS)
        self.known = tuple(listed.recognizers)
        self._time = time.monotonic()


async def _with_picture(page: str, token: str, picture: bytes) -> AsyncIterator[bytes]:
    """Yield the page with the picture in the place of the token, piece by piece."""
    before, found, after = page.partition(token)
    yield before.encode()
    if found:
        yield f"data:{_media_type(picture)};base64,".encode()
        for start in range(0, len(picture), _CHUNK_BYTES):
            yield base64.b64encode(picture[start : start + _CHUNK_BYTES])
    yield after.encode()


def _media_type(picture: bytes) -> str:
    """Return the type of a picture that browsers show; empty for anything else."""
    if picture.startswith(b"RIFF") and picture[8:12] != b"WEBP":
        return ""
    return next((kind for magic, kind in _MAGIC if picture.startswith(magic)), "")


def _key(upload: Upload) -> str:
    key = upload.fields.get("picture", "")
    return key if _KEY.fullmatch(key) else "picture"


def _asked(roster: Sequence[pb.Recognizer], names: Sequence[str]) -> Sequence[pb.Recognizer]:
    """Return those of the names, or behind a gateway of the names; all if there are none."""
    return [one for one in roster if not names or one.name in names or one.name.partition("/")[0] in names]


def _offered(roster: Sequence[pb.Recognizer]) -> Sequence[tuple[str, str, bool]]:
    """Return value, name and whether somebody offers it, of each feature."""
    offered = {feature for one in roster for feature in one.features}
    return [
        (pb.Feature.Name(number).removeprefix("FEATURE_").lower(), name, number in offered or not roster)
        for number, name in words.FEATURES.items()
    ]


def _policies() -> Sequence[tuple[str, str]]:
    return [(pb.Policy.Name(number).removeprefix("POLICY_").lower(), name) for number, name in words.POLICIES.items()]


def _links(file_name: str, answer: pb.RecognizeImageResponse) -> Mapping[str, str]:
    """Return addresses of the files to take away, which hold them."""
    if not answer.results:
        return {}
    return {
        "json": files.data_url("application/json", files.json_of(answer)),
        "csv": files.data_url("text/csv;charset=utf-8", files.csv_of(file_name, answer)),
    }

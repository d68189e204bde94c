"""The routes of the HTTP API, and which pages of others may call it."""

from collections.abc import Sequence
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from services.runtime.errors import NotOffered
from services.web.api.connect import Connect
from services.web.api.recognize import RecognizeApi
from services.web.errors import is_api
from services.web.gateway import Gateway
from services.web.settings import WebSettings

_OPENAPI = Path(__file__).with_name("openapi.json")
_REQUEST_HEADERS = (
    "Authorization",
    "Connect-Accept-Encoding",
    "Connect-Content-Encoding",
    "Connect-Protocol-Version",
    "Connect-Timeout-Ms",
    "Content-Encoding",
    "Grpc-Accept-Encoding",
    "Grpc-Encoding",
    "Grpc-Timeout",
    "X-Grpc-Web",
    "X-Request-Id",
    "X-User-Agent",
)
_RESPONSE_HEADERS = (
    "Connect-Content-Encoding",
    "Grpc-Encoding",
    "Grpc-Message",
    "Grpc-Status",
    "Grpc-Status-Details-Bin",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-Id",
)


def routes(gateway: Gateway) -> Sequence[BaseRoute]:
    """Return the routes of the API."""
    files = RecognizeApi(gateway).routes()
    return (
        *Connect(gateway).routes(),
        *files,
        *(Route(f"{one.path}/", _refuse_slash, methods=["GET", "POST"]) for one in files),
        Route("/openapi.json", _describe),
        Route("/marquee.{rest:path}", _refuse_method, methods=["GET", "POST"]),
    )


class Cors:
    """Middleware that lets pages of the origins in MARQUEE_WEB_CORS_ORIGINS call the API, and it alone.

    Cookies never count: a page of another origin shows a token.
    """

    def __init__(self, app: ASGIApp, settings: WebSettings) -> None:
        self._app = app
        self._api = app
        if settings.web_cors_origins:
            self._api = CORSMiddleware(
                app,
                allow_origins=settings.web_cors_origins,
                allow_methods=("GET", "POST"),
                allow_headers=_REQUEST_HEADERS,
                expose_headers=_RESPONSE_HEADERS,
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        is_call = scope["type"] == "http" and is_api(scope["path"])
        await (self._api if is_call else self._app)(scope, receive, send)


async def _describe(request: Request) -> Response:
    """Answer with the description of the API."""
    del request
    return FileResponse(_OPENAPI, media_type="application/json", headers={"Cache-Control": "no-cache"})


async def _refuse_slash(request: Request) -> Response:
    """Refuse a path with a slash too many: curl prints nothing of a redirect. Raises HTTPException."""
    raise HTTPException(404, f"There is nothing at {request.url.path!r}. /openapi.json lists what there is.")


async def _refuse_method(request: Request) -> Response:
    """Refuse a method that the contract does not have. Raises NotOffered."""
    raise NotOffered(f"There is no method {request.url.path[1:]!r}. /openapi.json lists those that there are.")

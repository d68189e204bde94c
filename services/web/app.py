"""The application: the routes of pages, API and files, and the middleware around them."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from services.web.access.door import Access, Door
from services.web.access.signin import SignInPage
from services.web.api.routes import Cors, routes
from services.web.assets import Assets
from services.web.gateway import Gateway
from services.web.pages.enroll import EnrollPage
from services.web.pages.errors import Errors, Unforeseen
from services.web.pages.recognize import RecognizePage
from services.web.pages.render import Renderer
from services.web.pages.status import StatusPage
from services.web.settings import WebSettings


def build(settings: WebSettings, gateway: Gateway) -> Starlette:
    """Return the application. `state.files` returns what to read again when it changes.

    Raises OSError if files of the page are missing, and ValueError, too, for settings' files that cannot be used.
    """
    assets = Assets()
    renderer = Renderer(assets)
    errors = Errors(renderer)
    access = Access(settings)
    app = Starlette(
        routes=[
            *assets.routes(),
            Route("/livez", _alive),
            Route("/readyz", _ready),
            *routes(gateway),
            *RecognizePage(gateway, renderer).routes(),
            *EnrollPage(gateway, renderer).routes(),
            *StatusPage(gateway, renderer).routes(),
            *SignInPage(settings, access, renderer).routes(),
        ],
        middleware=[
            Middleware(Cors, settings=settings),
            Middleware(Door, settings=settings, gateway=gateway, access=access, refuse=errors.response),
            Middleware(Unforeseen, errors=errors),
        ],
        exception_handlers=errors.handlers,
    )
    app.state.files = lambda: (*gateway.files(), *access.files())
    return app


async def _alive(request: Request) -> PlainTextResponse:
    del request
    return PlainTextResponse("ok\n")


async def _ready(request: Request) -> PlainTextResponse:
    """Answer whether to send visitors here: from the signal to stop on they should go elsewhere."""
    is_stopping = getattr(request.app.state, "is_stopping", False)
    return PlainTextResponse("stopping\n", 503) if is_stopping else PlainTextResponse("ok\n")

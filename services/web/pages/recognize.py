"""The first page: drop a picture, see who it is."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.web.gateway import Gateway
from services.web.pages.render import Renderer


class RecognizePage:
    """The page and what its form sends."""

    def __init__(self, gateway: Gateway, renderer: Renderer) -> None:
        self._gateway = gateway
        self._renderer = renderer

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes."""
        return (Route("/", self.show),)

    async def show(self, request: Request) -> Response:
        """Answer GET /."""
        del request
        return self._renderer.page("recognize.html")

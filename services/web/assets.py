"""Scripts, styles and pictures of the page, served under names that change with their content."""

import gzip
import hashlib
import json
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

_HERE = Path(__file__).parent
_FOLDER = _HERE / "static"
_HTMX = _HERE / "node_modules" / "htmx.org" / "dist"
_VENDORED = {"htmx.js": "htmx.min.js", "hx-sse.js": "ext/hx-sse.min.js", "hx-csp.js": "ext/hx-csp.min.js"}
"""Name here → file of the npm package htmx.org."""
FIXED = {
    "/favicon.ico": "icon.svg",
    "/icon.svg": "icon.svg",
    "/manifest.webmanifest": "manifest.webmanifest",
    "/robots.txt": "robots.txt",
}
"""Path → file of those that browsers and crawlers look for under names of their own."""
_DIGITS = 12
_COMPRESSED = {".js", ".css", ".svg", ".json", ".webmanifest"}
_FOREVER = "public, max-age=31536000, immutable"
_ONE_DAY = "public, max-age=86400"


@dataclass(frozen=True)
class Asset:
    """A file."""

    path: str
    """Path of its URL: "/static/drop.0123456789ab.js"."""
    content: bytes
    media_type: str
    zipped: bytes | None


class Assets:
    """All files, read once. Raises OSError if htmx is not installed, with what to do."""

    def __init__(self) -> None:
        files = {path.name: path for path in sorted(_FOLDER.iterdir())} | {
            name: _HTMX / file for name, file in _VENDORED.items()
        }
        self._by_name = {name: _read(name, path) for name, path in files.items()}
        self._by_path = {asset.path: asset for asset in self._by_name.values()}
        self._fixed = {path: self._by_name[name] for path, name in FIXED.items()}

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes."""
        return [Route("/static/{name}", self.serve), *(Route(path, self.serve) for path in FIXED)]

    def url(self, name: str) -> str:
        """Return the path under which the file is served. Raises KeyError."""
        return self._by_name[name].path

    def import_map(self) -> str:
        """Return the import map, JSON, by which our modules find one another under their plain names."""
        modules = {f"/static/{name}": asset.path for name, asset in self._by_name.items() if name.endswith(".js")}
        return json.dumps({"imports": modules})

    async def serve(self, request: Request) -> Response:
        """Answer GET of a file."""
        path = request.url.path
        asset = self._by_path.get(path) or self._fixed.get(path)
        if asset is None:
            return PlainTextResponse("There is no such file.\n", 404)
        headers = {"Cache-Control": _ONE_DAY if path in FIXED else _FOREVER, "Vary": "Accept-Encoding"}
        if asset.zipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(asset.zipped, headers=headers | {"Content-Encoding": "gzip"}, media_type=asset.media_type)
        return Response(asset.content, headers=headers, media_type=asset.media_type)


def _read(name: str, path: Path) -> Asset:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise OSError(f"{path} is missing: `make demo` and `make test` install it, as `npm ci` there does.") from None
    stem, _, extension = name.rpartition(".")
    digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
    zipped = gzip.compress(content, 9, mtime=0) if f".{extension}" in _COMPRESSED else None
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Asset(f"/static/{stem}.{digest}.{extension}", content, kind, zipped)

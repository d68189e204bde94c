"""Pages and fragments of them, from the templates in ../templates."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from services.web.access import visit
from services.web.assets import Assets
from services.web.pages.words import dollars

_FOLDER = Path(__file__).resolve().parent.parent / "templates"


class Renderer:
    """Maker of HTML, all text of which is escaped.

    Every template has `asset` (name → URL), `import_map`, `visit` and `dollars` (millionths → text).
    """

    def __init__(self, assets: Assets) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals |= {"asset": assets.url, "import_map": assets.import_map(), "dollars": dollars}

    def text(self, template: str, **values: Any) -> str:
        """Return the template with the values filled in."""
        return self._environment.get_template(template).render(visit=visit.current(), **values)

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Return a page, which no cache keeps."""
        return HTMLResponse(self.text(template, **values), status, {"Cache-Control": "no-store"})

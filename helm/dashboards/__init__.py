"""Grafana's dashboards, as code: `make docs` writes them to helm/marquee/dashboards/."""

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from helm.dashboards import overview, recognizer, rekognition, serving

_BUILDERS = {
    "overview": overview.dashboard,
    "recognizer": recognizer.dashboard,
    "rekognition": rekognition.dashboard,
    "serving": serving.dashboard,
}


def files() -> dict[str, str]:
    """File name → the dashboard as JSON, as Grafana imports it."""
    return {f"{name}.json": _json(builder()) for name, builder in _BUILDERS.items()}


def _json(builder: Dashboard) -> str:
    dashboard = builder.build()
    for number, panel in enumerate(dashboard.panels or [], start=1):
        panel.id_val = number  # links to a panel name it, and would break where Grafana numbers by itself
    return JSONEncoder(indent=2, sort_keys=True).encode(dashboard) + "\n"

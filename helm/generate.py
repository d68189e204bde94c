"""Generate what follows from the chart and the code, or check that it is current.

usage: PYTHONPATH=. python -m helm.generate [--check]

values.schema.json, the chart's version, the table of values in its README, k8s/ (its output with default values),
Grafana's dashboards, and the files of deploy/tensorflow-serving/ that the chart has to carry.
"""

import json
import re
import sys
import tomllib
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from helm import manifests, schema, table
from helm.dashboards import overview, recognizer, rekognition, serving
from helm.dashboards.alerts import RUNBOOKS

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "helm" / "marquee"
SERVING = ROOT / "deploy" / "tensorflow-serving"


def main() -> None:
    """Write the files; with --check exit 1 if any is stale."""
    values_schema = {CHART / "values.schema.json": json.dumps(schema.schema(), indent=2) + "\n"}
    if "--check" not in sys.argv[1:]:
        _write(values_schema | _serving() | _versions())  # rendering reads them
    fresh = values_schema | _versions() | _readme() | _serving() | _dashboards() | _k8s()
    if "--check" not in sys.argv[1:]:
        _write(fresh)
        _remove(_left_over(fresh))
        return
    stale = [path for path, text in fresh.items() if not path.exists() or path.read_text("utf-8") != text]
    if stale := sorted(str(path.relative_to(ROOT)) for path in [*stale, *_left_over(fresh)]):
        sys.exit(f"{', '.join(stale)}: not what chart and code say. Run `make docs`.")


def version() -> str:
    """Return the version of everything that is released, which stands in pyproject.toml alone."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def runbooks() -> str:
    """Return the URL of this version's runbooks, with a trailing slash."""
    return f"https://github.com/marquee-project/marquee/blob/v{version()}/{RUNBOOKS}"


def _versions() -> dict[Path, str]:
    path = CHART / "Chart.yaml"
    return {path: re.sub(r"(?m)^(version|appVersion): .*", rf"\1: {version()}", path.read_text("utf-8"))}


def _readme() -> dict[Path, str]:
    path = CHART / "README.md"
    text = path.read_text("utf-8")
    before = text.partition(table.BEGIN)[0]
    return {path: f"{before}{table.BEGIN}\n\n{table.markdown((CHART / 'values.yaml').read_text('utf-8'))}"}


def _serving() -> dict[Path, str]:
    files = [path for path in SERVING.glob("*") if path.suffix != ".md"]
    return {CHART / "files" / "serving" / path.name: path.read_text("utf-8") for path in files}


def _dashboards() -> dict[Path, str]:
    pages = {
        "overview": overview.dashboard(schema.alerts()),
        "recognizer": recognizer.dashboard(),
        "rekognition": rekognition.dashboard(),
        "serving": serving.dashboard(),
    }
    return {CHART / "dashboards" / f"{name}.json": _grafana(page) for name, page in pages.items()}


def _grafana(builder: Dashboard) -> str:
    """Return the dashboard as JSON, as Grafana imports it."""
    dashboard = builder.build()
    for number, panel in enumerate(dashboard.panels or [], start=1):
        panel.id_val = number  # links to a panel name it, and would break if Grafana assigned numbers itself
    text = JSONEncoder(indent=2, sort_keys=True).encode(dashboard) + "\n"
    return text.replace(f'"{RUNBOOKS}', f'"{runbooks()}')


def _k8s() -> dict[Path, str]:
    return {ROOT / "k8s" / name: text for name, text in manifests.by_component(CHART).items()}


def _write(files: dict[Path, str]) -> None:
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def _left_over(fresh: dict[Path, str]) -> list[Path]:
    """Return the manifests of components that no longer exist."""
    return [path for path in (ROOT / "k8s").glob("*.yaml") if path not in fresh]


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink()


if __name__ == "__main__":
    main()

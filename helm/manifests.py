"""The chart's output, rendered without a helm binary."""

from pathlib import Path
from typing import Any

import helm_python
from ruamel.yaml import YAML

RELEASE = "marquee"
_COMPONENT = "app.kubernetes.io/component"
_HEADER = "# The chart's output with its default values, made by `make docs`: change helm/marquee, not this.\n"


def render(chart: Path, values: dict[str, Any] | None = None, namespace: str = "default") -> dict[str, str]:
    """Return text by template, as `helm template marquee --skip-tests` renders it. Raises helm_python.HelmError."""
    with helm_python.Chart.load(str(chart)) as loaded:
        loaded.validate_schema(values or {})
        rendered = loaded.render(values or {}, name=RELEASE, namespace=namespace)
    return {path: text for path, text in rendered.items() if path.endswith(".yaml") and "/templates/tests/" not in path}


def objects(rendered: dict[str, str]) -> list[dict[str, Any]]:
    """Return all objects of a rendering."""
    loaded = [document for text in rendered.values() for document in YAML(typ="safe", pure=True).load_all(text)]
    return [document for document in loaded if document]


def by_component(chart: Path) -> dict[str, str]:
    """Return text by file name: one file per component, one for the rest, and a kustomization."""
    files: dict[str, str] = {}
    for path, text in sorted(render(chart).items()):
        for document in _documents(text):
            name = f"{_component(document)}.yaml"
            files[name] = f"{files.get(name, _HEADER)}---\n# Source: {path}\n{document.strip()}\n"
    resources = "".join(f"  - {name}\n" for name in sorted(files))
    return files | {"kustomization.yaml": f"{_HEADER}kind: Kustomization\nresources:\n{resources}"}


def _documents(text: str) -> list[str]:
    parts = f"\n{text}".split("\n---")
    return [part for part in parts if part.strip()]


def _component(document: str) -> str:
    labels = YAML(typ="safe", pure=True).load(document)["metadata"]["labels"]
    return str(labels.get(_COMPONENT, "all"))

"""Functions that render the chart and find objects in it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import helm_python

from helm import manifests
from helm.generate import CHART
from services.gateway.config import GatewayConfig, load_config
from services.names import SERVICES

Object = dict[str, Any]
INSTALLED = tuple(name for name in SERVICES if name != "library")
"""The services that the chart installs by default."""
LIBRARY: Object = {"enabled": True, "database": {"secretName": "database"}, "store": {"url": "s3://pictures/marquee"}}
"""The values that the library needs."""


def render(values: Object | None = None, release: str = manifests.RELEASE) -> list[Object]:
    """Return all objects for the values."""
    return manifests.objects(manifests.render(CHART, values, release=release))


def text(template: str, values: Object | None = None) -> str:
    """Return what one template gives, also one that installs nothing."""
    with helm_python.Chart.load(str(CHART)) as chart:
        rendered = chart.render(values or {}, name=manifests.RELEASE, namespace="default")
    return str(rendered[f"marquee/templates/{template}"])


def one(objects: Sequence[Object], kind: str, name: str) -> Object:
    """Return the object of this kind and name."""
    matches = [each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name]
    assert len(matches) == 1, [(each["kind"], each["metadata"]["name"]) for each in objects]
    return matches[0]


def names(objects: Sequence[Object], kind: str) -> list[str]:
    """Return the sorted names of all objects of this kind."""
    return sorted(each["metadata"]["name"] for each in objects if each["kind"] == kind)


def pod(objects: Sequence[Object], deployment: str) -> Object:
    """Return the pod specification of a Deployment."""
    specification: Object = one(objects, "Deployment", deployment)["spec"]["template"]["spec"]
    return specification


def gateway_config(objects: Sequence[Object], folder: Path) -> GatewayConfig:
    """Return the gateway's file, written to a folder, as the gateway reads it."""
    file = folder / "gateway.yaml"
    file.write_text(one(objects, "ConfigMap", "marquee-gateway")["data"]["gateway.yaml"], "utf-8")
    return load_config(file)


def containers(specification: Object) -> dict[str, Object]:
    """Return name → container, init containers included."""
    return {each["name"]: each for each in [*specification.get("initContainers", []), *specification["containers"]]}


def environment(container: Object) -> Object:
    """Return name → value, or the value's source."""
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container.get("env", [])}


def refusal(values: Object, release: str = manifests.RELEASE) -> str:
    """Return Helm's error message for values, or a release's name, that it refuses."""
    try:
        render(values, release)
    except helm_python.HelmError as exc:
        return str(exc)
    raise AssertionError(f"rendered: {values}")

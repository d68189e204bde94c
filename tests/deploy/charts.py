"""The chart, rendered for tests."""

from collections.abc import Sequence
from typing import Any

import helm_python

from helm import manifests
from helm.generate import CHART

Object = dict[str, Any]


def render(values: Object | None = None) -> list[Object]:
    """All objects that the values make."""
    return manifests.objects(manifests.render(CHART, values))


def one(objects: Sequence[Object], kind: str, name: str) -> Object:
    """The object of this kind and name."""
    found = [each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name]
    assert len(found) == 1, [(each["kind"], each["metadata"]["name"]) for each in objects]
    return found[0]


def names(objects: Sequence[Object], kind: str) -> list[str]:
    """The names of all objects of this kind, sorted."""
    return sorted(each["metadata"]["name"] for each in objects if each["kind"] == kind)


def pod(objects: Sequence[Object], deployment: str) -> Object:
    """The pod's specification of a Deployment."""
    found: Object = one(objects, "Deployment", deployment)["spec"]["template"]["spec"]
    return found


def containers(specification: Object) -> dict[str, Object]:
    """Name → container, init containers included."""
    return {each["name"]: each for each in [*specification.get("initContainers", []), *specification["containers"]]}


def environment(container: Object) -> Object:
    """Name → value, or what stands in its place."""
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container.get("env", [])}


def refusal(values: Object) -> str:
    """What helm says of values that it refuses."""
    try:
        render(values)
    except helm_python.HelmError as exc:
        return str(exc)
    raise AssertionError(f"rendered: {values}")

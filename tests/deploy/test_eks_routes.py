"""Tests of the load balancer of deploy/eks, by Ingresses and by the Gateway API."""

from typing import Any

import pytest

from helm.generate import ROOT
from tests.deploy import charts, option_sets, schemas

pytestmark = pytest.mark.slow
_EKS = ROOT / "deploy" / "eks"
_ALB = "alb.ingress.kubernetes.io"


def _rendered(*files: str) -> list[charts.Object]:
    values: dict[str, Any] = {}
    for file in files:
        values = _merged(values, option_sets.values(_EKS / file))
    return charts.render(values)


def _merged(values: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Return what helm makes of two files of values."""
    both = {key: _merged(values[key], more[key]) for key in values.keys() & more if isinstance(values[key], dict)}
    return values | more | both


def _deregistration(objects: list[charts.Object], component: str) -> str:
    """Return the attribute of the component's target group."""
    configuration = charts.one(objects, "TargetGroupConfiguration", f"marquee-{component}")["spec"]
    assert configuration["targetReference"]["name"] in charts.names(objects, "Service")
    (attribute,) = configuration["defaultConfiguration"]["targetGroupAttributes"]
    return f"{attribute['key']}={attribute['value']}"


def test_hosts_share_one_load_balancer() -> None:
    """Both Ingresses are of one group, and agree on what is the load balancer's."""
    objects = _rendered("values.yaml")
    annotations = [
        charts.one(objects, "Ingress", f"marquee-{name}")["metadata"]["annotations"] for name in ("gateway", "web")
    ]
    for which in ("group.name", "scheme", "certificate-arn", "listen-ports", "load-balancer-attributes"):
        assert len({each[f"{_ALB}/{which}"] for each in annotations}) == 1, which


def test_routes_take_the_place_of_ingresses() -> None:
    """By the Gateway API the same hosts lead to the same pods, which end as late after their targets."""
    before, objects = _rendered("values.yaml"), _rendered("values.yaml", "values-routes.yaml")
    assert charts.names(objects, "Ingress") == []
    (gateway,) = charts.names(objects, "Gateway")
    for component, kind in (("gateway", "GRPCRoute"), ("web", "HTTPRoute")):
        route = charts.one(objects, kind, f"marquee-{component}")["spec"]
        ingress = charts.one(before, "Ingress", f"marquee-{component}")
        assert route["hostnames"] == [ingress["spec"]["rules"][0]["host"]]
        assert [each["name"] for each in route["parentRefs"]] == [gateway]
        attributes = ingress["metadata"]["annotations"][f"{_ALB}/target-group-attributes"]
        assert _deregistration(objects, component) == attributes
        assert charts.pod(objects, f"marquee-{component}") == charts.pod(before, f"marquee-{component}")


def test_routes_fit_their_definitions() -> None:
    """The Gateway API and the load balancer controller define every field."""
    objects = _rendered("values.yaml", "values-routes.yaml")
    custom = [each for each in objects if schemas.is_defined(each["apiVersion"])]
    assert {"Gateway", "LoadBalancerConfiguration", "TargetGroupConfiguration"} <= {each["kind"] for each in custom}
    assert [faults for each in custom if (faults := schemas.faults(each))] == []

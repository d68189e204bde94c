"""Tests of the ways from outside to the gateway and the page: ingresses, routes, and what they say to controllers."""

import pytest

from tests.deploy import charts

pytestmark = pytest.mark.slow
_CALLERS = {"callers": {"secretName": "marquee-callers"}}
_TLS = {"secretName": "marquee-tls"}
_TOKEN = {"auth": {"mode": "token", **_CALLERS}, "tls": _TLS}
_MTLS = {"auth": {"mode": "mtls", **_CALLERS}, "tls": _TLS}
_OPEN = {"auth": {"allowAnonymousIngress": True}}
_PAGE = {"enabled": True, "gatewayToken": {"secretName": "marquee-page"}}
_HOST = "faces.example.com"
_INGRESS = {"enabled": True, "host": _HOST}
_OTHER = _INGRESS | {"type": "other", "className": "nginx"}
_ROUTE = {"enabled": True, "parentRefs": [{"name": "public", "namespace": "gateways"}], "hostnames": [_HOST]}
_ALB = "alb.ingress.kubernetes.io"


def _ingress(values: charts.Object, component: str = "gateway") -> charts.Object:
    return charts.one(charts.render(values), "Ingress", f"marquee-{component}")


def _annotations(ingress: charts.Object) -> dict[str, str]:
    """Return an ALB's annotations without their prefix."""
    given: dict[str, str] = ingress["metadata"]["annotations"]
    return {name.removeprefix(f"{_ALB}/"): value for name, value in given.items()}


def _attributes(ingress: charts.Object, which: str) -> dict[str, str]:
    """Return what the annotation sets."""
    return dict(pair.split("=") for pair in _annotations(ingress)[f"{which}-attributes"].split(","))


@pytest.mark.parametrize(("values", "protocol"), [(_OPEN, None), (_TOKEN, "HTTPS")], ids=["anonymous", "token"])
def test_alb_speaks_grpc_to_the_pods(values: charts.Object, protocol: str | None) -> None:
    """An ALB calls the pods themselves by gRPC, with TLS where they have it, and so it asks for their health."""
    ingress = _ingress(values | {"ingress": _INGRESS})
    annotations = _annotations(ingress)
    assert (annotations["backend-protocol-version"], annotations["target-type"]) == ("GRPC", "ip")
    assert (annotations.get("backend-protocol"), annotations.get("healthcheck-protocol")) == (protocol, protocol)
    assert ingress["spec"]["ingressClassName"] == "alb"
    (rule,) = ingress["spec"]["rules"]
    assert rule["host"] == _HOST
    assert rule["http"]["paths"][0]["backend"] == {"service": {"name": "marquee-gateway", "port": {"name": "grpc"}}}


def test_alb_shows_the_page() -> None:
    """The page's Ingress leads to it over HTTP, and asks whether it is ready."""
    ingress = _ingress(_OPEN | {"web": {"ingress": _INGRESS}}, "web")
    annotations = _annotations(ingress)
    assert (annotations["healthcheck-path"], annotations["target-type"]) == ("/readyz", "ip")
    assert "backend-protocol-version" not in annotations
    (rule,) = ingress["spec"]["rules"]
    assert rule["http"]["paths"][0]["backend"] == {"service": {"name": "marquee-web", "port": {"name": "http"}}}


@pytest.mark.parametrize("component", ["gateway", "web"])
def test_alb_waits_for_calls_of_a_minute(component: str) -> None:
    """A call may be silent for its minute, and a pod that ends outlives its target, which outlives its calls."""
    key = {"gateway": {"ingress": _INGRESS}, "web": {"web": {"ingress": _INGRESS}}}[component]
    objects = charts.render(_OPEN | key)
    ingress, pod = charts.one(objects, "Ingress", f"marquee-{component}"), charts.pod(objects, f"marquee-{component}")
    environment = charts.environment(charts.containers(pod)[component])
    pod_seconds = float(environment["MARQUEE_DRAIN_DELAY_SECONDS"]) + float(environment["MARQUEE_DRAIN_SECONDS"])
    target_seconds = float(_attributes(ingress, "target-group")["deregistration_delay.timeout_seconds"])
    idle_seconds = float(_attributes(ingress, "load-balancer")["idle_timeout.timeout_seconds"])
    assert 60 < target_seconds <= pod_seconds - 10
    assert idle_seconds > 60
    assert float(environment.get("MARQUEE_WEB_KEEP_ALIVE_SECONDS", "inf")) > idle_seconds


def test_operators_attributes_stand_beside_the_charts() -> None:
    """An annotation for something else leaves the chart's attributes, and one for the same replaces them."""
    own = {
        f"{_ALB}/target-group-attributes": "slow_start.duration_seconds=30",
        f"{_ALB}/load-balancer-attributes": "idle_timeout.timeout_seconds=300,routing.http2.enabled=true",
    }
    ingress = _ingress(_OPEN | {"ingress": _INGRESS | {"annotations": own}})
    assert _attributes(ingress, "target-group") == {
        "slow_start.duration_seconds": "30",
        "deregistration_delay.timeout_seconds": "80",
    }
    assert _annotations(ingress)["load-balancer-attributes"] == own[f"{_ALB}/load-balancer-attributes"]


def test_deregistration_follows_the_drain() -> None:
    """Who gives pods more time gives the load balancer as much more."""
    ingress = _ingress(_OPEN | {"ingress": _INGRESS, "gateway": {"drain": {"seconds": 300}}})
    assert _attributes(ingress, "target-group") == {"deregistration_delay.timeout_seconds": "320"}


def test_other_controllers_have_annotations_of_the_operator_alone() -> None:
    """Any controller is named by its class, and its certificate is in the Secret that cert-manager fills."""
    own = {"nginx.org/grpc-services": "marquee-gateway"}
    values = _OTHER | {"annotations": own, "tls": {"certificate": {"enabled": True}}}
    objects = charts.render(_TOKEN | {"ingress": values})
    ingress = charts.one(objects, "Ingress", "marquee-gateway")
    assert ingress["metadata"]["annotations"] == own
    assert ingress["spec"]["ingressClassName"] == "nginx"
    certificate = charts.one(objects, "Certificate", "marquee-gateway")["spec"]
    assert certificate["dnsNames"] == [_HOST]
    assert ingress["spec"]["tls"] == [{"hosts": [_HOST], "secretName": certificate["secretName"]}]


def test_route_leads_from_the_gateway_to_the_pods() -> None:
    """A GRPCRoute has the Gateway, the hosts, and the operator's labels, annotations and filters."""
    filters = [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-debug"]}}]
    own = {"labels": {"team": "faces"}, "annotations": {"a": "b"}, "filters": filters}
    route = charts.one(charts.render(_OPEN | {"route": _ROUTE | own}), "GRPCRoute", "marquee-gateway")
    assert route["metadata"]["labels"]["team"] == "faces"
    assert route["metadata"]["annotations"] == {"a": "b"}
    gateway = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public", "namespace": "gateways"}
    assert (route["spec"]["parentRefs"], route["spec"]["hostnames"]) == ([gateway], [_HOST])
    (rule,) = route["spec"]["rules"]
    assert [(each["name"], each["port"]) for each in rule["backendRefs"]] == [("marquee-gateway", 50051)]
    assert rule["filters"] == filters


@pytest.mark.parametrize(("own", "timeouts"), [({}, {"request": "120s"}), ({"timeouts": None}, None)])
def test_route_of_the_page_gives_requests_two_minutes(own: charts.Object, timeouts: charts.Object | None) -> None:
    """An HTTPRoute leads to the page; where a Gateway takes no times, none are said."""
    route = charts.one(charts.render(_OPEN | {"web": {"route": _ROUTE | own}}), "HTTPRoute", "marquee-web")
    (rule,) = route["spec"]["rules"]
    assert [(each["name"], each["port"]) for each in rule["backendRefs"]] == [("marquee-web", 80)]
    assert rule.get("timeouts") == timeouts


@pytest.mark.parametrize(
    ("tls", "validation"),
    [
        (
            {},
            {
                "hostname": "marquee-gateway.default.svc",
                "caCertificateRefs": [{"group": "", "kind": "Secret", "name": "marquee-tls"}],
            },
        ),
        (
            {"publicCa": True, "serverName": "grpc.example.com"},
            {"hostname": "grpc.example.com", "wellKnownCACertificates": "System"},
        ),
        ({"enabled": False}, None),
    ],
    ids=["own", "public", "none"],
)
def test_gateway_checks_the_pods_certificate(tls: charts.Object, validation: charts.Object | None) -> None:
    """Where pods speak TLS, a policy tells the Gateway so, and whose certificate of what name they have."""
    objects = charts.render(_TOKEN | {"route": _ROUTE | {"backendTls": tls}})
    policies = [each for each in objects if each["kind"] == "BackendTLSPolicy"]
    assert [each["spec"]["validation"] for each in policies] == ([] if validation is None else [validation])
    for each in policies:
        (target,) = each["spec"]["targetRefs"]
        service = charts.one(objects, target["kind"], target["name"])
        assert target["sectionName"] in {port["name"] for port in service["spec"]["ports"]}


def test_client_certificates_reach_the_pods() -> None:
    """In mode mtls a TLSRoute passes connections through, and no policy is needed."""
    objects = charts.render(_MTLS | {"route": _ROUTE})
    route = charts.one(objects, "TLSRoute", "marquee-gateway")["spec"]
    assert [(each["name"], each["port"]) for each in route["rules"][0]["backendRefs"]] == [("marquee-gateway", 50051)]
    assert not {"GRPCRoute", "BackendTLSPolicy"} & {each["kind"] for each in objects}


def test_services_say_which_http_2_is_without_tls() -> None:
    """Gateways and meshes take a plaintext port for HTTP/2 by the word that Kubernetes has for it, and no other."""

    def words(values: charts.Object) -> set[str | None]:
        services = [each for each in charts.render(values) if each["kind"] == "Service"]
        ports = [port for each in services for port in each["spec"]["ports"]]
        return {port.get("appProtocol") for port in ports if port["name"] == "grpc"}

    assert words({}) == {"kubernetes.io/h2c"}
    assert words(_TOKEN) == {None}
    assert words(_TOKEN | {"recognizers": {"svm": {"gateway": {"tls": "plaintext"}}}}) == {None, "kubernetes.io/h2c"}

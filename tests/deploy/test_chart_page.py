"""Tests of the page in the chart: when it runs, who reaches it, and how it reaches the gateway."""

import pytest

from services.web.settings import WebSettings
from tests.deploy import charts

pytestmark = pytest.mark.slow
_CALLERS = {"callers": {"secretName": "marquee-callers"}}
_TLS = {"secretName": "marquee-tls"}
_ISSUED = {"issuerRef": {"name": "marquee", "kind": "Issuer"}}
_TOKEN = {"auth": {"mode": "token", **_CALLERS}, "tls": _TLS}
_PAGE = {"enabled": True, "gatewayToken": {"secretName": "marquee-page"}}
_OIDC = {
    "issuer": "https://id.example:8443/faces",
    "clientId": "marquee",
    "clientSecret": {"secretName": "oidc"},
}
_INGRESS = {"enabled": True, "host": "faces.example.com"}
_ROUTE = {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["faces.example.com"]}
_MODES = {
    "anonymous": {},
    "token": _TOKEN | {"web": _PAGE},
    "oidc": _TOKEN | {"web": _PAGE | {"oidc": _OIDC, "ingress": _INGRESS}},
    "mtls": {"auth": {"mode": "mtls", **_CALLERS}, "tls": _ISSUED, "web": {"enabled": True}},
}


def _container(objects: list[charts.Object]) -> charts.Object:
    return charts.containers(charts.pod(objects, "marquee-web"))["web"]


def _secrets(objects: list[charts.Object]) -> dict[str, str]:
    """Return mount path → name of the Secret."""
    volumes = {each["name"]: each for each in charts.pod(objects, "marquee-web")["volumes"]}
    mounts = {each["mountPath"]: volumes[each["name"]] for each in _container(objects)["volumeMounts"]}
    return {path: volume["secret"]["secretName"] for path, volume in mounts.items() if "secret" in volume}


@pytest.mark.parametrize("mode", _MODES)
def test_page_accepts_the_environment(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """The page starts in each mode: its settings hold together, and each file that they name is in a folder of its."""
    objects = charts.render(_MODES[mode])
    environment = charts.environment(_container(objects))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = WebSettings()
    assert (settings.is_closed, settings.allow_anonymous) == (mode != "anonymous", mode == "anonymous")
    assert bool(settings.gateway_tls) is (mode != "anonymous")
    files = {value for value in environment.values() if value.startswith("/")}
    assert all(any(file.startswith(f"{folder}/") for folder in _secrets(objects)) for file in files)


def test_page_runs_unless_callers_are_asked_who_they_are() -> None:
    """Where it would need a token or a certificate of its own, it waits to be asked for; and it can be left out."""
    assert "marquee-web" in charts.names(charts.render(), "Deployment")
    for values in (_TOKEN, {"web": {"enabled": False}}):
        objects = charts.render(values)
        assert not [each for each in objects if each["metadata"]["labels"].get("app.kubernetes.io/component") == "web"]


def test_page_is_probed_over_http() -> None:
    """Kubelet asks the page itself, and uploads have a bounded folder: the root is read-only."""
    objects = charts.render()
    container = _container(objects)
    assert {probe: container[f"{probe}Probe"]["httpGet"] for probe in ("startup", "liveness", "readiness")} == {
        "startup": {"path": "/livez", "port": "http"},
        "liveness": {"path": "/livez", "port": "http"},
        "readiness": {"path": "/readyz", "port": "http"},
    }
    assert container["ports"][0] == {"name": "http", "containerPort": 8080}
    assert charts.pod(objects, "marquee-web")["volumes"][0] == {"name": "tmp", "emptyDir": {"sizeLimit": "3Gi"}}
    (port,) = charts.one(objects, "Service", "marquee-web")["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (80, "http")
    assert "marquee-web.default.svc" in charts.environment(container)["MARQUEE_WEB_HOSTS"].split(",")


def test_page_shows_the_gateway_its_token() -> None:
    """In mode token it trusts the CA of the gateway's certificate, which may be a public one of another name."""
    objects = charts.render(_MODES["token"])
    environment = charts.environment(_container(objects))
    assert environment["MARQUEE_WEB_GATEWAY_SERVER_NAME"] == "marquee-gateway.default.svc"
    assert _secrets(objects) == {
        "/session": "marquee-web-session",
        "/tls/gateway": "marquee-tls",
        "/token": "marquee-page",
        "/callers": "marquee-callers",
    }
    public = {"gatewayTls": {"publicCa": True, "serverName": "grpc.example.com"}}
    objects = charts.render(_TOKEN | {"web": _PAGE | public})
    environment = charts.environment(_container(objects))
    assert environment["MARQUEE_WEB_GATEWAY_SERVER_NAME"] == "grpc.example.com"
    assert "MARQUEE_WEB_GATEWAY_CA" not in environment
    assert "/tls/gateway" not in _secrets(objects)


def test_page_shows_the_gateway_a_certificate() -> None:
    """In mode mtls cert-manager issues one under the name that the register of callers has, or a Secret has it."""
    objects = charts.render(_MODES["mtls"])
    certificate = charts.one(objects, "Certificate", "marquee-web-grpc")["spec"]
    assert "marquee-web.default.svc" in certificate["dnsNames"]
    assert _secrets(objects)["/tls/page"] == certificate["secretName"]
    own = {"enabled": True, "tls": {"secretName": "page"}}
    assert _secrets(charts.render(_MODES["mtls"] | {"web": own}))["/tls/page"] == "page"


def test_page_signs_in_at_the_issuer() -> None:
    """The issuer's settings and the client's secret reach the page, and the page reaches the issuer's port."""
    objects = charts.render(_MODES["oidc"])
    environment = charts.environment(_container(objects))
    assert environment["MARQUEE_OIDC_ISSUER"] == _OIDC["issuer"]
    assert environment["MARQUEE_OIDC_CLIENT_ID"] == "marquee"
    assert environment["MARQUEE_WEB_URL"] == "https://faces.example.com"
    routed = charts.render(_TOKEN | {"web": _PAGE | {"route": _ROUTE}})
    assert charts.environment(_container(routed))["MARQUEE_WEB_URL"] == "https://faces.example.com"
    assert _secrets(objects)["/oidc"] == "oidc"
    egress = charts.one(objects, "NetworkPolicy", "marquee-web")["spec"]["egress"]
    assert egress[-1] == {"ports": [{"port": 8443, "protocol": "TCP"}]}


def test_replicas_share_the_key_of_sessions() -> None:
    """The chart makes a key that nobody knows where visitors sign in; a Secret of one's own takes its place."""

    def key(values: charts.Object) -> str:
        return str(charts.one(charts.render(values), "Secret", "marquee-web-session")["stringData"]["keys"])

    keys = {key(_MODES["token"]), key(_MODES["token"]), key({})}
    assert len(keys) == 3
    assert all(len(each) >= 32 for each in keys)
    assert key({}) == key({})  # else k8s/ would be another at each turn
    objects = charts.render({"web": {"sessionKey": {"secretName": "mine"}}})
    assert _secrets(objects)["/session"] == "mine"
    assert charts.names(objects, "Secret") == []


def test_page_is_no_way_around_the_gateways_policy() -> None:
    """Whoever may not call the gateway may not use the page either, unless that is said; the page may call it."""
    peers = [{"namespaceSelector": {"matchLabels": {"team": "photos"}}}]
    objects = charts.render({"networkPolicy": {"gatewayFrom": peers}})
    *_, last = charts.one(objects, "NetworkPolicy", "marquee-gateway")["spec"]["ingress"]
    assert last["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "web"
    assert charts.one(objects, "NetworkPolicy", "marquee-web")["spec"]["ingress"][0]["from"] == peers
    visitors = [{"ipBlock": {"cidr": "10.1.0.0/16"}}]
    objects = charts.render({"networkPolicy": {"gatewayFrom": peers, "webFrom": visitors}})
    assert charts.one(objects, "NetworkPolicy", "marquee-web")["spec"]["ingress"][0]["from"] == visitors


def test_page_scales_on_requests() -> None:
    """KEDA counts the page's HTTP requests in flight."""
    scaling = {"type": "keda", "cpu": 0, "inFlight": 20}
    objects = charts.render({"web": {"autoscaling": scaling}})
    (trigger,) = charts.one(objects, "ScaledObject", "marquee-web")["spec"]["triggers"]
    assert trigger["metadata"]["query"] == (
        'sum(marquee_calls_in_flight{job="marquee",namespace="default",release="marquee",component="web"})'
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "port-forward service/marquee-web 8080:80"),
        (_MODES["oidc"], "https://faces.example.com"),
        (_TOKEN | {"web": _PAGE | {"route": _ROUTE}}, "https://faces.example.com"),
        (_TOKEN, "Say web.enabled=true, name a Secret with its token in web.gatewayToken.secretName."),
        ({"web": {"enabled": False, "service": {"type": "NodePort"}}}, "Say web.enabled=true.\n"),
    ],
    ids=["anonymous", "ingress", "route", "token", "off"],
)
def test_notes_lead_to_the_page(values: charts.Object, said: str) -> None:
    """After an installation helm says where the page is, or what it needs."""
    assert said in charts.text("NOTES.txt", values)

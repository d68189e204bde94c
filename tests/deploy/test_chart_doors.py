"""Tests of who may call in each of the chart's modes, and over what."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from services.gateway.settings import GatewaySettings
from services.names import RECOGNIZERS, SERVERS
from services.runtime.doors.credentials import Tls
from services.runtime.doors.register import parse
from services.runtime.doors.scopes import Scope
from services.runtime.settings import LeafSettings
from tests.deploy import charts

pytestmark = pytest.mark.slow
TLS = {"secretName": "marquee-tls"}
TOKEN = {"auth": {"mode": "token", "callers": {"secretName": "marquee-callers"}}, "tls": TLS}
MTLS = {"auth": {"mode": "mtls"}, "tls": TLS}
ISSUER = {"name": "marquee", "kind": "Issuer"}
JWT = {"auth": {"mode": "token", "jwt": {"issuer": "https://id.example/", "audience": "marquee"}}, "tls": TLS}
ROUTE = {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["faces.example.com"]}
ISSUED = TOKEN | {"tls": {"issuerRef": ISSUER}}
_OTHER = {"enabled": True, "type": "other", "className": "nginx", "host": "faces.example.com"}
_WAY = Tls.model_validate({"ca": "/tls/client/ca.crt", "cert": "/tls/client/tls.crt", "key": "/tls/client/tls.key"})


def _environment(objects: list[charts.Object], component: str) -> charts.Object:
    return charts.environment(charts.containers(charts.pod(objects, f"marquee-{component}"))[component])


def _folders(objects: list[charts.Object], component: str) -> dict[str, charts.Object]:
    """Return mount path → volume."""
    pod = charts.pod(objects, f"marquee-{component}")
    volumes = {each["name"]: each for each in pod["volumes"]}
    mounts = charts.containers(pod)[component]["volumeMounts"]
    return {each["mountPath"]: volumes[each["name"]] for each in mounts}


def _secrets(objects: list[charts.Object], component: str) -> dict[str, str]:
    """Return mount path → name of the Secret."""
    folders = _folders(objects, component)
    return {path: volume["secret"]["secretName"] for path, volume in folders.items() if "secret" in volume}


def _entries(objects: list[charts.Object], folder: Path) -> charts.Object:
    """Return the recognizers of the gateway's file."""
    return dict(charts.gateway_config(objects, folder).recognizers)


@pytest.mark.parametrize("values", [{}, TOKEN, JWT, MTLS, ISSUED], ids=["anonymous", "token", "jwt", "mtls", "issued"])
@pytest.mark.parametrize("component", sorted(SERVERS))
def test_servers_accept_the_environment(monkeypatch: pytest.MonkeyPatch, values: charts.Object, component: str) -> None:
    """Each server starts in each mode: its settings hold together off loopback."""
    for name, value in _environment(charts.render(values), component).items():
        monkeypatch.setenv(name, value)
    settings = GatewaySettings() if component == "gateway" else LeafSettings()
    assert settings.is_closed is bool(values)
    assert settings.allow_anonymous is not bool(values)


def test_anonymous_is_reached_within_the_cluster_alone() -> None:
    """By default there is no way in from outside, and one that is asked for needs a word of its own."""
    assert charts.one(charts.render(), "Service", "marquee-gateway")["spec"]["type"] == "ClusterIP"
    outside = {"ingress": {"enabled": True, "host": "faces.example.com"}, "gateway": {"service": {"type": "NodePort"}}}
    objects = charts.render(outside | {"auth": {"allowAnonymousIngress": True}})
    assert charts.names(objects, "Ingress") == ["marquee-gateway"]
    assert charts.one(objects, "Service", "marquee-gateway")["spec"]["type"] == "NodePort"


@pytest.mark.parametrize("values", [TOKEN, MTLS], ids=["token", "mtls"])
@pytest.mark.parametrize("kind", ["LoadBalancer", "NodePort"])
def test_closed_gateway_may_be_reached_from_outside(values: charts.Object, kind: str) -> None:
    """A gateway that asks who calls can have any kind of Service."""
    service = charts.one(charts.render(values | {"gateway": {"service": {"type": kind}}}), "Service", "marquee-gateway")
    assert service["spec"]["type"] == kind


def test_tokens_are_read_from_the_callers_secret() -> None:
    """In mode token the gateway gets the register and no more of its Secret, and asks for no certificate."""
    objects = charts.render(TOKEN)
    environment, register = _environment(objects, "gateway"), _folders(objects, "gateway")["/callers"]["secret"]
    assert environment["MARQUEE_CALLERS"] == "/callers/callers"
    assert register == {"secretName": "marquee-callers", "items": [{"key": "callers", "path": "callers"}]}
    assert "MARQUEE_TLS_CLIENT_CA" not in environment


def test_jwts_are_checked_with_the_issuers_keys() -> None:
    """The issuer's settings reach the gateway, whose network policy lets it fetch the keys."""
    jwt = {"issuer": "https://id.example/", "audience": "marquee", "jwksUrl": "https://id.example:8443/keys"}
    objects = charts.render({"auth": {"mode": "token", "jwt": jwt}, "tls": TLS})
    environment = _environment(objects, "gateway")
    assert {environment[f"MARQUEE_JWT_{name}"] for name in ("ISSUER", "AUDIENCE", "JWKS_URL")} == {*jwt.values()}
    assert "MARQUEE_CALLERS" not in environment
    egress = charts.one(objects, "NetworkPolicy", "marquee-gateway")["spec"]["egress"]
    assert egress[-1]["ports"] == [{"port": 8443, "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("client_ca", "file"), [({}, "/tls/client/ca.crt"), ({"secretName": "clients"}, "/tls/callers/ca.crt")]
)
def test_client_certificates_are_asked_for(client_ca: charts.Object, file: str) -> None:
    """In mode mtls the CA of callers is that of all certificates, or one of its own."""
    objects = charts.render({"auth": {"mode": "mtls", "clientCa": client_ca}, "tls": TLS})
    assert _environment(objects, "gateway")["MARQUEE_TLS_CLIENT_CA"] == file
    assert _secrets(objects, "gateway").get("/tls/callers") == client_ca.get("secretName")


@pytest.mark.parametrize("values", [TOKEN, MTLS, ISSUED], ids=["token", "mtls", "issued"])
def test_recognizers_answer_the_gateway_alone(tmp_path: Path, values: charts.Object) -> None:
    """Recognizers ask for a certificate, and their register lets in the one that the gateway shows, as a relay."""
    objects = charts.render(values)
    register = parse(charts.one(objects, "ConfigMap", "marquee-callers")["data"]["callers"])
    (entry,) = register.names.values()
    assert (entry.key, entry.caller.name) == ("marquee-gateway.default.svc", "gateway")
    assert entry.caller.scopes == {Scope.RECOGNIZE, Scope.ENROLL, Scope.ADMIN, Scope.RELAY}
    assert not register.tokens
    for component in RECOGNIZERS:
        environment = _environment(objects, component)
        assert environment["MARQUEE_TLS_CLIENT_CA"] == "/tls/server/ca.crt"
        assert environment["MARQUEE_TLS_CLIENT_SCOPES"] == "none"
        assert _folders(objects, component)["/callers"]["configMap"] == {"name": "marquee-callers"}
    entries = _entries(objects, tmp_path)
    assert {name: (each.target, each.tls) for name, each in entries.items()} == {
        name: (f"dns:///marquee-{name}.default.svc:50051", _WAY) for name in RECOGNIZERS
    }


def test_components_may_have_certificates_of_their_own() -> None:
    """A component's own Secret is what its callers see; the gateway still shows recognizers the one of all."""
    own = {"gateway": {"tls": {"secretName": "public"}}, "recognizers": {"svm": {"tls": {"secretName": "svm"}}}}
    objects = charts.render(TOKEN | own)
    secrets = _secrets(objects, "gateway")
    assert (secrets["/tls/server"], secrets["/tls/client"]) == ("public", "marquee-tls")
    assert _secrets(objects, "svm") == {"/tls/server": "svm"}
    assert _secrets(objects, "keras") == {"/tls/server": "marquee-tls"}


def test_gateways_own_certificate_is_shown_where_there_is_no_other() -> None:
    """If every component has a Secret of its own, the gateway's serves both ways."""
    each: charts.Object = {name: {"tls": {"secretName": name}} for name in RECOGNIZERS}
    objects = charts.render(TOKEN | {"tls": {}, "gateway": {"tls": {"secretName": "both"}}, "recognizers": each})
    secrets = _secrets(objects, "gateway")
    assert (secrets["/tls/server"], secrets["/tls/client"]) == ("both", "both")


def test_cert_manager_issues_a_certificate_for_each_component() -> None:
    """Each has the names under which it is called, is for both ends, and is in the Secret that the pods mount."""
    objects = charts.render(ISSUED | {"gateway": {"tls": {"dnsNames": ["faces.example.com"]}}})
    certificates = {each["metadata"]["name"]: each["spec"] for each in objects if each["kind"] == "Certificate"}
    assert certificates.keys() == {f"marquee-{component}-grpc" for component in SERVERS}
    for component in SERVERS:
        certificate = certificates[f"marquee-{component}-grpc"]
        assert f"marquee-{component}.default.svc" in certificate["dnsNames"]
        assert {"server auth", "client auth"} <= {*certificate["usages"]}
        assert certificate["privateKey"]["rotationPolicy"] == "Always"
        assert certificate["issuerRef"] == ISSUER
        assert certificate["secretName"] == _secrets(objects, component)["/tls/server"]
    names = certificates["marquee-gateway-grpc"]["dnsNames"]
    assert {"marquee-gateway-headless.default.svc", "localhost", "faces.example.com"} <= {*names}


@pytest.mark.parametrize("way", [{"ingress": _OTHER}, {"route": ROUTE}], ids=["ingress", "route"])
def test_certificate_has_the_name_under_which_connections_are_passed_through(way: charts.Object) -> None:
    """In mode mtls the gateway answers under the host of the ingress or the route itself."""
    objects = charts.render(MTLS | {"tls": {"issuerRef": ISSUER}} | way)
    certificate = charts.one(objects, "Certificate", "marquee-gateway-grpc")
    assert "faces.example.com" in certificate["spec"]["dnsNames"]


def test_recognizer_elsewhere_says_how_it_is_reached(tmp_path: Path) -> None:
    """The way to a recognizer that the chart does not deploy is as its entry says, in any mode."""
    elsewhere = {
        "eu": {"deploy": False, "gateway": {"target": "eu.example:443", "tls": {}}},
        "lab": {"deploy": False, "gateway": {"target": "lab:50051", "tls": "plaintext"}},
    }
    for values in ({}, TOKEN):
        entries = _entries(charts.render(values | {"recognizers": elsewhere}), tmp_path)
        assert (entries["eu"].tls, entries["lab"].tls) == (Tls(), "plaintext")


def test_plaintext_recognizer_has_no_certificate(tmp_path: Path) -> None:
    """By the word plaintext a recognizer stays without TLS beside others that have it."""
    objects = charts.render(TOKEN | {"recognizers": {"svm": {"gateway": {"tls": "plaintext"}}}})
    assert _entries(objects, tmp_path)["svm"].tls == "plaintext"
    assert _secrets(objects, "svm") == {}
    assert _environment(objects, "svm")["MARQUEE_ALLOW_ANONYMOUS"] == "true"
    assert "MARQUEE_ALLOW_ANONYMOUS" not in _environment(objects, "gateway")


def test_foreign_image_is_probed_where_it_listens() -> None:
    """An image of which nothing is said is asked on 50051, as before; another port and service can be named."""
    image = {"image": {"repository": "x"}}
    foreign = image | {"gateway": {"tls": "plaintext"}}

    def probe(actors: charts.Object, values: charts.Object) -> charts.Object:
        pod = charts.pod(charts.render(values | {"recognizers": {"actors": actors}}), "marquee-actors")
        asked: charts.Object = charts.containers(pod)["actors"]["readinessProbe"]["grpc"]
        return asked

    assert probe(image, {}) == {"port": 50051, "service": "readiness"}
    assert probe(foreign | {"probe": {"service": ""}}, TOKEN) == {"port": 50051, "service": ""}
    assert probe(foreign | {"probe": {"port": 9000, "service": "x"}}, TOKEN) == {"port": 9000, "service": "x"}
    assert probe(image | {"probe": {"port": 9465}}, TOKEN) == {"port": 9465, "service": "readiness"}


def test_health_port_is_the_probes() -> None:
    """The server listens for kubelet where kubelet asks."""
    objects = charts.render({"recognizers": {"svm": {"probe": {"port": 9999}}}})
    server = charts.containers(charts.pod(objects, "marquee-svm"))["svm"]
    assert server["livenessProbe"]["grpc"] == {"port": 9999, "service": "liveness"}
    assert charts.environment(server)["MARQUEE_HEALTH_PORT"] == "9999"


def test_default_collection_is_rekognitions() -> None:
    """The gateway checks an empty collection as the one that Rekognition then searches."""
    own = {"recognizers": {"rekognition": {"env": {"MARQUEE_REKOGNITION_COLLECTION": "staff"}}}}
    assert _environment(charts.render(own), "gateway")["MARQUEE_DEFAULT_COLLECTION"] == "staff"
    assert "MARQUEE_DEFAULT_COLLECTION" not in _environment(charts.render(), "gateway")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "Whoever reaches the gateway may call it"),
        (TOKEN, "--ca ca.crt --server-name marquee-gateway.default.svc --token-file TOKEN"),
        (TOKEN | {"ingress": _OTHER}, "https://faces.example.com --token-file TOKEN"),
        (TOKEN | {"route": ROUTE}, "https://faces.example.com --token-file TOKEN"),
        (MTLS | {"route": ROUTE}, "https://faces.example.com --ca ca.crt --cert CERTIFICATE --key KEY"),
    ],
    ids=["anonymous", "token", "ingress", "route", "mtls"],
)
def test_notes_say_who_may_call(values: charts.Object, said: str) -> None:
    """After an installation helm says that everybody may call, or what callers show."""
    assert said in charts.text("NOTES.txt", values)


@pytest.mark.parametrize(
    ("values", "files"), [(TOKEN, ["ca.crt", "token"]), (MTLS, ["ca.crt", "tls.crt", "tls.key"])], ids=["token", "mtls"]
)
def test_helm_test_has_what_callers_show(values: charts.Object, files: list[str]) -> None:
    """The pod of `helm test` trusts the CA of the gateway's certificate, and shows what the named Secret has."""
    own = values | {"auth": values["auth"] | {"test": {"secretName": "marquee-test"}}}
    *_, pod = YAML(typ="safe", pure=True).load_all(charts.text("tests/recognize.yaml", own))
    (volume,) = (each for each in pod["spec"]["volumes"] if each["name"] == "credentials")
    sources = [each["secret"] for each in volume["projected"]["sources"]]
    assert [item["path"] for source in sources for item in source["items"]] == files
    assert [source["name"] for source in sources] == ["marquee-tls", *["marquee-test"] * (len(files) - 1)]
    command = [
        "dns:///marquee-gateway.default.svc:50051",
        "/test/picture.jpg",
        "/credentials",
        "marquee-gateway.default.svc",
    ]
    assert pod["spec"]["containers"][0]["command"][2:] == command

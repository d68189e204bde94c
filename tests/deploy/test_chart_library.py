"""Tests of the library in the chart: what it is made of, who may call it, and how it reaches what it needs."""

from urllib.parse import urlsplit

import pytest

from services.library.settings import LibrarySettings
from tests.deploy import charts

pytestmark = pytest.mark.slow
_CALLERS = {"callers": {"secretName": "marquee-callers"}}
_DATABASE = {"secretName": "database", "ca": {"configMapName": "authorities"}}
_LIBRARY = {"enabled": True, "database": _DATABASE, "store": {"url": "s3://pictures/marquee"}}
_TOKEN = {"gatewayToken": {"secretName": "library-token"}, "tombstoneKey": {"secretName": "tombstones"}}
_MODES = {
    "anonymous": {"library": _LIBRARY},
    "token": {
        "auth": {"mode": "token", **_CALLERS},
        "tls": {"secretName": "marquee-tls"},
        "library": _LIBRARY | _TOKEN,
    },
    "mtls": {
        "auth": {"mode": "mtls", **_CALLERS},
        "tls": {"issuerRef": {"name": "marquee"}},
        "library": _LIBRARY,
    },
}


def _container(objects: list[charts.Object], name: str = "library") -> charts.Object:
    return charts.containers(charts.pod(objects, "marquee-library"))[name]


def _folders(objects: list[charts.Object]) -> dict[str, charts.Object]:
    """Return mount path → volume."""
    volumes = {each["name"]: each for each in charts.pod(objects, "marquee-library")["volumes"]}
    return {each["mountPath"]: volumes[each["name"]] for each in _container(objects)["volumeMounts"]}


@pytest.mark.parametrize("mode", _MODES)
def test_library_accepts_the_environment(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """The library starts in each mode: its settings hold together, and each file that they name is in a folder."""
    objects = charts.render(_MODES[mode])
    environment = charts.environment(_container(objects))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = LibrarySettings()
    assert (settings.is_closed, settings.allow_anonymous) == (mode != "anonymous", mode == "anonymous")
    assert bool(settings.gateway_tls) is (mode != "anonymous")
    assert settings.library_store == "s3://pictures/marquee"
    files = {value for value in environment.values() if isinstance(value, str) and value.startswith("/")}
    assert all(any(file.startswith(f"{folder}/") for folder in _folders(objects)) for file in files)


def test_nothing_of_it_is_there_unless_asked_for() -> None:
    """An upgrade brings no object of it, and no other object knows of it; so where it is switched off again."""
    for values in ({}, {"library": _LIBRARY | _TOKEN | {"enabled": False}}):
        assert [each for each in charts.render(values) if "library" in str(each)] == []


def test_it_has_what_every_server_has() -> None:
    """Service, account, budget, policy, probes of its health, and an autoscaler where there are some."""
    objects = charts.render(_MODES["anonymous"] | {"defaults": {"autoscaling": {"type": "hpa"}}})
    kinds = ("Deployment", "HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount")
    for kind in kinds:
        charts.one(objects, kind, "marquee-library")
    assert charts.one(objects, "Service", "marquee-library")["spec"]["clusterIP"] == "None"
    assert _container(objects)["readinessProbe"]["grpc"] == {"port": 9465, "service": "readiness"}
    pod = charts.pod(objects, "marquee-library")
    assert pod["automountServiceAccountToken"] is False
    for container in charts.containers(pod).values():
        assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_pods_bring_the_database_up_to_date_before_they_serve() -> None:
    """The init container is the server told to migrate, with its settings and files; old pods stay meanwhile."""
    objects = charts.render(_MODES["token"] | {"library": _LIBRARY | _TOKEN | {"initContainers": [{"name": "first"}]}})
    order = [each["name"] for each in charts.pod(objects, "marquee-library")["initContainers"]]
    assert order == ["first", "migrate"]
    server, migrate = (_container(objects, name) for name in ("library", "migrate"))
    assert migrate["args"] == ["migrate"]
    same = ("image", "env", "volumeMounts", "securityContext", "resources")
    assert {key: migrate[key] for key in same} == {key: server[key] for key in same}
    assert not migrate.keys() & {"ports", "startupProbe", "livenessProbe", "readinessProbe"}
    strategy = charts.one(objects, "Deployment", "marquee-library")["spec"]["strategy"]
    assert strategy["rollingUpdate"]["maxUnavailable"] == 0


def test_the_database_is_checked_by_its_certificates() -> None:
    """The bundle of a ConfigMap vouches for the database, and the policy leads to its port."""
    objects = charts.render({"library": _LIBRARY | {"database": _DATABASE | {"key": "dsn", "port": 6432}}})
    environment = charts.environment(_container(objects))
    assert environment["MARQUEE_LIBRARY_DATABASE_URL_FILE"] == "/database-url/url"
    assert _folders(objects)["/database-url"]["secret"] == {
        "secretName": "database",
        "items": [{"key": "dsn", "path": "url"}],
    }
    assert environment["PGSSLROOTCERT"] == "/database/ca.crt"
    assert _folders(objects)["/database"]["configMap"] == {
        "name": "authorities",
        "items": [{"key": "global-bundle.pem", "path": "ca.crt"}],
    }
    egress = charts.one(objects, "NetworkPolicy", "marquee-library")["spec"]["egress"]
    assert {"ports": [{"port": 6432, "protocol": "TCP"}]} in egress


def test_channels_are_a_secret_that_leads_out() -> None:
    """The channels' file is mounted and named, and the network policy lets the library reach whom they notify."""
    silent = charts.render({"library": _LIBRARY})
    assert "MARQUEE_LIBRARY_CHANNELS" not in charts.environment(_container(silent))
    assert "/channels" not in _folders(silent)
    objects = charts.render({"library": _LIBRARY | {"channels": {"secretName": "channels"}}})
    assert charts.environment(_container(objects))["MARQUEE_LIBRARY_CHANNELS"] == "/channels/channels.yaml"
    assert _folders(objects)["/channels"]["secret"]["secretName"] == "channels"
    ports = [
        {port["port"] for port in rule["ports"]}
        for each in (silent, objects)
        for rule in charts.one(each, "NetworkPolicy", "marquee-library")["spec"]["egress"]
    ]
    assert ports.count({443, 465, 587}) == 1


def test_files_can_be_on_a_claim() -> None:
    """A claim is mounted so that the library can write to it, and is its store."""
    objects = charts.render({"library": _LIBRARY | {"store": {"existingClaim": "pictures"}}})
    store = urlsplit(charts.environment(_container(objects))["MARQUEE_LIBRARY_STORE"])
    assert (store.scheme, store.path) == ("file", "/store")
    assert _folders(objects)["/store"]["persistentVolumeClaim"] == {"claimName": "pictures"}
    (mount,) = (each for each in _container(objects)["volumeMounts"] if each["mountPath"] == "/store")
    assert "readOnly" not in mount


def test_it_shows_the_gateway_who_it_is() -> None:
    """In mode token by a token of its own, in mode mtls by its certificate, whose name the register has."""
    token = charts.render(_MODES["token"])
    assert _folders(token)["/token"]["secret"]["secretName"] == "library-token"
    assert _folders(token)["/tombstones"]["secret"]["secretName"] == "tombstones"
    assert "MARQUEE_LIBRARY_GATEWAY_TOKEN_FILE" in charts.environment(_container(token))
    mtls = charts.render(_MODES["mtls"])
    certificate = charts.one(mtls, "Certificate", "marquee-library-grpc")["spec"]
    assert "marquee-library.default.svc" in certificate["dnsNames"]
    assert "client auth" in certificate["usages"]
    environment = charts.environment(_container(mtls))
    assert environment["MARQUEE_LIBRARY_GATEWAY_CERT"] == environment["MARQUEE_TLS_CERT"] == "/tls/server/tls.crt"
    assert _folders(mtls)["/tls/server"]["secret"]["secretName"] == certificate["secretName"]


def test_callers_are_those_of_the_gateway() -> None:
    """One register, one issuer and one CA say who may call the gateway and the library."""
    for mode in ("token", "mtls"):
        objects = charts.render(_MODES[mode])
        gateway = charts.containers(charts.pod(objects, "marquee-gateway"))["gateway"]
        ours, theirs = (charts.environment(each) for each in (_container(objects), gateway))
        assert ours["MARQUEE_CALLERS"] == theirs["MARQUEE_CALLERS"]
        assert ("MARQUEE_TLS_CLIENT_CA" in ours) == ("MARQUEE_TLS_CLIENT_CA" in theirs) == (mode == "mtls")
        assert _folders(objects)["/callers"]["secret"]["secretName"] == "marquee-callers"


@pytest.mark.parametrize(
    ("mode", "call"),
    [
        ("anonymous", "--address localhost:50052 PICTURE.jpg"),
        ("token", "--server-name marquee-library.default.svc --token-file TOKEN PICTURE.jpg"),
        ("mtls", "--server-name marquee-library.default.svc --cert CERTIFICATE --key KEY PICTURE.jpg"),
    ],
)
def test_notes_say_how_to_add_a_picture(mode: str, call: str) -> None:
    """After an installation helm says how the library is called, if there is one."""
    notes = charts.text("NOTES.txt", _MODES[mode])
    assert "port-forward service/marquee-library 50052:50051" in notes
    assert call in notes
    assert "library" not in charts.text("NOTES.txt")


def test_policies_let_it_reach_the_gateway_and_nobody_around_it() -> None:
    """Who may not call the gateway may not call the library either, unless that is said; the library may."""
    peers = [{"namespaceSelector": {"matchLabels": {"team": "photos"}}}]
    values = _MODES["anonymous"] | {"networkPolicy": {"gatewayFrom": peers}}
    objects = charts.render(values)
    *_, last = charts.one(objects, "NetworkPolicy", "marquee-gateway")["spec"]["ingress"]
    relays = [each["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for each in last["from"]]
    assert relays == ["library", "web"]
    policy = charts.one(objects, "NetworkPolicy", "marquee-library")["spec"]
    assert policy["ingress"][0]["from"] == peers
    (way,) = policy["egress"][1]["to"]
    assert way["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "gateway"
    own = [{"namespaceSelector": {"matchLabels": {"team": "archive"}}}]
    objects = charts.render(values | {"networkPolicy": {"gatewayFrom": peers, "libraryFrom": own}})
    assert charts.one(objects, "NetworkPolicy", "marquee-library")["spec"]["ingress"][0]["from"] == own

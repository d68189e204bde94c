"""Tests of what the chart's objects are called, whatever the release is called."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.deploy import charts

_LONG = "a-release-whose-name-has-all-letters-that-helm-admits"
_PROD, _TEST = (f"face-recognition-of-a-large-company-{stage}" for stage in ("production", "preproduction"))
_RECOGNIZER = "actors-of-the-silent-era-in-black-and-white-with-many-subtitles"
_EVERYTHING = {
    "auth": {"mode": "token", "callers": {"secretName": "callers"}},
    "tls": {"issuerRef": {"name": "ca"}},
    "defaults": {"autoscaling": {"type": "hpa"}},
    "ingress": {"enabled": True, "host": "faces.example.com", "tls": {"certificate": {"enabled": True}}},
    "web": {"enabled": True, "gatewayToken": {"secretName": "page"}},
    "library": {
        "enabled": True,
        "database": {"secretName": "database"},
        "store": {"url": "s3://a/b"},
        "gatewayToken": {"secretName": "library"},
    },
    "podMonitor": {"enabled": True},
    "alerts": {"enabled": True},
    "dashboards": {"enabled": True},
    "priorityClass": {"create": True},
    "recognizers": {_RECOGNIZER: {"image": {"repository": "x"}, "probe": {"port": 9465}}},
}
_GIVEN = {"callers", "database", "library", "page"}
_KINDS = {
    "configMap": "ConfigMap",
    "priorityClassName": "PriorityClass",
    "scaleTargetRef": "Deployment",
    "secret": "Secret",
    "service": "Service",
    "serviceAccountName": "ServiceAccount",
}
_LABEL = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("release", "values"),
    [
        ("a", {}),
        ("a", {"fullnameOverride": "n"}),
        ("null", {}),
        ("marquee-" + "b" * 32, {}),
        (_LONG, {}),
        ("1.2", {"fullnameOverride": "f" * 63}),
    ],
    ids=["1", "override of 1", "YAML's null", "40", "53", "override of 63"],
)
def test_names_are_the_api_servers_and_agree(release: str, values: charts.Object) -> None:
    """Whatever the release's name, the API server takes every object's, and every reference leads to an object."""
    objects = charts.render(_EVERYTHING | values, release)
    named = {(each["kind"], each["metadata"]["name"]) for each in objects}
    assert len(named) == len(objects)
    for kind, name in named:
        labelled = kind in {"Service", "Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget"}
        assert (_LABEL if labelled else _SUBDOMAIN).fullmatch(name), (kind, name)
    for each in objects:
        assert all(_is_label_value(value) for value in each["metadata"]["labels"].values()), each["metadata"]
    issued = {("Secret", each["spec"]["secretName"]) for each in objects if each["kind"] == "Certificate"}
    needed = {reference for each in objects for reference in _references(each)}
    assert len(needed) > 20
    assert needed <= named | issued | {("Secret", name) for name in _GIVEN}


def test_long_names_that_begin_alike_differ() -> None:
    """Two releases whose names differ after 40 characters share no object."""
    first, second = ({(each["kind"], each["metadata"]["name"]) for each in _objects(name)} for name in (_PROD, _TEST))
    assert not first & second


@pytest.mark.parametrize("release", ["marquee", "faces", "marquee-" + "b" * 32])
def test_names_that_fit_are_whole(release: str) -> None:
    """A name of 40 characters or fewer is in the name of every object as it is: nothing is called otherwise."""
    whole = release if "marquee" in release else f"{release}-marquee"
    services = charts.names(_objects(release), "Service")
    leaves = ("gateway", "gateway-headless", "keras", "rekognition", "svm", "web")
    assert services == [f"{whole}-{name}" for name in leaves]


@pytest.mark.parametrize("release", ["1", "2026-production", "a.b"])
def test_release_that_no_service_can_be_called_after_is_refused(release: str) -> None:
    """What helm takes for a release and the API server not for a Service is refused, with the way out."""
    assert "fullnameOverride: say what objects are called" in charts.refusal({}, release)
    assert charts.render({"fullnameOverride": "faces"}, release)


@pytest.mark.parametrize("name", ["1", "null", "8.5"])
def test_names_stay_texts(name: str) -> None:
    """A Secret's name that YAML would read as something else stays a text."""
    values = {"auth": {"mode": "token", "callers": {"secretName": name}}, "tls": {"secretName": name}}
    objects = charts.render(values | {"web": {"enabled": True, "gatewayToken": {"secretName": name}}})
    assert {each for each in _secrets(objects) if "session" not in each} == {name}


def _objects(release: str) -> list[charts.Object]:
    return charts.render({}, release)


def _secrets(objects: list[charts.Object]) -> set[str]:
    return {name for each in objects for kind, name in _references(each) if kind == "Secret"}


def _is_label_value(value: object) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"(?=.{0,63}$)([A-Za-z0-9]([\w.-]*[A-Za-z0-9])?)?", value))


def _references(whole: charts.Object) -> Iterator[tuple[str, str]]:
    """Yield kind and name of what an object refers to."""
    for part in _parts(whole):
        for key, kind in _KINDS.items():
            inner = part.get(key)
            named = inner if isinstance(inner, dict) else {"name": inner} if key.endswith("Name") else {}
            yield from ((kind, named[name]) for name in ("name", "secretName") if named.get(name))
        addresses = str(part["value"]) if part.get("name") == "MARQUEE_WEB_GATEWAY" else part.get("gateway.yaml", "")
        for target in re.findall(r"(?:^|dns:///)([^.:\s]+)(?=[.:]\S*50051)", addresses):
            yield "Service", target


def _parts(part: Any) -> Iterator[charts.Object]:
    """Yield the object and all objects in it."""
    if isinstance(part, dict):
        yield part
    for each in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _parts(each)

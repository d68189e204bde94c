"""Tests of what the chart's values say of pods: images, disks, probes, devices, addresses."""

from collections.abc import Iterator
from typing import Any

import pytest
from ruamel.yaml import YAML

from helm.generate import CHART, ROOT
from tests.deploy import charts, option_sets
from tests.support import pages

pytestmark = pytest.mark.slow
_GPU_POD = "marquee-keras"


@pytest.mark.parametrize(
    ("repository", "image"),
    [
        ("marquee-svm", "r.example/marquee-svm:1"),
        ("team/marquee-svm", "r.example/team/marquee-svm:1"),
        ("ghcr.io/team/marquee-svm", "ghcr.io/team/marquee-svm:1"),
        ("localhost/marquee-svm", "localhost/marquee-svm:1"),
        ("kind-registry:5000/marquee-svm", "kind-registry:5000/marquee-svm:1"),
    ],
)
def test_registry_is_before_repositories_without_a_host(repository: str, image: str) -> None:
    """A repository that begins with a host, as Docker tells one, stays as it is."""
    values = {
        "images": {"registry": "r.example", "tag": "1"},
        "recognizers": {"svm": {"image": {"repository": repository}}},
    }
    pod = charts.pod(charts.render(values), "marquee-svm")
    assert charts.containers(pod)["svm"]["image"] == image


def test_registry_and_its_secret_reach_every_pod() -> None:
    """Every image, also TensorFlow Serving's and the local stand-ins', comes from the registry, with its secret."""
    local = option_sets.values(CHART / "values-local.yaml")
    images = {"images": {"registry": "r.example", "tag": "1", "pullSecrets": [{"name": "mine"}]}}
    for values in (images, local | images):
        objects = charts.render(values)
        for pod in _pods(objects):
            assert pod["imagePullSecrets"] == [{"name": "mine"}]
            assert all(each["image"].startswith("r.example/") for each in charts.containers(pod).values())
    serving = charts.containers(charts.pod(charts.render(images), _GPU_POD))["serving"]["image"]
    assert serving.startswith("r.example/tensorflow/serving:")


def test_every_container_says_what_disk_it_takes() -> None:
    """A pod may fill its disks, and write logs besides, without being evicted: they are within its limits."""
    for pod in _pods(charts.render()):
        resources = [each["resources"] for each in charts.containers(pod).values() if each["name"] != "fetch"]
        assert all(each["requests"]["ephemeral-storage"] == "64Mi" for each in resources)
        limit = sum(int(each["limits"]["ephemeral-storage"].removesuffix("Mi")) for each in resources)
        disks = [each["emptyDir"]["sizeLimit"] for each in pod["volumes"] if "emptyDir" in each]
        assert limit - 256 * len(resources) >= sum(int(size.removesuffix("Gi")) * 1024 for size in disks) > 0


@pytest.mark.parametrize(("size", "limit"), [("10Gi", "10496Mi"), (1024**3, "1280Mi"), ("1.5G", "1687Mi")])
def test_limits_of_disk_follow_the_sizes_of_disks(size: object, limit: str) -> None:
    """A larger disk needs no second value, and a value of its own goes before."""
    own = {"limits": {"ephemeral-storage": "2Gi"}}
    objects = charts.render({"web": {"uploads": {"sizeLimit": size}}, "recognizers": {"svm": {"resources": own}}})
    page = charts.containers(charts.pod(objects, "marquee-web"))["web"]
    assert page["resources"]["limits"]["ephemeral-storage"] == limit
    svm = charts.containers(charts.pod(objects, "marquee-svm"))["svm"]
    assert svm["resources"]["limits"]["ephemeral-storage"] == "2Gi"


def test_probes_can_be_changed_by_key_or_replaced() -> None:
    """Keys of a probe are merged with the chart's, and another way of asking takes the place of the chart's."""
    asked = {"httpGet": {"path": "/healthz", "port": 8080}}
    probes = {"startup": {"failureThreshold": 3}, "liveness": asked, "readiness": asked | {"periodSeconds": 9}}
    serving = {"probes": {"liveness": {"periodSeconds": 30}}}
    objects = charts.render({"recognizers": {"svm": {"probes": probes}, "keras": {"serving": serving}}})
    svm = charts.containers(charts.pod(objects, "marquee-svm"))["svm"]
    default = charts.containers(charts.pod(charts.render(), "marquee-svm"))["svm"]
    assert svm["startupProbe"] == default["startupProbe"] | {"failureThreshold": 3}
    assert svm["livenessProbe"].keys() == default["livenessProbe"].keys() - {"grpc"} | {"httpGet"}
    assert svm["readinessProbe"] == {**asked, "periodSeconds": 9, "timeoutSeconds": 3, "failureThreshold": 2}
    tensorflow = charts.containers(charts.pod(objects, _GPU_POD))["serving"]
    assert tensorflow["livenessProbe"] == {
        "grpc": {"port": 8500},
        "periodSeconds": 30,
        "timeoutSeconds": 5,
        "failureThreshold": 6,
    }
    assert "readinessProbe" not in tensorflow


def test_page_on_foreign_recognizers_is_what_the_chart_takes() -> None:
    """The entry that docs/new-recognizer.md shows is asked for the health of the whole server, on its own port."""
    (shown,) = [each for each in pages.blocks(ROOT / "docs" / "new-recognizer.md") if "\n  actors:" in each.text]
    pod = charts.pod(charts.render(YAML(typ="safe", pure=True).load(shown.text)), "marquee-actors")
    assert charts.containers(pod)["actors"]["livenessProbe"]["grpc"] == {"port": 50051, "service": ""}


def test_gpu_can_be_a_part_of_one_and_need_a_runtime() -> None:
    """The device plugin's resource and its number, and the container runtime, are those of the values."""
    keras = {"serving": {"gpuResource": {"name": "nvidia.com/mig-1g.10gb", "count": 2}}, "runtimeClassName": "nvidia"}
    pod = charts.pod(charts.render({"recognizers": {"keras": keras}}), _GPU_POD)
    limits = charts.containers(pod)["serving"]["resources"]["limits"]
    assert {name: count for name, count in limits.items() if "nvidia" in name} == {"nvidia.com/mig-1g.10gb": 2}
    assert pod["runtimeClassName"] == "nvidia"


def test_addresses_of_both_families_are_a_switch() -> None:
    """With `::` every server listens on IPv6, and every Service has the families of the values."""
    ip = {"listen": "::", "familyPolicy": "PreferDualStack", "families": ["IPv6", "IPv4"]}
    objects = charts.render({"ip": ip})
    for name in charts.names(objects, "Deployment"):
        own = charts.containers(charts.pod(objects, name))[name.removeprefix("marquee-")]
        assert charts.environment(own)["MARQUEE_HOST"] == "::"
    for service in (each["spec"] for each in objects if each["kind"] == "Service"):
        assert (service["ipFamilyPolicy"], service["ipFamilies"]) == ("PreferDualStack", ["IPv6", "IPv4"])
    egress = str(charts.one(objects, "NetworkPolicy", "marquee-svm")["spec"]["egress"])
    assert "169.254.170.23/32" in egress
    assert "fd00:ec2::23/128" in egress


def test_numbers_may_be_texts() -> None:
    """What `--set` and `--set-string` make of numbers gives the same objects as the numbers."""
    values = option_sets.values(CHART / "values.yaml")
    scaled = {"cpu": 0, "inFlight": 3}
    for type_ in ("none", "hpa"):
        values["defaults"]["autoscaling"] |= scaled | {"type": type_}
        values["recognizers"]["svm"]["gateway"] = {"timeout": 2.5, "max_in_flight": 9}
        values |= {"podMonitor": {"enabled": True}, "alerts": values["alerts"] | {"enabled": True}}
        values["priorityClass"]["create"] = True
        values["gateway"]["probes"] = {"liveness": {"failureThreshold": 3, "httpGet": {"path": "/", "port": 8080}}}
        values["gateway"]["strategy"] = {"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}}
        texts = dict(_as_texts(values))
        assert texts["alerts"]["availability"] == "0.999"
        assert charts.render(texts) == charts.render(values)


def test_values_that_are_empty_may_be_null() -> None:
    """A null in place of an empty map or list, which templates read, gives the same objects."""
    values = option_sets.values(CHART / "values.yaml")
    assert charts.render(_without_empty(values)) == charts.render()


def _without_empty(part: charts.Object) -> charts.Object:
    part = {key: _without_empty(value) if isinstance(value, dict) else value for key, value in part.items()}
    return {key: None if value in ("", {}, []) else value for key, value in part.items()}


def _as_texts(part: charts.Object) -> Iterator[tuple[str, Any]]:
    for key, value in part.items():
        if key == "podSecurityContext":  # Kubernetes' own, which nothing checks
            yield key, value
            continue
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        yield key, dict(_as_texts(value)) if isinstance(value, dict) else str(value) if is_number else value


def _pods(objects: list[charts.Object]) -> list[charts.Object]:
    return [each["spec"]["template"]["spec"] for each in objects if each["kind"] == "Deployment"]

"""Tests of the effects of the chart's values."""

import pytest
from ruamel.yaml import YAML

from services.names import RECOGNIZERS
from tests.deploy import charts

pytestmark = pytest.mark.slow


def _gateway_file(objects: list[charts.Object]) -> charts.Object:
    text = charts.one(objects, "ConfigMap", "marquee-gateway")["data"]["gateway.yaml"]
    recognizers: charts.Object = YAML(typ="safe", pure=True).load(text)["recognizers"]
    return recognizers


def test_fourth_recognizer_is_one_entry() -> None:
    """An entry creates a Deployment, Service, ServiceAccount, budget and policy, and a line in the gateway's file."""
    objects = charts.render({"recognizers": {"actors": {"image": {"repository": "actors"}, "gateway": {"timeout": 3}}}})
    for kind in ("Deployment", "Service", "ServiceAccount", "PodDisruptionBudget", "NetworkPolicy"):
        charts.one(objects, kind, "marquee-actors")
    assert _gateway_file(objects)["actors"] == {"target": "dns:///marquee-actors:50051", "timeout": 3}
    peers = charts.one(objects, "NetworkPolicy", "marquee-gateway")["spec"]["egress"][1]["to"][0]["podSelector"]
    assert "actors" in peers["matchExpressions"][0]["values"]


def test_remote_recognizer_is_a_target_only() -> None:
    """With `deploy: false`, an entry is only a target, such as a gateway in another region."""
    entry = {"target": "eu.example.com:443", "tls": {}}
    objects = charts.render({"recognizers": {"eu": {"deploy": False, "gateway": entry}}})
    assert _gateway_file(objects)["eu"] == entry
    assert "marquee-eu" not in charts.names(objects, "Deployment")


def test_recognizers_can_be_omitted() -> None:
    """An entry that is null is omitted everywhere."""
    objects = charts.render({"recognizers": {name: None for name in RECOGNIZERS if name != "svm"}})
    assert charts.names(objects, "Deployment") == ["marquee-gateway", "marquee-svm", "marquee-web"]
    assert list(_gateway_file(objects)) == ["svm"]


def test_order_decides_which_recognizer_is_first() -> None:
    """Listed recognizers come first, in that order."""
    objects = charts.render({"gateway": {"order": ["svm", "keras"]}})
    assert list(_gateway_file(objects)) == ["svm", "keras", *sorted({*RECOGNIZERS} - {"svm", "keras"})]


def test_changed_recognizers_leave_the_gateways_pods() -> None:
    """The gateway reads its file again, so a change of it replaces no pod."""
    before, after = (charts.render({"recognizers": {"svm": {"gateway": own}}}) for own in ({}, {"timeout": 3}))
    assert _gateway_file(before) != _gateway_file(after)
    assert charts.one(before, "Deployment", "marquee-gateway") == charts.one(after, "Deployment", "marquee-gateway")


def test_cpu_uses_another_image_and_any_node() -> None:
    """One switch turns off both the GPU request and the GPU node selector."""
    pod = charts.pod(charts.render({"recognizers": {"keras": {"serving": {"gpu": False}}}}), "marquee-keras")
    serving = charts.containers(pod)["serving"]
    assert not serving["image"].endswith("-gpu")
    assert "nvidia.com/gpu" not in serving["resources"]["limits"]
    assert not pod.keys() & {"nodeSelector", "tolerations"}


def test_model_can_be_on_a_claim() -> None:
    """An existing claim replaces the pod's own volume, and a fetch without an interval has no watcher."""
    model = {"existingClaim": "models", "watchSeconds": 0, "name": "faces"}
    pod = charts.pod(charts.render({"recognizers": {"keras": {"serving": {"model": model}}}}), "marquee-keras")
    volumes = {each["name"]: each for each in pod["volumes"]}
    assert volumes["models"]["persistentVolumeClaim"] == {"claimName": "models"}
    assert "watch" not in charts.containers(pod)
    assert "--model_name=faces" in charts.containers(pod)["serving"]["args"]


def test_environment_overrides_the_charts_own() -> None:
    """Settings, numbers and secrets reach the container unchanged."""
    secret = {"secretKeyRef": {"name": "aws", "key": "id"}}
    env = {"AWS_ACCESS_KEY_ID": {"valueFrom": secret}, "MARQUEE_QUEUE": 0, "MARQUEE_HOST": "::"}
    pod = charts.pod(charts.render({"recognizers": {"svm": {"env": env}}}), "marquee-svm")
    environment = charts.environment(charts.containers(pod)["svm"])
    assert environment["AWS_ACCESS_KEY_ID"] == secret
    assert environment["MARQUEE_QUEUE"] == "0"
    assert environment["MARQUEE_HOST"] == "::"
    assert environment["MARQUEE_SVM_MODEL"].startswith("s3://")


def test_environment_may_hold_templates() -> None:
    """A text is rendered with the release's values, also where the chart reads an address out of it."""
    address = "http://collector.{{ .Release.Namespace }}:4317"
    objects = charts.render({"gateway": {"env": {"OTEL_EXPORTER_OTLP_ENDPOINT": address}}})
    environment = charts.environment(charts.containers(charts.pod(objects, "marquee-gateway"))["gateway"])
    assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector.default:4317"
    egress = charts.one(objects, "NetworkPolicy", "marquee-gateway")["spec"]["egress"]
    assert {"ports": [{"port": 4317, "protocol": "TCP"}]} in egress


def test_large_and_small_numbers_are_written_in_full() -> None:
    """Numbers in the environment are not written as 1e+06 or 3.0."""
    env = {"MARQUEE_QUEUE": 10_000_000, "MARQUEE_SVM_ENROLLED_DISTANCE": 0.5}
    pod = charts.pod(charts.render({"recognizers": {"svm": {"env": env}}}), "marquee-svm")
    environment = charts.environment(charts.containers(pod)["svm"])
    assert environment["MARQUEE_QUEUE"] == "10000000"
    assert environment["MARQUEE_SVM_ENROLLED_DISTANCE"] == "0.5"


def test_images_come_from_a_registry_by_tag_or_digest() -> None:
    """The image reference consists of registry and tag or digest."""
    digest = f"sha256:{'0' * 64}"
    values = {"images": {"registry": "r.example/", "tag": "1.2"}, "gateway": {"image": {"digest": digest}}}
    objects = charts.render(values)
    assert charts.containers(charts.pod(objects, "marquee-svm"))["svm"]["image"] == "r.example/marquee-svm:1.2"
    gateway = charts.containers(charts.pod(objects, "marquee-gateway"))["gateway"]
    assert gateway["image"] == f"r.example/marquee-gateway@{digest}"


def test_roles_go_to_service_accounts() -> None:
    """The annotation for IRSA is on the component's own account, and an existing account is used as is."""
    role = {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/rekognition"}
    values = {
        "recognizers": {
            "rekognition": {"serviceAccount": {"annotations": role}},
            "svm": {"serviceAccount": {"create": False, "name": "mine"}},
        }
    }
    objects = charts.render(values)
    assert charts.one(objects, "ServiceAccount", "marquee-rekognition")["metadata"]["annotations"] == role
    assert "marquee-svm" not in charts.names(objects, "ServiceAccount")
    assert charts.pod(objects, "marquee-svm")["serviceAccountName"] == "mine"


def test_spread_can_be_strict_or_none() -> None:
    """Spreading across zones and nodes is preferred by default; it can be required or turned off."""
    strict = charts.render({"gateway": {"zoneSpread": "DoNotSchedule", "antiAffinity": "required"}})
    pod = charts.pod(strict, "marquee-gateway")
    assert pod["topologySpreadConstraints"][0]["whenUnsatisfiable"] == "DoNotSchedule"
    assert "requiredDuringSchedulingIgnoredDuringExecution" in pod["affinity"]["podAntiAffinity"]
    none = charts.pod(charts.render({"defaults": {"zoneSpread": "none", "antiAffinity": "none"}}), "marquee-svm")
    assert not none.keys() & {"topologySpreadConstraints", "affinity"}


def test_priority_class_applies_to_every_pod() -> None:
    """If the chart creates a PriorityClass, every pod has it unless its component names another."""
    values = {"priorityClass": {"create": True}, "gateway": {"priorityClassName": "mine"}}
    objects = charts.render(values)
    assert charts.one(objects, "PriorityClass", "marquee.default")["value"] == 100_000
    assert charts.pod(objects, "marquee-svm")["priorityClassName"] == "marquee.default"
    assert charts.pod(objects, "marquee-gateway")["priorityClassName"] == "mine"


def test_extra_objects_may_hold_templates() -> None:
    """An extra object, as YAML or text, is rendered with the release's values."""
    extra = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-extra"}}
    charts.one(charts.render({"extraObjects": [extra]}), "ConfigMap", "marquee-extra")

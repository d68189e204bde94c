"""Tests of Marquee as installed by helm."""

import json
import urllib.request

import httpx
import pytest
from ruamel.yaml import YAML

from helm import manifests
from helm.generate import CHART, ROOT
from marquee import Client, Outcome
from services.names import RECOGNIZERS, SERVERS, SERVICES
from tests.cluster import cluster

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("release"), pytest.mark.timeout(600)]
CONTENTS = ROOT / "tests" / "cluster" / "contents.py"


def test_helm_test_recognizes_a_picture() -> None:
    """In `helm test`, every recognizer is ready and returns a result."""
    output = cluster.helm_test()
    assert "Phase:          Succeeded" in output
    for name in RECOGNIZERS:
        assert f"{name} RECOGNIZER_STATE_READY" in output
        assert f"{name} OUTCOME_OK" in output
    assert "VERDICT_STATE_IDENTIFIED Grace Hopper" in output


def test_picture_is_recognized_through_a_port_forward() -> None:
    """Through `kubectl port-forward`, the Python client gets a response from all three recognizers."""
    picture = (CHART / "files" / "picture.jpg").read_bytes()
    with cluster.port_forward("service/marquee-gateway", 50051) as address, Client(address) as client:
        answer = client.recognize(picture)
    assert {each.recognizer: each.outcome for each in answer.results} == dict.fromkeys(RECOGNIZERS, Outcome.OK)
    assert [each.display_name for each in answer.verdicts] == ["Grace Hopper"]


def test_page_recognizes_a_picture() -> None:
    """The page opens through `kubectl port-forward`, and its HTTP API gets the gateway's answer."""
    picture = (CHART / "files" / "picture.jpg").read_bytes()
    with (
        cluster.port_forward("service/marquee-web", 80) as address,
        httpx.Client(base_url=f"http://{address}", timeout=60) as browser,
    ):
        assert browser.get("/").is_success
        answer = browser.post("/v1/recognize", files={"image": picture}).json()
    assert [each["displayName"] for each in answer["verdicts"]] == ["Grace Hopper"]


@pytest.mark.parametrize("component", SERVERS)
def test_pods_export_metrics(component: str) -> None:
    """Every pod exports metrics."""
    for name in cluster.pod_names(component):
        with (
            cluster.port_forward(f"pod/{name}", 9464) as address,
            urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as page,
        ):
            assert "\nmarquee_in_flight_bytes" in page.read().decode()


@pytest.mark.parametrize(("component", "container"), [*((name, name) for name in SERVICES), ("keras", "serving")])
def test_images_have_what_runs_and_no_more(component: str, container: str) -> None:
    """No image has a shell, a package manager, a setuid file or forbidden landmarks, and the root is read-only."""
    command = ("exec", "--stdin", f"deployment/marquee-{component}", "--container", container, "--", "python", "-")
    assert json.loads(cluster.kubectl(*command, stdin=CONTENTS.read_text("utf-8"))) == []


def test_notes_ask_for_readiness_gates() -> None:
    """Where an ALB calls the pods, helm says which label the namespace lacks, until it has that."""
    ingress = {"enabled": True, "host": "faces.example.com"}
    values = {"auth": {"allowAnonymousIngress": True}, "fullnameOverride": "gates", "ingress": ingress}
    label = "elbv2.k8s.aws/pod-readiness-gate-inject"

    def notes() -> str:
        options = (str(CHART), "--dry-run=server", "--namespace", cluster.NAMESPACE, "--values=-")
        return cluster.run("helm", "install", "gates", *options, stdin=json.dumps(values)).partition("NOTES:")[2]

    command = f"kubectl label namespace {cluster.NAMESPACE} {label}=enabled"
    assert command in notes()
    try:
        cluster.run(*command.split())
        assert command not in notes()
    finally:
        cluster.run("kubectl", "label", "namespace", cluster.NAMESPACE, f"{label}-")


def test_kustomize_applies_k8s() -> None:
    """The API server accepts `kubectl apply -k k8s`."""
    output = cluster.kubectl("apply", "--dry-run=server", "--kustomize", str(ROOT / "k8s"))
    assert "deployment.apps/marquee-keras" in output


def test_helm_renders_the_objects_in_k8s() -> None:
    """The helm binary renders the same objects as the library that wrote k8s/."""
    text = cluster.run("helm", "template", "marquee", str(CHART), "--skip-tests", "--kube-version=1.34.0")
    objects = [each for each in YAML(typ="safe", pure=True).load_all(text) if each]
    assert sorted(objects, key=str) == sorted(manifests.objects(manifests.render(CHART)), key=str)

"""Access to the Kubernetes cluster that KUBECONFIG names, with kubectl and helm."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from helm.generate import CHART, ROOT
from tests.support.processes import wait_until

NAMESPACE = "marquee-test"
RELEASE = "marquee"
LOCAL = CHART / "values-local.yaml"
CHANGED = ROOT / "tests" / "cluster" / "values-changed.yaml"
READY_SECONDS = 180
Object = dict[str, Any]


def run(*command: str, check: bool = True, stdin: str | None = None, seconds: float = 300) -> str:
    """Return the command's output; fail with it if the command fails."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=seconds, check=False)
    assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def kubectl(
    *arguments: str, check: bool = True, stdin: str | None = None, seconds: float = 300, namespace: str = NAMESPACE
) -> str:
    """Run kubectl in the tests' namespace, or another."""
    return run("kubectl", "--namespace", namespace, *arguments, check=check, stdin=stdin, seconds=seconds)


def helm(command: str, *arguments: str, check: bool = True, namespace: str = NAMESPACE) -> str:
    """Run a helm command on the tests' release, or on that of another namespace."""
    return run("helm", command, RELEASE, *arguments, "--namespace", namespace, check=check)


@contextmanager
def namespaced(name: str) -> Iterator[None]:
    """Make a namespace that admits only restricted pods, and delete it with all that is in it."""
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    run("kubectl", "apply", "--filename=-", stdin=json.dumps(namespace))
    try:
        yield
    finally:
        run("kubectl", "delete", "namespace", name, "--timeout=120s")


def helm_test(namespace: str = NAMESPACE) -> str:
    """Run `helm test`; return what it says, with the log of the test, which helm writes to standard error."""
    return run("sh", "-c", f"helm test {RELEASE} --namespace {namespace} --timeout=120s 2>&1")


def install(*arguments: str, namespace: str = NAMESPACE) -> None:
    """Install Marquee with the local values, and wait until it is ready."""
    options = (*values(), *arguments, "--wait", f"--timeout={READY_SECONDS}s")
    helm("install", str(CHART), *options, namespace=namespace)


def upgrade(*arguments: str, namespace: str = NAMESPACE) -> None:
    """Upgrade the release to the local values and what the arguments say besides."""
    helm("upgrade", str(CHART), *values(), *arguments, namespace=namespace)


def restore() -> None:
    """Give the release its first values again, and wait until it is ready. Its first revision may be forgotten."""
    upgrade("--wait", f"--timeout={READY_SECONDS}s")


def values() -> list[str]:
    """Return the arguments for the local values, and the registry if one is set."""
    arguments = [f"--values={LOCAL}"]
    if registry := os.environ.get("REGISTRY"):
        arguments.append(f"--set=images.registry={registry.rstrip('/')}")
    return arguments


def get(kind: str, *arguments: str, namespace: str = NAMESPACE) -> list[Object]:
    """Return all objects of a kind."""
    objects: list[Object] = json.loads(kubectl("get", kind, "--output=json", *arguments, namespace=namespace))["items"]
    return objects


def pods(component: str = "", namespace: str = NAMESPACE) -> list[Object]:
    """Return the pods that are not being deleted, of one component or of all."""
    selector = [f"--selector=app.kubernetes.io/component={component}"] if component else []
    objects = get("pods", *selector, namespace=namespace)
    return [each for each in objects if "deletionTimestamp" not in each["metadata"]]


def pod_names(component: str, namespace: str = NAMESPACE) -> list[str]:
    """Return the names of the component's pods."""
    return [each["metadata"]["name"] for each in pods(component, namespace)]


def is_ready(pod: Object) -> bool:
    """Return whether a pod's containers are all ready."""
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))


def containers(component: str) -> dict[str, Object]:
    """Return name → container of the component's Deployment, init containers included."""
    (deployment,) = get("deployments", f"--field-selector=metadata.name=marquee-{component}")
    pod = deployment["spec"]["template"]["spec"]
    return {each["name"]: each for each in [*pod.get("initContainers", []), *pod["containers"]]}


def wait_for_rollout(component: str, seconds: int = READY_SECONDS) -> None:
    """Wait until all of the component's pods are new and ready."""
    kubectl("rollout", "status", f"deployment/marquee-{component}", f"--timeout={seconds}s", seconds=seconds + 10)


@contextmanager
def port_forward(target: str, port: int, namespace: str = NAMESPACE) -> Iterator[str]:
    """Yield the host:port on this machine that leads to a Service or pod."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        local = probe.getsockname()[1]
    command = ["kubectl", "--namespace", namespace, "port-forward", target, f"{local}:{port}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: _open(local))
        yield f"127.0.0.1:{local}"
    finally:
        process.terminate()
        process.wait(10)


def _open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def missing() -> str:
    """Return what these tests lack and how to get it, or an empty string if nothing is missing."""
    if not os.environ.get("KUBECONFIG"):
        return "KUBECONFIG names no cluster; start one (kind, minikube) and set it"
    programs = [program for program in ("kubectl", "helm") if not shutil.which(program)]
    return f"{' and '.join(programs)} not on PATH; install from Kubernetes and Helm" if programs else ""

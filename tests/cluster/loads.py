"""Load from inside the cluster: a Job that sends calls at a steady rate and counts failures."""

import base64
import json
import os
import time
from collections.abc import Callable, Sequence
from functools import partial

from helm.generate import CHART, ROOT
from tests.cluster import cluster

_TARGET = "marquee-gateway-headless"


def under_load(
    name: str, seconds: int, disturb: Callable[[], object], namespace: str = cluster.NAMESPACE, secret: str = ""
) -> cluster.Object:
    """Return the Job's report of its calls while `disturb` ran. With a Secret of a CA and a token they go over TLS.

    MARQUEE_LOAD_RATE is the number of calls per second; MARQUEE_LOAD_RETRIES=0 turns off the retries of the published
    service config.
    """
    rate = os.environ.get("MARQUEE_LOAD_RATE", "50")
    kubectl = partial(cluster.kubectl, namespace=namespace)
    kubectl("delete", "job,configmap", name, "--ignore-not-found")
    kubectl("apply", "--filename=-", stdin=json.dumps(_config(name)))
    target = f"dns:///{_TARGET}.{namespace}.svc:50051" if secret else f"dns:///{_TARGET}:50051"
    job = _job(name, [target, "/load/picture", rate, str(seconds)], namespace, secret)
    kubectl("apply", "--filename=-", stdin=json.dumps(job))
    kubectl("wait", "pod", f"--selector=job-name={name}", "--for=condition=Ready", "--timeout=60s")
    time.sleep(5)
    disturb()
    (load,) = cluster.get("jobs", f"--field-selector=metadata.name={name}", namespace=namespace)
    assert load["status"].get("active"), "the load ended before the disturbance did; increase the load's seconds"
    kubectl("wait", f"job/{name}", "--for=condition=Complete", f"--timeout={seconds + 90}s")
    report: cluster.Object = json.loads(kubectl("logs", f"job/{name}").splitlines()[-1])
    assert report["calls"] == int(float(rate) * seconds)
    return report


def _config(name: str) -> cluster.Object:
    picture = (CHART / "files" / "picture.jpg").read_bytes()
    script = (ROOT / "tests" / "cluster" / "load.py").read_text()
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"load.py": script},
        "binaryData": {"picture": base64.b64encode(picture).decode()},
    }


def _job(name: str, arguments: Sequence[str], namespace: str, secret: str) -> cluster.Object:
    (stand_in,) = cluster.get("deployments", "--selector=app.kubernetes.io/name=aws-stand-in", namespace=namespace)
    pod = stand_in["spec"]["template"]["spec"]
    container: cluster.Object = {
        "name": "load",
        "image": pod["containers"][0]["image"],
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "/load/load.py", *arguments, "keras"],
        "securityContext": pod["containers"][0]["securityContext"],
        "env": [{"name": "RETRIES", "value": os.environ.get("MARQUEE_LOAD_RETRIES", "1")}],
        "volumeMounts": [{"name": "load", "mountPath": "/load"}],
    }
    volumes: list[cluster.Object] = [{"name": "load", "configMap": {"name": name}}]
    if secret:
        container["env"].append({"name": "CREDENTIALS", "value": "/credentials"})
        container["volumeMounts"].append({"name": "credentials", "mountPath": "/credentials"})
        volumes.append({"name": "credentials", "secret": {"secretName": secret}})
    template = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": pod["securityContext"],
        "containers": [container],
        "volumes": volumes,
    }
    spec = {"backoffLimit": 0, "template": {"spec": template}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}

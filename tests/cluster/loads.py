"""Load from inside the cluster: a Job that sends calls at a steady rate and counts failures."""

import base64
import json
import os
import time
from collections.abc import Callable, Sequence

from helm.generate import CHART, ROOT
from tests.cluster import cluster

_TARGET = "dns:///marquee-gateway-headless:50051"


def under_load(name: str, seconds: int, disturb: Callable[[], object]) -> cluster.Object:
    """Return the Job's report of its calls while `disturb` ran.

    MARQUEE_LOAD_RATE is the number of calls per second; MARQUEE_LOAD_RETRIES=0 turns off the retries of the published
    service config.
    """
    rate = os.environ.get("MARQUEE_LOAD_RATE", "50")
    cluster.kubectl("delete", "job,configmap", name, "--ignore-not-found")
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(_config(name)))
    job = _job(name, [_TARGET, "/load/picture", rate, str(seconds)])
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(job))
    cluster.kubectl("wait", "pod", f"--selector=job-name={name}", "--for=condition=Ready", "--timeout=60s")
    time.sleep(5)
    disturb()
    (load,) = cluster.get("jobs", f"--field-selector=metadata.name={name}")
    assert load["status"].get("active"), "the load ended before the disturbance did; increase the load's seconds"
    cluster.kubectl("wait", f"job/{name}", "--for=condition=Complete", f"--timeout={seconds + 90}s")
    report: cluster.Object = json.loads(cluster.kubectl("logs", f"job/{name}").splitlines()[-1])
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


def _job(name: str, arguments: Sequence[str]) -> cluster.Object:
    (stand_in,) = cluster.get("deployments", "--field-selector=metadata.name=aws-stand-in")
    pod = stand_in["spec"]["template"]["spec"]
    container = {
        "name": "load",
        "image": pod["containers"][0]["image"],
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "/load/load.py", *arguments, "keras"],
        "securityContext": pod["containers"][0]["securityContext"],
        "env": [{"name": "RETRIES", "value": os.environ.get("MARQUEE_LOAD_RETRIES", "1")}],
        "volumeMounts": [{"name": "load", "mountPath": "/load"}],
    }
    template = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": pod["securityContext"],
        "containers": [container],
        "volumes": [{"name": "load", "configMap": {"name": name}}],
    }
    spec = {"backoffLimit": 0, "template": {"spec": template}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}

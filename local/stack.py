"""The parts of the whole system, their addresses and their settings."""

import errno
import json
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import SystemRandom
from string import Template

from local import pictures
from local.supervisor import Part, grpc_serving, tcp_open
from services.names import RECOGNIZERS
from services.runtime.doors.settings import DoorSettings
from services.runtime.settings import PREFIX
from services.runtime.storage import files
from services.svm.networks.network import DLIB

BUCKET = "marquee-demo"
GATEWAY_PORT = 50051
HOST = "127.0.0.1"
MODEL_BASE = Path("models/keras/celebrity")
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1"}
"""The stand-ins accept any credentials; these keep a real account's from being sent anywhere."""
_ANY_HOST = ("0.0.0.0", "::")
_NO_DOOR = {f"{PREFIX}{name.upper()}": "" for name in DoorSettings.model_fields}
"""Recognizers ask nobody who they are, whatever the environment says: that is for the gateway."""
_PORTS = range(20_000, 32_000)
_SERVERS = (*RECOGNIZERS, "gateway")


@dataclass(frozen=True)
class Stack:
    """The parts, and the addresses of the contract's servers and of their metrics."""

    parts: Sequence[Part]
    servers: dict[str, str]
    metrics: dict[str, str]
    s3_url: str

    @property
    def gateway_url(self) -> str:
        """The gateway's address as clients take it."""
        address = self.servers["gateway"]
        return f"https://{address.replace(HOST, 'localhost')}" if _speaks_tls() else address

    def write(self, path: Path) -> None:
        """Write addresses and process ids as JSON, atomically."""
        facts = {
            "servers": self.servers,
            "metrics": self.metrics,
            "s3_url": self.s3_url,
            "bucket": BUCKET,
            "pids": {part.name: part.process.pid for part in self.parts if part.process},
        }
        files.write(path, json.dumps(facts, indent=2))


def build(state: Path, gallery: Path | None = None, port: int | None = None, host: str = HOST) -> Stack:
    """Lay out the system on free loopback ports; the gateway gets `port`, by default 50051 if that is free.

    The gateway listens on `host`; the environment's MARQUEE_ variables say whom it answers.
    """
    s3, aws, tf_serving, *rest = (f"{HOST}:{port}" for port in free_ports(3 + 2 * len(_SERVERS)))
    servers = dict(zip(_SERVERS, rest[: len(_SERVERS)], strict=True))
    metrics = dict(zip(_SERVERS, rest[len(_SERVERS) :], strict=True))
    if port or is_free(GATEWAY_PORT):
        servers["gateway"] = f"{HOST}:{port or GATEWAY_PORT}"
    if host not in _ANY_HOST:
        servers["gateway"] = servers["gateway"].replace(HOST, host)
    gallery = gallery or _demo_gallery(state)
    pictures.write_demo(state / "pictures")
    config = _gateway_config(state, servers)
    everywhere = CREDENTIALS | {"MARQUEE_S3_ENDPOINT_URL": f"http://{s3}", "MARQUEE_S3_ALLOWED": _allowed()}
    own = {
        "rekognition": {
            "MARQUEE_REKOGNITION_ENDPOINT_URL": f"http://{aws}",
            "MARQUEE_EVIDENCE_GROUP": DLIB.evidence_group,
        },
        "keras": {"MARQUEE_KERAS_TARGET": tf_serving, "MARQUEE_KERAS_ASSETS": str(MODEL_BASE)},
        "svm": {"MARQUEE_SVM_GALLERY": str(state / "enrolled.npz")},
        "gateway": {"MARQUEE_GATEWAY_CONFIG": str(config), "MARQUEE_HOST": host},
    }
    parts = [
        _s3(s3, state / "pictures"),
        _aws_rekognition(aws, gallery, s3),
        _tf_serving(tf_serving),
        *(_server(name, servers[name], metrics[name], everywhere | own.get(name, {})) for name in _SERVERS),
    ]
    return Stack(parts, servers, metrics, f"http://{s3}")


def free_ports(count: int) -> list[int]:
    """Return distinct free ports of the loopback interface, below those that the kernel gives to clients."""
    candidates = SystemRandom().sample(_PORTS, len(_PORTS))
    return list(islice(filter(is_free, candidates), count))


def is_free(port: int) -> bool:
    """Return whether nobody listens on the port of the loopback interface, whose name stands for two addresses."""
    return all(_is_free(family, host, port) for family, host in ((socket.AF_INET, HOST), (socket.AF_INET6, "::1")))


def _is_free(family: socket.AddressFamily, host: str, port: int) -> bool:
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as exc:
        return exc.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # a machine without IPv6
    return True


def _allowed() -> str:
    """Return the demo's bucket and those that the user allows."""
    return ",".join(filter(None, (BUCKET, os.environ.get("MARQUEE_S3_ALLOWED"))))


def _demo_gallery(state: Path) -> Path:
    pictures.write_gallery(state / "gallery")
    return state / "gallery"


def _gateway_config(state: Path, servers: dict[str, str]) -> Path:
    template = Path(__file__).with_name("gateway.yaml").read_text("utf-8")
    path = state / "gateway.yaml"
    files.write(path, Template(template).substitute(servers))
    return path


def _s3(address: str, folder: Path) -> Part:
    host, _, port = address.rpartition(":")
    return Part("s3", "local.s3", address, tcp_open, ("--host", host, "--port", port, f"{BUCKET}={folder}"))


def _aws_rekognition(address: str, gallery: Path, s3: str) -> Part:
    port = address.rpartition(":")[2]
    arguments = ("--port", port, "--gallery", str(gallery), "--s3-endpoint", f"http://{s3}")
    return Part("aws-rekognition", "local.rekognition", address, tcp_open, arguments, CREDENTIALS)


def _tf_serving(address: str) -> Part:
    arguments = (
        f"--port={address.rpartition(':')[2]}",
        f"--model_name={MODEL_BASE.name}",
        f"--model_base_path={MODEL_BASE.absolute()}",
        "--enable_grpc_healthcheck_service",
    )
    return Part("tf-serving", "local.tf_serving", address, grpc_serving, arguments)


def _server(name: str, address: str, metrics: str, environment: dict[str, str]) -> Part:
    is_gateway = name == "gateway"
    where = {
        "MARQUEE_HOST": HOST,
        "MARQUEE_PORT": address.rpartition(":")[2],
        "MARQUEE_HEALTH_PORT": "0",
        "MARQUEE_METRICS_HOST": HOST,
        "MARQUEE_METRICS_PORT": metrics.rpartition(":")[2],
        "MARQUEE_LOG_FORMAT": os.environ.get("MARQUEE_LOG_FORMAT", "json"),
    }
    door = {} if is_gateway else _NO_DOOR
    is_ready = tcp_open if is_gateway and _speaks_tls() else grpc_serving
    return Part(name, f"services.{name}", address, is_ready, environment=door | where | environment)


def _speaks_tls() -> bool:
    """Return whether the environment makes the gateway speak TLS."""
    return bool(os.environ.get("MARQUEE_TLS_CERT"))

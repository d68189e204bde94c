"""The parts of the whole system, their addresses and their settings."""

import errno
import json
import os
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import SystemRandom
from string import Template

from local import pictures
from local.supervisor import Part, grpc_serving, tcp_open
from services.names import RECOGNIZERS, SERVICES
from services.runtime.doors.settings import DoorSettings, is_loopback
from services.runtime.settings import PREFIX
from services.runtime.storage import files
from services.svm.networks.network import DLIB

BUCKET = "marquee-demo"
GATEWAY_PORT = 50051
WEB_PORT = 8080
HOST = "127.0.0.1"
MODEL_BASE = Path("models/keras/celebrity")
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1"}
"""The stand-ins accept any credentials; these keep a real account's from being sent anywhere."""
_REACHED = {"0.0.0.0": HOST, "::": "localhost"}
"""Address that listens on all interfaces → one at which this machine reaches it."""
_NO_DOOR = {f"{PREFIX}{name.upper()}": "" for name in DoorSettings.model_fields}
"""Recognizers ask nobody who they are, whatever the environment says: that is for the gateway."""
_PORTS = range(20_000, 32_000)
_SERVERS = (*RECOGNIZERS, "gateway")


@dataclass(frozen=True)
class Stack:
    """The parts, the addresses of the contract's servers, of the page, and of the metrics of all of these."""

    parts: Sequence[Part]
    servers: dict[str, str]
    page: str
    metrics: dict[str, str]
    s3_url: str

    @property
    def gateway_url(self) -> str:
        """The gateway's address as clients take it."""
        address = self.servers["gateway"]
        return f"https://{_certified(address)}" if _speaks_tls() else address

    @property
    def page_url(self) -> str:
        """The page's address as browsers take it: what the environment says, or the one on this machine."""
        return _setting("WEB_URL") or _url(self.page)

    @property
    def page_is_known(self) -> bool:
        """Whether the page has something to show the gateway."""
        return bool(_setting("WEB_GATEWAY_TOKEN_FILE", "WEB_GATEWAY_CERT", "CERT"))

    def write(self, path: Path) -> None:
        """Write addresses and process ids as JSON, atomically."""
        facts = {
            "page_url": self.page_url,
            "servers": self.servers,
            "metrics": self.metrics,
            "s3_url": self.s3_url,
            "bucket": BUCKET,
            "pids": {part.name: part.process.pid for part in self.parts if part.process},
        }
        files.write(path, json.dumps(facts, indent=2))


def build(
    state: Path, gallery: Path | None = None, port: int | None = None, web_port: int | None = None, host: str = HOST
) -> Stack:
    """Lay out the system on free loopback ports.

    The gateway gets `port` and the page `web_port`, by default 50051 and 8080 if these are free. Both listen on `host`;
    the environment's MARQUEE_ variables say whom they answer.
    """
    free = free_ports(4 + len(_SERVERS) + len(SERVICES), without=(port, web_port))
    s3, aws, tf_serving, *rest = (f"{HOST}:{number}" for number in free)
    servers = dict(zip(_SERVERS, rest, strict=False))
    page, *metrics_addresses = rest[len(_SERVERS) :]
    metrics = dict(zip((*_SERVERS, "web"), metrics_addresses, strict=True))
    servers["gateway"] = _outer(servers["gateway"], host, port, None if web_port == GATEWAY_PORT else GATEWAY_PORT)
    page = _outer(page, host, web_port, None if port == WEB_PORT else WEB_PORT)
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
        _web(page, metrics["web"], host, servers["gateway"]),
    ]
    return Stack(parts, servers, page, metrics, f"http://{s3}")


def free_ports(count: int, without: Collection[int | None] = ()) -> list[int]:
    """Return distinct free ports of the loopback interface, below those that the kernel gives to clients."""
    candidates = SystemRandom().sample(_PORTS, len(_PORTS))
    return list(islice((port for port in candidates if port not in without and is_free(port)), count))


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


def _outer(address: str, host: str, port: int | None, default: int | None) -> str:
    """Return the address of a server for callers: on the requested port, else on its default if that is free."""
    number = port or (default if default and is_free(default) else address.rpartition(":")[2])
    reached = _REACHED.get(host, host)
    return f"[{reached}]:{number}" if ":" in reached else f"{reached}:{number}"


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
    port = {"MARQUEE_HOST": HOST, "MARQUEE_PORT": address.rpartition(":")[2], "MARQUEE_HEALTH_PORT": "0"}
    door = {} if is_gateway else _NO_DOOR
    is_ready = tcp_open if is_gateway and _speaks_tls() else grpc_serving
    return Part(name, f"services.{name}", address, is_ready, environment=door | port | _observed(metrics) | environment)


def _web(address: str, metrics: str, host: str, gateway: str) -> Part:
    """Return the page, which reaches a gateway with TLS as the client here does, unless told otherwise."""
    where = {"MARQUEE_HOST": host, "MARQUEE_WEB_PORT": address.rpartition(":")[2], "MARQUEE_WEB_GATEWAY": gateway}
    if not is_loopback(host):
        where["MARQUEE_WEB_URL"] = _setting("WEB_URL") or _url(address)
    if _speaks_tls():
        where |= {"MARQUEE_WEB_GATEWAY": _certified(gateway), "MARQUEE_WEB_GATEWAY_TLS": "true"}
        where |= {
            f"MARQUEE_WEB_GATEWAY_{name}": _setting(f"WEB_GATEWAY_{name}", name) for name in ("CA", "CERT", "KEY")
        }
    return Part("web", "services.web", address, tcp_open, environment=_observed(metrics) | where)


def _observed(metrics: str) -> dict[str, str]:
    return {
        "MARQUEE_METRICS_HOST": HOST,
        "MARQUEE_METRICS_PORT": metrics.rpartition(":")[2],
        "MARQUEE_LOG_FORMAT": os.environ.get("MARQUEE_LOG_FORMAT", "json"),
    }


def _setting(*names: str) -> str:
    """Return the first of the variables that is set."""
    return next(filter(None, (os.environ.get(f"{PREFIX}{name}") for name in names)), "")


def _speaks_tls() -> bool:
    """Return whether the environment makes the gateway speak TLS."""
    return bool(os.environ.get("MARQUEE_TLS_CERT"))


def _url(page: str) -> str:
    """Return the page's URL: with the gateway's certificate it speaks HTTPS."""
    return f"https://{_certified(page)}" if _speaks_tls() else f"http://{page}"


def _certified(address: str) -> str:
    """Return the address by the name that certificates are made out to."""
    return address.replace(HOST, "localhost")

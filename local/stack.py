"""The parts of the whole system, their addresses and their settings."""

import json
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import Signals

from local import pictures, ports, postgres
from local.models import SvmModel
from local.supervisor import Part, grpc_serving, socket_open, tcp_open
from marquee.channels.local_system import LocalSystem
from services.names import RECOGNIZERS
from services.runtime.doors.settings import DoorSettings, is_loopback, netloc
from services.runtime.settings import PREFIX, Settings, load_settings
from services.runtime.storage import files
from services.svm.networks.network import DLIB

BUCKET = "marquee-demo"
GATEWAY_PORT = 50051
LIBRARY_PORT = 50052
WEB_PORT = 8080
HOST = "127.0.0.1"
MODEL_BASE = Path("models/keras/celebrity")
COLLECTION = "people"
_TABLE = "marquee"
"""DynamoDB table with the names of the people in the collection."""
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1"}
"""The stand-ins accept any credentials; these keep a real account's from being sent anywhere."""
_REACHED = {"0.0.0.0": HOST, "::": "localhost"}
"""Address that listens on all interfaces → one at which this machine reaches it."""
_OUTER = ("gateway", "library")
"""What callers reach."""
_PGPORT = {"PGPORT": "5432"}
"""The socket's name has the port, which the environment may have set for another server."""
_NO_DOOR = {f"{PREFIX}{name.upper()}": "" for name in DoorSettings.model_fields}
"""Recognizers ask nobody who they are, whatever the environment says: that is for the outer ones."""
_SERVERS = (*RECOGNIZERS, "gateway", "library")
_OBSERVED = (*_SERVERS, "web")
"""What has metrics."""
_PRICED = ("rekognition",)
"""Recognizers whose calls cost money."""
_VETO = {"recognizer": "keras", "label": "Non-Celebrity"}
"""What spares a cascade the call to Rekognition; a model without that label has no veto."""


@dataclass(frozen=True)
class Stack:
    """The parts, the addresses of the contract's servers, of the page, and of the metrics of all of these."""

    parts: Sequence[Part]
    servers: dict[str, str]
    page: str
    metrics: dict[str, str]
    exports: dict[str, str]
    """Environment variables with which other programs reach the gateway and the stand-ins."""

    @property
    def gateway_url(self) -> str:
        """The gateway's address as clients take it."""
        return self.exports["MARQUEE_ADDRESS"]

    @property
    def library_url(self) -> str:
        """The library's address as clients take it."""
        return self.exports["MARQUEE_LIBRARY_ADDRESS"]

    @property
    def page_url(self) -> str:
        """The page's address as browsers take it: what the environment says, or the one on this machine."""
        return _setting("WEB_URL") or _url(self.page)

    @property
    def asks(self) -> bool:
        """Whether the gateway and the library ask callers who they are."""
        return load_settings(Settings).is_closed

    @property
    def unknown(self) -> Sequence[str]:
        """The names of the services that the gateway asks who they are, and that have nothing to show."""
        return [
            name
            for name in ("web", "library")
            if self.asks and not _setting(f"{name.upper()}_GATEWAY_TOKEN_FILE", f"{name.upper()}_GATEWAY_CERT", "CERT")
        ]

    def local_system(self, state: Path) -> LocalSystem:
        """Return what the user's commands need to know to call the gateway as the environment here says."""
        files = ("CA", "CERT", "KEY", "TOKEN_FILE")
        paths = {name.lower(): str(Path(path).absolute()) for name in files if (path := _setting(name))}
        return LocalSystem(
            address=self.gateway_url,
            library=self.library_url,
            folder=str(Path.cwd()),
            state=str(state.absolute()),
            asks=self.asks,
            exports=self.exports | {f"{PREFIX}{name.upper()}": path for name, path in paths.items()},
            **paths,
        )

    def write(self, path: Path) -> None:
        """Write addresses and process ids as JSON, atomically."""
        facts = {
            "page_url": self.page_url,
            "servers": self.servers,
            "metrics": self.metrics,
            "s3_url": self.exports["AWS_ENDPOINT_URL"],
            "rekognition_url": self.exports["AWS_ENDPOINT_URL_REKOGNITION"],
            "bucket": BUCKET,
            "pids": {part.name: part.process.pid for part in self.parts if part.process},
        }
        files.write(path, json.dumps(facts, indent=2))


@dataclass(frozen=True)
class Own:
    """What the user brings along instead of the demo's, or beside it."""

    svm_model: SvmModel | None = None
    keras_model: Path | None = None
    """Folder of the model's versions."""
    gallery: Path | None = None
    annotations: Path | None = None
    collections: bool = False
    """Whether Rekognition enrolls people."""
    buckets: Sequence[tuple[str, Path | None]] = ()
    """Names, each with the folder of its objects."""


def build(
    state: Path, port: int | None = None, web_port: int | None = None, host: str = HOST, own: Own | None = None
) -> Stack:
    """Lay out the system on free loopback ports.

    The gateway gets `port` and the page `web_port`, by default 50051 and 8080 if these are free, as the library gets
    50052. These listen on `host`; the environment's MARQUEE_ variables say whom they answer.
    """
    own = own or Own()
    free = ports.take(4 + len(_SERVERS) + len(_OBSERVED))
    s3, aws, tf_serving, *rest = (f"{HOST}:{number}" for number in free)
    servers = dict(zip(_SERVERS, rest, strict=False))
    page, *metrics_addresses = rest[len(_SERVERS) :]
    metrics = dict(zip(_OBSERVED, metrics_addresses, strict=True))
    servers["gateway"] = _outer(servers["gateway"], host, port, None if web_port == GATEWAY_PORT else GATEWAY_PORT)
    servers["library"] = _outer(
        servers["library"], host, None, None if LIBRARY_PORT in (port, web_port) else LIBRARY_PORT
    )
    page = _outer(page, host, web_port, None if port == WEB_PORT else WEB_PORT)
    pictures.write_demo(state / "pictures")
    config = _gateway_config(state, servers)
    buckets = [(BUCKET, state / "pictures"), *own.buckets]
    everywhere = CREDENTIALS | {
        "MARQUEE_S3_ENDPOINT_URL": f"http://{s3}",
        "MARQUEE_S3_ALLOWED": _allowed(name for name, _ in buckets),
    }
    model_base = own.keras_model or MODEL_BASE.absolute()
    settings = {
        "rekognition": _rekognition(aws, s3, own),
        "keras": {
            "MARQUEE_KERAS_TARGET": tf_serving,
            "MARQUEE_KERAS_ASSETS": str(model_base),
            "MARQUEE_KERAS_MODEL": model_base.name,
        },
        "svm": _svm(state, own.svm_model),
        "gateway": {"MARQUEE_GATEWAY_CONFIG": str(config), "MARQUEE_HOST": host},
        "library": _library(state, servers["gateway"]) | {"MARQUEE_HOST": host},
    }
    parts = [
        _s3(s3, buckets, state if own.collections else None),
        _aws_rekognition(aws, s3, state, own),
        _tf_serving(tf_serving, model_base),
        *(_server(name, servers[name], metrics[name], everywhere | settings.get(name, {})) for name in _SERVERS),
        _web(page, metrics["web"], host, servers["gateway"]),
        _postgres(state),
    ]
    return Stack(parts, servers, page, metrics, _exports(servers, s3, aws))


def _exports(servers: Mapping[str, str], s3: str, aws: str) -> dict[str, str]:
    return {
        "MARQUEE_ADDRESS": _server_url(servers["gateway"]),
        "MARQUEE_LIBRARY_ADDRESS": _server_url(servers["library"]),
        "AWS_ENDPOINT_URL": f"http://{s3}",
        "AWS_ENDPOINT_URL_REKOGNITION": f"http://{aws}",
        **CREDENTIALS,
        "AWS_REGION": CREDENTIALS["AWS_DEFAULT_REGION"],
    }


def _outer(address: str, host: str, port: int | None, default: int | None) -> str:
    """Return the address of a server for callers: on the requested port, else on its default if that is free."""
    number = port or (default if default and ports.claim(default) else address.rpartition(":")[2])
    reached = _REACHED.get(host, host)
    return netloc(reached, int(number))


def _allowed(buckets: Iterable[str]) -> str:
    """Return the system's buckets and those that the user allows."""
    return ",".join(filter(None, (*buckets, os.environ.get("MARQUEE_S3_ALLOWED"))))


def _rekognition(aws: str, s3: str, own: Own) -> dict[str, str]:
    settings = {
        "MARQUEE_REKOGNITION_ENDPOINT_URL": f"http://{aws}",
        "MARQUEE_EVIDENCE_GROUP": DLIB.evidence_group,
    }
    if own.collections:
        settings |= {
            "MARQUEE_REKOGNITION_COLLECTION": COLLECTION,
            "MARQUEE_REKOGNITION_TABLE": _TABLE,
            "MARQUEE_DYNAMODB_ENDPOINT_URL": f"http://{s3}",
        }
    return settings


def _svm(state: Path, model: SvmModel | None) -> dict[str, str]:
    settings = {"MARQUEE_SVM_MODEL": str(model.path)} if model else {}
    return settings if model and not model.learns else settings | {"MARQUEE_SVM_GALLERY": str(state / "enrolled.npz")}


def _demo_gallery(state: Path) -> Path:
    pictures.write_gallery(state / "gallery")
    return state / "gallery"


def _gateway_config(state: Path, servers: dict[str, str]) -> Path:
    """Write the gateway's file: JSON is YAML, too. A cascade asks last what costs money."""
    order = sorted(RECOGNIZERS, key=lambda name: (name in _PRICED, name != "svm"))
    entries = {name: {"target": servers[name], "priced": name in _PRICED} for name in order}
    path = state / "gateway.yaml"
    files.write(path, json.dumps({"recognizers": entries, "veto": _VETO}, indent=2))
    return path


def _s3(address: str, buckets: Iterable[tuple[str, Path | None]], state: Path | None) -> Part:
    """Return the stand-in for S3 and DynamoDB, whose table is kept in the folder, if there is one."""
    host, _, port = address.rpartition(":")
    arguments = ["--host", host, "--port", port]
    arguments += [f"{name}={folder}" if folder else name for name, folder in buckets]
    if state:
        arguments.append(f"--table={_TABLE}={state / 'people.json'}")
    return Part("s3", "local.s3", address, tcp_open, arguments, first=bool(state))


def _aws_rekognition(address: str, s3: str, state: Path, own: Own) -> Part:
    arguments = ["--port", address.rpartition(":")[2], "--s3-endpoint", f"http://{s3}"]
    arguments += ["--gallery", str(own.gallery or _demo_gallery(state))]
    if own.annotations:
        arguments += ["--annotations", str(own.annotations)]
    if own.collections:
        arguments += ["--collections", str(state / "collections"), "--collection", COLLECTION]
    return Part("aws-rekognition", "local.rekognition", address, tcp_open, arguments, CREDENTIALS)


def _tf_serving(address: str, model_base: Path) -> Part:
    arguments = (
        f"--port={address.rpartition(':')[2]}",
        f"--model_name={model_base.name}",
        f"--model_base_path={model_base}",
        "--enable_grpc_healthcheck_service",
    )
    return Part("tf-serving", "local.tf_serving", address, grpc_serving, arguments)


def _server(name: str, address: str, metrics: str, environment: dict[str, str]) -> Part:
    is_outer = name in _OUTER
    port = {"MARQUEE_HOST": HOST, "MARQUEE_PORT": address.rpartition(":")[2], "MARQUEE_HEALTH_PORT": "0"}
    door = {} if is_outer else _NO_DOOR
    is_ready = tcp_open if is_outer and _speaks_tls() else grpc_serving
    module = "local.library" if name == "library" else f"services.{name}"
    return Part(name, module, address, is_ready, environment=door | port | _observed(metrics) | environment)


def _web(address: str, metrics: str, host: str, gateway: str) -> Part:
    where = {"MARQUEE_HOST": host, "MARQUEE_WEB_PORT": address.rpartition(":")[2]}
    if not is_loopback(host):
        where["MARQUEE_WEB_URL"] = _setting("WEB_URL") or _url(address)
    return Part(
        "web", "services.web", address, tcp_open, environment=_observed(metrics) | where | _to_gateway("WEB", gateway)
    )


def _to_gateway(name: str, gateway: str) -> dict[str, str]:
    """Return how a service reaches the gateway: one with TLS as the client here does, unless told otherwise."""
    if not _speaks_tls():
        return {f"MARQUEE_{name}_GATEWAY": gateway}
    where = {f"MARQUEE_{name}_GATEWAY": _certified(gateway), f"MARQUEE_{name}_GATEWAY_TLS": "true"}
    credentials = ("CA", "CERT", "KEY")
    return where | {f"MARQUEE_{name}_GATEWAY_{kind}": _setting(f"{name}_GATEWAY_{kind}", kind) for kind in credentials}


def _postgres(state: Path) -> Part:
    """Return the library's database, which lets nobody in but this user, by a socket."""
    data = (state / "postgres").absolute()
    socket = str(postgres.socket_path(data))
    return Part(
        "postgres", "local.postgres", socket, socket_open, [str(data)], _PGPORT, last=True, stop_signal=Signals.SIGINT
    )


def _library(state: Path, gateway: str) -> dict[str, str]:
    folder = (state / "library").absolute()
    folder.mkdir(exist_ok=True)
    key_file = state.absolute() / "tombstone-keys"
    if not key_file.exists():
        files.write(key_file, secrets.token_hex(32))
    return (
        _to_gateway("LIBRARY", gateway)
        | _PGPORT
        | {
            "MARQUEE_LIBRARY_DATABASE_URL": postgres.url(postgres.socket_path((state / "postgres").absolute()).parent),
            "MARQUEE_LIBRARY_STORE": folder.as_uri(),
            "MARQUEE_LIBRARY_TOMBSTONE_KEY_FILE": str(key_file),
        }
    )


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
    """Return whether the environment makes the gateway, the library and the page speak TLS."""
    return bool(os.environ.get("MARQUEE_TLS_CERT"))


def _server_url(address: str) -> str:
    """Return the address of the gateway or the library as clients take it."""
    return f"https://{_certified(address)}" if _speaks_tls() else address


def _url(page: str) -> str:
    """Return the page's URL: with the gateway's certificate it speaks HTTPS."""
    return f"https://{_certified(page)}" if _speaks_tls() else f"http://{page}"


def _certified(address: str) -> str:
    """Return the address by the name that certificates are made out to."""
    return address.replace(HOST, "localhost")

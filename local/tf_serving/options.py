"""The command line. TensorFlow Serving's flags (model_servers/main.cc:87-314) keep their names.

A command line that the server refuses (model_servers/server.cc:183-202, 226-243) is refused with its words.
"""

import argparse
import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import grpc
from google.protobuf import text_format
from google.protobuf.message import Message

from local.tf_serving.errors import Refusal
from local.tf_serving.forms.metrics import PATH
from local.tf_serving.messages.config_pb2 import BatchingParameters, ModelServerConfig, MonitoringConfig

_WITHOUT_EFFECT = (
    *("enable_model_warmup", "flush_filesystem_caches", "grpc_channel_arguments", "grpc_max_threads"),
    *("load_retry_interval_micros", "max_num_load_retries", "num_load_threads", "num_unload_threads"),
    *("num_request_iterations_for_warmup", "per_process_gpu_memory_fraction", "rest_api_num_threads"),
    *("rest_api_timeout_in_ms", "remove_unused_fields_from_bundle_metagraph", "tensorflow_inter_op_parallelism"),
    *("tensorflow_session_config_file", "tensorflow_session_parallelism"),
)
"""Flags that change how the real server works but not what it answers."""
M = TypeVar("M", bound=Message)


@dataclass
class Faults:
    """Faults injected into Predict, so that clients can be tested. May be changed while serving."""

    seconds: float = 0
    """Delay of each call."""
    code: grpc.StatusCode | None = None
    """Status with which calls fail; None: they do not."""
    share: float = 1
    """Share of the calls that fail, 0 to 1."""
    text: str = "injected by --inject_error"
    """Details of the status."""
    chance: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - which calls fail is no secret

    async def inject(self) -> None:
        """Wait, then maybe raise Refusal."""
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if self.code is not None and self.chance.random() < self.share:
            raise Refusal(self.code, self.text)


@dataclass
class ServerOptions:
    """How the gRPC server answers calls."""

    as_content: bool = False
    """Whether responses hold tensor_content instead of float_val and the like."""
    batching: BatchingParameters | None = None
    """None: one run per call."""
    health: bool = True
    """Whether grpc.health.v1.Health is served."""
    faults: Faults = field(default_factory=Faults)
    allow_unavailable_labels: bool = False
    """Whether a new label may name a version that is not available yet."""


@dataclass(frozen=True)
class Options:
    """The parsed command line."""

    config: ModelServerConfig
    address: str
    rest_port: int
    """0: no REST."""
    metrics_path: str
    """On the REST port; empty: no metrics."""
    poll_seconds: float
    """0: base paths are read once."""
    config_file: Path | None
    """Where `config` comes from, if it is a file."""
    config_poll_seconds: float
    """0: the file is read once."""
    threads: int
    """Threads of one model run."""
    server: ServerOptions


def parse(arguments: list[str] | None = None) -> Options:
    """Parse the command line; exit 2 if it is invalid. Raises OSError for files that cannot be read."""
    parser = _parser()
    args = parser.parse_args(arguments)
    if not args.port:
        parser.error(
            "At least one of server_options.grpc_port or server_options.grpc_socket_path must be set, and this server "
            "has no grpc_socket_path."
        )
    if not args.model_base_path and not args.model_config_file:
        parser.error("Both server_options.model_base_path and server_options.model_config_file are empty!")
    if args.batching_parameters_file and not args.enable_batching:
        parser.error("batching_parameters_file is set without setting enable_batching")
    code, share = args.inject_error
    return Options(
        config=_config(args),
        address=f"{args.host}:{args.port}",
        rest_port=args.rest_api_port,
        metrics_path=_metrics_path(args),
        poll_seconds=args.file_system_poll_wait_seconds,
        config_file=args.model_config_file,
        config_poll_seconds=args.model_config_file_poll_wait_seconds,
        threads=args.tensorflow_intra_op_parallelism,
        server=ServerOptions(
            as_content=args.enable_serialization_as_tensor_content,
            batching=_batching(args),
            health=args.enable_grpc_healthcheck_service,
            faults=Faults(args.inject_latency, code, share),
            allow_unavailable_labels=args.allow_version_labels_for_unavailable_models,
        ),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.tf_serving", description="TensorFlow Serving's API, locally.", allow_abbrev=False
    )
    add = parser.add_argument
    add("--model_base_path", default="", metavar="DIR", help="DIR/<version>/ with saved_model.pb or model.onnx")
    add("--model_name", default="default", help="model name in calls (default: %(default)s)")
    add("--model_config_file", type=Path, help="ModelServerConfig: several models, versions, labels")
    add("--model_config_file_poll_wait_seconds", type=float, default=0, help="0: read once (default: %(default)s)")
    add("--monitoring_config_file", type=Path, help="MonitoringConfig: metrics on the REST port")
    add("--allow_version_labels_for_unavailable_models", type=_flag, nargs="?", const=True, default=False)
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=8500, help="gRPC port (default: %(default)s)")
    add("--rest_api_port", type=int, default=0, help="REST port; 0: none (default: %(default)s)")
    add("--file_system_poll_wait_seconds", type=float, default=1, help="0: read once (default: %(default)s)")
    add("--tensorflow_intra_op_parallelism", type=int, default=1, help="threads per run (default: %(default)s)")
    add("--enable_batching", type=_flag, nargs="?", const=True, default=False)
    add("--batching_parameters_file", type=Path, help="BatchingParameters")
    add("--enable_grpc_healthcheck_service", type=_flag, nargs="?", const=True, default=False)
    add("--enable_serialization_as_tensor_content", type=_flag, nargs="?", const=True, default=False)
    add("--inject_latency", type=float, default=0, metavar="SECONDS", help="delay of each Predict (default: 0)")
    add(
        "--inject_error",
        type=_error,
        default=(None, 1.0),
        metavar="CODE[:SHARE]",
        help="status of that share of Predict calls, such as UNAVAILABLE:0.1 (default share: 1)",
    )
    for name in _WITHOUT_EFFECT:
        add(f"--{name}", nargs="?", help=argparse.SUPPRESS)
    return parser


def _flag(text: str) -> bool:
    """Parse as tensorflow::Flag parses `--name=true`. Raises ArgumentTypeError."""
    if text.lower() not in {"true", "1", "false", "0"}:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() in {"true", "1"}


def _error(text: str) -> tuple[grpc.StatusCode, float]:
    """Parse `CODE` or `CODE:SHARE`. Raises ArgumentTypeError."""
    name, _, number = text.partition(":")
    try:
        code, share = grpc.StatusCode[name], float(number or 1)
    except (KeyError, ValueError):
        raise argparse.ArgumentTypeError(f"{text!r} is not CODE or CODE:SHARE, such as UNAVAILABLE:0.1") from None
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"the share {number} must be 0 to 1")
    return code, share


def read_config(path: Path) -> ModelServerConfig:
    """Read a `--model_config_file`. Raises OSError."""
    return _parse_file(path, ModelServerConfig())


def _config(args: argparse.Namespace) -> ModelServerConfig:
    if args.model_config_file:
        return read_config(args.model_config_file)
    config = ModelServerConfig()
    config.model_config_list.config.add(
        name=args.model_name, base_path=args.model_base_path, model_platform="tensorflow"
    )
    return config


def _metrics_path(args: argparse.Namespace) -> str:
    """Return the path of the metrics, as `CreateAndStartHttpServer` does (http_server.cc:225-232)."""
    if not args.monitoring_config_file:
        return ""
    config = _parse_file(args.monitoring_config_file, MonitoringConfig()).prometheus_config
    return config.path or PATH if config.enable else ""


def _batching(args: argparse.Namespace) -> BatchingParameters | None:
    if not args.enable_batching:
        return None
    file = args.batching_parameters_file
    return _parse_file(file, BatchingParameters()) if file else BatchingParameters()


def _parse_file(path: Path, message: M) -> M:
    try:
        return text_format.Parse(path.read_text(), message)
    except (text_format.ParseError, UnicodeDecodeError) as exc:
        raise OSError(f"{path}: {exc}") from exc

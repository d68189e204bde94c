"""What the server is started with; the flags of TensorFlow Serving (model_servers/main.cc) keep their names."""

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from local.tf_serving.config_messages import BatchingParameters, ModelServerConfig
from local.tf_serving.faults import Faults, read_error
from services.keras.serving.tensors import as_content, as_values


@dataclass
class Answering:
    """How calls are answered."""

    as_content: bool = False
    """Answers hold tensor_content instead of float_val and the like."""
    batching: Any = None
    """BatchingParameters, or None for one run a call."""
    health: bool = True
    """Whether grpc.health.v1.Health is served."""
    faults: Faults = field(default_factory=Faults)

    def write(self, array: Any) -> Any:
        """The array as a TensorProto."""
        return as_content(array) if self.as_content else as_values(array)


@dataclass(frozen=True)
class Options:
    """The command line, read."""

    config: Any
    """A ModelServerConfig."""
    address: str
    rest_port: int
    """0: no REST."""
    poll_seconds: float
    """0: base paths are looked at once."""
    threads: int
    allow_unavailable_labels: bool
    answering: Answering


def read(arguments: list[str] | None = None) -> Options:
    """Reads the command line; exits with 2 where it is wrong. Raises OSError for files that cannot be read."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if not given.model_base_path and not given.model_config_file:
        parser.error("Both server_options.model_base_path and server_options.model_config_file are empty!")
    if given.batching_parameters_file and not given.enable_batching:
        parser.error("batching_parameters_file is set without setting enable_batching")
    code, share = given.inject_error
    return Options(
        config=_config(given),
        address=f"{given.host}:{given.port}",
        rest_port=given.rest_api_port,
        poll_seconds=given.file_system_poll_wait_seconds,
        threads=given.tensorflow_intra_op_parallelism,
        allow_unavailable_labels=given.allow_version_labels_for_unavailable_models,
        answering=Answering(
            as_content=given.enable_serialization_as_tensor_content,
            batching=_batching(given),
            health=given.enable_grpc_healthcheck_service,
            faults=Faults(given.inject_latency, code, share),
        ),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.tf_serving", description="TensorFlow Serving's API, locally."
    )
    add = parser.add_argument
    add("--model_base_path", default="", metavar="DIR", help="DIR/<version>/ with saved_model.pb or model.onnx")
    add("--model_name", default="default", help="the model's name in calls (%(default)s)")
    add("--model_config_file", type=Path, help="a ModelServerConfig: several models, versions, labels")
    add("--allow_version_labels_for_unavailable_models", type=_flag, nargs="?", const=True, default=False)
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add("--port", type=int, default=8500, help="port for gRPC (%(default)s)")
    add("--rest_api_port", type=int, default=0, help="port for REST; 0: none (%(default)s)")
    add("--file_system_poll_wait_seconds", type=float, default=1, help="0: look once (%(default)s)")
    add("--tensorflow_intra_op_parallelism", type=int, default=1, help="threads for one run (%(default)s)")
    add("--enable_batching", type=_flag, nargs="?", const=True, default=False)
    add("--batching_parameters_file", type=Path, help="BatchingParameters")
    add("--enable_grpc_healthcheck_service", type=_flag, nargs="?", const=True, default=False)
    add("--enable_serialization_as_tensor_content", type=_flag, nargs="?", const=True, default=False)
    add("--inject_latency", type=float, default=0, metavar="SECONDS", help="each Predict waits so long")
    add("--inject_error", type=read_error, default=(None, 1.0), metavar="CODE[:SHARE]", help="for so many Predicts")
    return parser


def _flag(text: str) -> bool:
    """As tensorflow::Flag reads `--name=true`. Raises ArgumentTypeError."""
    if text.lower() not in {"true", "1", "false", "0"}:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() in {"true", "1"}


def _config(given: argparse.Namespace) -> Any:
    if given.model_config_file:
        return _parsed(given.model_config_file, ModelServerConfig())
    config: Any = ModelServerConfig()
    config.model_config_list.config.add(name=given.model_name, base_path=given.model_base_path)
    return config


def _batching(given: argparse.Namespace) -> Any:
    if not given.enable_batching:
        return None
    file = given.batching_parameters_file
    return _parsed(file, BatchingParameters()) if file else BatchingParameters()


def _parsed(path: Path, message: Any) -> Any:
    try:
        return text_format.Parse(path.read_text(), message)
    except text_format.ParseError as exc:
        raise OSError(f"{path}: {exc}") from exc

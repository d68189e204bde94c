"""The files with which TensorFlow Serving starts in the pod."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from pydantic import ValidationError

from local.tf_serving import options
from local.tf_serving.messages.config_pb2 import BatchingParameters
from services.keras.settings import KerasSettings

FOLDER = Path(__file__).parents[3] / "deploy" / "tensorflow-serving"
WARMUP_BATCHES = [1, 2, 4, 8, 16, 32]
"""test_keras_convert.py holds the converter to the same."""


def _batching() -> Any:
    return text_format.Parse((FOLDER / "batching.config").read_text(), BatchingParameters())


def test_batching_fits_the_warmup() -> None:
    """The allowed sizes grow up to the maximum, as TensorFlow Serving demands, and are those of the warmup requests.

    Another one would fail the loading of every model.
    """
    batching = _batching()
    assert list(batching.allowed_batch_sizes) == WARMUP_BATCHES
    assert batching.max_batch_size.value == WARMUP_BATCHES[-1]
    assert batching.num_batch_threads.value >= 1


def test_the_adapter_sends_no_more_than_the_server_takes() -> None:
    """No setting of the adapter allows a Predict of more pictures than max_batch_size, which would be refused."""
    most = _batching().max_batch_size.value
    assert KerasSettings(keras_max_batch=most).keras_max_batch == most
    with pytest.raises(ValidationError, match="keras_max_batch"):
        KerasSettings(keras_max_batch=most + 1)


def test_flags_are_the_servers() -> None:
    """The local server, which has TensorFlow Serving's flags, accepts them and reads the batching file."""
    args = (FOLDER / "args.txt").read_text().splitlines()
    arguments = [arg.replace("/config", str(FOLDER)) for arg in args if not arg.startswith("--monitoring_config_file=")]
    parsed = options.parse(arguments)
    assert parsed.server.batching == _batching()
    assert (parsed.server.health, parsed.server.as_content, parsed.rest_port) == (True, True, 8501)


def test_named_files_are_there() -> None:
    """Every file below /config that a flag names is in the folder."""
    args = (FOLDER / "args.txt").read_text().split()
    named = [Path(arg.partition("=")[2]).name for arg in args if "=/config/" in arg]
    assert sorted(named) == ["batching.config", "monitoring.config"]
    assert all((FOLDER / name).is_file() for name in named)

"""Tests of the files with which TensorFlow Serving starts in the pod."""

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
"""The batch sizes that test_keras_convert.py also expects from the converter."""


def _batching() -> Any:
    return text_format.Parse((FOLDER / "batching.config").read_text(), BatchingParameters())


def test_batching_fits_the_warmup() -> None:
    """The allowed sizes rise to the maximum, as TensorFlow Serving requires, and match the warmup requests.

    A request of any other size would prevent every model from loading.
    """
    batching = _batching()
    assert list(batching.allowed_batch_sizes) == WARMUP_BATCHES
    assert batching.max_batch_size.value == WARMUP_BATCHES[-1]
    assert batching.num_batch_threads.value >= 1


def test_the_adapter_stays_within_the_servers_batch_size() -> None:
    """No setting of the adapter allows a Predict with more pictures than max_batch_size, which would be refused."""
    limit = _batching().max_batch_size.value
    assert KerasSettings(keras_max_batch=limit).keras_max_batch == limit
    with pytest.raises(ValidationError, match="keras_max_batch"):
        KerasSettings(keras_max_batch=limit + 1)


def test_server_accepts_the_flags() -> None:
    """The local server, which has TensorFlow Serving's flags, accepts the flags and reads the batching file."""
    args = (FOLDER / "args.txt").read_text().splitlines()
    arguments = [arg.replace("/config", str(FOLDER)) for arg in args if not arg.startswith("--monitoring_config_file=")]
    parsed = options.parse(arguments)
    assert parsed.server.batching == _batching()
    assert (parsed.server.health, parsed.server.as_content, parsed.rest_port) == (True, True, 8501)


def test_named_files_exist() -> None:
    """Every file under /config that a flag names is in the folder."""
    args = (FOLDER / "args.txt").read_text().split()
    named = [Path(arg.partition("=")[2]).name for arg in args if "=/config/" in arg]
    assert sorted(named) == ["batching.config", "monitoring.config"]
    assert all((FOLDER / name).is_file() for name in named)

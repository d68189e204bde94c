"""Tests of batching in the stand-in for TensorFlow Serving."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_service_pb2_grpc

from local.tf_serving.batching import BatchQueue
from local.tf_serving.errors import Refusal
from local.tf_serving.messages.config_pb2 import BatchingParameters
from local.tf_serving.options import ServerOptions
from services.keras.serving.tensors import Array, as_content, to_array
from tests.support.processes import PATIENCE
from tests.support.tf_serving_models import serving, write_brightness_model


class Doubler:
    """A model that doubles its input, records the batch sizes, and waits while `go` is not set."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.go = threading.Event()
        self.go.set()

    def __call__(self, inputs: Mapping[str, Array]) -> list[Array]:
        self.sizes.append(len(inputs["x"]))
        self.go.wait(PATIENCE)
        return [inputs["x"] * 2]


@pytest.fixture(name="executor")
def _executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


def _parameters(text: str) -> Any:
    return text_format.Parse(text, BatchingParameters())


def _input(*values: int) -> dict[str, Array]:
    return {"x": np.array([[value] for value in values], np.float32)}


async def _sum(batches: BatchQueue, run: Doubler, *values: int) -> float:
    [output] = await batches.run(run, _input(*values))
    assert len(output) == len(values)
    return float(output.sum())


async def test_calls_within_the_timeout_run_as_one(executor: ThreadPoolExecutor) -> None:
    """Calls within batch_timeout_micros share a run, and each gets its own rows."""
    run, batches = Doubler(), BatchQueue(executor, _parameters("batch_timeout_micros { value: 100000 }"))
    assert await asyncio.gather(*(_sum(batches, run, *range(n)) for n in (1, 2, 3))) == [0, 2, 6]
    assert run.sizes == [6]


async def test_full_batch_does_not_wait(executor: ThreadPoolExecutor) -> None:
    """A batch of max_batch_size runs immediately, and further calls go into the next."""
    text = "batch_timeout_micros { value: 300000000 } max_batch_size { value: 2 }"
    run, batches = Doubler(), BatchQueue(executor, _parameters(text))
    async with asyncio.timeout(PATIENCE):
        assert await asyncio.gather(*(_sum(batches, run, 1) for _ in range(4))) == [2] * 4
    assert run.sizes == [2, 2]


async def test_busy_threads_fill_batches(executor: ThreadPoolExecutor) -> None:
    """Without a timeout, calls gather while num_batch_threads are busy."""
    run, batches = Doubler(), BatchQueue(executor, _parameters("num_batch_threads { value: 1 }"))
    run.go.clear()
    first = asyncio.create_task(_sum(batches, run, 1))
    while not run.sizes:  # noqa: ASYNC110 - the executor's thread changes it
        await asyncio.sleep(0.01)
    rest = [asyncio.create_task(_sum(batches, run, 1)) for _ in range(3)]
    await asyncio.sleep(0.05)
    run.go.set()
    assert await asyncio.gather(first, *rest) == [2] * 4
    assert run.sizes == [1, 3]


async def test_padding_to_allowed_sizes(executor: ThreadPoolExecutor) -> None:
    """A run is padded to one of allowed_batch_sizes, and no caller sees the padding."""
    text = "max_batch_size { value: 8 } allowed_batch_sizes: 4 allowed_batch_sizes: 8"
    run, batches = Doubler(), BatchQueue(executor, _parameters(text))
    assert await _sum(batches, run, 1, 2, 3) == 12
    assert run.sizes == [4]


async def test_task_that_is_too_large(executor: ThreadPoolExecutor) -> None:
    """A call with more rows than max_batch_size gets INVALID_ARGUMENT."""
    batches = BatchQueue(executor, _parameters("max_batch_size { value: 2 }"))
    with pytest.raises(Refusal, match="Task size 3 is larger than maximum input batch size 2") as caught:
        await batches.run(Doubler(), _input(1, 2, 3))
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_full_queue(executor: ThreadPoolExecutor) -> None:
    """While max_enqueued_batches are waiting, another call gets UNAVAILABLE; the waiting calls are answered."""
    text = "max_batch_size { value: 1 } max_enqueued_batches { value: 2 } num_batch_threads { value: 1 }"
    run, batches = Doubler(), BatchQueue(executor, _parameters(text))
    run.go.clear()
    calls = [asyncio.create_task(_sum(batches, run, 1))]
    while not run.sizes:  # noqa: ASYNC110 - the executor's thread changes it
        await asyncio.sleep(0.01)
    calls += [asyncio.create_task(_sum(batches, run, 1)) for _ in range(2)]
    await asyncio.sleep(0.05)
    with pytest.raises(Refusal, match="is full; currently 2 batches enqueued and max_enqueued_batches is 2") as caught:
        await _sum(batches, run, 1)
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    run.go.set()
    assert await asyncio.gather(*calls) == [2] * 3


async def test_different_shapes(executor: ThreadPoolExecutor) -> None:
    """Rows of different shapes fail their whole batch, because variable-length padding is off."""
    batches = BatchQueue(executor, _parameters("batch_timeout_micros { value: 100000 }"))
    wide = {"x": np.zeros((1, 7), np.float32)}
    outcomes = await asyncio.gather(
        batches.run(Doubler(), _input(1)), batches.run(Doubler(), wide), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [Refusal, Refusal]


async def test_predict_in_batches(tmp_path: Path) -> None:
    """Each call over gRPC gets the scores of its own picture."""
    base = write_brightness_model(tmp_path, shape=(None, 4, 4, 3))
    options = ServerOptions(batching=_parameters("max_batch_size { value: 4 } batch_timeout_micros { value: 20000 }"))

    async def score(stub: Any, value: int) -> float:
        request = predict_pb2.PredictRequest(model_spec=model_pb2.ModelSpec(name="celebrity"))
        request.inputs["image"].CopyFrom(as_content(np.full((1, 4, 4, 3), value, np.uint8)))
        return round(float(to_array((await stub.Predict(request)).outputs["scores"])[0, 0]) * 255)

    async with serving(base, options) as port, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        assert await asyncio.gather(*(score(stub, value) for value in range(10))) == list(range(10))

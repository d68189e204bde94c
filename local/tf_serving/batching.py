"""Calls that run together as one batch, as with TensorFlow Serving's `--enable_batching`.

Rules, texts and defaults: core/kernels/batching_util/shared_batch_scheduler.h in TensorFlow and
batching/batching_session.cc in TensorFlow Serving. A batch runs when it is full, or when its first call has
waited for batch_timeout_micros, as soon as one of num_batch_threads is free.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np

from local.tf_serving.errors import Refusal, invalid
from local.tf_serving.forms import metrics
from local.tf_serving.forms.metrics import Metrics
from local.tf_serving.messages.config_pb2 import BatchingParameters
from services.keras.serving.tensors import Array

Run = Callable[[Mapping[str, Array]], list[Array]]
_MAX_BATCH_SIZE = 1000
_MAX_ENQUEUED_BATCHES = 10
_LEAST = (
    ("max_batch_size", 1, "positive"),
    ("num_batch_threads", 1, "positive"),
    ("batch_timeout_micros", 0, "non-negative"),
    ("max_enqueued_batches", 0, "non-negative"),
)


def check_parameters(parameters: BatchingParameters) -> None:
    """Raise Refusal for parameters with which no model would load.

    Source: bundle_factory_util.cc:113-126 and batching_session.cc:1010-1049 in TensorFlow Serving, and
    `SharedBatchScheduler` in TensorFlow.
    """
    for name, least, words in _LEAST:
        if (value := _value(parameters, name, least)) < least:
            raise invalid(f"{name} must be {words}; was {value}")
    sizes, largest = list(parameters.allowed_batch_sizes), _value(parameters, "max_batch_size", _MAX_BATCH_SIZE)
    if sizes and sizes[-1] != largest:
        raise invalid(
            "Last entry in allowed_batch_sizes must match max_batch_size; last "
            f"entry was {sizes[-1]}; expected {largest}"
        )
    if sizes != sorted(set(sizes)):
        raise invalid("allowed_batch_sizes entries must be monotonically increasing")


@dataclass(eq=False)
class _Task:
    run: Run
    inputs: Mapping[str, Array]
    size: int
    outputs: "asyncio.Future[list[Array]]"


class BatchQueue:
    """The queue of one model's signature; batches run in the executor. Use it in one event loop."""

    def __init__(
        self, executor: Executor | None, parameters: BatchingParameters, values: Metrics | None = None
    ) -> None:
        self._executor = executor
        self._metrics = values or Metrics()
        self._pool = parameters.thread_pool_name.value
        self._max_size = _value(parameters, "max_batch_size", _MAX_BATCH_SIZE)
        self._timeout = _value(parameters, "batch_timeout_micros", 0) / 1e6
        self._max_batches = _value(parameters, "max_enqueued_batches", _MAX_ENQUEUED_BATCHES)
        self._sizes = list(parameters.allowed_batch_sizes)
        self._threads = asyncio.Semaphore(_value(parameters, "num_batch_threads", os.cpu_count() or 1))
        self._batches: deque[list[_Task]] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, run: Run, inputs: Mapping[str, Array]) -> list[Array]:
        """Return the model's outputs for inputs whose first dimension is the batch's. Raises Refusal."""
        task = _Task(run, inputs, _size(inputs), asyncio.get_running_loop().create_future())
        if task.size > self._max_size:
            raise invalid(f"Task size {task.size} is larger than maximum input batch size {self._max_size}")
        self._enqueue(task)
        return await task.outputs

    def _enqueue(self, task: _Task) -> None:
        if self._batches and sum(one.size for one in self._batches[-1]) + task.size <= self._max_size:
            self._batches[-1].append(task)
            return
        if len(self._batches) >= self._max_batches:
            raise Refusal(
                grpc.StatusCode.UNAVAILABLE,
                "The batch scheduling queue to which this task was submitted is full; currently "
                f"{len(self._batches)} batches enqueued and max_enqueued_batches is {self._max_batches}",
            )
        self._batches.append([task])
        process = asyncio.create_task(self._process(self._batches[-1]))
        self._running.add(process)
        process.add_done_callback(self._running.discard)

    async def _process(self, batch: list[_Task]) -> None:
        start = asyncio.get_running_loop().time()
        async with self._threads:
            await self._wait_until_due(batch, start)
            self._batches.remove(batch)
            waited = (asyncio.get_running_loop().time() - start) * 1e6
            self._metrics.observe(metrics.QUEUING_LATENCY, waited, thread_pool_name=self._pool)
            try:
                await self._run([task for task in batch if not task.outputs.done()])
            except Exception as exc:  # noqa: BLE001 - it is raised to the callers
                for task in batch:
                    if not task.outputs.done():
                        task.outputs.set_exception(exc)

    async def _wait_until_due(self, batch: list[_Task], start: float) -> None:
        loop = asyncio.get_running_loop()
        while batch is self._batches[-1] and sum(task.size for task in batch) < self._max_size:
            remaining = start + self._timeout - loop.time()
            if remaining <= 0:
                return
            await asyncio.sleep(min(remaining, 0.001))

    async def _run(self, tasks: list[_Task]) -> None:
        if not tasks:
            return
        inputs = self._merge(tasks)
        outputs = await asyncio.get_running_loop().run_in_executor(self._executor, tasks[0].run, inputs)
        begin = 0
        for task in tasks:
            if not task.outputs.done():
                task.outputs.set_result([output[begin : begin + task.size] for output in outputs])
            begin += task.size

    def _merge(self, tasks: Sequence[_Task]) -> dict[str, Array]:
        inputs = {name: _concatenate(name, [task.inputs[name] for task in tasks]) for name in tasks[0].inputs}
        size = sum(task.size for task in tasks)
        padding = next((allowed for allowed in self._sizes if allowed >= size), size) - size
        self._record(tasks, size, padding)
        if not padding:
            return inputs
        return {name: np.concatenate([array, np.repeat(array[:1], padding, axis=0)]) for name, array in inputs.items()}

    def _record(self, tasks: Sequence[_Task], size: int, padding: int) -> None:
        for task in tasks:
            self._metrics.observe(metrics.INPUT_BATCH_SIZE, task.size)
        self._metrics.observe(metrics.PADDING_SIZE, padding, execution_batch_size=str(size + padding))
        self._metrics.observe(metrics.PROCESSED_BATCH_SIZE, size + padding)
        self._metrics.count(metrics.WRAPPED_RUNS)


def _concatenate(name: str, arrays: list[Array]) -> Array:
    if len({array.shape[1:] for array in arrays}) > 1:
        raise Refusal(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"Tensors with name '{name}' from different tasks have different shapes and padding is turned off. "
            "Set pad_variable_length_inputs to true, or ensure that all tensors with the same name have equal "
            "dimensions starting with the first dim.",
        )
    return np.concatenate(arrays) if len(arrays) > 1 else arrays[0]


def _size(inputs: Mapping[str, Array]) -> int:
    sizes = {len(array) if array.ndim else 0 for array in inputs.values()}
    if len(sizes) != 1 or 0 in sizes:
        raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
    return sizes.pop()


def _value(parameters: Any, name: str, default: int) -> int:
    return int(getattr(parameters, name).value) if parameters.HasField(name) else default

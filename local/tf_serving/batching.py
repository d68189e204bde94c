"""Several calls run as one, as TensorFlow Serving does with `--enable_batching`.

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

from local.tf_serving.errors import Refused, invalid
from services.keras.serving.tensors import Array

Run = Callable[[Mapping[str, Array]], list[Array]]
_MAX_BATCH_SIZE = 1000
_MAX_ENQUEUED_BATCHES = 10


@dataclass(eq=False)
class _Task:
    run: Run
    inputs: Mapping[str, Array]
    size: int
    done: "asyncio.Future[list[Array]]"


class Batches:
    """The queue of one model's signature. Use it in one event loop.

    What runs is called in the executor; `parameters` are BatchingParameters.
    """

    def __init__(self, executor: Executor, parameters: Any) -> None:
        self._executor = executor
        self._most = _value(parameters, "max_batch_size", _MAX_BATCH_SIZE)
        self._wait = _value(parameters, "batch_timeout_micros", 0) / 1e6
        self._queue_most = _value(parameters, "max_enqueued_batches", _MAX_ENQUEUED_BATCHES)
        self._sizes = list(parameters.allowed_batch_sizes)
        self._free = asyncio.Semaphore(_value(parameters, "num_batch_threads", os.cpu_count() or 1))
        self._batches: deque[list[_Task]] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, run: Run, inputs: Mapping[str, Array]) -> list[Array]:
        """The model's outputs for these inputs, whose first dimension is the batch's. Raises Refused."""
        task = _Task(run, inputs, _size(inputs), asyncio.get_running_loop().create_future())
        if task.size > self._most:
            raise invalid(f"Task size {task.size} is larger than maximum input batch size {self._most}")
        self._enqueue(task)
        return await task.done

    def _enqueue(self, task: _Task) -> None:
        if self._batches and sum(one.size for one in self._batches[-1]) + task.size <= self._most:
            self._batches[-1].append(task)
            return
        if len(self._batches) >= self._queue_most:
            raise Refused(
                grpc.StatusCode.UNAVAILABLE,
                "The batch scheduling queue to which this task was submitted is full; currently "
                f"{len(self._batches)} batches enqueued and max_enqueued_batches is {self._queue_most}",
            )
        self._batches.append([task])
        process = asyncio.create_task(self._process(self._batches[-1]))
        self._running.add(process)
        process.add_done_callback(self._running.discard)

    async def _process(self, batch: list[_Task]) -> None:
        opened = asyncio.get_running_loop().time()
        async with self._free:
            await self._until_due(batch, opened)
            self._batches.remove(batch)
            try:
                await self._answer([task for task in batch if not task.done.done()])
            except Exception as exc:  # noqa: BLE001 - it belongs to those who wait
                for task in batch:
                    if not task.done.done():
                        task.done.set_exception(exc)

    async def _until_due(self, batch: list[_Task], opened: float) -> None:
        loop = asyncio.get_running_loop()
        while batch is self._batches[-1] and sum(task.size for task in batch) < self._most:
            left = opened + self._wait - loop.time()
            if left <= 0:
                return
            await asyncio.sleep(min(left, 0.001))

    async def _answer(self, tasks: list[_Task]) -> None:
        if not tasks:
            return
        merged = self._merge(tasks)
        outputs = await asyncio.get_running_loop().run_in_executor(self._executor, tasks[0].run, merged)
        begin = 0
        for task in tasks:
            if not task.done.done():
                task.done.set_result([output[begin : begin + task.size] for output in outputs])
            begin += task.size

    def _merge(self, tasks: Sequence[_Task]) -> dict[str, Array]:
        merged = {name: self._concatenate(name, [task.inputs[name] for task in tasks]) for name in tasks[0].inputs}
        size = sum(task.size for task in tasks)
        padding = next((allowed for allowed in self._sizes if allowed >= size), size) - size
        if not padding:
            return merged
        return {name: np.concatenate([array, np.repeat(array[:1], padding, axis=0)]) for name, array in merged.items()}

    def _concatenate(self, name: str, arrays: list[Array]) -> Array:
        if len({array.shape[1:] for array in arrays}) > 1:
            raise Refused(
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


def _value(parameters: Any, name: str, otherwise: int) -> int:
    return int(getattr(parameters, name).value) if parameters.HasField(name) else otherwise

"""Sessions of onnxruntime as a server with a thread for each picture needs them."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


def session_of(model: bytes, weights: Mapping[str, npt.NDArray[np.float32]] | None = None) -> Any:
    """Return an InferenceSession of an ONNX model and of those of its weights that lie outside it, by name."""
    runtime = onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # errors only: a warning for each weight that an old exporter lists as an input
    options.enable_cpu_mem_arena = False  # it would keep the most that any call ever needed, for each thread
    options.enable_mem_pattern = False  # it would take all at once, in a piece too large for `reuse_freed_memory`
    if weights:
        values = [runtime.OrtValue.ortvalue_from_numpy(value) for value in weights.values()]
        options.add_external_initializers(list(weights), values)
    return runtime.InferenceSession(model, options)


def onnxruntime() -> Any:
    """Return the module, kept from telling Microsoft what it runs and from writing an identifier of the machine."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read as it is imported
    import onnxruntime  # noqa: PLC0415 - 1 s and 32 MiB that recipes without a network do not pay

    return onnxruntime

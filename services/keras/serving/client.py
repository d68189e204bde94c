"""The client of one model in TensorFlow Serving."""

from functools import cached_property
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2, predict_pb2, prediction_service_pb2_grpc

from services.keras.serving import tensors
from services.keras.serving.signature import NAME, Signature, read_signature
from services.runtime.errors import (
    DependencyTimeout,
    DependencyUnavailable,
    DomainError,
    Misconfigured,
    NotReady,
    Overloaded,
)

_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1000),  # despite its name, the time limit of one attempt to connect
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.enable_http_proxy", 0),  # the server is in the same pod
    ("grpc.max_send_message_length", -1),  # the server takes any length: server.cc
]
_REFUSED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
}
_QUEUE_FULL = "queue to which this task was submitted"
"""Part of every text with which shared_batch_scheduler.h refuses calls, as UNAVAILABLE, because its queue is full."""

_TOO_LARGE = "larger than max"
"""Part of gRPC's text about a message over a limit: it is RESOURCE_EXHAUSTED, too, but lasts."""


class ServedModel:
    """One model: its newest version, unless a label or a number selects another. Use it in one event loop.

    Calls raise NotReady if the server or the model is missing, Overloaded, DependencyTimeout,
    DependencyUnavailable, or Misconfigured if the model is not what the caller takes it for.
    """

    def __init__(self, target: str, model: str, label: str = "") -> None:
        self.target = target
        self.model = model
        self._label = label

    async def signature(self, timeout: float, version: str = "") -> Signature:
        """Return the model's signature."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=self._spec(version), metadata_field=["signature_def"]
        )
        return read_signature(await self._call(self._stub.GetModelMetadata, request, timeout))

    async def predict(self, inputs: npt.NDArray[Any], signature: Signature, timeout: float) -> npt.NDArray[np.float32]:
        """Return scores [N, classes] of N pictures from the signature's version; they may be NaN."""
        request = predict_request(self._spec(signature.version), inputs, signature.input, signature.output)
        response = await self._call(self._stub.Predict, request, timeout)
        return _scores(response.outputs[signature.output], len(inputs))

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    def _spec(self, version: str) -> Any:
        spec = model_pb2.ModelSpec(name=self.model)
        if version:
            spec.version.value = int(version)
        elif self._label:
            spec.version_label = self._label
        return spec

    @cached_property
    def _channel(self) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(self.target, _OPTIONS)

    @cached_property
    def _stub(self) -> Any:
        return prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    async def _call(self, method: Any, request: Any, timeout: float) -> Any:
        try:
            return await method(request, timeout=timeout)
        except grpc.aio.AioRpcError as exc:
            raise self._error(exc) from exc

    def _error(self, exc: grpc.aio.AioRpcError) -> DomainError:
        code, server = exc.code(), f"TensorFlow Serving at {self.target}"
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return DependencyTimeout(f"{server} did not answer in time.")
        if code is grpc.StatusCode.NOT_FOUND:
            return NotReady(f"{server} does not serve the model {self.model!r} now: {exc.details()}.")
        if code is grpc.StatusCode.UNAVAILABLE:
            return self._unavailable(exc, server)
        is_too_large = _TOO_LARGE in (exc.details() or "")
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and not is_too_large:
            return Overloaded(f"{server} has too much to do. Try again later.")
        if code in _REFUSED or is_too_large:
            return Misconfigured(f"{server} refuses calls for the model {self.model!r}: {code.name}: {exc.details()}.")
        return DependencyUnavailable(f"{server} failed ({code.name}).")

    def _unavailable(self, exc: grpc.aio.AioRpcError, server: str) -> DomainError:
        if _QUEUE_FULL in (exc.details() or ""):
            return Overloaded(f"{server} has a full queue. Try again later.")
        return NotReady(f"{server} does not answer. It listens only once the model {self.model!r} is loaded.")


def predict_request(spec: Any, inputs: npt.NDArray[Any], name: str, output: str) -> Any:
    """Return a PredictRequest for one output of a ModelSpec, with the inputs in the short form."""
    spec.signature_name = NAME
    tensor = tensors.as_content(inputs)
    return predict_pb2.PredictRequest(model_spec=spec, inputs={name: tensor}, output_filter=[output])


def _scores(proto: Any, count: int) -> npt.NDArray[np.float32]:
    try:
        scores: npt.NDArray[np.float32] = tensors.to_array(proto).astype(np.float32)
    except tensors.TensorError as exc:
        raise Misconfigured(f"The Keras model's output cannot be read: {exc}") from exc
    if scores.ndim == 1:
        scores = scores[:, np.newaxis]
    if scores.ndim != 2 or len(scores) != count:  # noqa: PLR2004 - N, classes
        shape = list(scores.shape)
        raise Misconfigured(f"The Keras model's output has the shape {shape}; it must be [{count}, classes].")
    return scores

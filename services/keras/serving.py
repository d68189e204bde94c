"""A model behind TensorFlow Serving."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2, predict_pb2, prediction_service_pb2_grpc

from services.keras import tensors
from services.keras.preprocess import Pixels
from services.keras.signature import NAME, Signature, read_signature
from services.runtime.errors import DependencyTimeout, DependencyUnavailable, DomainError, Misconfigured
from services.runtime.limits import MAX_MESSAGE_BYTES

_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1000),  # in spite of its name, how long one attempt to connect may take
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.enable_http_proxy", 0),  # it stands in the same pod
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
]
_REFUSED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
}


@dataclass(frozen=True)
class Prediction:
    """What the model says about one picture."""

    version: str
    """The version that answered."""
    scores: npt.NDArray[np.float32]
    """[classes]; finite."""


class ServedModel:
    """The newest version of one model. Use it in one event loop.

    Calls raise DependencyUnavailable, DependencyTimeout, or Misconfigured where the model is another
    than the caller takes it for.
    """

    def __init__(self, target: str, model: str) -> None:
        self.target = target
        self.model = model

    async def signature(self, timeout: float) -> Signature:
        """How the model wants to be asked."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=model_pb2.ModelSpec(name=self.model), metadata_field=["signature_def"]
        )
        return read_signature(await self._call(self._stub.GetModelMetadata, request, timeout))

    async def predict(self, pixels: Pixels, signature: Signature, timeout: float) -> Prediction:
        """Scores one picture: uint8 [1, height, width, 3] of the signature's size."""
        request = predict_pb2.PredictRequest(
            model_spec=model_pb2.ModelSpec(name=self.model, signature_name=NAME),
            inputs={signature.input: tensors.as_content(pixels.astype(signature.dtype, copy=False))},
            output_filter=[signature.output],
        )
        answer = await self._call(self._stub.Predict, request, timeout)
        return Prediction(str(answer.model_spec.version.value), _scores(answer.outputs[signature.output]))

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()

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
            raise self._explain(exc) from exc

    def _explain(self, exc: grpc.aio.AioRpcError) -> DomainError:
        code, where = exc.code(), f"TensorFlow Serving at {self.target}"
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return DependencyTimeout(f"{where} did not answer in time.")
        if code is grpc.StatusCode.NOT_FOUND:
            return DependencyUnavailable(f"{where} does not serve the model {self.model!r} now.")
        if code in _REFUSED:
            return Misconfigured(f"{where} refuses calls for the model {self.model!r}: {code.name}: {exc.details()}.")
        return DependencyUnavailable(f"{where} does not answer ({code.name}).")


def _scores(proto: Any) -> npt.NDArray[np.float32]:
    try:
        scores: npt.NDArray[np.float32] = tensors.to_array(proto).astype(np.float32)
    except tensors.TensorError as exc:
        raise Misconfigured(f"The Keras model's output cannot be read: {exc}") from exc
    if scores.ndim != 2 or len(scores) != 1:  # noqa: PLR2004 - N, classes
        raise Misconfigured(f"The Keras model's output has the shape {list(scores.shape)}; it must be [1, classes].")
    if not np.isfinite(scores).all():
        raise Misconfigured("The Keras model gives scores that are no numbers; its weights are broken.")
    return scores.ravel()

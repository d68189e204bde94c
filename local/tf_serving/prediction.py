"""PredictionService: Predict and GetModelMetadata.

Rules and texts come from TensorFlow Serving's sources, in tensorflow_serving/servables/tensorflow/:
predict_impl.cc, predict_util.cc and get_model_metadata_impl.cc; those on single inputs from
`GetInputValues` in tensorflow/cc/saved_model/util.cc.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import grpc
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc

from local.tf_serving import tensors
from local.tf_serving.batching import BatchQueue
from local.tf_serving.errors import Refusal, abort_on_refusal, invalid
from local.tf_serving.forms import metrics
from local.tf_serving.forms.metrics import Metrics
from local.tf_serving.models.model import SIGNATURE, Model
from local.tf_serving.options import ServerOptions
from local.tf_serving.servables import Servables
from services.keras.serving.tensors import Array, TensorError

Context = grpc.aio.ServicerContext[Any, Any]
_METADATA_FIELD = "signature_def"


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc] # untyped base
    """The service as gRPC calls it; models run in the executor."""

    def __init__(
        self, servables: Servables, executor: Executor | None, options: ServerOptions, values: Metrics | None = None
    ) -> None:
        self._servables = servables
        self._executor = executor
        self._options = options
        self._metrics = values or Metrics()
        self._queues: WeakKeyDictionary[Model, dict[tuple[str, ...], BatchQueue]] = WeakKeyDictionary()

    async def Predict(self, request: Any, context: Context) -> Any:  # noqa: N802 - the API's name
        """Run a model on the inputs."""
        name = request.model_spec.name
        async with abort_on_refusal(context):
            with self._metrics.request(name, api="Predict", entrypoint="GRPC"):
                return await self.predict(request)

    async def predict(self, request: Any) -> Any:
        """Return the PredictResponse. Raises Refusal."""
        number, model = self._servables.find(_spec(request))
        await self._options.faults.inject()
        signature = request.model_spec.signature_name or SIGNATURE
        definition = _definition(model, signature)
        inputs = _inputs(request.inputs, definition)
        names = _output_names(request.output_filter, definition)
        begin = time.perf_counter()
        outputs = await self._run(model, signature, inputs, names)
        self._metrics.observe(
            metrics.RUNTIME_LATENCY,
            (time.perf_counter() - begin) * 1e6,
            model_name=request.model_spec.name,
            API="Predict",
            runtime="TF1",
        )
        response = predict_pb2.PredictResponse()
        for name, output in zip(names, outputs, strict=True):
            response.outputs[name].CopyFrom(tensors.to_proto(output, as_content=self._options.as_content))
        _fill_spec(response.model_spec, request.model_spec.name, number, signature)
        return response

    async def GetModelMetadata(self, request: Any, context: Context) -> Any:  # noqa: N802 - the API's name
        """Return the model's signatures."""
        async with abort_on_refusal(context):
            spec = _spec(request)
            _check_fields(request.metadata_field)
            number, model = self._servables.find(spec)
            signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=model.signatures)
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            response.metadata[_METADATA_FIELD].Pack(signatures)
            _fill_spec(response.model_spec, spec.name, number)
            return response

    async def _run(self, model: Model, signature: str, inputs: Mapping[str, Array], names: list[str]) -> list[Array]:
        run = partial(_run, model, signature, names, self._metrics)
        if self._options.batching is None:
            return await asyncio.get_running_loop().run_in_executor(self._executor, run, inputs)
        queues = self._queues.setdefault(model, {})
        key = (signature, *names)
        if key not in queues:
            queues[key] = BatchQueue(self._executor, self._options.batching, self._metrics)
        return await queues[key].run(run, inputs)


def _run(model: Model, signature: str, names: list[str], values: Metrics, inputs: Mapping[str, Array]) -> list[Array]:
    begin = time.perf_counter()
    try:
        return model.run(signature, inputs, names)
    finally:
        values.count(metrics.GRAPH_RUNS)
        values.count(metrics.GRAPH_RUN_TIME, int((time.perf_counter() - begin) * 1e6))


def _spec(request: Any) -> Any:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return request.model_spec


def _fill_spec(spec: Any, name: str, number: int, signature: str = "") -> None:
    spec.name = name
    spec.version.value = number
    spec.signature_name = signature


def _definition(model: Model, signature: str) -> Any:
    if signature not in model.signatures:
        raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{signature}" not found.')
    return model.signatures[signature]


def _check_fields(fields: Iterable[str]) -> None:
    if not fields:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in fields:
        if field != _METADATA_FIELD:
            raise invalid(f"Metadata field {field} is not supported")


def _inputs(protos: Any, signature: Any) -> dict[str, Array]:
    if len(protos) != len(signature.inputs):
        raise invalid(_size_mismatch(set(protos), set(signature.inputs)))
    return {name: _input(name, protos, signature.inputs[name].name) for name in sorted(signature.inputs)}


def _size_mismatch(sent: set[str], required: set[str]) -> str:
    return (
        f"input size does not match signature: {len(sent)}!={len(required)} "
        f"len({_set(sent)}) != len({_set(required)}). "
        f"Sent extra: {_set(sent - required)}. Missing but required: {_set(required - sent)}."
    )


def _input(name: str, protos: Any, feed: str) -> Array:
    if name not in protos:
        raise invalid(
            f"Signature input alias: {name}(feed name: {feed}) not found in request and no default value provided. "
            f"Inputs expected to be in the request {_set(protos)}, or default input alias set: "
        )
    try:
        return tensors.to_array(protos[name])
    except TensorError as exc:
        raise invalid(f"tensor parsing error: {name}") from exc


def _output_names(output_filter: Iterable[str], signature: Any) -> list[str]:
    names: list[str] = []
    for name in output_filter:
        if name not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {name} "
                f"Outputs expected to be in the set {_set(signature.outputs)}."
            )
        if name in names:
            raise invalid(f"duplicate output tensor alias: {name}")
        names.append(name)
    return names or sorted(signature.outputs)


def _set(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"

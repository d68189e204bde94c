"""The gRPC server with both services, health and reflection, and the REST server beside it."""

import asyncio
import logging
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from tensorflow_serving.apis import prediction_service_pb2, prediction_service_pb2_grpc

from local.tf_serving import rest
from local.tf_serving.batching import check_parameters
from local.tf_serving.errors import Refusal
from local.tf_serving.forms.metrics import Metrics
from local.tf_serving.messages import model_service_pb2, model_service_pb2_grpc
from local.tf_serving.messages.config_pb2 import ModelServerConfig
from local.tf_serving.options import Options, ServerOptions, read_config
from local.tf_serving.prediction import PredictionService
from local.tf_serving.servables import Servables
from local.tf_serving.source import Source
from local.tf_serving.status import ModelService

_SERVICES = (
    prediction_service_pb2.DESCRIPTOR.services_by_name["PredictionService"].full_name,
    model_service_pb2.DESCRIPTOR.services_by_name["ModelService"].full_name,
    reflection.SERVICE_NAME,
)
logger = logging.getLogger(__name__)
_HEALTH_NAMES = ("", "ModelService", "PredictionService")
"""The names that `Server::BuildAndStart` in model_servers/server.cc sets."""
_ANY_LENGTH = -1
_DRAIN_SECONDS = 5


async def serve(options: Options) -> None:
    """Serve until SIGTERM or SIGINT, then let running calls complete.

    Listen only once each model has an available version, as `ServerCore::Create` in
    model_servers/server_core.cc does. Raises OSError or Refusal if it cannot start.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if options.server.batching:
        check_parameters(options.server.batching)
    servables = Servables()
    source = Source(ModelServerConfig(), servables, options.threads)
    source.accept(options.config, allow_unavailable=options.server.allow_unavailable_labels)
    polling = asyncio.create_task(_poll(source, options))
    try:
        await _wait_until_complete(source, polling, stop)
        if not stop.is_set():
            await _listen(source, servables, options, stop)
    finally:
        polling.cancel()
    logger.info("stopped")


async def build(
    servables: Servables,
    executor: ThreadPoolExecutor,
    options: ServerOptions,
    prediction: PredictionService | None = None,
    models: ModelService | None = None,
) -> grpc.aio.Server:
    """Return the server, without a port and not started; models run in the executor."""
    server = grpc.aio.server(
        options=[("grpc.max_receive_message_length", _ANY_LENGTH), ("grpc.so_reuseport", 0)],
    )
    prediction = prediction or PredictionService(servables, executor, options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, server)
    models = models or ModelService(servables, Source(ModelServerConfig(), servables, threads=1), options)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(models, server)
    if options.health:
        await _add_health(server)
    reflection.enable_server_reflection(_SERVICES, server)
    return server


async def _poll(source: Source, options: Options) -> None:
    await asyncio.to_thread(source.poll)
    while options.poll_seconds:
        await asyncio.sleep(options.poll_seconds)
        try:
            await asyncio.to_thread(source.poll)
        except OSError as exc:
            logger.error("%s", exc)  # noqa: TRY400 - the text says it all; the old versions stay in service


async def _poll_config(models: ModelService, options: Options) -> None:
    """Take over the config's file again and again, as `PollFilesystemAndReloadConfig` does (server.cc:165-180)."""
    while options.config_file and options.config_poll_seconds > 0:
        await asyncio.sleep(options.config_poll_seconds)
        try:
            await models.reload(read_config(options.config_file))
        except OSError as exc:
            logger.error("Failed to read ModelServerConfig file: %s", exc)  # noqa: TRY400 - the text says it all
        except Refusal as exc:
            logger.error("PollFilesystemAndReloadConfig failed to ReloadConfig: %s", exc)  # noqa: TRY400 - likewise


async def _wait_until_complete(source: Source, polling: "asyncio.Task[None]", stop: asyncio.Event) -> None:
    while not source.is_complete and not stop.is_set():
        if polling.done():
            polling.result()
        if problems := source.problems():
            raise OSError("Failed to start server. Error: " + "; ".join(problems))
        await asyncio.sleep(0.02)


async def _listen(source: Source, servables: Servables, options: Options, stop: asyncio.Event) -> None:
    metrics = Metrics()
    models = ModelService(servables, source, options.server)
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="model") as executor, ExitStack() as stack:
        prediction = PredictionService(servables, executor, options.server, metrics)
        server = await build(servables, executor, options.server, prediction, models)
        port = _bind(server, options.address)
        stack.enter_context(_rest(servables, prediction, metrics, options))
        await server.start()
        logger.info("listening on port %d", port)
        polling = asyncio.create_task(_poll_config(models, options))
        await stop.wait()
        polling.cancel()
        await server.stop(_DRAIN_SECONDS)


def _rest(
    servables: Servables, prediction: PredictionService, metrics: Metrics, options: Options
) -> AbstractContextManager[None]:
    host, _, port = options.address.rpartition(":")
    if not options.rest_port or options.rest_port == int(port):
        if options.rest_port:
            logger.error("server_options.http_port cannot be same as grpc_port. Skipped exporting HTTP/REST API.")
        return nullcontext()
    loop = asyncio.get_running_loop()

    async def predict(request: Any) -> Any:
        """Run the model where gRPC's calls run, so that both share batches."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(prediction.predict(request), loop))

    api = rest.RestApi(servables, predict, metrics, options.metrics_path)
    return rest.rest_server(servables, host, options.rest_port, api)


async def _add_health(server: grpc.aio.Server) -> None:
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    for name in _HEALTH_NAMES:
        await servicer.set(name, health_pb2.HealthCheckResponse.SERVING)


def _bind(server: grpc.aio.Server, address: str) -> int:
    try:
        return server.add_insecure_port(address)
    except RuntimeError:
        raise OSError(f"{address} cannot be listened on; is the port taken?") from None

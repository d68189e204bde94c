"""The gRPC server: both services, health, reflection."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from tensorflow_serving.apis import prediction_service_pb2, prediction_service_pb2_grpc

from local.tf_serving.prediction import PredictionService
from local.tf_serving.servables import Servables
from local.tf_serving.status import ModelService
from local.tf_serving.status_messages import SERVICE
from services.keras.tensors import Array

_PREDICTION = prediction_service_pb2.DESCRIPTOR.services_by_name["PredictionService"].full_name
logger = logging.getLogger(__name__)
_HEALTH_NAMES = ("", "ModelService", "PredictionService")
"""As `Server::BuildAndStart` in model_servers/server.cc names them."""
_ANY_LENGTH = -1
_DRAIN_SECONDS = 5


async def serve(servables: Servables, address: str, write: Callable[[Array], Any]) -> None:
    """Serves until SIGTERM or SIGINT, then lets running calls end. Raises OSError where the port is taken."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="model") as executor:
        server = await build(servables, executor, write)
        port = _bind(server, address)
        await server.start()
        logger.info("serving %s, versions %s, on port %d", servables.name, sorted(servables.versions), port)
        await stop.wait()
        await server.stop(_DRAIN_SECONDS)
    logger.info("stopped")


async def build(servables: Servables, executor: ThreadPoolExecutor, write: Callable[[Array], Any]) -> grpc.aio.Server:
    """The server without a port, not started; models run in the executor."""
    server = grpc.aio.server(
        options=[("grpc.max_receive_message_length", _ANY_LENGTH), ("grpc.so_reuseport", 0)],
    )
    prediction = PredictionService(servables, executor, write)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, server)
    ModelService(servables).add_to(server)
    await _add_health(server)
    reflection.enable_server_reflection((_PREDICTION, SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    return server


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

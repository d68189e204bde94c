"""Connections to a server."""

import os
from importlib import resources

import grpc

DEFAULT_ADDRESS = "localhost:50051"
DEFAULT_TIMEOUT = 12.0
"""Seconds."""
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_OPTIONS = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # By default gRPC waits up to two minutes before it reconnects.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # … and half a minute before it resolves DNS again.
    ("grpc.dns_min_time_between_resolutions_ms", 2_000),
)


def default_address() -> str:
    """Return the current MARQUEE_ADDRESS, else localhost:50051."""
    return os.environ.get("MARQUEE_ADDRESS") or DEFAULT_ADDRESS


def service_config() -> str:
    """Return gRPC's service config, as JSON: how clients in any language balance and retry calls."""
    return resources.files(__package__).joinpath("service_config.json").read_text()


def open_channel(address: str) -> grpc.Channel:
    """Open a plaintext channel; it connects on the first call."""
    return grpc.insecure_channel(address, options=_options())


def open_aio_channel(address: str) -> grpc.aio.Channel:
    """Open the same for asyncio, inside the event loop that uses it."""
    return grpc.aio.insecure_channel(address, options=_options())


def _options() -> list[tuple[str, str | int]]:
    return [("grpc.service_config", service_config()), *_OPTIONS]

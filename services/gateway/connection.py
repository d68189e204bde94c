"""The connection to a recognizer: a channel with the certificates and the token of the moment."""

import asyncio
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from services.gateway.config import BackendConfig, Tls
from services.runtime.doors.certificates import read_ca, read_certificate
from services.runtime.doors.watch import Watched
from services.runtime.limits import MAX_MESSAGE_BYTES
from services.runtime.server.server import RECOGNIZER_SERVICE

_MAX_STATUS_METADATA_BYTES = 64 * 1024
_Metadata = tuple[tuple[str, str], ...]


class Connection:
    """A connection, made anew when its certificates change; calls in flight end on the old one.

    Raises ValueError for certificates, or a token, that cannot be used.
    """

    def __init__(self, name: str, config: BackendConfig) -> None:
        self._config = config
        self._credentials = _credentials(name, config.tls, self._reconnect) if isinstance(config.tls, Tls) else None
        self._token = _token(config.token_file) if config.token_file else None
        self._channel = _Channel(config, self._credentials.value if self._credentials else None)
        self._closing: set[asyncio.Task[None]] = set()

    def files(self) -> Sequence[Watched[Any]]:
        """Return what to read again when it changes."""
        return tuple(watched for watched in (self._credentials, self._token) if watched is not None)

    @property
    def shows_gateway(self) -> bool:
        """Whether the recognizer is shown who the gateway is, so that it may believe for whom it calls."""
        return self._token is not None or (isinstance(self._config.tls, Tls) and self._config.tls.cert is not None)

    async def send(self, path: str, request: bytes, timeout: float, metadata: _Metadata) -> Any:
        """Return the serialized response of the method at the path. Raises AioRpcError."""
        if self._token is not None:
            metadata = (*metadata, ("authorization", f"Bearer {self._token.value}"))
        return await self._channel.send(path, request, timeout, metadata)

    async def close(self) -> None:
        """Close the connection once its calls have ended."""
        await asyncio.gather(self._channel.close(), *self._closing)

    def _reconnect(self, credentials: grpc.ChannelCredentials) -> None:
        old, self._channel = self._channel, _Channel(self._config, credentials)
        closing = asyncio.get_running_loop().create_task(old.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


class _Channel:
    """A channel and its calls in flight."""

    def __init__(self, config: BackendConfig, credentials: grpc.ChannelCredentials | None) -> None:
        options = _options(config)
        self._channel = (
            grpc.aio.insecure_channel(config.target, options=options)
            if credentials is None
            else grpc.aio.secure_channel(config.target, credentials, options=options)
        )
        self._methods: dict[str, Any] = {}
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def send(self, path: str, request: bytes, timeout: float, metadata: _Metadata) -> Any:
        # Without a deserializer: gRPC turns an answer that does not parse into None.
        method = self._methods.get(path) or self._methods.setdefault(path, self._channel.unary_unary(path))
        self._in_flight += 1
        self._idle.clear()
        try:
            return await method(request, timeout=timeout, metadata=metadata)
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()

    async def close(self) -> None:
        await self._idle.wait()
        await self._channel.close()


def _credentials(
    name: str, tls: Tls, on_change: Callable[[grpc.ChannelCredentials], None]
) -> Watched[grpc.ChannelCredentials]:
    def read() -> grpc.ChannelCredentials:
        ca = read_ca(tls.ca) if tls.ca else None
        if tls.cert is None or tls.key is None:
            return grpc.ssl_channel_credentials(ca)
        certificate = read_certificate(tls.cert, tls.key)
        certificate.measure(f"client of {name}")
        return grpc.ssl_channel_credentials(ca, certificate.key, certificate.chain)

    paths = [path for path in (tls.ca, tls.cert, tls.key) if path]
    return Watched("client certificate", paths, read, on_change)


def _token(path: Path) -> Watched[str]:
    return Watched("token", [path], partial(_read_token, path))


def _read_token(path: Path) -> str:
    token = path.read_text("ascii").strip()
    if not token or not token.isprintable() or " " in token:
        raise ValueError(f"{path} holds no token.")
    return token


def _options(config: BackendConfig) -> list[tuple[str, int | str]]:
    name = config.tls.server_name if isinstance(config.tls, Tls) else None
    return [
        ("grpc.service_config", json.dumps(_service_config(config))),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        # A recognizer may tell more of its failure than the 8 KiB that this gateway passes on.
        ("grpc.max_metadata_size", _MAX_STATUS_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", _MAX_STATUS_METADATA_BYTES),
        # Recognizers are the operator's: an address in http_proxy is for the way out.
        ("grpc.enable_http_proxy", 0),
        # A recognizer that comes back, or a new replica, is used within 2 s.
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.min_reconnect_backoff_ms", 1000),
        ("grpc.max_reconnect_backoff_ms", 2000),
        ("grpc.dns_min_time_between_resolutions_ms", 2000),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        *([("grpc.ssl_target_name_override", name)] if name else []),
    ]


def _service_config(config: BackendConfig) -> dict[str, Any]:
    retry = {
        "maxAttempts": 2,
        "initialBackoff": "0.05s",
        "maxBackoff": "0.5s",
        "backoffMultiplier": 2,
        # gRPC answers CANCELLED to a call that reaches a server while it stops.
        "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
    }
    method = {"name": [{"service": RECOGNIZER_SERVICE}]}
    return {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [method if config.priced else method | {"retryPolicy": retry}],
    }

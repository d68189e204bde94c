"""The connection to a recognizer: a channel with the certificates and the token of the moment."""

import asyncio
import json
from collections.abc import Awaitable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import grpc

from services.gateway.backends.diagnosis import Diagnosis
from services.gateway.config import BackendConfig, GatewayConfig
from services.runtime.doors import certificates
from services.runtime.doors.credentials import Tls, channel_options, watched_proof, watched_token
from services.runtime.doors.watch import Watched
from services.runtime.limits import MAX_DEADLINE_SECONDS
from services.runtime.server.server import RECOGNIZER_SERVICE

Credentials: TypeAlias = Mapping[Tls | Path, Watched[Any]]
"""What connections are made of, by the configuration: certificates of each `tls`, tokens of each `token_file`."""
NO_CREDENTIALS: Credentials = MappingProxyType({})


def read_credentials(config: GatewayConfig, known: Credentials) -> Credentials:
    """Return the configuration's credentials: those known already, and the others read.

    Raises ValueError and OSError, which name the file, for those that cannot be used.
    """
    sources = dict.fromkeys(source for one in config.recognizers.values() for source in (one.tls, one.token_file))
    credentials = {source: known.get(source) or _read(source) for source in sources if isinstance(source, Tls | Path)}
    for path in _certificates(known) - _certificates(credentials):
        certificates.forget(str(path))
    for source in credentials.keys() - known.keys():
        _begin(source, credentials[source].value)
    return credentials


class Connection:
    """A connection, made anew when its certificates have changed; calls in flight end on the old one."""

    def __init__(self, config: BackendConfig, credentials: Credentials) -> None:
        self._config = config
        self._tls = credentials[config.tls] if isinstance(config.tls, Tls) else None
        self._token = credentials[config.token_file] if config.token_file else None
        self._diagnosis = Diagnosis(config)
        self._closing: set[asyncio.Task[None]] = set()
        self._open()

    @property
    def shows_gateway(self) -> bool:
        """Whether the recognizer is shown who the gateway is, so that it may believe for whom it calls."""
        return self._token is not None or (isinstance(self._config.tls, Tls) and self._config.tls.cert is not None)

    def send(
        self, path: str, request: bytes, timeout: float, metadata: Iterable[tuple[str, str | bytes]]
    ) -> Awaitable[bytes | None]:
        """Return the serialized response to come of the method at the path. Waiting for it raises AioRpcError."""
        if self._token is not None:
            metadata = (*metadata, ("authorization", f"Bearer {self._token.value}"))
        if self._tls is not None and self._tls.value is not self._opened_with:
            self.reopen()
        if path not in self._methods:  # no deserializer: one that fails makes None of an answer
            self._methods[path] = self._channel.unary_unary(path)
        call: Awaitable[bytes | None] = self._methods[path](request, timeout=timeout, metadata=metadata)
        return call

    async def diagnose(self, text: str, seconds: float) -> str:
        """Return what is wrong with the connection, judging by gRPC's text; empty if the recognizer is only away."""
        return await self._diagnosis.of(text, seconds)

    def reopen(self) -> None:
        """Connect anew at the next call, without a pause after a failure; calls in flight end where they are."""
        self._retire()
        self._open()

    async def close(self) -> None:
        """Close the connection once its calls have ended."""
        self._retire()
        await asyncio.gather(*self._closing)

    def _open(self) -> None:
        target, options = self._config.target, _options(self._config)
        self._methods: dict[str, Any] = {}
        self._opened_with = self._tls.value if self._tls else None
        self._channel = (
            grpc.aio.secure_channel(target, self._opened_with.credentials, options=options)
            if self._opened_with
            else grpc.aio.insecure_channel(target, options=options)
        )

    def _retire(self) -> None:
        closing = asyncio.get_running_loop().create_task(self._channel.close(MAX_DEADLINE_SECONDS))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


def _certificates(credentials: Credentials) -> set[Path]:
    return {tls.cert for tls in credentials if isinstance(tls, Tls) and tls.cert}


def _read(source: Tls | Path) -> Watched[Any]:
    return watched_token(source) if isinstance(source, Path) else watched_proof(source)


def _begin(source: Tls | Path, value: Any) -> None:
    """Measure a certificate that comes into use, if it is one."""
    if isinstance(source, Tls):
        value.begin(str(source.cert))


def _options(config: BackendConfig) -> list[tuple[str, int | str]]:
    tls = config.tls if isinstance(config.tls, Tls) else None
    return [
        ("grpc.service_config", json.dumps(_service_config(config))),
        # Channels share connections otherwise, and a new one would begin in the pause after an old one's failure.
        ("grpc.use_local_subchannel_pool", 1),
        *channel_options(tls),
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

"""A connection to a server: its channel, what each call shows, and what a failed call means."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import grpc

from marquee.channels import failure
from marquee.channels.address import parse_address
from marquee.channels.credentials import Cert, StrPath, Token, authorization, check_metadata, tls_of, token_of
from marquee.channels.proxy import proxy_of
from marquee.channels.role import LIBRARY, RECOGNITION, Role
from marquee.errors import InvalidCredentials, InvalidRequest, MarqueeError

DEFAULT_TIMEOUT = 12.0
"""Seconds."""
MAX_TIMEOUT = 366 * 86_400.0
"""Seconds: for more there is None, which sets no deadline. gRPC cannot count to infinity."""
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


_BATCH = (("marquee-priority", "batch"),)


class ConnectionOptions(TypedDict, total=False):
    """Options of a client: over what it connects, and who calls."""

    tls: bool
    """Connect with TLS, as https:// and each of `ca`, `cert` and `server_name` mean, too."""
    token: Token | None
    """Token to send with each call, or what returns it, called each time. None: MARQUEE_TOKEN, else the content of
    the file that MARQUEE_TOKEN_FILE names, read each time. Never sent in plaintext to another machine."""
    ca: StrPath | None
    """Path of the certificates, PEM, that vouch for the server. None: MARQUEE_CA, else the public ones of gRPC."""
    cert: Cert | None
    """Path of the client's certificate chain with its key, PEM, or (chain, key). None: MARQUEE_CERT and MARQUEE_KEY."""
    metadata: Mapping[str, str] | None
    """Sent with each call."""
    server_name: str | None
    """Whom the server's certificate is for. None: the host of the address, which a tunnel's is not."""
    batch: bool
    """Let others go first: where a server is nearly full, it refuses these calls and leaves the places to others'."""


class Connection:
    """How to reach a server. Opens nothing. Raises InvalidAddress, InvalidCredentials, OSError."""

    def __init__(  # noqa: PLR0913 - see ConnectionOptions
        self,
        address: str | None = None,
        *,
        role: Role = RECOGNITION,
        tls: bool = False,
        token: Token | None = None,
        ca: StrPath | None = None,
        cert: Cert | None = None,
        metadata: Mapping[str, str] | None = None,
        server_name: str | None = None,
        batch: bool = False,
    ) -> None:
        self.address = parse_address(address or role.default, role)
        self._tls = tls_of(ca, cert, server_name, required=tls or self.address.is_tls)
        self._token = token_of(token)
        self._metadata = (*check_metadata(metadata or {}), *(_BATCH if batch else ()))
        self._check_token()

    def open(self) -> grpc.Channel:
        """Open a channel; it connects on the first call."""
        options = self._options()
        if self._tls is None:
            return grpc.insecure_channel(self.address.target, options=options)
        return grpc.secure_channel(self.address.target, self._tls.channel_credentials(), options=options)

    def open_aio(self) -> grpc.aio.Channel:
        """Open the same for asyncio, inside the event loop that uses it."""
        options = self._options()
        if self._tls is None:
            return grpc.aio.insecure_channel(self.address.target, options=options)
        return grpc.aio.secure_channel(self.address.target, self._tls.channel_credentials(), options=options)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return what a call sends along. Raises InvalidCredentials, OSError, and what the caller's function does."""
        token = self._token if isinstance(self._token, str) else self._token()
        return (*self._metadata, authorization(token)) if token else self._metadata

    @property
    def is_constant(self) -> bool:
        """Whether `metadata` is the same for each call, which no file and no function has to be asked for."""
        return isinstance(self._token, str)

    def error_of(self, error: grpc.RpcError, request_id: str = "") -> MarqueeError:
        """Return the exception for a failed call. Takes a few seconds at most where a TLS handshake failed."""
        return failure.error_of(error, self.address, self._tls, request_id)

    def _options(self) -> list[tuple[str, str | int]]:
        named = (
            [("grpc.ssl_target_name_override", self._tls.server_name)] if self._tls and self._tls.server_name else []
        )
        repeatable = [("grpc.per_rpc_retry_buffer_size", MAX_MESSAGE_BYTES)] if self.address.role is LIBRARY else []
        return [("grpc.service_config", service_config()), *_OPTIONS, *named, *repeatable]

    def _check_token(self) -> None:
        proxy = proxy_of(self.address)
        if not self._token or self._tls is not None or (self.address.is_local and proxy is None):
            return
        way = f" through the proxy {proxy.address}" if proxy else ""
        raise InvalidCredentials(
            f"The connection to {self.address.text}{way} is plaintext, in which a token is never sent: "
            "use an https:// address, --tls or a CA if the server has TLS. Otherwise send no token: "
            "unset MARQUEE_TOKEN and MARQUEE_TOKEN_FILE.",
            code="INVALID_ARGUMENT",
            reason="INVALID_CREDENTIALS",
        )


def check_timeout(timeout: float | None) -> float | None:
    """Return the timeout: seconds, or None for no deadline. Raises InvalidRequest for NaN, infinity and over a year."""
    if timeout is None or -MAX_TIMEOUT <= timeout <= MAX_TIMEOUT:
        return timeout
    raise InvalidRequest(
        f"The timeout is {timeout} s: give a number of seconds, at most {MAX_TIMEOUT:.0f}, or None for no deadline.",
        code="INVALID_ARGUMENT",
        reason="INVALID_REQUEST",
        metadata={"field": "timeout"},
    )


def service_config() -> str:
    """Return gRPC's service config, as JSON: how clients in any language balance and retry calls."""
    return (Path(__file__).parents[1] / "service_config.json").read_text()

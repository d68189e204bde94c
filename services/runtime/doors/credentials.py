"""What a server that calls another shows it, certificate and token, and what it trusts; all from files."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeAlias

import grpc
from pydantic import BaseModel, ConfigDict, model_validator

from services.runtime.doors import certificates
from services.runtime.doors.caller import RELAY_BUDGET_KEY, RELAY_KEY
from services.runtime.doors.watch import Watched
from services.runtime.limits import MAX_MESSAGE_BYTES

Metadata: TypeAlias = tuple[tuple[str, str], ...]
_MAX_STATUS_METADATA_BYTES = 64 * 1024


class Tls(BaseModel):
    """How to reach servers by TLS. Files are read again when they change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ca: Path | None = None
    """Certificates, PEM, that vouch for the server; without them the public ones that gRPC comes with."""
    cert: Path | None = None
    """The caller's certificate chain, PEM, for servers that ask for one."""
    key: Path | None = None
    """Its private key, PEM."""
    server_name: str | None = None
    """Name that the server's certificate must have, if not the target's."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key: set both or neither")
        return self


class Proof(NamedTuple):
    """What caller and server show each other."""

    credentials: grpc.ChannelCredentials
    certificate: certificates.Certificate | None

    def begin(self, name: str) -> None:
        """Measure the certificate, if there is one, under the name."""
        if self.certificate:
            self.certificate.begin(name)

    def replace(self, name: str) -> None:
        """Take the place of the one in use. Raises ValueError for a certificate that is not valid now."""
        if self.certificate:
            self.certificate.replace(name)


class Connection:
    """The connection to the gateway of a server that calls it for others.

    Raises ValueError and OSError for files that cannot be used.
    """

    def __init__(self, target: str, tls: Tls | None, token_file: Path | None) -> None:
        self._target = target
        self._tls = tls
        self._proof = watched_proof(tls) if tls else None
        self._token = watched_token(token_file) if token_file else None
        self._channel: grpc.aio.Channel | None = None
        self._opened_with: Proof | None = None

    def files(self) -> Sequence[Watched[Any]]:
        """Return what to read again when it changes."""
        return tuple(file for file in (self._proof, self._token) if file is not None)

    def relaying(self, name: str, daily_micro_usd: int | None) -> Metadata:
        """Return metadata to call with for a caller, or without a name for itself; none without credentials."""
        own = () if self._token is None else (("authorization", f"Bearer {self._token.value}"),)
        if not own and not (self._tls and self._tls.cert):
            return ()
        limit = () if daily_micro_usd is None else ((RELAY_BUDGET_KEY, str(daily_micro_usd)),)
        relay = ((RELAY_KEY, name),) if name else ()
        return (*own, *relay, *limit)

    def channel(self) -> grpc.aio.Channel:
        """Return the channel, a new one if the certificates have changed. The old one ends with its calls."""
        proof = self._proof.value if self._proof else None
        if self._channel is None or proof is not self._opened_with:
            options = [("grpc.lb_policy_name", "round_robin"), *channel_options(self._tls)]
            self._opened_with = proof
            self._channel = (
                grpc.aio.secure_channel(self._target, proof.credentials, options=options)
                if proof
                else grpc.aio.insecure_channel(self._target, options=options)
            )
        return self._channel

    async def close(self) -> None:
        """Close the channel; calls that are running are cancelled."""
        if self._channel is not None:
            await self._channel.close()


def watched_proof(tls: Tls) -> Watched[Proof]:
    """Return the certificates in the files, read again when they change. Raises ValueError, which names the file."""
    paths = tuple(filter(None, (tls.ca, tls.cert, tls.key)))
    return Watched("client certificate", paths, partial(_read_proof, tls), partial(Proof.replace, name=str(tls.cert)))


def watched_token(path: Path) -> Watched[str]:
    """Return the token in the file, read again when it changes. Raises ValueError and OSError, which name the file."""
    return Watched("token", [path], partial(_read_token, path))


def channel_options(tls: Tls | None) -> list[tuple[str, int | str]]:
    """Return gRPC's options of a connection to another of these servers."""
    name = tls.server_name if tls else None
    return [
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        # A server may tell more of its failure than the 8 KiB that gRPC takes by default.
        ("grpc.max_metadata_size", _MAX_STATUS_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", _MAX_STATUS_METADATA_BYTES),
        # The other server is the operator's: an address in http_proxy is for the way out.
        ("grpc.enable_http_proxy", 0),
        # One that comes back, or a new replica, is used within 2 s.
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.min_reconnect_backoff_ms", 1000),
        ("grpc.max_reconnect_backoff_ms", 2000),
        ("grpc.dns_min_time_between_resolutions_ms", 2000),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        *([("grpc.ssl_target_name_override", name)] if name else []),
    ]


def _read_proof(tls: Tls) -> Proof:
    ca = certificates.read_ca(tls.ca) if tls.ca else None
    if tls.cert is None or tls.key is None:
        return Proof(grpc.ssl_channel_credentials(ca), None)
    certificate = certificates.read_certificate(tls.cert, tls.key)
    return Proof(grpc.ssl_channel_credentials(ca, certificate.key, certificate.chain), certificate)


def _read_token(path: Path) -> str:
    words = path.read_bytes().split()
    if len(words) != 1 or not words[0].isascii() or not words[0].decode("ascii").isprintable():
        raise ValueError(f"{path} holds no token.")
    return words[0].decode("ascii")

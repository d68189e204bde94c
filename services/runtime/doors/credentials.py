"""Credentials of a server that calls another: its certificate, the CA that it trusts, and its token; all from files."""

from functools import partial
from pathlib import Path
from typing import NamedTuple, Self

import grpc
from pydantic import BaseModel, ConfigDict, model_validator

from services.runtime.doors import certificates
from services.runtime.doors.watch import Watched


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


def watched_proof(tls: Tls) -> Watched[Proof]:
    """Return the certificates in the files, read again when they change. Raises ValueError, which names the file."""
    paths = tuple(filter(None, (tls.ca, tls.cert, tls.key)))
    return Watched("client certificate", paths, partial(_read_proof, tls), partial(Proof.replace, name=str(tls.cert)))


def watched_token(path: Path) -> Watched[str]:
    """Return the token in the file, read again when it changes. Raises ValueError and OSError, which name the file."""
    return Watched("token", [path], partial(_read_token, path))


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

"""What a client shows a server, and which servers it believes: tokens, metadata and certificates."""

import os
import re
import ssl
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TypeAlias

import grpc

from marquee.channels.address import is_host
from marquee.errors import InvalidCredentials

StrPath: TypeAlias = str | PathLike[str]
Token: TypeAlias = str | Callable[[], str]
Cert: TypeAlias = StrPath | tuple[StrPath, StrPath]

_TOKEN = re.compile(r"[!-~]+")
_STRAY = "has a blank, a line break or a character that is not ASCII: give the token alone."
_KEY = re.compile(r"(?!grpc-)[0-9a-z_.-]{1,256}")
_VALUE = re.compile(r"[ -~]*")
_MISMATCHES = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
"""OpenSSL's reasons against a key that does not belong to the certificate."""
_VALIDITY = re.compile(rb"(?s)\x30.(?:\x17\x0d|\x18\x0f)\d{12,14}Z(?:\x17\x0d|\x18\x0f)(?P<end>\d{12,14})Z")
"""Of a certificate in DER: a sequence of two times. Python's ssl tells it of a peer's certificates alone."""


class Tls:
    """Certificates of a TLS connection, read once. Raises InvalidCredentials, which names the file, and OSError.

    `ca` is the path of those that vouch for servers, else gRPC's own; `cert` that of the client's chain with its key,
    or a pair of both paths. All are PEM. `server_name` is whom the server's certificate is for, if not for its host.
    """

    def __init__(self, ca: StrPath | None = None, cert: Cert | None = None, server_name: str | None = None) -> None:
        self.ca = ca
        self.server_name = server_name
        self.chain, self._key = cert if isinstance(cert, tuple) else (cert, cert)
        self._ca_pem, self._chain_pem, self._key_pem = map(_read, (ca, self.chain, self._key))
        self._context = self._without_cert()
        self._load_cert()

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Return the certificates as gRPC takes them."""
        return grpc.ssl_channel_credentials(self._ca_pem, self._key_pem, self._chain_pem)

    def handshake(self) -> ssl.SSLContext:
        """Return the certificates for a handshake without gRPC."""
        return self._with_public_ca(self._context)

    def inspection(self) -> ssl.SSLContext:
        """Return the same for a handshake with a server whose certificate may be for any host; it shows no other."""
        context = self._with_public_ca(self._without_cert())
        context.check_hostname = False
        return context

    @property
    def expiry(self) -> datetime | None:
        """When the client's certificate expires; None without one."""
        begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
        _, found, rest = (self._chain_pem or b"").decode("ascii", "replace").partition(begin)
        der = ssl.PEM_cert_to_DER_cert(f"{begin}{rest.partition(end)[0]}{end}") if found else b""
        validity = _VALIDITY.search(der)
        if validity is None:
            return None
        digits = validity["end"].decode()
        year = "%y" if len(digits) == len("YYMMDDHHMMSS") else "%Y"
        return datetime.strptime(f"{digits}+0000", f"{year}%m%d%H%M%S%z")

    def _without_cert(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as gRPC does: a CA need not be a root
        context.set_alpn_protocols(["h2"])
        try:
            if self._ca_pem is not None:
                context.load_verify_locations(cadata=self._ca_pem.decode("ascii"))
        except (ssl.SSLError, ValueError) as error:
            missing = _missing(self._ca_pem, "CERTIFICATE")
            raise _invalid(f"{self.ca} holds no certificate in PEM: {missing or _reason(error)}.") from None
        return context

    def _with_public_ca(self, context: ssl.SSLContext) -> ssl.SSLContext:
        if self._ca_pem is None:
            context.load_default_certs()  # takes a tenth of a second
        return context

    def _load_cert(self) -> None:
        try:
            if self.chain is not None and self._key is not None:
                self._context.load_cert_chain(self.chain, self._key, password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            files = " and ".join(dict.fromkeys((str(self.chain), str(self._key))))
            missing = _missing(self._chain_pem, "CERTIFICATE") or _missing(self._key_pem, "PRIVATE KEY")
            raise _invalid(f"{files}: no certificate and its key in PEM: {missing or _reason(error)}.") from None


def tls_of(ca: StrPath | None, cert: Cert | None, server_name: str | None, *, required: bool) -> Tls | None:
    """Return the certificates given, else those that MARQUEE_CA, MARQUEE_CERT and MARQUEE_KEY name.

    None if there are none and none are `required`. Raises InvalidCredentials, OSError.
    """
    ca = os.environ.get("MARQUEE_CA") if ca is None else ca
    if cert is None and (chain := os.environ.get("MARQUEE_CERT")):
        cert = (chain, os.environ.get("MARQUEE_KEY") or chain)
    if not (required or ca or cert or server_name):
        return None
    if server_name and not is_host(server_name):
        raise _invalid(f"{server_name!r} is no host that a certificate can be for: give the name alone.")
    return Tls(ca or None, cert or None, server_name or None)


def token_of(token: Token | None) -> Token:
    """Return the token, or what gives that of the moment; empty for no token.

    By default that is MARQUEE_TOKEN, else the content of the file that MARQUEE_TOKEN_FILE names.
    Raises InvalidCredentials.
    """
    if token is None:
        token = os.environ.get("MARQUEE_TOKEN") or token_in(os.environ.get("MARQUEE_TOKEN_FILE", ""))
    if isinstance(token, str) and token:
        authorization(token)
    return token


def token_in(path: str) -> Token:
    """Return what reads the token in the file each time, so that it may change; no token for an empty path.

    Raises InvalidCredentials for a pipe that holds none.
    """
    if not path:
        return ""
    file = Path(path)
    return _content(file) if file.is_fifo() else partial(_content, file)  # a pipe, as of <(…), says it once


def authorization(token: str) -> tuple[str, str]:
    """Return the metadata that shows the token. Raises InvalidCredentials for what no token can be."""
    if not _TOKEN.fullmatch(token):
        raise _invalid(f"The token {_STRAY}")
    return ("authorization", f"Bearer {token}")


def check_metadata(metadata: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the metadata as gRPC takes it. Raises InvalidCredentials."""
    pairs = tuple((key.lower(), value) for key, value in metadata.items())
    for key, value in pairs:
        if key == "authorization":
            raise _invalid("Give the token as `token`, not as metadata: so it is never sent in plaintext.")
        if not _KEY.fullmatch(key) or key.endswith("-bin") or not _VALUE.fullmatch(value):
            raise _invalid(f"The metadata {key!r} cannot be sent: keys have a-z 0-9 _ . -, and values printable ASCII.")
    return pairs


def _read(path: StrPath | None) -> bytes | None:
    """Return the file's ASCII: only comments, and marks of the encoding, hold more."""
    return None if path is None else Path(path).read_bytes().decode("ascii", "ignore").encode()


def _missing(pem: bytes | None, kind: str) -> str:
    """Say that there is nothing of the kind; empty if there is."""
    begin = rf"(?m)^-----BEGIN ([A-Z ]+ )?{kind}-----"
    return "" if re.search(begin, (pem or b"").decode()) else f"there is no line -----BEGIN {kind}-----"


def _content(path: Path) -> str:
    try:
        token = path.read_text("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _invalid(f"The token in {path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    if not token:
        raise _invalid(f"{path} is empty: write the token into it.")
    if not _TOKEN.fullmatch(token):
        raise _invalid(f"What is in {path} {_STRAY}")
    return token


def _no_password() -> str:
    raise ValueError("the key has a password, which cannot be asked for here")


def _reason(error: Exception) -> str:
    reason = str(getattr(error, "reason", None) or error)
    return "the key is another certificate's" if reason in _MISMATCHES else reason


def _invalid(message: str) -> InvalidCredentials:
    return InvalidCredentials(message, code="INVALID_ARGUMENT", reason="INVALID_CREDENTIALS")

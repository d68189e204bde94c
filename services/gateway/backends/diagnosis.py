"""Diagnosis of a connection that fails: what an operator has to mend, in words that name no address."""

import asyncio
import re
import socket
import ssl
import time
from contextlib import suppress
from datetime import UTC, datetime

from services.gateway.config import BackendConfig
from services.runtime.doors.certificates import read_certificate
from services.runtime.doors.credentials import Tls

_VERDICTS = {
    "certificate has expired": "its certificate has expired",
    "certificate is not yet valid": "its certificate is not valid yet",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is from no CA that this gateway trusts",
    "Hostname Verification Check failed": "its certificate is for another name",
    "WRONG_VERSION_NUMBER": "it does not speak TLS, and this gateway does",
}
"""What gRPC and OpenSSL say of a recognizer's certificate, and what it means; the first that fits."""
_SPEAKS_TLS = "it speaks TLS, and this gateway does not"
_UNCONNECTED = "; last error: "
"""What gRPC says of all connections that fail, but not of calls that fail on a connection."""
_CLOSED = re.compile(r"Socket closed|reset by peer|Broken pipe")
_ASKS = "it asks for a client certificate, and this gateway has none for it"
_EXPIRED = "it refuses this gateway's certificate, which has expired"
_REFUSES = "it refuses this gateway's certificate, which is perhaps from no CA that it trusts"
_PROBE_SECONDS = 1.0
_MEMORY_SECONDS = 2.0


class Diagnosis:
    """What is wrong with the connections to one recognizer."""

    def __init__(self, config: BackendConfig) -> None:
        self._config = config
        self._probe: asyncio.Task[str] | None = None
        self._probe_expiry = 0.0

    async def of(self, text: str, seconds: float) -> str:
        """Return what is wrong, judging by gRPC's text; empty if the recognizer is only away.

        A recognizer that closes connections without a word is called again by `ssl`, which tells what came before that,
        within the seconds and once in 2 s at most.
        """
        if _UNCONNECTED not in text:
            return ""
        if not _CLOSED.search(text):
            return next((words for mark, words in _VERDICTS.items() if mark in text), "")
        if self._probe is None or time.monotonic() >= self._probe_expiry:
            self._probe = asyncio.ensure_future(self._asked())
            self._probe_expiry = time.monotonic() + _MEMORY_SECONDS
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await asyncio.shield(self._probe)
        return ""

    async def _asked(self) -> str:
        tls = self._config.tls if isinstance(self._config.tls, Tls) else None
        for host, port in self._config.addresses[:1]:  # those of the text may be a peer's words
            with suppress(OSError, ValueError):
                return await asyncio.to_thread(_probe, host, int(port), tls)
        return ""


def _probe(host: str, port: int, tls: Tls | None) -> str:
    """Return what a handshake shows of a server that closes connections. Raises OSError, ValueError."""
    context = _context(tls or Tls())
    with socket.create_connection((host, port), _PROBE_SECONDS) as connection:
        try:
            name = (tls and tls.server_name) or host
            with context.wrap_socket(connection, server_hostname=name) as encrypted:
                # In TLS 1.3 a server refuses a certificate after the handshake; otherwise HTTP/2 lets it speak first.
                is_open = tls is None or bool(encrypted.recv(1))
        except ssl.SSLCertVerificationError:
            is_open = True
        except (ssl.SSLError, ConnectionResetError):
            is_open = False
    if tls is None:
        return _SPEAKS_TLS if is_open else ""
    return "" if is_open else _refusal(tls)


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca)
    context.check_hostname = False  # gRPC has checked it
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as gRPC does: a CA need not be a root
    context.set_alpn_protocols(["h2"])
    if tls.cert:
        context.load_cert_chain(tls.cert, tls.key)
    return context


def _refusal(tls: Tls) -> str:
    if tls.cert is None or tls.key is None:
        return _ASKS
    return _EXPIRED if read_certificate(tls.cert, tls.key).expiry < datetime.now(UTC) else _REFUSES

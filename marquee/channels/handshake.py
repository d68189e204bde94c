"""A TLS handshake without gRPC, which does not tell why its own failed."""

import socket
import ssl
import time
from datetime import UTC, datetime
from typing import Any, NamedTuple

from marquee.channels.address import Address
from marquee.channels.credentials import Tls

_SECONDS = 2.0
_EXPIRED, _NOT_YET_VALID = 10, 9
_WRONG_NAME, _WRONG_NUMBER = 62, 64
"""OpenSSL's codes of certificates that do not verify."""
_ALERT = "ALERT"
"""In OpenSSL's names of what the other side refuses, and tells."""
_OWN_CERTIFICATE = ("CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE", "ACCESS_DENIED")
"""In those that are about the client's certificate, or that there is none."""


class Fault(NamedTuple):
    """What is wrong between client and server."""

    reason: str
    message: str


class _Attempt(NamedTuple):
    """A handshake, and the wait for the server's first byte: it may refuse a certificate after the handshake."""

    is_complete: bool
    failure: OSError | None

    @property
    def alert(self) -> str:
        """OpenSSL's name of what the server refuses; empty if it says nothing."""
        reason = (self.failure.reason if isinstance(self.failure, ssl.SSLError) else "") or ""
        return reason if _ALERT in reason else ""

    @property
    def is_for_want_of_a_certificate(self) -> bool:
        """Whether the server does not take the client's certificate, or the lack of one: gRPC's says nothing then."""
        is_closed = self.is_complete and isinstance(self.failure, ssl.SSLEOFError | ConnectionError)
        return is_closed or any(part in self.alert for part in _OWN_CERTIFICATE)

    @property
    def is_without_tls(self) -> bool:
        """Whether the server's first bytes are no TLS."""
        return isinstance(self.failure, ssl.SSLError) and not isinstance(self.failure, ssl.SSLEOFError)


def fault_of(address: Address, tls: Tls | None) -> Fault | None:
    """Shake hands with the server; return what is wrong with a certificate, or that only one side has TLS.

    None if nothing is wrong, or nothing can be told. Takes a few seconds at most.
    """
    if not address.endpoints:
        return None
    return _plaintext_fault(address) if tls is None else _tls_fault(address, tls)


def fault_in(details: str, address: Address, tls: Tls) -> Fault | None:
    """Return what gRPC's own text says of the server's certificate, which this machine may trust where gRPC does not.

    None if it says nothing of it.
    """
    if "Hostname Verification Check failed" in details:
        return Fault("SERVER_CERTIFICATE_INVALID", _for_others(address, tls, "another host"))
    if "CERTIFICATE_VERIFY_FAILED" in details:
        return Fault("SERVER_CERTIFICATE_INVALID", _untrusted(address, tls, "gRPC cannot verify it by them"))
    return None


def _tls_fault(address: Address, tls: Tls) -> Fault | None:
    attempt = _attempt(address, tls.handshake(), tls.server_name)
    if isinstance(attempt.failure, ssl.SSLCertVerificationError):
        return Fault("SERVER_CERTIFICATE_INVALID", _server_fault(address, tls, attempt.failure))
    if attempt.is_for_want_of_a_certificate:
        return _client_fault(address, tls, is_told=attempt.alert not in ("", "SSLV3_ALERT_HANDSHAKE_FAILURE"))
    if attempt.alert:
        return Fault("TLS_REFUSED", f"The server at {address.text} refuses the connection: {attempt.alert}.")
    if attempt.is_without_tls:
        return Fault(
            "TLS_NOT_OFFERED",
            f"The server at {address.text} speaks no TLS. If it is the right port and plaintext will do, "
            "use HOST:PORT without https://, --tls, --server-name, CA and client certificate.",
        )
    return None


def _plaintext_fault(address: Address) -> Fault | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    attempt = _attempt(address, context)
    if not (attempt.is_complete or attempt.alert):
        return None
    host, port = address.endpoints[0]
    url = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return Fault("TLS_REQUIRED", f"The server at {address.text} speaks TLS only: use {url}, or --tls.")


def _server_fault(address: Address, tls: Tls, failure: ssl.SSLCertVerificationError) -> str:
    certificate = f"The certificate of the server at {address.text}"
    if failure.verify_code == _EXPIRED:
        return f"{certificate} has expired: its operator has to renew it."
    if failure.verify_code == _NOT_YET_VALID:
        return f"{certificate} is not valid yet: check this machine's clock."
    if failure.verify_code in (_WRONG_NAME, _WRONG_NUMBER):
        return _for_others(address, tls, _names(address, tls))
    return _untrusted(address, tls, failure.verify_message)


def _for_others(address: Address, tls: Tls, names: str) -> str:
    return (
        f"The certificate of the server at {address.text} is not for {tls.server_name or address.host}, but for "
        f"{names}: use that as the host. Through a tunnel, give it by --server-name."
    )


def _untrusted(address: Address, tls: Tls, reason: str) -> str:
    trusted = f"those in {tls.ca}" if tls.ca else "the public ones"
    return (
        f"The certificate of the server at {address.text} is of no CA that this client trusts, which are {trusted}: "
        f"{reason}. Give the right CA's certificate by --ca or MARQUEE_CA."
    )


def _names(address: Address, tls: Tls) -> str:
    """Return for which hosts the server's certificate is."""
    try:
        endpoint = address.endpoints[0]
        with (
            _connect(endpoint) as raw,
            tls.inspection().wrap_socket(raw, server_hostname=tls.server_name or endpoint[0]) as secured,
        ):
            certificate: Any = secured.getpeercert() or {}
    except OSError:
        certificate = {}
    names = [str(name) for _, name in certificate.get("subjectAltName", ())]
    common = [name for part in certificate.get("subject", ()) for kind, name in part if kind == "commonName"]
    return ", ".join(names or common) or "another host"


def _client_fault(address: Address, tls: Tls, *, is_told: bool) -> Fault:
    server = f"The server at {address.text}{'' if is_told else ' closes the connection. Perhaps it'}"
    expiry = tls.expiry
    if tls.chain is None:
        return Fault(
            "CLIENT_CERTIFICATE_MISSING",
            f"{server} asks for a client certificate: give one with its key by --cert and --key, "
            "or MARQUEE_CERT and MARQUEE_KEY.",
        )
    if expiry is not None and expiry <= datetime.now(UTC):
        return Fault(
            "CLIENT_CERTIFICATE_EXPIRED",
            f"The client certificate in {tls.chain} expired on {expiry:%Y-%m-%d %H:%M} UTC: renew it.",
        )
    return Fault(
        "CLIENT_CERTIFICATE_REFUSED",
        f"{server} does not take the client certificate in {tls.chain}: use one of a CA that the server trusts.",
    )


def _attempt(address: Address, context: ssl.SSLContext, server_name: str | None = None) -> _Attempt:
    endpoint, is_complete = address.endpoints[0], False
    try:
        with (
            _connect(endpoint) as raw,
            context.wrap_socket(raw, server_hostname=server_name or endpoint[0], suppress_ragged_eofs=False) as secured,
        ):
            is_complete = True
            return _Attempt(is_complete, None if secured.recv(1) else ConnectionResetError())
    except OSError as failure:
        return _Attempt(is_complete, failure)
    except ValueError:  # a host that no certificate can name
        return _Attempt(is_complete, None)


def _connect(endpoint: tuple[str, int]) -> socket.socket:
    begin = time.monotonic()
    raw = socket.create_connection(endpoint, _SECONDS)
    raw.settimeout(max(0.1, begin + _SECONDS - time.monotonic()))
    return raw

"""Certificates of servers and of their clients: read from files, checked before use, and replaced while in use."""

import codecs
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import grpc
import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from prometheus_client import Gauge

logger = structlog.get_logger()
_expiry = Gauge(
    "marquee_certificate_expiry_days",
    "Days until the certificate in use expires; negative once it has.",
    ("certificate",),
)
_DAY_SECONDS = 86_400
_MINUTE = "%Y-%m-%d %H:%M"
_CURVES = ("secp256r1", "secp384r1")
_NAMES = (x509.DNSName, x509.UniformResourceIdentifier, x509.RFC822Name, x509.IPAddress)


@dataclass(frozen=True)
class Certificate:
    """A certificate chain with its key, and the certificates that vouch for the other side; all PEM."""

    chain: bytes
    key: bytes
    ca: bytes | None = None
    """None: a server asks for no certificate, a client trusts the public ones that gRPC comes with."""

    @property
    def expiry(self) -> datetime:
        """When the certificate expires."""
        return x509.load_pem_x509_certificate(self.chain).not_valid_after_utc

    def check_period(self) -> None:
        """Raise ValueError if the certificate has expired, or is not valid yet."""
        leaf, now = x509.load_pem_x509_certificate(self.chain), datetime.now(UTC)
        if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
            raise ValueError(
                f"the certificate is valid from {leaf.not_valid_before_utc:{_MINUTE}} "
                f"to {leaf.not_valid_after_utc:{_MINUTE}} UTC only"
            )

    def begin(self, name: str) -> None:
        """Measure it under the name. One that is not valid now is logged: there is no other, and peers say so, too."""
        self._measure(name)
        try:
            self.check_period()
        except ValueError as exc:
            logger.error("certificate not valid", certificate=name, error=str(exc))  # noqa: TRY400

    def replace(self, name: str) -> None:
        """Measure it in place of the one that is in use. Raises ValueError, and does not, if it is not valid now."""
        self.check_period()
        self._measure(name)

    def _measure(self, name: str) -> None:
        """Export the days until it expires under the name, in place of an earlier certificate."""
        expiry = self.expiry
        _expiry.labels(name).set_function(lambda: (expiry - datetime.now(UTC)).total_seconds() / _DAY_SECONDS)


def forget(name: str) -> None:
    """Stop exporting the days of the certificate that was measured under the name."""
    _expiry.remove(name)


def read_certificate(chain: Path, key: Path, ca: Path | None = None) -> Certificate:
    """Return the certificate in the files. Raises ValueError, which names the file, for a pair that cannot be used."""
    certificate = Certificate(_read(chain), _read(key), read_ca(ca) if ca else None)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as exc:
        raise ValueError(f"{chain} and {key} are no certificate and its key in PEM: {_reason(exc)}.") from None
    if (certificate.chain, certificate.key) != (_read(chain), _read(key)):
        raise ValueError(f"{chain} or {key} changed while they were read.")
    if not _is_spoken(certificate):
        raise ValueError(f"{chain} has a key of a kind that gRPC connects nobody with; take RSA, or ECDSA with P-256.")
    return certificate


def _is_spoken(certificate: Certificate) -> bool:
    """Return whether gRPC's clients and servers agree to the key; OpenSSL, which checks all else, knows more kinds."""
    try:
        key = x509.load_pem_x509_certificate(certificate.chain).public_key()
    except UnsupportedAlgorithm:
        return False
    return isinstance(key, RSAPublicKey) or (isinstance(key, EllipticCurvePublicKey) and key.curve.name in _CURVES)


def read_ca(path: Path) -> bytes:
    """Return the certificates in the file. Raises ValueError if there are none."""
    data = _read(path).replace(codecs.BOM_UTF8, b"")  # gRPC reads no further than one
    text = data.decode("ascii", "ignore")  # only comments hold more
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as exc:
        raise ValueError(f"{path} holds no certificate in PEM: {_reason(exc)}.") from None
    return data


@lru_cache(maxsize=256)
def names_of(certificate: bytes) -> tuple[str, ...]:
    """Return the subject alternative names of a certificate, PEM: DNS names, URIs, e-mail and IP addresses.

    gRPC's own list cuts names at a NUL, so that others pass for their beginnings, and has one text for all other kinds.
    """
    try:
        leaf = x509.load_pem_x509_certificate(certificate)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return ()
    return tuple(str(name.value) for name in names if isinstance(name, _NAMES))


def server_credentials(current: Callable[[], Certificate]) -> grpc.ServerCredentials:
    """Return credentials with which every new connection gets the certificate that is current then.

    A certificate with a `ca` makes the server ask every client for one.
    """
    used = [current()]

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        certificate = current()
        if certificate is used[0]:
            return None
        used[0] = certificate
        return _configuration(certificate)

    first = used[0]
    return grpc.dynamic_ssl_server_credentials(
        _configuration(first),
        fetch,  # type: ignore[arg-type] # None means unchanged; the published types leave that out
        require_client_authentication=first.ca is not None,
    )


def _configuration(certificate: Certificate) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(certificate.key, certificate.chain)], certificate.ca)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ValueError(f"{path} cannot be read: {exc.strerror or exc}.") from None


def _no_password() -> str:
    raise ValueError("the key has a password; remove it")


def _reason(exc: Exception) -> str:
    return getattr(exc, "reason", None) or str(exc)

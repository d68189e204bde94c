"""Certificates: which pairs can be used, and how one replaces another."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from prometheus_client import REGISTRY

from services.runtime.doors.certificates import names_of, read_ca, read_certificate
from tests.support.doors import Authority, Pair


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def lock(pair: Pair) -> None:
    """Encrypt the key with a password."""
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    lock = serialization.BestAvailableEncryption(b"password")
    pair.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock))


def signed(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, names: Sequence[x509.GeneralName] = ()
) -> bytes:
    """Return a certificate for the names that the key itself has signed, PEM."""
    nobody, now = x509.Name([]), datetime.now(UTC)
    made = x509.CertificateBuilder(nobody, nobody, key.public_key(), 1, now, now + timedelta(days=1))
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=True)
    by = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return made.sign(key, by).public_bytes(serialization.Encoding.PEM)


def rekey(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> Callable[[Pair], None]:
    """Return what replaces a pair by one with the key."""

    def replace(pair: Pair) -> None:
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        pair.chain.write_bytes(signed(key))
        pair.key.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))

    return replace


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda pair: pair.chain.unlink(), "a.pem cannot be read: No such file"),
        (lambda pair: pair.key.unlink(), "a.key cannot be read: No such file"),
        (lambda pair: pair.chain.write_bytes(b""), "are no certificate and its key"),
        (lambda pair: pair.key.write_bytes(pair.key.read_bytes()[:-80]), "are no certificate and its key"),
        (lambda pair: pair.key.write_bytes(b"\0" * 1000), "are no certificate and its key"),
        (
            lambda pair: Authority(pair.key.parent / "other").issue("a").copy_to(Pair(Path("/dev/null"), pair.key)),
            "KEY",
        ),
        (lock, "the key has a password; remove it"),
        (rekey(ed25519.Ed25519PrivateKey.generate()), "a key of a kind that gRPC connects nobody with"),
        (rekey(ec.generate_private_key(ec.SECP521R1())), "a key of a kind that gRPC connects nobody with"),
        (rekey(ec.generate_private_key(ec.SECP256K1())), "a key of a kind that gRPC connects nobody with"),
    ],
    ids=["no chain", "no key", "empty", "cut", "zeros", "another's", "locked", "Ed25519", "P-521", "secp256k1"],
)
def test_a_pair_that_cannot_be_used_is_named(authority: Authority, spoil: Callable[[Pair], None], error: str) -> None:
    """The message has the files, and what is wrong with them; it never asks for a password."""
    pair = authority.issue("a")
    spoil(pair)
    with pytest.raises(ValueError, match=str(pair.key.parent)) as caught:
        read_certificate(pair.chain, pair.key)
    assert error in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"junk", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----"]
)
def test_a_file_without_certificates_is_named(tmp_path: Path, content: bytes) -> None:
    """A file that vouches for nobody is refused: with it nobody could connect, or everybody."""
    path = tmp_path / "ca.pem"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"ca\.pem holds no certificate in PEM"):
        read_ca(path)


def test_bundles_may_have_comments(authority: Authority) -> None:
    """Names of authorities beside their certificates, in any language, change nothing."""
    bundle = "# Autorité\n".encode() + authority.path.read_bytes()
    authority.path.write_bytes(bundle)
    assert read_ca(authority.path) == bundle


def test_byte_order_marks_are_taken_out(authority: Authority) -> None:
    """After one gRPC reads no further: of two files in a row it would know the first one's authority only."""
    plain = authority.path.read_bytes()
    authority.path.write_bytes((b"\xef\xbb\xbf" + plain) * 2)
    assert read_ca(authority.path) == plain * 2


@pytest.mark.parametrize(
    ("begin", "end", "is_valid"), [(-2, -1, False), (1, 2, False), (-1, 1, True)], ids=["expired", "to come", "valid"]
)
def test_a_certificate_has_its_time(authority: Authority, begin: int, end: int, *, is_valid: bool) -> None:
    """One that has expired, or is not valid yet, is told from one that is valid."""
    pair = authority.issue("a", begin=timedelta(days=begin), end=timedelta(days=end))
    certificate = read_certificate(pair.chain, pair.key)
    if is_valid:
        certificate.check_period()
    else:
        with pytest.raises(ValueError, match=r"the certificate is valid from .* UTC only"):
            certificate.check_period()


@pytest.mark.parametrize("days", [20, -3])
def test_the_days_until_it_expires_are_exported(authority: Authority, days: int) -> None:
    """An operator sees how many days are left, below zero once it has expired."""
    pair = authority.issue("a", begin=timedelta(days=-5), end=timedelta(days=days))
    read_certificate(pair.chain, pair.key).begin("a test")
    left = REGISTRY.get_sample_value("marquee_certificate_expiry_days", {"certificate": "a test"})
    assert left == pytest.approx(days, abs=0.01)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([x509.DNSName("a.example"), x509.DNSName("b.example")], ("a.example", "b.example")),
        (
            [x509.UniformResourceIdentifier("spiffe://a/b"), x509.RFC822Name("a@b.example")],
            ("spiffe://a/b", "a@b.example"),
        ),
        ([x509.IPAddress(ip_address("fd00::1"))], ("fd00::1",)),
        ([x509.DNSName("gateway\0.example.org")], ("gateway\0.example.org",)),
        ([x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x0c\x01a"), x509.DNSName("a")], ("a",)),
        ([x509.RegisteredID(x509.ObjectIdentifier("1.2.3")), x509.DirectoryName(x509.Name([]))], ()),
        ([], ()),
    ],
)
def test_a_clients_names_are_those_of_its_certificate(names: list[x509.GeneralName], expected: tuple[str, ...]) -> None:
    """Each in full and in order; of kinds that are no text there are none."""
    assert names_of(signed(ec.generate_private_key(ec.SECP256R1()), names)) == expected


def test_what_is_no_certificate_has_no_names() -> None:
    """Whatever a client shows, its names are none rather than an error."""
    assert names_of(b"junk") == ()

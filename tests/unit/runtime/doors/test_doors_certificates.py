"""Certificates: which pairs can be used, and how one replaces another."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from prometheus_client import REGISTRY

from services.runtime.doors.certificates import read_ca, read_certificate
from tests.support.doors import Authority, Pair


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def lock(pair: Pair) -> None:
    """Encrypt the key with a password."""
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    lock = serialization.BestAvailableEncryption(b"password")
    pair.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock))


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
    ],
    ids=["no chain", "no key", "empty", "cut", "zeros", "another's", "locked"],
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

"""Calls over TLS: what client and server show each other, and what each error says is missing or wrong."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from marquee import AsyncClient, Client, InvalidCredentials, MarqueeError, TlsError, Unreachable
from services.runtime.leaf.leaf import Leaf
from services.runtime.settings import LeafSettings
from tests.support.doors import Authority, Pair
from tests.support.listeners import listening
from tests.support.servers import Scripted, picture, served

HOUR = timedelta(hours=1)
_END = "-----END CERTIFICATE-----"
Serve = Callable[..., AbstractAsyncContextManager[str]]


@dataclass(frozen=True)
class Certificates:
    """Certificates of two authorities."""

    ours: Authority
    theirs: Authority
    server: Pair
    expired: Pair
    early: Pair
    elsewhere: Pair
    client: Pair
    client_expired: Pair
    stranger: Pair
    below: Pair
    """Of an intermediate CA of ours."""

    @property
    def intermediate(self) -> Path:
        """The intermediate CA: all but the first certificate of the chain."""
        path = self.below.chain.with_suffix(".ca")
        path.write_text(self.below.chain.read_text().partition(_END)[2].lstrip())
        return path

    @property
    def both(self) -> Path:
        """The client's certificate and its key in one file."""
        path = self.client.chain.with_suffix(".both")
        path.write_bytes(self.client.key.read_bytes() + self.client.chain.read_bytes())
        return path


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    ours, theirs = (Authority(tmp_path_factory.mktemp(name)) for name in ("ours", "theirs"))
    return Certificates(
        ours,
        theirs,
        server=ours.issue("127.0.0.1", "localhost"),
        expired=ours.issue("localhost", "127.0.0.1", begin=-2 * HOUR, end=-HOUR),
        early=ours.issue("127.0.0.2", "127.0.0.1", begin=HOUR, end=2 * HOUR),
        elsewhere=ours.issue("gateway.example"),
        client=ours.issue("first-team"),
        client_expired=ours.issue("second-team", begin=-2 * HOUR, end=-HOUR),
        stranger=theirs.issue("stranger"),
        below=ours.child().issue("127.0.0.1"),
    )


@asynccontextmanager
async def _serving(pair: Pair, client_ca: Path | None = None) -> AsyncIterator[str]:
    settings = {"tls_cert": pair.chain, "tls_key": pair.key, "tls_client_ca": client_ca}
    async with served(Leaf(Scripted(), LeafSettings()), **settings) as address:
        yield address


async def _failure(address: str, **options: Any) -> MarqueeError:
    def call() -> MarqueeError:
        with Client(address, **options) as client, pytest.raises(MarqueeError) as raised:
            client.recognizers()
        return raised.value

    return await asyncio.to_thread(call)


async def test_both_clients_call_over_tls(certificates: Certificates) -> None:
    """Every kind of call goes through TLS to a server whose CA is known, at https:// addresses and with `ca` alone."""
    async with _serving(certificates.server) as address:
        for where in (address, f"https://{address}"):
            async with AsyncClient(where, ca=certificates.ours.path) as client:
                assert (await client.recognize(picture())).results
                assert [part async for part in client.stream(picture())]

        def recognize() -> None:
            with Client(f"https://{address}", ca=certificates.ours.path) as client:
                assert client.recognize(picture()).results
                assert list(client.stream(picture()))

        await asyncio.to_thread(recognize)


async def test_a_client_shows_its_certificate(certificates: Certificates) -> None:
    """The certificate and its key come from two files or from one."""
    async with _serving(certificates.server, certificates.ours.path) as address:
        for cert in ((certificates.client.chain, certificates.client.key), certificates.both):
            async with AsyncClient(address, ca=certificates.ours.path, cert=cert) as client:
                assert await client.recognizers()


async def test_the_environment_names_certificates(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """MARQUEE_CA, MARQUEE_CERT and MARQUEE_KEY are the defaults of a client."""
    monkeypatch.setenv("MARQUEE_CA", str(certificates.ours.path))
    monkeypatch.setenv("MARQUEE_CERT", str(certificates.client.chain))
    monkeypatch.setenv("MARQUEE_KEY", str(certificates.client.key))
    async with _serving(certificates.server, certificates.ours.path) as address, AsyncClient(address) as client:
        assert await client.recognizers()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("expired", "has expired: its operator has to renew it"),
        ("early", "is not valid yet: check this machine's clock"),
        ("elsewhere", "is not for 127.0.0.1, but for gateway.example: use that as the host"),
    ],
)
async def test_a_servers_certificate_that_is_not_in_order(certificates: Certificates, name: str, expected: str) -> None:
    """The error says whether the server's certificate is too old, too new or for other hosts, and for which."""
    async with _serving(getattr(certificates, name)) as address:
        error = await _failure(f"https://{address}", ca=certificates.ours.path)
    assert (type(error), error.reason) == (TlsError, "SERVER_CERTIFICATE_INVALID")
    assert f"The certificate of the server at https://{address} {expected}." in error.message


async def test_a_server_of_another_ca(certificates: Certificates) -> None:
    """The error names the file of the CAs that are trusted, and how to name another."""
    async with _serving(certificates.server) as address:
        error = await _failure(address, ca=certificates.theirs.path)
        public = await _failure(f"https://{address}")
    assert error.reason == public.reason == "SERVER_CERTIFICATE_INVALID"
    assert f"trusts, which are those in {certificates.theirs.path}: " in error.message
    assert "trusts, which are the public ones: " in public.message
    assert "by --ca or MARQUEE_CA" in error.message


@pytest.mark.parametrize(
    ("name", "reason", "expected"),
    [
        ("", "CLIENT_CERTIFICATE_MISSING", "asks for a client certificate: give one with its key by --cert and --key"),
        ("client_expired", "CLIENT_CERTIFICATE_EXPIRED", "second-team.pem expired on 20"),
        ("stranger", "CLIENT_CERTIFICATE_REFUSED", "does not take the client certificate in "),
    ],
)
async def test_a_clients_certificate_that_the_server_does_not_take(
    certificates: Certificates, name: str, reason: str, expected: str
) -> None:
    """Where gRPC says that the socket was closed, both clients say what is wrong with their own certificate."""
    pair = getattr(certificates, name) if name else None
    cert = (pair.chain, pair.key) if pair else None
    async with _serving(certificates.server, certificates.ours.path) as address:
        error = await _failure(address, ca=certificates.ours.path, cert=cert)
        async with AsyncClient(address, ca=certificates.ours.path, cert=cert) as client:
            with pytest.raises(TlsError) as raised:
                await client.recognize(picture(), request_id="r-1")
    assert (type(error), error.code, error.reason) == (TlsError, "UNAVAILABLE", reason)
    assert expected in error.message
    assert (raised.value.message, raised.value.request_id) == (error.message, "r-1")


async def test_a_server_of_another_kind_refuses_by_an_alert(certificates: Certificates) -> None:
    """A server that says by TLS itself what it lacks is understood, too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server.chain, certificates.server.key)
    context.load_verify_locations(certificates.ours.path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    with listening(lambda _: None, context) as address:
        missing = await _failure(address, ca=certificates.ours.path)
        pair = certificates.stranger
        refused = await _failure(address, ca=certificates.ours.path, cert=(pair.chain, pair.key))
    assert (missing.reason, refused.reason) == ("CLIENT_CERTIFICATE_MISSING", "CLIENT_CERTIFICATE_REFUSED")


async def test_a_server_that_closes_behind_tls(certificates: Certificates) -> None:
    """A proxy that ends TLS, with nobody behind it, may ask for a certificate or not: the error does not claim it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server.chain, certificates.server.key)
    context.set_alpn_protocols(["h2"])
    with listening(lambda _: None, context) as address:
        error = await _failure(f"https://{address}", ca=certificates.ours.path)
    assert f"https://{address} closes the connection. Perhaps it asks for a client certificate: " in error.message


@pytest.mark.parametrize("begin", [b"", "# Főtanúsítvány\r\n\n".encode(), b"\xef\xbb\xbf", b"\xfc\n"])
async def test_what_stands_before_a_ca_does_not_matter(
    certificates: Certificates, begin: bytes, tmp_path: Path
) -> None:
    """Bundles of CAs have names in them, in any encoding, and Windows' line ends."""
    path = tmp_path / "ca.pem"
    path.write_bytes(begin + certificates.ours.path.read_bytes().replace(b"\n", b"\r\n"))
    async with _serving(certificates.server) as address, AsyncClient(address, ca=path) as client:
        assert await client.recognizers()


async def test_a_ca_need_not_be_a_root(certificates: Certificates) -> None:
    """An intermediate CA is enough to vouch for a server, and no reason for what else fails."""
    async with _serving(certificates.below, certificates.ours.path) as address:
        error = await _failure(address, ca=certificates.intermediate)
        pair = certificates.client
        async with AsyncClient(address, ca=certificates.intermediate, cert=(pair.chain, pair.key)) as client:
            assert await client.recognizers()
    assert error.reason == "CLIENT_CERTIFICATE_MISSING"


async def test_this_machines_own_ca_is_none_of_grpcs(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CA in the machine's store does not count for gRPC; the error says so, instead of that nobody listens."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ours.path))
    async with _serving(certificates.server) as address:
        error = await _failure(f"https://{address}")
    assert error.reason == "SERVER_CERTIFICATE_INVALID"
    assert "which are the public ones: gRPC cannot verify it by them" in error.message


async def test_a_servers_name_may_be_another(certificates: Certificates) -> None:
    """Through a tunnel, both clients reach a server whose certificate is for its own name, and for no other."""
    async with _serving(certificates.elsewhere) as address:
        ca = certificates.ours.path
        async with AsyncClient(address, ca=ca, server_name="gateway.example") as client:
            assert await client.recognizers()
        error = await _failure(address, ca=ca, server_name="svm.example")
        other = await _failure(address, server_name="gateway.example")  # this, too, means TLS
    assert "is not for svm.example, but for gateway.example: " in error.message
    assert "which are the public ones" in other.message


async def test_a_web_server_behind_tls(certificates: Certificates) -> None:
    """A server of HTTPS that knows no HTTP/2 is told from one whose certificate is wrong, and from none at all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server.chain, certificates.server.key)
    with listening(lambda _: None, context) as address:
        error = await _failure(f"https://{address}", ca=certificates.ours.path)
    assert error.message.startswith(f"What answers at https://{address} is no gRPC server")


async def test_a_failure_needs_no_file_again(certificates: Certificates, tmp_path: Path) -> None:
    """The error is about what the client was created with, though the files have gone since."""
    gone = Pair(tmp_path / "chain", tmp_path / "key")
    certificates.stranger.copy_to(gone)
    async with (
        _serving(certificates.server, certificates.ours.path) as address,
        AsyncClient(address, ca=certificates.ours.path, cert=(gone.chain, gone.key)) as client,
    ):
        gone.chain.unlink()
        gone.key.unlink()
        with pytest.raises(TlsError, match="does not take the client certificate"):
            await client.recognizers()


async def test_only_one_side_speaks_tls(certificates: Certificates) -> None:
    """Plaintext to a TLS server, with and without a client CA, and TLS to a plaintext server are told apart."""
    for client_ca in (None, certificates.ours.path):
        async with _serving(certificates.server, client_ca) as address:
            for where in (
                address,
                address.replace("127.0.0.1", "localhost"),
            ):  # which is ::1, too, where nobody listens
                error = await _failure(where)
                assert (error.reason, f"use https://{where}" in error.message) == ("TLS_REQUIRED", True)
    async with served(Leaf(Scripted(), LeafSettings())) as address:
        error = await _failure(f"https://{address}", ca=certificates.ours.path)
    assert (error.reason, "speaks no TLS" in error.message) == ("TLS_NOT_OFFERED", True)


async def test_a_server_that_is_down_is_no_matter_of_certificates(certificates: Certificates) -> None:
    """Where nobody listens, the error says so, also over TLS."""
    async with _serving(certificates.server) as address:
        pass
    error = await _failure(f"https://{address}", ca=certificates.ours.path)
    assert type(error) is Unreachable
    assert error.message.startswith(f"Cannot connect to https://{address}: ")


def test_files_are_checked_before_anything_is_sent(certificates: Certificates, tmp_path: Path) -> None:
    """What is no certificate, no key of it, or a key with a password is refused by name; a missing file, as by open."""
    text, locked, der = tmp_path / "text", tmp_path / "locked.key", tmp_path / "ca.der"
    text.write_text("no certificate")
    der.write_bytes(ssl.PEM_cert_to_DER_cert(certificates.ours.path.read_text()))
    key = load_pem_private_key(certificates.client.key.read_bytes(), None)
    locked.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    refused: dict[str, dict[str, Any]] = {
        f"{text} holds no certificate": {"ca": text},
        f"{der} holds no certificate in PEM: there is no line -----BEGIN CERTIFICATE-----": {"ca": der},
        f"{text}: no certificate": {"cert": text},
        "there is no line -----BEGIN PRIVATE KEY-----": {"cert": certificates.client.chain},
        "the key is another certificate's": {"cert": (certificates.client.chain, certificates.expired.key)},
        "'gateway:1' is no host that a certificate can be for": {"server_name": "gateway:1"},
        f"{certificates.stranger.key}: no certificate and its key": {
            "cert": (certificates.client.chain, certificates.stranger.key)
        },
        "the key has a password": {"cert": (certificates.client.chain, locked)},
    }
    for message, options in refused.items():
        with pytest.raises(InvalidCredentials) as raised:
            Client("svm:50051", **options)
        assert message in raised.value.message
    with pytest.raises(FileNotFoundError, match="missing"):
        Client("svm:50051", ca=tmp_path / "missing")

"""TLS: whom a server lets connect, the listener for probes beside it, and files that change under it."""

import asyncio
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.runtime import status
from tests.support.doors import Authority, Pair, bearer, line, reflected
from tests.support.processes import PATIENCE, free_port, serving
from tests.support.servers import LeafProcess, Stub, code_and_reason, outcomes, refusal, request, stub, until

pytestmark = pytest.mark.slow
Health = health_pb2.HealthCheckResponse
Start = Callable[..., "Guarded"]
HOUR = timedelta(hours=1)


class Guarded(LeafProcess):
    """A recognizer behind TLS, with a listener for probes."""

    def __init__(self, folder: Path, authority: Authority, **environment: str) -> None:
        self.folder = folder
        self.pair = authority.issue("localhost")
        self.health_port = free_port()
        own = {
            "MARQUEE_HOST": "0.0.0.0",
            "MARQUEE_ALLOW_ANONYMOUS": "true",
            "MARQUEE_HEALTH_PORT": str(self.health_port),
            "MARQUEE_TLS_CERT": str(self.pair.chain),
            "MARQUEE_TLS_KEY": str(self.pair.key),
        }
        super().__init__(folder, **own | environment)
        self.probe_address = f"127.0.0.1:{self.health_port}"

    async def serving(self) -> None:
        await until(lambda: serving(self.probe_address))

    @asynccontextmanager
    async def channel(self, authority: Authority, pair: Pair | None = None) -> AsyncIterator[grpc.aio.Channel]:
        own = (pair.key.read_bytes(), pair.chain.read_bytes()) if pair else ()
        credentials = grpc.ssl_channel_credentials(authority.path.read_bytes(), *own)
        async with grpc.aio.secure_channel(f"localhost:{self.address.rpartition(':')[2]}", credentials) as channel:
            yield channel

    async def outcome(self, authority: Authority, pair: Pair | None = None, token: str = "") -> str:
        """Return the code of a call over a new connection, and the reason if the server gives one."""
        async with self.channel(authority, pair) as channel:
            try:
                await Stub(channel).RecognizeImage(request(), metadata=bearer(token) if token else (), timeout=PATIENCE)
            except grpc.aio.AioRpcError as exc:
                return " ".join(filter(None, (exc.code().name, status.reason_of(status.from_rpc_error(exc)))))
        return "OK"

    async def expiry(self) -> object:
        """Return when the certificate expires that a new connection is shown."""
        port = int(self.address.rpartition(":")[2])
        pem = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
        return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc

    def read_again(self) -> None:
        self.process.send_signal(signal.SIGHUP)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "own")


@pytest.fixture
def start(tmp_path: Path, authority: Authority) -> Iterator[Start]:
    """Return a function that starts a server, which ends with the test."""
    started: list[Guarded] = []

    def start(**environment: str) -> Guarded:
        started.append(Guarded(tmp_path, authority, **environment))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory, own: Authority) -> Iterator[Guarded]:
    """Yield a server that asks every client for a certificate."""
    folder = tmp_path_factory.mktemp("mutual")
    (folder / "callers").write_text(
        "san:listed.example name=listed scopes=recognize\n"
        "san:enroller.example name=enroller scopes=enroll\n"
        "san:late.example name=late scopes=recognize expires=2020-01-01\n" + line("token", name="bearer")
    )
    client = {"MARQUEE_TLS_CLIENT_CA": str(own.path), "MARQUEE_CALLERS": str(folder / "callers")}
    server = Guarded(folder, own, **client)
    asyncio.run(server.serving())
    yield server
    server.close()


@pytest.mark.parametrize(
    ("who", "why"),
    [
        ("nobody", "PEER_DID_NOT_RETURN_A_CERTIFICATE"),
        ("another's", "unable to get local issuer certificate"),
        ("expired", "certificate has expired"),
    ],
)
async def test_a_certificate_that_nobody_vouches_for_gets_no_connection(
    mutual: Guarded, own: Authority, tmp_path: Path, who: str, why: str
) -> None:
    """No call reaches the server; on its standard error gRPC says what is wrong with the certificate."""
    before = len(mutual.events("call"))
    pairs = {
        "nobody": None,
        "another's": Authority(tmp_path / "other").issue("listed.example"),
        "expired": own.issue("listed.example", end=-HOUR / 2),
    }
    assert await mutual.outcome(own, pairs[who], "token") == "UNAVAILABLE"
    assert len(mutual.events("call")) == before
    await until(lambda: why in (mutual.folder / "stderr").read_text())


@pytest.mark.parametrize(
    ("names", "token", "outcome"),
    [
        (("listed.example",), "", "OK"),
        (("unknown.example", "listed.example"), "", "OK"),
        (("unknown.example",), "", "OK"),
        (("enroller.example",), "", "PERMISSION_DENIED SCOPE_MISSING"),
        (("late.example",), "", "UNAUTHENTICATED TOKEN_EXPIRED"),
        (("listed",), "", "UNAUTHENTICATED CERTIFICATE_UNKNOWN"),
        (("enroller.example",), "token", "OK"),
        (("listed.example",), "other", "UNAUTHENTICATED TOKEN_UNKNOWN"),
    ],
)
async def test_a_certificates_name_is_a_caller(
    mutual: Guarded, own: Authority, names: tuple[str, ...], token: str, outcome: str
) -> None:
    """A line decides, else MARQUEE_TLS_CLIENT_SCOPES, unless another caller has the name; a token comes first."""
    assert await mutual.outcome(own, own.issue(*names), token) == outcome


async def test_certificates_without_a_line_may_be_kept_out(start: Start, authority: Authority) -> None:
    """With no scopes for clients in general, a certificate that is in order is not enough."""
    server = start(MARQUEE_TLS_CLIENT_CA=str(authority.path), MARQUEE_TLS_CLIENT_SCOPES="none")
    await server.serving()
    outcome = await server.outcome(authority, authority.issue("client.example"))
    assert outcome == "UNAUTHENTICATED CERTIFICATE_UNKNOWN"


async def test_the_health_port_speaks_plaintext_beside_tls(mutual: Guarded, own: Authority) -> None:
    """Kubelet asks there without TLS and credentials; by TLS, health needs a certificate but no scope."""
    assert await asyncio.to_thread(serving, mutual.probe_address)
    async with mutual.channel(own, own.issue("enroller.example")) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
    assert answer.status == Health.SERVING


async def test_the_health_port_has_nothing_else(mutual: Guarded) -> None:
    """Neither pictures nor the protos are to be had there."""
    async with stub(mutual.probe_address) as client:
        assert code_and_reason(await refusal(client, request())) == ("UNIMPLEMENTED", "")
    assert await asyncio.to_thread(reflected, mutual.probe_address) == ["UNIMPLEMENTED", ""]


async def test_a_taken_health_port_ends_it(start: Start) -> None:
    """If the port for probes is taken, the log names the variable that changes it, and the process exits with 1."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        server = start(MARQUEE_HEALTH_PORT=str(other.getsockname()[1]))
        assert await server.ended() == 1
    (line,) = server.events("cannot serve")
    assert "MARQUEE_HEALTH_PORT" in str(line["error"])


async def test_plaintext_does_not_pass_for_tls(mutual: Guarded) -> None:
    """A client without TLS gets no answer from the port that wants it."""
    async with grpc.aio.insecure_channel(mutual.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await Stub(channel).RecognizeImage(request(), timeout=PATIENCE)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_new_certificate_is_for_new_connections(start: Start, authority: Authority) -> None:
    """A replaced pair is shown from then on; calls on an old connection go on there."""
    server = start()
    await server.serving()
    async with server.channel(authority) as channel:
        await Stub(channel).RecognizeImage(request(), timeout=PATIENCE)
        old = await server.expiry()
        authority.issue("localhost", end=2 * HOUR)
        server.read_again()
        await until(lambda: server.events("reloaded"))
        assert await server.expiry() != old
        assert outcomes(await Stub(channel).RecognizeImage(request(), timeout=PATIENCE)) == {"leaf": "OK"}


@pytest.mark.parametrize("how", ["expired", "broken", "half"])
async def test_a_bad_certificate_replaces_none(start: Start, authority: Authority, tmp_path: Path, how: str) -> None:
    """An expired pair, junk, or the certificate without its key leaves the one before in use, and is logged."""
    server = start()
    await server.serving()
    old = await server.expiry()
    if how == "expired":
        authority.issue("localhost", end=-HOUR / 2)
    elif how == "broken":
        server.pair.chain.write_bytes(b"junk")
    else:
        server.pair.chain.write_bytes(Authority(tmp_path / "other").issue("localhost").chain.read_bytes())
    server.read_again()
    await until(lambda: server.events("change refused; the old one stays in use"))
    assert await server.expiry() == old


async def test_a_certificate_that_has_expired_already_is_served(start: Start, authority: Authority) -> None:
    """A server that starts with one says so in its log, and starts: clients learn what is wrong from it."""
    pair = authority.issue("expired", end=-HOUR / 2)
    server = start(MARQUEE_TLS_CERT=str(pair.chain), MARQUEE_TLS_KEY=str(pair.key))
    await server.serving()
    assert server.events("certificate not valid")
    assert await server.outcome(authority) == "UNAVAILABLE"


async def test_another_authority_may_vouch_for_clients(start: Start, authority: Authority, tmp_path: Path) -> None:
    """Once the file with the clients' authorities is replaced, only clients of the new one connect."""
    bundle = tmp_path / "clients.pem"
    bundle.write_bytes(authority.path.read_bytes())
    server, other = start(MARQUEE_TLS_CLIENT_CA=str(bundle)), Authority(tmp_path / "other")
    old, new = authority.issue("old.example"), other.issue("new.example")
    await server.serving()
    assert [await server.outcome(authority, pair) for pair in (old, new)] == ["OK", "UNAVAILABLE"]
    bundle.write_bytes(other.path.read_bytes())
    server.read_again()
    await until(lambda: server.events("reloaded"))
    assert [await server.outcome(authority, pair) for pair in (old, new)] == ["UNAVAILABLE", "OK"]


async def test_a_token_is_replaced_while_it_is_used(start: Start, authority: Authority, tmp_path: Path) -> None:
    """A line that is added lets in, one that is removed no longer; a broken register changes nothing."""
    register = tmp_path / "callers"
    register.write_text(line("old"))
    server = start(MARQUEE_CALLERS=str(register), MARQUEE_ALLOW_ANONYMOUS="false")
    await server.serving()

    async def outcomes_after(text: str, event: str = "reloaded") -> list[str]:
        before = len(server.events(event))
        register.write_text(text)
        server.read_again()
        await until(lambda: len(server.events(event)) > before)
        return [await server.outcome(authority, token=token) for token in ("old", "new")]

    unknown = "UNAUTHENTICATED TOKEN_UNKNOWN"
    assert await outcomes_after(line("old") + line("new")) == ["OK", "OK"]
    assert await outcomes_after(line("new")) == [unknown, "OK"]
    assert await outcomes_after("junk", "change refused; the old one stays in use") == [unknown, "OK"]
    assert await outcomes_after("") == [unknown, unknown]


async def test_changes_are_noticed_without_a_signal(start: Start, authority: Authority, tmp_path: Path) -> None:
    """Whoever replaces a file in a cluster cannot send signals: it is read again every 2 s."""
    register = tmp_path / "callers"
    register.write_text(line("old"))
    server = start(MARQUEE_CALLERS=str(register))
    await server.serving()
    register.write_text(line("new"))
    await until(lambda: server.events("reloaded"))
    assert await server.outcome(authority, None, "new") == "OK"

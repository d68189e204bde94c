"""The gateway's way to recognizers: TLS, certificates and tokens, and what is said of those that are wrong."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from google.rpc import status_pb2
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.config import BackendConfig
from tests.support.doors import Authority, Pair, line
from tests.support.peers import Abort, Peer, served_peer
from tests.support.servers import (
    Scripted,
    Stub,
    code_and_reason,
    connections,
    gateway_client,
    gateway_of,
    leaf,
    outcomes,
    request,
    until,
)

NAME = "127.0.0.1"
PAST = timedelta(days=-1)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("other"))


@pytest.fixture(scope="module")
def pairs(ours: Authority, other: Authority) -> Mapping[str, Pair]:
    """Certificates of recognizers and of gateways."""
    return {
        "recognizer": ours.issue(NAME),
        "gateway": ours.issue("gateway"),
        "of another CA": other.issue(NAME),
        "expired": ours.issue("localhost", NAME, begin=2 * PAST, end=PAST),
        "not valid yet": ours.issue("early", NAME, begin=-PAST, end=-2 * PAST),
        "for another name": ours.issue("elsewhere"),
    }


@pytest.fixture
def unlogged() -> Iterator[list[dict[str, object]]]:
    """Return the log's lines, which go nowhere else."""
    with capture_logs() as lines:
        yield lines


def serving(pair: Pair, client_ca: Path | None = None) -> dict[str, Path | None]:
    """Return the settings of a recognizer with the certificate."""
    return {"tls_cert": pair.chain, "tls_key": pair.key, "tls_client_ca": client_ca}


def showing(ours: Authority, pair: Pair | None = None, **more: str) -> dict[str, object]:
    """Return a recognizer's `tls` in the gateway's file."""
    return {"ca": ours.path, **({"cert": pair.chain, "key": pair.key} if pair else {}), **more}


async def failure(svm: BackendConfig) -> status_pb2.Status:
    """Return why a recognizer fails beside one that does not."""
    async with gateway_client(Scripted("beside"), svm=svm) as client:
        response = await client.RecognizeImage(request(), timeout=60)
    assert outcomes(response) == {"beside": "OK", "svm": "ERROR"}
    return response.results[1].status


async def test_reaches_recognizers_by_tls(ours: Authority, pairs: Mapping[str, Pair]) -> None:
    """A recognizer is called over TLS, with the gateway's certificate where it asks for one."""
    async with (
        leaf(Scripted("svm"), **serving(pairs["recognizer"])) as svm,
        leaf(Scripted("keras"), **serving(pairs["recognizer"], ours.path)) as keras,
    ):
        backends = {
            "svm": BackendConfig(target=svm, tls=showing(ours)),
            "keras": BackendConfig(target=keras, tls=showing(ours, pairs["gateway"])),
        }
        async with gateway_client(**backends) as client:
            assert outcomes(await client.RecognizeImage(request())) == {"svm": "OK", "keras": "OK"}


async def test_a_certificate_may_have_another_name(ours: Authority, pairs: Mapping[str, Pair]) -> None:
    """With server_name a recognizer's certificate has to have that name, not the target's."""
    async with leaf(Scripted("svm"), **serving(pairs["for another name"])) as target:
        svm = BackendConfig(target=target, tls=showing(ours, server_name="elsewhere"))
        async with gateway_client(svm=svm) as client:
            assert outcomes(await client.RecognizeImage(request())) == {"svm": "OK"}


@pytest.mark.parametrize(
    ("pair", "words"),
    {
        "of another CA": "its certificate is from no CA that this gateway trusts",
        "expired": "its certificate has expired",
        "not valid yet": "its certificate is not valid yet",
        "for another name": "its certificate is for another name",
    }.items(),
)
async def test_says_what_is_wrong_with_a_recognizers_certificate(
    ours: Authority, pairs: Mapping[str, Pair], unlogged: list[dict[str, object]], pair: str, words: str
) -> None:
    """A recognizer that cannot be trusted is an ERROR that says why, without addresses; so does the log."""
    async with leaf(Scripted("svm"), **serving(pairs[pair])) as target:
        failed = await failure(BackendConfig(target=target, tls=showing(ours)))
    assert (*code_and_reason(failed), failed.message) == (
        "UNAVAILABLE",
        "RECOGNIZER_UNAVAILABLE",
        f"svm cannot be called: {words}.",
    )
    assert [(one["recognizer"], one["diagnosis"]) for one in unlogged if "diagnosis" in one] == [("svm", words)]


@pytest.mark.parametrize(
    ("pair", "words"),
    {
        None: "it asks for a client certificate, and this gateway has none for it",
        "of another CA": "it refuses this gateway's certificate, which is perhaps from no CA that it trusts",
        "expired": "it refuses this gateway's certificate, which has expired",
    }.items(),
)
async def test_says_what_is_wrong_with_its_own_certificate(
    ours: Authority, pairs: Mapping[str, Pair], pair: str | None, words: str
) -> None:
    """A recognizer that closes the connection for want of a certificate is an ERROR that says so."""
    async with leaf(Scripted("svm"), **serving(pairs["recognizer"], ours.path)) as target:
        own = pairs[pair] if pair else None
        failed = await failure(BackendConfig(target=target, tls=showing(ours, own)))
    assert failed.message.startswith(f"svm cannot be called: {words}")


async def test_a_ca_need_not_be_a_root(ours: Authority) -> None:
    """A connection that fails is diagnosed by the CA that the gateway trusts, which may be an intermediate one."""
    child = ours.child()
    async with leaf(Scripted("svm"), **serving(child.issue(NAME), ours.path)) as target:
        failed = await failure(BackendConfig(target=target, tls=showing(child)))
    assert failed.message == "svm cannot be called: it asks for a client certificate, and this gateway has none for it."


async def test_says_that_a_recognizer_speaks_no_tls(ours: Authority) -> None:
    """TLS to a plaintext recognizer is an ERROR that says so."""
    async with leaf(Scripted("svm")) as target:
        failed = await failure(BackendConfig(target=target, tls=showing(ours)))
    assert failed.message == "svm cannot be called: it does not speak TLS, and this gateway does."


@pytest.mark.parametrize("asks", [False, True], ids=["TLS", "mTLS"])
async def test_says_that_a_recognizer_speaks_tls(ours: Authority, pairs: Mapping[str, Pair], asks: bool) -> None:  # noqa: FBT001
    """Plaintext to a recognizer that speaks TLS is an ERROR that says so."""
    async with leaf(Scripted("svm"), **serving(pairs["recognizer"], ours.path if asks else None)) as target:
        failed = await failure(BackendConfig(target=target))
    assert failed.message == "svm cannot be called: it speaks TLS, and this gateway does not."


@pytest.mark.parametrize(
    ("token", "reason"),
    {None: "CREDENTIALS_MISSING", "other": "TOKEN_UNKNOWN", "old": "TOKEN_EXPIRED", "idle": "SCOPE_MISSING"}.items(),
)
async def test_a_recognizer_that_refuses_the_gateway_does_not_blame_the_caller(
    tmp_path: Path, token: str | None, reason: str
) -> None:
    """What a recognizer says of the gateway's credentials is an ERROR of the gateway, never UNAUTHENTICATED."""
    callers, file = tmp_path / "callers", tmp_path / "token"
    callers.write_text(line("old", expires="2020-01-01") + line("idle", scopes="enroll"))
    file.write_text(f"{token}\n")
    async with leaf(Scripted("svm"), callers=callers) as target:
        failed = await failure(BackendConfig(target=target, token_file=file if token else None))
    assert (*code_and_reason(failed), failed.message) == (
        "FAILED_PRECONDITION",
        "GATEWAY_REFUSED",
        f"svm refuses this gateway: {reason}.",
    )


@asynccontextmanager
async def load(client: Stub) -> AsyncIterator[list[pb.RecognizeImageResponse]]:
    """Call 50 times a second meanwhile; yield the responses, all of which are there in the end."""
    calls: list[asyncio.Task[None]] = []
    responses: list[pb.RecognizeImageResponse] = []

    async def call() -> None:
        responses.append(await client.RecognizeImage(request(), timeout=60))

    async def send() -> None:
        while True:
            calls.append(asyncio.create_task(call()))
            await asyncio.sleep(0.02)

    sending = asyncio.create_task(send())
    try:
        yield responses
    finally:
        sending.cancel()
        await asyncio.gather(*calls)


def reloads(what: str, outcome: str = "ok") -> float:
    return REGISTRY.get_sample_value("marquee_reloads_total", {"what": what, "outcome": outcome}) or 0


def names(recognizer: Scripted) -> list[str]:
    return [caller.name for caller in recognizer.callers]


async def test_loses_no_call_while_its_token_is_replaced(tmp_path: Path) -> None:
    """The gateway's token is replaced under 50 calls a second: none is lost, and the new one is used."""
    token, callers, svm = tmp_path / "token", tmp_path / "callers", Scripted("svm")
    token.write_text("one")
    callers.write_text(line("one", name="one") + line("two", name="two"))
    file, wake = tmp_path / "gateway.yaml", asyncio.Event()
    async with leaf(svm, callers=callers) as target:
        file.write_text(f"cache: {{mib: 0}}\nrecognizers: {{svm: {{target: '{target}', token_file: {token}}}}}")
        async with gateway_of(file, wake) as client, load(client) as responses:
            await until(lambda: len(responses) > 20)
            token.write_text("two\n")
            wake.set()
            await until(lambda: names(svm).count("two") > 20)
    assert {tuple(outcomes(one).values()) for one in responses} == {("OK",)}


@pytest.fixture
def own(tmp_path: Path, ours: Authority) -> Pair:
    """The gateway's certificate, in files of its own."""
    pair = Pair(tmp_path / "cert", tmp_path / "key")
    ours.issue("old").copy_to(pair)
    return pair


@asynccontextmanager
async def certified(
    svm: Scripted, ours: Authority, pair: Pair, own: Pair, wake: asyncio.Event
) -> AsyncIterator[tuple[Stub, str]]:
    """Yield a client of a gateway that shows its certificate to the recognizer, and the recognizer's address."""
    file = own.chain.with_name("gateway.yaml")
    tls = f"{{ca: {ours.path}, cert: {own.chain}, key: {own.key}}}"
    async with leaf(svm, **serving(pair, ours.path)) as target:
        file.write_text(
            f"cache: {{mib: 0}}\ntls: {tls}\nrecognizers: {{svm: {{target: '{target}'}}, twin: {{target: '{target}'}}}}"
        )
        async with gateway_of(file, wake) as client:
            yield client, target


async def test_loses_no_call_while_its_certificate_is_replaced(
    ours: Authority, pairs: Mapping[str, Pair], own: Pair
) -> None:
    """The gateway's certificate is replaced under 50 calls a second: none is lost, and the new one is used."""
    svm, wake = Scripted("svm"), asyncio.Event()
    async with certified(svm, ours, pairs["recognizer"], own, wake) as (client, _), load(client) as responses:
        await until(lambda: len(responses) > 20)
        ours.issue("new").copy_to(own)
        wake.set()
        await until(lambda: names(svm).count("new") > 20)
    assert {tuple(outcomes(one).values()) for one in responses} == {("OK", "OK")}


async def test_calls_end_on_the_old_connection(ours: Authority, pairs: Mapping[str, Pair], own: Pair) -> None:
    """A call in flight ends on the connection with the old certificate, which is closed then."""
    finish, wake = asyncio.Event(), asyncio.Event()
    svm = Scripted("svm", until=finish.is_set)
    async with certified(svm, ours, pairs["recognizer"], own, wake) as (client, target):
        slow = client.RecognizeImage(request(), timeout=60)
        await until(lambda: len(svm.callers) == 2)
        old, before = connections(target), reloads("client certificate")
        ours.issue("new").copy_to(own)
        wake.set()
        await until(lambda: reloads("client certificate") > before)
        quick = client.RecognizeImage(request(), timeout=60)
        await until(lambda: len(svm.callers) == 4)
        assert connections(target) > old
        finish.set()
        responses = await asyncio.gather(slow, quick)
        await until(lambda: not connections(target) & old)
    assert names(svm) == ["old", "old", "new", "new"]
    assert [tuple(outcomes(one).values()) for one in responses] == [("OK", "OK")] * 2


@pytest.mark.parametrize("how", ["broken", "expired"])
async def test_a_bad_certificate_leaves_the_old_one_in_use(
    ours: Authority, pairs: Mapping[str, Pair], own: Pair, unlogged: list[dict[str, object]], how: str
) -> None:
    """A broken or expired one is refused, logged and counted once, for all recognizers that it is for."""
    svm, wake = Scripted("svm"), asyncio.Event()
    async with certified(svm, ours, pairs["recognizer"], own, wake) as (client, _):
        before = reloads("client certificate", "refused")
        if how == "expired":
            pairs["expired"].copy_to(own)
        else:
            own.chain.write_text("no certificate")
        for _ in range(3):
            wake.set()
            await until(lambda: not wake.is_set())
        await until(lambda: reloads("client certificate", "refused") > before)
        assert outcomes(await client.RecognizeImage(request())) == {"svm": "OK", "twin": "OK"}
    refused = [one for one in unlogged if one["event"] == "change refused; the old one stays in use"]
    assert len(refused) == reloads("client certificate", "refused") - before == 1


async def test_a_stranger_that_refuses_the_gateway_does_not_blame_the_caller_either() -> None:
    """UNAUTHENTICATED without details, from a recognizer that is not Marquee's, is an ERROR of the gateway, too."""
    async with served_peer(Peer(Abort("no key", code=grpc.StatusCode.UNAUTHENTICATED))) as target:
        failed = await failure(BackendConfig(target=target))
    assert code_and_reason(failed) == ("FAILED_PRECONDITION", "GATEWAY_REFUSED")


async def test_a_recognizer_names_no_address_to_call() -> None:
    """What a recognizer says sends the gateway nowhere, even if it sounds like gRPC's own words."""
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0)
        port = elsewhere.getsockname()[1]
        words = f"failed to connect to all addresses; last error: UNAVAILABLE: ipv4:127.0.0.1:{port}: Socket closed"
        async with served_peer(Peer(Abort(words, code=grpc.StatusCode.UNAVAILABLE))) as target:
            failed = await failure(BackendConfig(target=target))
        with pytest.raises(BlockingIOError):
            elsewhere.accept()
    assert failed.message == "svm does not answer."

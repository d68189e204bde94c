"""Who may call: every refusal by its code and reason, at a recognizer and at a gateway in front of it."""

import asyncio
import json
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from joserfc.jwk import RSAKey

from marquee.v1 import recognizer_pb2 as pb
from services.runtime import status
from services.runtime.limits import MIB
from tests.support import senders
from tests.support.doors import Authority, Issuer, bearer, hmac_jwt, issuer, line, reflected
from tests.support.processes import PATIENCE, metric
from tests.support.servers import LeafProcess, Scripted, Stub, leaf, outcomes, request, stub, until

pytestmark = pytest.mark.slow
Metadata = tuple[tuple[str, str], ...]
SERVERS = ("leaf", "gateway")
YESTERDAY = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%d")
REGISTER = "".join(
    [
        line("good", name="good"),
        line("good-too", name="good"),
        line("old", name="late", expires=YESTERDAY),
        line("enroller", name="enroller", scopes="enroll"),
        line("guest", name="guest", collections="guests"),
        line("slow", name="slow", calls="0.01"),
        line("gateway", name="the-gateway", scopes="recognize,enroll,admin,relay"),
        "sub:listed name=listed scopes=recognize\n",
    ]
)


@dataclass
class World:
    """A recognizer, a gateway that calls it, and the issuer that both believe."""

    servers: dict[str, LeafProcess]
    issuer: Issuer
    folder: Path

    def audited(self, server: str) -> list[dict[str, Any]]:
        return [json.loads(each) for each in (self.folder / server / "audit").read_text().splitlines()]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("doors")
    with ExitStack() as stack:
        served = stack.enter_context(issuer(Authority(folder / "ca")))
        (folder / "callers").write_text(REGISTER)
        (folder / "token").write_text("gateway\n")
        settings = served.settings() | {"callers": str(folder / "callers"), "default_collection": "staff"}

        def start(name: str, module: str, **more: str) -> LeafProcess:
            (folder / name).mkdir()
            own = {f"MARQUEE_{key.upper()}": value for key, value in (settings | more).items()}
            process = LeafProcess(folder / name, module=module, MARQUEE_AUDIT_LOG=str(folder / name / "audit"), **own)
            stack.callback(process.close)
            return process

        leaf = start("leaf", "tests.support.servers")
        config = {"recognizers": {"leaf": {"target": leaf.address, "token_file": str(folder / "token")}}}
        (folder / "gateway.yaml").write_text(json.dumps(config))
        gateway = start("gateway", "services.gateway", gateway_config=str(folder / "gateway.yaml"))
        world = World({"leaf": leaf, "gateway": gateway}, served, folder)
        asyncio.run(_serving(world))
        yield world


async def _serving(world: World) -> None:
    for server in world.servers.values():
        await server.serving()


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, world: World) -> LeafProcess:
    return world.servers[request.param]


@pytest.fixture
async def channel(server: LeafProcess) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(server.address) as channel:
        yield channel


async def refused(call: Any) -> tuple[str, str]:
    """Return the code and the reason of a call that is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call if not hasattr(call, "read") else [each async for each in call]
    answer = status.from_rpc_error(caught.value)
    return status.code_of(answer).name, status.reason_of(answer)


def jwt_of(**claims: Any) -> Callable[[World], Metadata]:
    return lambda world: bearer(world.issuer.token(**{"scope": "recognize"} | claims))


def forged(alg: str, secret: bytes = b"") -> Callable[[World], Metadata]:
    """Return a JWT whose signature is an HMAC; without a secret, with the issuer's public key for one."""

    def make(world: World) -> Metadata:
        public = world.issuer.keys["first"].as_pem(private=False)
        return bearer(hmac_jwt(world.issuer.claims(), {"alg": alg, "kid": "first"}, secret or public))

    return make


STRANGER = RSAKey.generate_key(2048)
UNKNOWN, DENIED = "UNAUTHENTICATED", "PERMISSION_DENIED"
GUESTS = pb.RecognizeImageRequest(image=request().image, collection="guests")
REFUSALS: dict[str, tuple[Callable[[World], Metadata], tuple[str, str]]] = {
    "no token": (lambda _: (), (UNKNOWN, "CREDENTIALS_MISSING")),
    "unknown": (lambda _: bearer("unknown"), (UNKNOWN, "TOKEN_UNKNOWN")),
    "empty": (lambda _: bearer(""), (UNKNOWN, "TOKEN_INVALID")),
    "long": (lambda _: bearer("x" * 12_000), (UNKNOWN, "TOKEN_UNKNOWN")),
    "twice": (lambda _: bearer("good") * 2, (UNKNOWN, "TOKEN_INVALID")),
    "basic": (lambda _: (("authorization", "Basic Z29vZDpnb29k"),), (UNKNOWN, "TOKEN_INVALID")),
    "expired": (lambda _: bearer("old"), (UNKNOWN, "TOKEN_EXPIRED")),
    "another scope": (lambda _: bearer("enroller"), (DENIED, "SCOPE_MISSING")),
    "another collection": (lambda _: bearer("guest"), (DENIED, "COLLECTION_FORBIDDEN")),
    "forged caller": (lambda _: (*bearer("good"), ("marquee-caller", "boss")), (DENIED, "RELAY_FORBIDDEN")),
    "forged budget": (lambda _: (*bearer("good"), ("marquee-caller-micro-usd", "9")), (DENIED, "RELAY_FORBIDDEN")),
    "relayed nonsense": (lambda _: (*bearer("gateway"), ("marquee-caller", "a b")), (DENIED, "RELAY_FORBIDDEN")),
    "relayed to enroll": (lambda _: (*bearer("enroller"), ("marquee-caller", "a")), (DENIED, "RELAY_FORBIDDEN")),
    "JWT of another issuer": (jwt_of(iss="https://other"), (UNKNOWN, "TOKEN_INVALID")),
    "JWT of another audience": (jwt_of(aud="other"), (UNKNOWN, "TOKEN_INVALID")),
    "JWT of another key": (jwt_of(key=STRANGER), (UNKNOWN, "TOKEN_INVALID")),
    "JWT of an unknown key": (jwt_of(key=STRANGER, kid="other"), (UNKNOWN, "TOKEN_INVALID")),
    "JWT that expired": (jwt_of(exp=int(time.time()) - 60), (UNKNOWN, "TOKEN_EXPIRED")),
    "JWT without end": (jwt_of(exp=None), (UNKNOWN, "TOKEN_INVALID")),
    "JWT to come": (jwt_of(nbf=int(time.time()) + 3600), (UNKNOWN, "TOKEN_INVALID")),
    "JWT without a signature": (forged("none"), (UNKNOWN, "TOKEN_INVALID")),
    "JWT signed by anybody": (forged("RS256", b"secret"), (UNKNOWN, "TOKEN_INVALID")),
    "JWT with confused keys": (forged("HS256"), (UNKNOWN, "TOKEN_INVALID")),
    "JWT without scope": (jwt_of(scope="openid"), (DENIED, "SCOPE_MISSING")),
    "JWT for another collection": (jwt_of(marquee_collections=["guests"]), (DENIED, "COLLECTION_FORBIDDEN")),
    "JWT of a caller here": (jwt_of(sub="good"), (UNKNOWN, "TOKEN_INVALID")),
    "JWT that would relay": (
        lambda world: (*jwt_of(scope="recognize relay")(world), ("marquee-caller", "boss")),
        (DENIED, "RELAY_FORBIDDEN"),
    ),
}


@pytest.mark.parametrize(("metadata", "expected"), REFUSALS.values(), ids=REFUSALS)
async def test_refusals(
    world: World, channel: grpc.aio.Channel, metadata: Callable[[World], Metadata], expected: tuple[str, str]
) -> None:
    """Whoever may not call is told why by code and reason, in streams, too."""
    stub, said = Stub(channel), metadata(world)
    assert await refused(stub.RecognizeImage(request(), metadata=said, timeout=PATIENCE)) == expected
    assert await refused(stub.StreamRecognizeImage(request(), metadata=said, timeout=PATIENCE)) == expected


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (lambda _: bearer("good"), request()),
        (lambda _: bearer("good-too"), request()),
        (lambda _: bearer("guest"), GUESTS),
        (lambda _: (("authorization", "bearer  good"),), request()),
        (lambda _: bearer("gateway"), request()),
        (lambda _: (*bearer("gateway"), ("marquee-caller", "auth0|5f7c")), request()),
        (jwt_of(), request()),
        (jwt_of(sub="auth0|5f7c é", scope=None, scp=["marquee:recognize"]), request()),
        (jwt_of(sub="listed", scope=None), request()),
        (jwt_of(marquee_collections="staff vip"), request()),
    ],
)
async def test_whom_they_let_in(
    world: World, channel: grpc.aio.Channel, metadata: Callable[[World], Metadata], message: pb.RecognizeImageRequest
) -> None:
    """Both tokens of a caller, a collection of their own, a JWT: through the gateway, the recognizer answers, too."""
    response = await Stub(channel).RecognizeImage(message, metadata=metadata(world), timeout=PATIENCE)
    assert outcomes(response) == {"leaf": "OK"}


async def test_a_rate_has_an_end(channel: grpc.aio.Channel) -> None:
    """A caller who calls more often than agreed is told when the next call passes."""
    stub, said = Stub(channel), bearer("slow")
    await stub.ListRecognizers(pb.ListRecognizersRequest(), metadata=said, timeout=PATIENCE)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ListRecognizers(pb.ListRecognizersRequest(), metadata=said, timeout=PATIENCE)
    answer = status.from_rpc_error(caught.value)
    assert (status.code_of(answer).name, status.reason_of(answer)) == ("RESOURCE_EXHAUSTED", "RATE_EXCEEDED")
    assert "google.rpc.RetryInfo" in {detail.TypeName() for detail in answer.details}


async def test_health_needs_no_caller(server: LeafProcess) -> None:
    """Load balancers ask without credentials."""
    assert await server.health() == health_pb2.HealthCheckResponse.SERVING


def test_reflection_needs_a_caller_of_any_scope(server: LeafProcess) -> None:
    """Whoever has a token may ask for the protos; nobody else learns which methods there are."""
    assert "marquee.v1.RecognizerService" in reflected(server.address, bearer("enroller"))
    assert reflected(server.address) == [UNKNOWN, "CREDENTIALS_MISSING"]


async def test_a_call_is_relayed_under_its_callers_name(world: World) -> None:
    """The recognizer logs for whom the gateway calls, under the request_id of both."""
    said = jwt_of(sub="auth0|relayed")(world)
    async with grpc.aio.insecure_channel(world.servers["gateway"].address) as channel:
        await Stub(channel).RecognizeImage(
            request(request_id="r-relayed", no_cache=True), metadata=said, timeout=PATIENCE
        )
    for name, relay in (("gateway", None), ("leaf", "the-gateway")):
        calls = [each for each in world.servers[name].events("call") if each.get("request_id") == "r-relayed"]
        assert [(each["caller"], each.get("relayed_by")) for each in calls] == [("auth0|relayed", relay)]
        assert all(str(each["peer"]).startswith("127.0.0.1:") for each in calls)


@pytest.mark.parametrize(
    ("said", "caller", "reason"),
    [
        (bearer("unknown"), None, "TOKEN_UNKNOWN"),
        (bearer("old"), None, "TOKEN_EXPIRED"),
        (bearer("enroller"), "enroller", "SCOPE_MISSING"),
        (bearer("guest"), "guest", "COLLECTION_FORBIDDEN"),
        ((*bearer("good"), ("marquee-caller", "boss")), "good", "RELAY_FORBIDDEN"),
    ],
)
@pytest.mark.parametrize("name", SERVERS)
async def test_refusals_are_logged_and_audited(
    world: World, name: str, said: Metadata, caller: str | None, reason: str
) -> None:
    """Both lines have who was refused, if that is known, from where, and why; neither has the token.

    Of what is said of other addresses, the nearest proxy's word is kept, however much a caller makes up before it.
    """
    server = world.servers[name]
    before = len(server.events("call"))
    proxied = (*said, ("x-forwarded-for", "made up, " * 900 + "192.0.2.7"))
    async with grpc.aio.insecure_channel(server.address) as channel:
        await refused(Stub(channel).RecognizeImage(request(request_id="r1"), metadata=proxied, timeout=PATIENCE))
    await until(lambda: len(server.events("call")) > before)
    logged, audited = server.events("call")[-1], world.audited(name)[-1]
    assert (logged["caller"], logged["reason"], logged["method"]) == (caller, reason, "RecognizeImage")
    assert (audited["caller"], audited["reason"], audited["action"]) == (caller, reason, "refused")
    for one in (logged, audited):
        assert one["peer"].startswith("127.0.0.1:")
        assert one["forwarded_for"].endswith("made up, 192.0.2.7")
        assert len(one["forwarded_for"]) == 500
    assert audited["request_id"] == ("r1" if reason == "COLLECTION_FORBIDDEN" else None)
    assert said[0][1] not in json.dumps([logged, audited])


async def test_a_token_with_a_wrong_byte_is_in_no_log(server: LeafProcess) -> None:
    """Metadata that is no UTF-8 is refused as any other, and nowhere quoted."""
    before = len(server.events("call"))
    async with senders.connection(server.address) as caller:
        call = caller.call(authorization="Bearer nearly-right\udcff")
        await caller.until(lambda: call in caller.ended)
    await until(lambda: len(server.events("call")) > before)
    assert server.events("call")[-1]["reason"] == "TOKEN_UNKNOWN"
    assert "nearly-right" not in json.dumps(server.log())


async def test_no_metric_has_a_callers_name(world: World, server: LeafProcess) -> None:
    """Callers add no series: a JWT's subject may be anything."""
    async with grpc.aio.insecure_channel(server.address) as channel:
        await Stub(channel).RecognizeImage(request(), metadata=jwt_of(sub="unseen")(world), timeout=PATIENCE)
        await refused(Stub(channel).RecognizeImage(request(), metadata=bearer("enroller"), timeout=PATIENCE))
    code, reason = 'grpc_code="PermissionDenied"', 'grpc_method="RecognizeImage",reason="SCOPE_MISSING"'
    assert await asyncio.to_thread(metric, server.metrics_url, "grpc_server_handled_total", code)
    assert await asyncio.to_thread(metric, server.metrics_url, "marquee_refused_calls_total", reason)
    for name in ("unseen", "enroller"):
        assert name not in await asyncio.to_thread(_page, server.metrics_url)


def _page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE) as page:  # noqa: S310 - our own server
        return str(page.read().decode())


async def test_a_refused_request_is_not_received(server: LeafProcess) -> None:
    """Of 15 MiB from a caller without a token the server takes what is under way, and keeps none of it."""
    async with senders.connection(server.address) as caller:
        call = caller.call()
        await caller.send(call, senders.message(bytes(15 * MIB)))
        await caller.until(lambda: call in caller.ended)
    assert caller.sent < MIB // 4
    assert "\nmarquee_in_flight_bytes 0.0\n" in await asyncio.to_thread(_page, server.metrics_url)


async def test_a_large_request_gets_its_refusal(channel: grpc.aio.Channel) -> None:
    """A caller who sends 15 MiB without a token learns that it is missing, not that the connection broke."""
    large = pb.RecognizeImageRequest(image=pb.Image(content=bytes(15 * MIB)))
    for _ in range(5):
        assert await refused(Stub(channel).RecognizeImage(large, timeout=PATIENCE)) == (UNKNOWN, "CREDENTIALS_MISSING")


@pytest.mark.parametrize("key", ["marquee-caller", "marquee-caller-micro-usd"])
async def test_nobody_speaks_for_others_where_everybody_may_call(key: str) -> None:
    """A server without credentials believes no caller's name, either."""
    async with leaf(Scripted()) as address, stub(address) as client:
        call = client.RecognizeImage(request(), metadata=((key, "1"),), timeout=PATIENCE)
        assert await refused(call) == (DENIED, "RELAY_FORBIDDEN")


@pytest.mark.parametrize(("whom", "outcome"), [("everybody", "marquee.v1.RecognizerService"), ("off", "UNIMPLEMENTED")])
async def test_reflection_may_be_opened_and_closed(tmp_path: Path, whom: str, outcome: str) -> None:
    """The operator decides whether a caller without a token, or nobody at all, may ask for the protos."""
    (tmp_path / "callers").write_text(REGISTER)
    server = LeafProcess(tmp_path, MARQUEE_CALLERS=str(tmp_path / "callers"), MARQUEE_REFLECTION=whom)
    try:
        await server.serving()
        assert outcome in await asyncio.to_thread(reflected, server.address)
    finally:
        server.close()

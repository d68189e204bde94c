"""For whom a gateway calls, as the recognizers behind it see, and what they let its callers see."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.config import BackendConfig
from tests.support.doors import Authority, line
from tests.support.servers import Scripted, Stub, gateway, leaf, outcomes, request, stub

GATEWAY = line("of-gateway", name="west", scopes="recognize,relay,admin")
CALLERS = (
    line("of-ada", name="ada", usd="1.5")
    + line("of-page", name="page", scopes="recognize,relay")
    + line("of-root", name="root", scopes="recognize,admin")
)
ADA = ("ada", 1_500_000)


class Paid(Scripted):
    """A recognizer that has spent something."""

    def describe(self) -> pb.Recognizer:
        return pb.Recognizer(spending=pb.Spending(today_micro_usd=5))


@pytest.fixture
def shown(tmp_path: Path) -> dict[str, Path]:
    """Return what an entry of a gateway's file has for a recognizer that knows the gateway."""
    (tmp_path / "token").write_text("of-gateway\n")
    return {"token_file": tmp_path / "token"}


def register(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


@asynccontextmanager
async def chain(recognizer: Scripted, folder: Path, shown: dict[str, Path], gateways: int = 1) -> AsyncIterator[Stub]:
    """Yield a client of so many gateways in a row, the recognizer at their end; each knows who calls it."""
    known = register(folder, "of-gateways", GATEWAY)
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(leaf(recognizer, callers=known))
        for _ in range(gateways - 1):
            backends = {"svm": BackendConfig(target=address, **shown)}
            address = await stack.enter_async_context(gateway(backends, callers=known))
        backends = {"svm": BackendConfig(target=address, **shown)}
        outer = gateway(backends, callers=register(folder, "of-callers", CALLERS))
        yield await stack.enter_async_context(stub(await stack.enter_async_context(outer)))


def token(name: str, **metadata: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {name}"), *((key.replace("_", "-"), value) for key, value in metadata.items()))


@pytest.mark.parametrize("gateways", [1, 2, 3])
@pytest.mark.parametrize(
    ("metadata", "caller"),
    [
        (token("of-ada"), ADA),
        (token("of-root"), ("root", None)),
        (token("of-page", marquee_caller="bob"), ("bob", None)),
        (token("of-page", marquee_caller="bob", marquee_caller_micro_usd="7"), ("bob", 7)),
    ],
    ids=["a caller with a limit", "a caller without", "for another", "for another with a limit"],
)
async def test_recognizers_see_for_whom_the_first_gateway_calls(
    tmp_path: Path,
    shown: dict[str, Path],
    metadata: tuple[tuple[str, str], ...],
    caller: tuple[str, int],
    gateways: int,
) -> None:
    """The first gateway's caller, and what it may spend a day, arrive at the recognizer, and not its scopes."""
    svm = Scripted("svm")
    async with chain(svm, tmp_path, shown, gateways) as client:
        response = await client.RecognizeImage(request(), metadata=metadata)
    assert set(outcomes(response).values()) == {"OK"}
    assert [(one.name, one.daily_micro_usd) for one in svm.callers] == [caller]


async def test_nobody_is_named_for_whom_nobody_vouches(tmp_path: Path, shown: dict[str, Path]) -> None:
    """An anonymous caller's calls are the gateway's own."""
    svm = Scripted("svm")
    async with (
        leaf(svm, callers=register(tmp_path, "callers", GATEWAY)) as target,
        gateway({"svm": BackendConfig(target=target, **shown)}) as address,
        stub(address) as client,
    ):
        await client.RecognizeImage(request())
    assert [one.name for one in svm.callers] == ["west"]


async def test_a_recognizer_that_does_not_know_the_gateway_hears_no_name(tmp_path: Path) -> None:
    """A recognizer that is not shown who the gateway is, and so could not believe it, is told of no caller."""
    svm = Scripted("svm")
    callers = register(tmp_path, "callers", CALLERS)
    async with leaf(svm) as target, gateway({"svm": target}, callers=callers) as address, stub(address) as client:
        response = await client.RecognizeImage(request(), metadata=token("of-ada"))
    assert outcomes(response) == {"svm": "OK"}
    assert svm.callers[0].is_anonymous


async def test_a_gateway_may_be_known_by_its_certificate(tmp_path: Path) -> None:
    """By mTLS, too, a recognizer believes for whom the gateway calls: its register has the certificate's name."""
    svm, authority = Scripted("svm"), Authority(tmp_path / "ca")
    own, server = authority.issue("west.example"), authority.issue("127.0.0.1")
    known = register(tmp_path, "known", "san:west.example name=west scopes=recognize,relay\n")
    tls = {"ca": authority.path, "cert": own.chain, "key": own.key}
    callers = register(tmp_path, "callers", CALLERS)
    async with (
        leaf(svm, callers=known, tls_cert=server.chain, tls_key=server.key, tls_client_ca=authority.path) as target,
        gateway({"svm": BackendConfig(target=target, tls=tls)}, callers=callers) as address,
        stub(address) as client,
    ):
        await client.RecognizeImage(request(), metadata=token("of-ada"))
    assert [(one.name, one.daily_micro_usd) for one in svm.callers] == [ADA]


@pytest.mark.parametrize("gateways", [1, 2])
@pytest.mark.parametrize(("caller", "sees"), [("of-root", True), ("of-ada", False)], ids=["admin", "other"])
async def test_only_admins_see_what_is_spent(
    tmp_path: Path,
    shown: dict[str, Path],
    caller: str,
    sees: bool,  # noqa: FBT001 - a column of the table
    gateways: int,
) -> None:
    """Without the scope admin, ListRecognizers leaves spending out and says so."""
    async with chain(Paid("svm"), tmp_path, shown, gateways) as client:
        listed = await client.ListRecognizers(pb.ListRecognizersRequest(), metadata=token(caller))
    assert [one.HasField("spending") for one in listed.recognizers] == [sees]
    assert listed.spending_withheld is not sees

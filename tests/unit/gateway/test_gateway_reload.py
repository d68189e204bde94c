"""The gateway's file, read again while calls are running."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from marquee.v1 import recognizer_pb2 as pb
from tests.support.doors import Authority
from tests.support.processes import PATIENCE, free_port, metric, spawn, wait_until
from tests.support.servers import (
    Scripted,
    Stub,
    code_and_reason,
    connections,
    gateway_of,
    leaf,
    outcomes,
    refusal,
    request,
    stub,
    until,
)


@dataclass
class World:
    """Recognizers a, b and c, and a gateway that calls those of its file."""

    file: Path
    recognizers: dict[str, Scripted]
    addresses: dict[str, str]
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, text: str) -> None:
        """Write the file with the entries; $NAME stands for a recognizer's address."""
        for name, address in self.addresses.items():
            text = text.replace(f"${name}", f"target: '{address}'")
        self.file.write_text(f"cache: {{mib: 0}}\nrecognizers: {{{text}}}\n")

    async def reload(self, text: str) -> None:
        """Write the file, and wait until the gateway has read it."""
        before = reloads("ok")
        self.write(text)
        self.wake.set()
        await until(lambda: reloads("ok") > before)


def reloads(outcome: str) -> float:
    return REGISTRY.get_sample_value("marquee_reloads_total", {"what": "configuration", "outcome": outcome}) or 0


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    recognizers = {name: Scripted(name) for name in "abc"}
    async with AsyncExitStack() as stack:
        addresses = {name: await stack.enter_async_context(leaf(one)) for name, one in recognizers.items()}
        yield World(tmp_path / "gateway.yaml", recognizers, addresses)


@asynccontextmanager
async def following(world: World, text: str) -> AsyncIterator[Stub]:
    """Yield a client of a gateway with the entries."""
    world.write(text)
    async with gateway_of(world.file, world.wake) as client:
        yield client


CHANGES = {
    "added": ("a: {$a}, b: {$b}, c: {$c}", "abc", "abc"),
    "added in front": ("c: {$c}, a: {$a}, b: {$b}", "cab", "abc"),
    "removed": ("b: {$b}", "b", "b"),
    "put in another order": ("b: {$b}, a: {$a}", "ba", "ab"),
    "re-pointed": ("a: {$a}, b: {$c}", "ab", "ac"),
    "renamed": ("d: {$a}, b: {$b}", "db", "ab"),
    "given other options": ("a: {$a, timeout: 3, max_in_flight: 2}, b: {$b}", "ab", "ab"),
}


@pytest.mark.parametrize(("text", "names", "called"), CHANGES.values(), ids=CHANGES)
async def test_follows_its_file(world: World, text: str, names: str, called: str) -> None:
    """Recognizers that are added, removed, re-pointed or reordered are so in the next call and list."""
    async with following(world, "a: {$a}, b: {$b}") as client:
        assert outcomes(await client.RecognizeImage(request())) == {"a": "OK", "b": "OK"}
        await world.reload(text)
        for one in world.recognizers.values():
            one.calls.clear()
        response = await client.RecognizeImage(request())
        listed = await client.ListRecognizers(pb.ListRecognizersRequest())
    assert list(outcomes(response).items()) == [(name, "OK") for name in names]
    assert [one.name for one in listed.recognizers] == list(names)
    assert [name for name, one in world.recognizers.items() if one.calls] == list(called)


async def test_a_removed_recognizer_is_unknown(world: World) -> None:
    """A call that names a recognizer which the file has no more gets INVALID_ARGUMENT."""
    async with following(world, "a: {$a}, b: {$b}") as client:
        await world.reload("a: {$a}")
        refused = await refusal(client, request(recognizers=["b"]))
    assert code_and_reason(refused) == ("INVALID_ARGUMENT", "UNKNOWN_RECOGNIZER")


async def test_keeps_the_connections_of_what_did_not_change(world: World) -> None:
    """A recognizer whose entry did not change keeps its connection."""
    async with following(world, "a: {$a}, b: {$b}") as client:
        await client.RecognizeImage(request())
        before = connections(world.addresses["a"])
        assert before
        await world.reload("c: {$c}, a: {$a}")
        await client.RecognizeImage(request())
        await until(lambda: not connections(world.addresses["b"]))
        assert connections(world.addresses["a"]) == before


async def test_a_slow_call_to_a_removed_recognizer_ends_well(world: World) -> None:
    """A call that a recognizer is answering when the file loses it gets its result."""
    finish = asyncio.Event()
    world.recognizers["b"].until = finish.is_set
    async with following(world, "a: {$a}, b: {$b}") as client:
        slow = client.RecognizeImage(request(), timeout=60)
        await until(lambda: world.recognizers["b"].calls)
        await world.reload("a: {$a}")
        finish.set()
        assert outcomes(await slow) == {"a": "OK", "b": "OK"}
        await until(lambda: not connections(world.addresses["b"]))


async def test_loses_no_call(world: World) -> None:
    """The file changes many times under load: every call gets a result of each recognizer it was for."""
    texts = ["a: {$a}, b: {$b}", "b: {$b, timeout: 9}", "a: {$b}, b: {$a}, c: {$c}", "c: {$a}"]
    calls = []
    async with following(world, "a: {$a}") as client:
        for text in texts * 3:
            for _ in range(10):
                calls.append(client.RecognizeImage(request(), timeout=60))
                await asyncio.sleep(0.002)
            await world.reload(text)
        responses = await asyncio.gather(*calls)
    assert {outcome for response in responses for outcome in outcomes(response).values()} == {"OK"}


@pytest.mark.parametrize(
    ("text", "line"),
    {
        "recognizers:\n  a: {target: a}\n": 2,
        "recognizers:\n  a: {target: 'elsewhere:1'}\n": 2,
        "recognizers: {}\n": 1,
        "": 1,
        "recognizers:\n\ta": 2,
    }.items(),
    ids=["no target", "no tls", "no recognizer", "empty", "no YAML"],
)
async def test_a_bad_file_is_refused(world: World, text: str, line: int) -> None:
    """A bad file is logged once with its line and counted; the old one works on, and a good one is taken then."""
    with capture_logs() as log:
        async with following(world, "a: {$a}") as client:
            before = reloads("refused")
            world.file.write_text(text)
            for _ in range(3):
                world.wake.set()
                await until(lambda: not world.wake.is_set())
            await until(lambda: reloads("refused") > before)
            assert outcomes(await client.RecognizeImage(request())) == {"a": "OK"}
            await world.reload("b: {$b}")
            assert outcomes(await client.RecognizeImage(request())) == {"b": "OK"}
    where = f"{world.file}:{line}: "
    refused = [one["error"] for one in log if one["event"].startswith("change refused")]
    assert [error[: len(where)] for error in refused] == [where]
    assert reloads("refused") == before + 1


async def test_certificates_may_come_later_than_the_file(world: World, tmp_path: Path) -> None:
    """A file that names certificates which are not there yet is taken when they come."""
    late, authority = tmp_path / "late.pem", Authority(tmp_path / "ca")
    pair = authority.issue("127.0.0.1")
    async with (
        leaf(Scripted("d"), tls_cert=pair.chain, tls_key=pair.key) as address,
        following(world, "a: {$a}") as client,
    ):
        before = reloads("refused"), reloads("ok")
        world.write(f"d: {{target: '{address}', tls: {{ca: {late}}}}}")
        world.wake.set()
        await until(lambda: reloads("refused") > before[0])
        assert outcomes(await client.RecognizeImage(request())) == {"a": "OK"}
        late.write_bytes(authority.path.read_bytes())
        world.wake.set()
        await until(lambda: reloads("ok") > before[1])
        assert outcomes(await client.RecognizeImage(request())) == {"d": "OK"}


async def test_exports_no_certificate_that_is_used_no_more(world: World, tmp_path: Path) -> None:
    """The days of a certificate are exported while the file names it, unless that is refused."""
    pair = Authority(tmp_path / "ca").issue("gateway")
    tls = f"tls: {{cert: {pair.chain}, key: {pair.key}}}"

    def days() -> float | None:
        return REGISTRY.get_sample_value("marquee_certificate_expiry_days", {"certificate": str(pair.chain)})

    async with following(world, "a: {$a}"):
        before = reloads("refused")
        world.write(f"a: {{$a, {tls}}}, b: {{$b, token_file: {tmp_path / 'none'}}}")
        world.wake.set()
        await until(lambda: reloads("refused") > before)
        assert days() is None
        await world.reload(f"a: {{$a, {tls}}}, b: {{$b, {tls}}}")
        await world.reload(f"a: {{$a, {tls}}}")
        assert days() == pytest.approx(1 / 24, rel=0.2)
        await world.reload("a: {$a}")
        assert days() is None


@pytest.mark.slow
async def test_a_process_follows_links_and_signals(world: World) -> None:
    """A gateway reads a file whose link is swapped, as kubelet does, within seconds, and another at once on SIGHUP."""
    port, metrics_port, folder = free_port(), free_port(), world.file.parent
    address, metrics = f"127.0.0.1:{port}", f"http://127.0.0.1:{metrics_port}/metrics"
    environment = os.environ | {
        "MARQUEE_GATEWAY_CONFIG": str(folder / "mounted" / "gateway.yaml"),
        "MARQUEE_PORT": str(port),
        "MARQUEE_METRICS_PORT": str(metrics_port),
    }
    for name in "ab":
        world.write(f"{name}: {{${name}}}")
        (folder / name).mkdir()
        world.file.rename(folder / name / "gateway.yaml")
    (folder / "mounted").symlink_to("a")
    with spawn([sys.executable, "-m", "services.gateway"], env=environment) as process:
        async with stub(address) as client:
            first = await client.RecognizeImage(request(), timeout=PATIENCE, wait_for_ready=True)
            (folder / "next").symlink_to("b")
            (folder / "next").replace(folder / "mounted")
            ok = 'outcome="ok",what="configuration"'
            await asyncio.to_thread(wait_until, lambda: metric(metrics, "marquee_reloads_total", ok) == 1)
            second = await client.RecognizeImage(request(), timeout=PATIENCE)
            (folder / "b" / "gateway.yaml").write_bytes((folder / "a" / "gateway.yaml").read_bytes())
            process.send_signal(signal.SIGHUP)
            await asyncio.to_thread(wait_until, lambda: metric(metrics, "marquee_reloads_total", ok) == 2)
            third = await client.RecognizeImage(request(), timeout=PATIENCE)
    assert [list(outcomes(one)) for one in (first, second, third)] == [["a"], ["b"], ["a"]]

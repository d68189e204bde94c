"""The status page: how recognizers are, what they cost, and what is told while the gateway is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp

from marquee.v1 import recognizer_pb2 as pb
from tests.support.doors import line
from tests.support.processes import PATIENCE, free_port
from tests.support.servers import Scripted, gateway, leaf, nobody
from tests.support.web import page, sign_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE = "<img src=x onerror=alert(1)>\"'&"
NOVEMBER = Timestamp(seconds=1793491200)


class Described(Scripted):
    """Describes itself as a test says."""

    def __init__(self, name: str, **description: object) -> None:
        super().__init__(name)
        self.description = pb.Recognizer(**description)

    def describe(self) -> pb.Recognizer:
        return self.description


@dataclass(frozen=True)
class Stage:
    """A page in front of a gateway over one recognizer."""

    recognizer: Described
    client: httpx.AsyncClient

    async def shown(self, path: str = "/status", **description: object) -> str:
        """Return the page while the recognizer describes itself so."""
        self.recognizer.description = pb.Recognizer(**description)
        return (await self.client.get(path)).text


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    recognizer = Described("svm")
    async with (
        leaf(recognizer) as target,
        gateway({"svm": target}) as address,
        page(address) as site,
        site.client() as client,
    ):
        yield Stage(recognizer, client)


async def status(*recognizers: Scripted, **others: str) -> str:
    """Return the page in front of a gateway over the recognizers, and over others by target."""
    async with AsyncExitStack() as stack:
        targets = {one.name: await stack.enter_async_context(leaf(one)) for one in recognizers}
        address = await stack.enter_async_context(gateway(targets | others))
        site = await stack.enter_async_context(page(address))
        client = await stack.enter_async_context(site.client())
        return (await client.get("/status")).text


def spent(today: int, cap: int | None = None) -> pb.Spending:
    return pb.Spending(today_micro_usd=today, month_micro_usd=31_234_567, daily_cap_micro_usd=cap)


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ({"models": [pb.Model(name="wavelet", version="7")]}, ["wavelet 7"]),
        ({"evidence_group": "dlib"}, ["dlib"]),
        ({"smallest_face": 0.02}, ["2 %"]),
        ({"smallest_face": 0.005}, ["0.5 %"]),
        ({"can_enroll": True}, ["<dd>yes</dd>"]),
        ({}, ["Ready", "Known people", "<dd>free</dd>"]),
        (
            {"prices": [pb.Price(feature=1, micro_usd=1000, region="eu-west-1", effective_time=NOVEMBER)]},
            ["$0.001", "eu-west-1</span>", "2026-11-01</span>"],
        ),
        ({"prices": [pb.Price(feature=2, micro_usd=7)]}, ["$0.000007"]),
        ({"spending": spent(4_120_000, cap=5_000_000)}, ["$4.12", "of $5.00 today", "82 %", "$31.234567"]),
        ({"spending": spent(4_999_999, cap=5_000_000)}, ["99 %", 'value="99"']),
        ({"spending": spent(5_000_001, cap=5_000_000)}, ["100 %", "until midnight, UTC"]),
        ({"spending": spent(0, cap=0)}, ["of $0.00 today", "until midnight, UTC"]),
        (
            {"spending": pb.Spending(today_micro_usd=500_000, daily_cap_micro_usd=2_500_000, replicas=2)},
            ["of $2.50 today", "One of 2 replicas", "a part of the cap"],
        ),
        ({"spending": spent(1_234_500_000)}, ["$1,234.50", "without a cap"]),
    ],
)
async def test_what_a_recognizer_says_of_itself_is_shown(
    stage: Stage, description: dict[str, object], expected: list[str]
) -> None:
    """Models, features, prices and money are shown, to the last millionth of a dollar."""
    shown = await stage.shown(**description)
    assert [text for text in expected if text not in shown] == []


async def test_what_is_wrong_with_a_recognizer_is_told() -> None:
    """A recognizer that does not answer is shown as such, and in the summary; what it does is not known then."""
    shown = await status(Described("svm"), gone=nobody())
    assert "1 of 2 ready; gone is away." in shown
    assert "gone does not answer." in shown
    assert "not known while it is away" in shown


async def test_recognizers_that_count_as_one_are_named() -> None:
    """Recognizers of the same evidence group say so of each other."""
    shown = await status(*(Described(name, evidence_group="dlib") for name in ("a", "b", "c")))
    assert "the same network as b and c" in shown
    assert "the same network as a and b" in shown


@pytest.mark.parametrize(
    "description",
    [
        {"models": [pb.Model(name=HOSTILE, version=HOSTILE)]},
        {"evidence_group": HOSTILE},
        {"prices": [pb.Price(feature=1, region=HOSTILE)]},
    ],
    ids=lambda one: next(iter(one)),
)
@pytest.mark.parametrize("path", ["/status", "/status/recognizers"])
async def test_markup_in_what_recognizers_say_is_text(stage: Stage, path: str, description: dict[str, object]) -> None:
    """Whatever a recognizer says of itself is shown as text."""
    shown = await stage.shown(path, **description)
    assert "<img" not in shown
    assert "&lt;img src=x onerror=alert(1)&gt;&#34;&#39;&amp;" in shown


async def test_a_gateway_that_goes_leaves_what_it_said() -> None:
    """While the gateway is away the page says so, since when, and shows what it said last; then it shows the new."""
    port = free_port()
    async with leaf(Described("svm")) as recognizer, page(f"127.0.0.1:{port}") as site, site.client() as client:
        never = (await client.get("/status")).text
        async with gateway({"svm": recognizer}, port=port):
            known = await until_known(client)
        gone = (await client.get("/status/recognizers")).text
        async with gateway({"new": recognizer}, port=port):
            back = await until_known(client)
    assert "The gateway cannot be reached" in never
    assert "It has not said anything yet" in never
    assert "The gateway cannot be reached" not in known
    assert "The gateway cannot be reached" in gone
    assert "Below is what it said at" in gone
    assert ">svm</h2>" in gone
    assert ">new</h2>" in back


async def until_known(client: httpx.AsyncClient) -> str:
    """Return the page once the gateway answers."""
    async with asyncio.timeout(PATIENCE):
        while "cannot be reached" in (shown := (await client.get("/status")).text):  # noqa: ASYNC110 - the gateway's process says nothing
            await asyncio.sleep(0.1)
    return shown


@pytest.mark.parametrize(
    ("scopes", "expected", "hidden"),
    [
        ("recognize,enroll,admin", ["$4.12", "of $5.00 today"], ["shown to admins only"]),
        ("recognize,enroll", ["shown to admins only"], ["$4.12", "$5.00", "$31.2"]),
        ("recognize", ["shown to admins only"], ["$4.12", "$5.00", "$31.2", 'href="/enroll"']),
    ],
    ids=["admin", "editor", "viewer"],
)
async def test_money_is_for_admins(tmp_path: Path, scopes: str, expected: list[str], hidden: list[str]) -> None:
    """Only admins see what is spent; others are told so, also after an admin has looked."""
    callers = tmp_path / "callers"
    callers.write_text(
        line("admins", name="boss", scopes="recognize,admin") + line("theirs", name="ada", scopes=scopes)
    )
    async with (
        leaf(Described("rekognition", spending=spent(4_120_000, cap=5_000_000))) as recognizer,
        gateway({"rekognition": recognizer}) as address,
        page(address, callers=callers) as site,
        site.client() as boss,
        site.client() as visitor,
    ):
        await sign_in(boss, "admins")
        assert "$4.12" in (await boss.get("/status")).text
        await sign_in(visitor, "theirs")
        shown = (await visitor.get("/status")).text
    assert [text for text in expected if text not in shown] == []
    assert [text for text in hidden if text in shown] == []


async def test_the_part_that_is_fetched_again_has_nothing_that_acts(stage: Stage) -> None:
    """The part that is fetched again and again has no attributes of htmx, no nonce and no script."""
    shown = await stage.shown("/status/recognizers")
    assert [word for word in ("hx-", "nonce", "<script", "<html", "style=") if word in shown] == []

"""The daily cap: there is one unless the operator says otherwise, and replicas without a table divide it."""

import math
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from contextvars import copy_context
from datetime import date, timedelta
from pathlib import Path

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from services.rekognition.budget.ledger import Ledger, ProcessLedger, TableLedger, today_utc
from services.rekognition.recognizer import RekognitionRecognizer
from services.rekognition.settings import RekognitionSettings
from services.runtime.doors.caller import Caller, enter
from services.runtime.errors import BudgetExhausted, CallerBudgetExhausted
from services.runtime.settings import load_settings
from tests.support.aws import NOWHERE, TABLE, dynamodb

pytestmark = pytest.mark.usefixtures("aws_credentials")
AMAZON = "https://rekognition.eu-west-1.amazonaws.com"
CAP = "MARQUEE_REKOGNITION_DAILY_CAP_USD"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run without variables of the machine."""
    monkeypatch.chdir(tmp_path)
    for name in (CAP, "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_REKOGNITION"):
        monkeypatch.delenv(name, raising=False)


@asynccontextmanager
async def loaded(settings: RekognitionSettings) -> AsyncIterator[RekognitionRecognizer]:
    """Load a recognizer, which calls nothing without a table; close it afterwards."""
    recognizer = RekognitionRecognizer(settings)
    await recognizer.load()
    try:
        yield recognizer
    finally:
        await recognizer.close()


@pytest.mark.parametrize(
    ("given_cap", "endpoint", "micro_usd"),
    [
        (None, AMAZON, 5_000_000),
        ("", AMAZON, 5_000_000),
        (None, "https://vpce-1.rekognition.us-east-1.vpce.amazonaws.com", 5_000_000),
        (None, "https://rekognition-fips.us-east-1.api.aws", 5_000_000),
        (None, "https://REKOGNITION.us-east-1.AMAZONAWS.com.:443", 5_000_000),
        (None, "https://rekognition.cn-north-1.amazonaws.com.cn", 5_000_000),
        (None, "https://rekognition.eusc-de-east-1.amazonaws.eu", 5_000_000),
        (None, NOWHERE, None),
        (None, "https://amazonaws.com.example", None),
        ("0.5", NOWHERE, 500_000),
        ("0", AMAZON, 0),
        (" 12 ", AMAZON, 12_000_000),
        ("unlimited", AMAZON, None),
        ("Unlimited", AMAZON, None),
        ("unlimited", NOWHERE, None),
    ],
)
def test_the_cap_of_an_endpoint(
    given_cap: str | None, endpoint: str, micro_usd: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """5 dollars at Amazon, none at another server, and what is set at either."""
    if given_cap is not None:
        monkeypatch.setenv(CAP, given_cap)
    assert RekognitionSettings(host="127.0.0.1").daily_cap_micro_usd(endpoint) == micro_usd


@pytest.mark.parametrize(
    "wrong", ["5$", "$5", "-1", "-0.01", "nan", "inf", "-inf", "1e400", "5,00", "none", "no limit"]
)
def test_a_wrong_cap_stops_the_start(
    wrong: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line names the variable, what it may be, and what it is."""
    monkeypatch.setenv(CAP, wrong)
    with pytest.raises(SystemExit) as exit_:
        load_settings(RekognitionSettings, listens=False)
    (line,) = capsys.readouterr().err.splitlines()
    assert exit_.value.code == 2
    assert line.startswith(f"{CAP}: must be US dollars")
    assert "`unlimited`" in line
    assert wrong in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rates", "DetectText=inf"),
        ("rates", "DetectText=10001"),
        ("rates", "DetectText=0"),
        ("prices", "DetectText=99999999999999999999"),
        ("prices", "DetectText=0"),
    ],
)
def test_a_number_out_of_range_stops_the_start(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line names the variable; a quota without end or a price beyond 64 bits is none."""
    variable = f"MARQUEE_REKOGNITION_{name.upper()}"
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit):
        load_settings(RekognitionSettings, listens=False)
    (line,) = capsys.readouterr().err.splitlines()
    assert variable in line


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({}, {"cap": "$5", "cap_here": "$5", "by_default": True}),
        ({"MARQUEE_REKOGNITION_REPLICAS": "4"}, {"cap": "$5", "cap_here": "$1.25", "by_default": True}),
        ({"MARQUEE_REKOGNITION_REPLICAS": "3"}, {"cap": "$5", "cap_here": "$1.666666", "by_default": True}),
        ({CAP: "0"}, {"cap": "$0", "cap_here": "$0", "by_default": False}),
        ({CAP: "unlimited"}, {"cap": "unlimited", "cap_here": "unlimited", "by_default": False}),
        ({"AWS_ENDPOINT_URL": NOWHERE}, {"cap": "unlimited", "cap_here": "unlimited", "by_default": True}),
    ],
)
async def test_the_start_says_the_cap(
    environment: dict[str, str], line: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line of the log has the cap of all replicas, this one's part, and whether anybody chose it."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with capture_logs() as logs:
        async with loaded(RekognitionSettings(host="127.0.0.1")):
            pass
    (said,) = (one for one in logs if one["event"] == "daily cap on what Rekognition costs")
    assert {name: said[name] for name in line} == line


@pytest.mark.parametrize(
    ("region", "prices", "warnings"),
    [("us-east-1", "", 0), ("ap-northeast-1", "", 1), ("ap-northeast-1", "DetectLabels=1300", 0)],
)
async def test_the_start_warns_of_unknown_prices(
    region: str, prices: str, warnings: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prices of other regions are not known, so the cap may be worth less there."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    with capture_logs() as logs:
        async with loaded(RekognitionSettings(host="127.0.0.1", rekognition_prices=prices)):
            pass
    assert sum("MARQUEE_REKOGNITION_PRICES" in one["event"] for one in logs) == warnings


async def test_the_metrics_have_the_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is spent of this replica's part, and the part; both go with the recognizer."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    async with loaded(RekognitionSettings(host="127.0.0.1", rekognition_replicas=2)) as one:
        one.account.ledger.reserve(250_000)
        assert (_metric("spent_today", "replica"), _metric("cap", "replica")) == (0.25, 2.5)
    assert _metric("cap", "replica") is None
    async with loaded(RekognitionSettings(host="127.0.0.1", rekognition_daily_cap_usd="unlimited")):
        assert (_metric("spent_today", "all"), _metric("cap", "all")) == (0, math.inf)


DAYS = ("2026-11-29", "2026-11-30", "2026-12-01", "2026-12-31", "2027-01-01")
MONTHS = (0, 0.25, 0, 0.25, 0)
"""What was spent in the month before each of these days, if each costs as much."""


@pytest.mark.parametrize("kind", ["one replica", "a table"])
async def test_the_metrics_begin_anew_at_midnight(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a call or a refresh, nothing is spent on a new day, and in the month on the first of one."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    clock = [date.fromisoformat(DAYS[0])]
    with ExitStack() as stack:
        ledger: Ledger = ProcessLedger(5_000_000, lambda: clock[-1])
        if kind == "a table":
            client = boto3.Session().client("dynamodb", endpoint_url=stack.enter_context(dynamodb()))
            stack.callback(client.close)
            ledger = TableLedger(client, TABLE, 5_000_000, lambda: clock[-1])
        async with loaded(RekognitionSettings(host="127.0.0.1")) as one:
            one.account.ledger = ledger
            for day, month in zip(DAYS, MONTHS, strict=True):
                clock.append(date.fromisoformat(day))
                assert (_metric("spent_today", "all"), _metric("cap", "all")) == (0, 5)
                assert ledger.spending().month_micro_usd == month * 1e6
                ledger.refresh()
                ledger.reserve(250_000)
                assert _metric("spent_today", "all") == 0.25


def test_a_refusal_of_yesterday_asks_nobody_to_wait() -> None:
    """A call that was refused as the day ended may be made again at once, and not a day later."""
    yesterday = today_utc() - timedelta(days=1)
    with pytest.raises(BudgetExhausted) as refused:
        ProcessLedger(0, lambda: yesterday).reserve(1)
    assert refused.value.retry_after == 0


def _metric(name: str, scope: str) -> float | None:
    return REGISTRY.get_sample_value(f"marquee_rekognition_{name}_dollars", {"scope": scope})


@given(cap=st.integers(0, 20_000), replicas=st.integers(1, 9), prices=st.lists(st.integers(1, 2000), max_size=60))
def test_replicas_never_pass_the_cap_together(cap: int, replicas: int, prices: list[int]) -> None:
    """Whichever of them is asked for how much, what all spend is no more than the cap."""
    ledgers = [ProcessLedger(cap, lambda: date(2026, 11, 27), replicas) for _ in range(replicas)]
    for number, price in enumerate(prices):
        try:
            ledgers[number % replicas].reserve(price)
        except BudgetExhausted:
            assert ledgers[number % replicas].spending().today_micro_usd + price > cap // replicas
    assert sum(one.spending().today_micro_usd for one in ledgers) <= cap


def test_threads_never_pass_the_cap() -> None:
    """Of eight threads that race for the last cent, as many get it as it pays for."""
    ledger, start = ProcessLedger(10_000, lambda: date(2026, 11, 27)), threading.Barrier(8)

    def take() -> int:
        start.wait()
        taken = 0
        for _ in range(20):
            try:
                taken += ledger.reserve(1000).micro_usd
            except BudgetExhausted:
                return taken
        return taken

    with ThreadPoolExecutor(8) as executor:
        assert sum(each.result() for each in [executor.submit(take) for _ in range(8)]) == 10_000


def test_a_refusal_names_the_part() -> None:
    """The operator learns why a cap of five dollars ends at half of it."""
    with pytest.raises(BudgetExhausted, match=r"this replica's part, \$2\.5, of today's \$5 for"):
        ProcessLedger(5_000_000, replicas=2).reserve(2_500_001)
    assert ProcessLedger(5_000_000, replicas=2).spending().daily_cap_micro_usd == 2_500_000


def test_callers_limits_are_divided_too() -> None:
    """A caller of two replicas spends no more than its limit at both."""
    ledgers = [ProcessLedger(None, lambda: date(2026, 11, 27), 2) for _ in range(2)]
    call = copy_context()
    call.run(enter, Caller("first-team", frozenset(), daily_micro_usd=3000))
    for ledger in ledgers:
        call.run(ledger.reserve, 1500)
        with pytest.raises(CallerBudgetExhausted, match=r"part, \$0\.0015, of first-team's \$0\.003 a day"):
            call.run(ledger.reserve, 1)

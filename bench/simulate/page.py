"""The results: run, written into docs/capacity.md between its marks, and drawn beside it."""

import dataclasses
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.simulate import charts, trouble
from bench.simulate.runs import WORKERS, Plan
from bench.simulate.service_times import Distribution, Measured
from bench.simulate.sizing import Size, size
from bench.simulate.system import Policy

_DOCS = Path(__file__).resolve().parents[2] / "docs"
_PAGE = _DOCS / "capacity.md"
_RATES = (10.0, 1000.0)
_CELLS = 100
"""Side by side, of the last rate: they share nothing, so one is simulated."""
_SURE = {"svm": 0.75}
"""Share of the pictures that the cheap ones settle: an example, not a measurement."""
_WAYS = {
    "ALL": Plan({}),
    "FIRST_CONFIDENT": Plan({}, Policy.FIRST_CONFIDENT, _SURE),
    "CASCADE": Plan({}, Policy.CASCADE, _SURE),
    "CASCADE, 30 % cached": Plan({}, Policy.CASCADE, _SURE, cached=0.3),
}


def write(measured: Measured, amazon: Distribution, assumed: Sequence[float], *, as_json: bool) -> str:
    """Run everything, write the page and its charts; return the results as text or JSON."""
    sizes = {name: _sizes(measured, amazon, plan) for name, plan in _WAYS.items()}
    tails = list(_told(trouble.tails)(measured))
    zones = {
        "pods for the loss of a zone": _told(trouble.dead_zone)(measured, amazon, roomy=True),
        "no more pods than are busy": _told(trouble.dead_zone)(measured, amazon, roomy=False),
    }
    loads = {
        "with the gateway's limits": _told(trouble.overload)(measured, amazon, limited=True),
        "without": _told(trouble.overload)(measured, amazon, limited=False),
    }
    parts = {
        "measured": _measured(measured, assumed),
        "sizes": _table(("pictures a second", *_SIZE), [(f"{one.rate:,.0f}", *_row(one)) for one in sizes["ALL"]]),
        "policies": _table(
            ("1,000 pictures a second", *_SIZE), [(name, *_row(ones[1])) for name, ones in sizes.items()]
        ),
        "tails": _tails(tails),
        "zone": _zones(zones),
        "overload": _loads(loads),
    }
    _fill(parts)
    pictures = _DOCS / "pictures"
    charts.dollars(pictures / "capacity-dollars.svg", sizes)
    charts.tails(pictures / "capacity-tail.svg", tails)
    charts.dead_zone(pictures / "capacity-zone.svg", zones)
    charts.overload(pictures / "capacity-overload.svg", loads)
    results = {"sizes": sizes, "tails": tails, "zones": zones, "overload": loads}
    return json.dumps(results, default=_plain, indent=1) if as_json else "\n\n".join(parts.values())


def _sizes(measured: Measured, amazon: Distribution, plan: Plan) -> list[Size]:
    ones = [_told(size)(measured, amazon, rate, plan) for rate in _RATES]
    return [*ones, dataclasses.replace(ones[-1], rate=_RATES[-1] * _CELLS, cells=_CELLS)]


def _told(function: Any) -> Any:
    """Return the function, which says on standard error that it runs."""

    def telling(*args: Any, **options: Any) -> Any:
        sys.stderr.write(f"{function.__name__} {' '.join(str(one) for one in args if isinstance(one, float))} …\n")
        return function(*args, **options)

    return telling


def _plain(value: Any) -> Any:
    if isinstance(value, Policy):
        return value.value
    whole = dataclasses.asdict(value)
    return (
        whole | {"pods": value.pods, "compute": value.compute, "amazon": value.amazon}
        if isinstance(value, Size)
        else whole
    )


_SIZE = (
    "pods: gateway, svm, keras, rekognition",
    "cores",
    "p50, p99",
    "… a zone gone",
    "pods, $ a month",
    "Amazon, $ a month",
)


def _row(one: Size) -> Sequence[str]:
    cores = sum(number * WORKERS[name] for name, number in one.pods.items())
    pods = ", ".join(f"{number:,}" for number in one.pods.values())
    return pods, f"{cores:,}", _seconds(one.usual), _seconds(one.degraded), f"{one.compute:,.0f}", f"{one.amazon:,.0f}"


def _tails(ones: Sequence[trouble.Tail]) -> str:
    heading = ("workers busy", "one: p50, p95, p99", "slowest of three: p50, p95, p99", "later than one's p99")
    return _table(
        heading, [(f"{one.busy:.0%}", _seconds(one.one), _seconds(one.slowest), f"{one.late:.1%}") for one in ones]
    )


def _zones(courses: dict[str, list[trouble.Second]]) -> str:
    goes = int(trouble.ZONE_GOES)
    rows = []
    for name, seconds in courses.items():
        near = [one for one in seconds if goes - 2 <= one.second <= goes]
        lost, missing = max(one.lost for one in near), max(one.missing for one in near)
        after = [seconds[goes + later].p99 for later in (5, 15)]
        rows.append(
            (
                name,
                f"{seconds[goes - 4].p99:.2f} s",
                *(f"{one:.2f} s" for one in after),
                f"{lost:.0%}",
                f"{missing:.0%}",
            )
        )
    return _table(
        ("", "p99 before", "5 s after", "15 s after", "calls lost, of that second", "answers with a gap"), rows
    )


def _loads(courses: dict[str, list[trouble.Load]]) -> str:
    heading = (
        "pictures a second",
        *(f"{name}: {what}" for name in courses for what in ("whole answers in time", "p99")),
    )
    pairs = zip(*courses.values(), strict=True)
    cells = (
        (f"{ones[0].offered:.0f}", *(cell for one in ones for cell in (f"{one.good:.0f}", f"{one.p99:.1f} s")))
        for ones in pairs
    )
    return _table(heading, list(cells))


def _measured(measured: Measured, assumed: Sequence[float]) -> str:
    rows = [
        (name, f"{1000 * one.mean:.1f} ms", f"{1000 * one.quantiles[10]:.1f} ms", f"{1000 * one.quantiles[19]:.1f} ms")
        for name, one in measured.cpu.items()
        if name not in ("amazon", "client")
    ]
    table = _table(("CPU a picture", "mean", "p50", "p95"), rows)
    p50, p95 = assumed
    return (
        f"{table}\n\nMeasured {measured.date}, {measured.machine}, {measured.pictures} pictures each. "
        f"Amazon's time is assumed: log-normal, p50 {p50:g} s, p95 {p95:g} s."
    )


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _seconds(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values) + " s"


def _fill(parts: dict[str, str]) -> None:
    """Put the parts between the page's marks."""
    text = _PAGE.read_text("utf-8")
    for name, part in parts.items():
        pattern = rf"(<!-- {name} by bench/simulate -->\n\n).*?(\n\n<!-- end -->)"
        text, count = re.subn(pattern, lambda match, part=part: f"{match[1]}{part}{match[2]}", text, flags=re.DOTALL)
        if count != 1:
            sys.exit(f"{_PAGE} has no place for {name}.")
    _PAGE.write_text(text, "utf-8")

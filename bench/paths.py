"""Compare the CPU time that a call costs each server of two checkouts, with their calls interleaved.

usage: PYTHONPATH=. python bench/paths.py BEFORE [AFTER] [--rounds 30] [--calls 20]

AFTER defaults to this checkout. Both run on this machine at the same time, but only one receives calls at any moment:
gateway and svm serve a recognition through the gateway, rekognition serves one with a daily cap. The CPU time is each
process's own, from /proc.
"""

import argparse
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.checkouts import SECONDS, Checkout, running
from marquee import Client
from tests.support.processes import cpu_seconds

_PATHS = {"gateway": ("gateway", "svm"), "rekognition": ("rekognition",)}
"""The server that is called → the servers whose CPU time is read."""


def main() -> None:
    """Print a Markdown table with a row for each server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--calls", type=int, default=20)
    args = parser.parse_args()
    here = Path(__file__).resolve().parents[1]
    roots = [path.resolve() for path in args.checkouts[:2]]
    roots += [here] * (2 - len(roots))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pair = [stack.enter_context(running(root, folder / str(number))) for number, root in enumerate(roots)]
        rows = [
            (f"{server}, called at {called}", *costs)
            for called, servers in _PATHS.items()
            for server, costs in _compare(pair, called, servers, args.rounds, args.calls).items()
        ]
    print(f"| CPU ms a call | {roots[0].name} | {roots[1].name} | ratio |")
    print("|---|---|---|---|")
    for name, before, after in rows:
        ratio = statistics.median(b / a for a, b in zip(before, after, strict=True))
        print(f"| {name} | {statistics.median(before):.2f} | {statistics.median(after):.2f} | {ratio:.3f} |")


def _compare(
    pair: list[Checkout], called: str, servers: tuple[str, ...], rounds: int, calls: int
) -> dict[str, tuple[list[float], list[float]]]:
    """Return, by server, the milliseconds of CPU per call in each round: of the first checkout and of the second."""
    costs: dict[str, tuple[list[float], list[float]]] = {server: ([], []) for server in servers}
    for number in range(-1, rounds):  # the first round warms up and does not count
        for side in (0, 1) if number % 2 else (1, 0):
            spent = _spend(pair[side], called, servers, calls)
            for server in servers if number >= 0 else ():
                costs[server][side].append(spent[server])
    return costs


def _spend(checkout: Checkout, called: str, servers: tuple[str, ...], calls: int) -> dict[str, float]:
    before = {server: cpu_seconds(checkout.processes[server].pid) for server in servers}
    with Client(checkout.addresses[called]) as client:
        for _ in range(calls):
            response = client.recognize(checkout.pictures / "both.jpg", timeout=SECONDS)
            assert all(result.outcome.name == "OK" for result in response.results), response  # noqa: S101
    return {
        server: (cpu_seconds(checkout.processes[server].pid) - seconds) / calls * 1000
        for server, seconds in before.items()
    }


if __name__ == "__main__":
    main()

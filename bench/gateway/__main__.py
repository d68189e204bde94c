"""Measure the gateway beside bare fan-outs in Go and grpc.aio, and beside an earlier one.

usage: PYTHONPATH=. python -m bench.gateway [--pairs 10] [--today CHECKOUT] [--ghz PROGRAM] [--output results.json]

Three trivial recognizers in Go are behind all of them, and ghz calls them over loopback, each call with a picture of
its own. A run fails if a call does, if an answer lacks a recognizer or its verdict, or if the recognizers did not get
exactly three calls for each. Prints Markdown; --pairs 2 is a quick look (about three minutes).
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from bench.gateway import costs, sides
from bench.gateway.load import Failure, Ghz, say
from bench.gateway.sides import Stage


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10, help="rounds in which each side is measured once")
    parser.add_argument("--today", type=Path, help="a checkout of an earlier commit, measured beside this one")
    parser.add_argument("--ghz", help="the load generator; the one on PATH by default")
    parser.add_argument("--output", type=Path, help="file for all values, as JSON")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say("building")
        stage = Stage(sides.build(folder / "build"), folder, args.today and args.today.resolve())
        ghz = Ghz(args.ghz, folder / "build")
        try:
            results = costs.measured(stage, ghz, args.pairs)
        except Failure as exc:
            sys.exit(f"Failed: {exc}")
    _print(results)
    if args.output:
        args.output.write_text(json.dumps(results, indent=1))


def _print(rows: dict[str, costs.Values]) -> None:
    for number, (row, values) in enumerate(rows.items()):
        if not number:
            names = list(values)
            print(f"| | {' | '.join(names)} | {' | '.join(f'gateway / {name}' for name in names[:-1])} |")
            print(f"|---{'|---' * (2 * len(names) - 1)}|")
        medians = [f"{statistics.median(one):.3g}" for one in values.values()]
        *others, last = values.values()
        ratios = [statistics.median(b / a for a, b in zip(other, last, strict=True)) for other in others if all(other)]
        print(f"| {row} | {' | '.join(medians)} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |")


if __name__ == "__main__":
    main()

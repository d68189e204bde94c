"""Measure the gateway beside bare fan-outs in Go and grpc.aio, and beside an earlier one.

usage: PYTHONPATH=. python -m bench.gateway [costs] [overload] [hits] [--pairs 10] [--seconds 60] [--today CHECKOUT]
       [--ray PYTHON] [--mlserver PYTHON] [--ghz PROGRAM] [--output results.json] [--charts FOLDER]

Three trivial recognizers in Go are behind all of them.

costs     processor time a call, time added to recognizers of 20 ms, and memory. ghz calls over loopback, each time with
          a picture of its own; a run fails if a call does, if an answer lacks a recognizer or its verdict, or if the
          recognizers did not get each picture exactly once.
overload  three times as many calls as recognizers of 100 ms can answer, and calls just after.
hits      a picture that the cache has, beside an echo that hashes it; 100 equal calls at once.

Prints Markdown tables. `--pairs 2 --seconds 10` is a quick look, of about five minutes.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.gateway import costs, hits, overload, report, sides
from bench.gateway.load import Failure, Ghz, say
from bench.gateway.sides import Stage

_PARTS = ("costs", "overload", "hits")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"what to measure: {', '.join(_PARTS)}; else all")
    parser.add_argument("--pairs", type=int, default=10, help="rounds in which each server is measured once")
    parser.add_argument("--seconds", type=int, default=60, help="how long there is too much to do")
    parser.add_argument("--today", type=Path, help="a checkout of an earlier commit, measured beside this one")
    parser.add_argument("--ray", type=Path, help="a Python with ray[serve], whose fan-out is measured, too")
    parser.add_argument("--mlserver", type=Path, help="a Python with mlserver, likewise")
    parser.add_argument("--ghz", help="the load generator; the one on PATH by default")
    parser.add_argument("--output", type=Path, help="file for all values, as JSON")
    parser.add_argument("--charts", type=Path, help="folder for charts, as SVG")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(_PARTS):
        parser.error(f"no such part: {', '.join(unknown)}")
    results: dict[str, Any] = {}
    failure = None
    try:
        _measure(args, results)
    except Failure as exc:
        failure = f"Failed: {exc}"
    if args.output:
        args.output.write_text(json.dumps(results, indent=1))
    if args.charts:
        report.draw(args.charts, results)
    sys.exit(failure)


def _measure(args: argparse.Namespace, results: dict[str, Any]) -> None:
    """Measure and print part by part, and add what is measured to the results. Raises Failure."""
    parts = args.parts or _PARTS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say("building")
        stage = Stage(
            sides.build(folder / "build"), folder, args.today and args.today.resolve(), args.ray, args.mlserver
        )
        ghz = Ghz(args.ghz, folder / "build")
        if "costs" in parts:
            _collect(costs.measured(stage, ghz, args.pairs), results.setdefault("costs", {}))
        if "overload" in parts:
            results["overload"], results["timelines"] = overload.measured(stage, ghz, args.seconds)
            report.print_columns(results["overload"])
        if "hits" in parts:
            _collect(hits.measured(stage, ghz, args.pairs), results.setdefault("hits", {}))
            results["equal"] = hits.equal_calls(stage)
            print(f"\nOf {hits.EQUAL} equal calls at once, each recognizer got: {results['equal']}")


def _collect(measured: Iterable[tuple[str, costs.Values]], rows: dict[str, costs.Values]) -> None:
    """Add the rows as they are measured, and print them even if a later one fails."""
    try:
        rows.update(measured)
    finally:
        if rows:
            report.print_rows(rows)


if __name__ == "__main__":
    main()

"""Simulate a fleet: pods and dollars for a rate of pictures, the slowest of three, a zone that goes, overload.

usage: PYTHONPATH=. python -m bench.simulate [COMMAND] [options]

  run      draws from bench/simulate/measured.json, writes the tables of docs/capacity.md and its charts (5 minutes)
  measure  measures what pictures cost the servers of the local system, and writes measured.json (a minute)
  check    asks a gateway before recognizers that only wait, then the local system, at random moments, and the model
           likewise, and prints both (4 minutes). Other work spoils the local system's figures, and is told

`pip install --requirement requirements/bench.txt` into the development environment has the model's library.
"""

import argparse
import sys

from bench.simulate import check, page, service_times
from bench.simulate.measure import measure
from bench.simulate.runs import erlang_c_wait, simulated_wait
from bench.simulate.service_times import Distribution

_BUSY = 0.2
"""Cores that others may take before a comparison says nothing."""


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", choices=["run", "measure", "check"], default="run")
    parser.add_argument("--pictures", type=int, default=200, help="pictures to measure with (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=8, help="pictures a second of the check (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="how long the check asks (default: %(default)s)")
    parser.add_argument(
        "--amazon",
        type=float,
        nargs=2,
        default=(0.35, 0.8),
        metavar=("P50", "P95"),
        help="seconds that Amazon takes, which nobody measured (default: 0.35 0.8)",
    )
    parser.add_argument("--output", choices=["text", "json"], default="text", help="what is printed of the run")
    args = parser.parse_args()
    if args.command == "measure":
        measure(args.pictures).write()
    elif args.command == "check":
        _check(args.rate, args.seconds)
    else:
        amazon = Distribution.log_normal(*args.amazon)
        print(page.write(service_times.read(), amazon, args.amazon, as_json=args.output == "json"))


def _check(rate: float, seconds: float) -> None:
    """Print the model beside theory and beside this machine; exit with 1 if too much else ran."""
    theory, model = erlang_c_wait(70, 0.02, 2), simulated_wait(70, 0.02, 2, 3000)
    print(
        f"M/M/2, 70 % busy, mean wait: by Erlang's formula {1000 * theory:.1f} ms, by the model {1000 * model:.1f} ms"
    )
    print("| what | figure | measured | simulated | error |\n|---|---|---|---|---|")
    measured = service_times.read()
    for waiting_rate, places in ((20, 1000), (45, 24)):
        print(*check.waiting(measured, waiting_rate, seconds, places).rows(), sep="\n", flush=True)
    comparison, others = check.machine(measured, rate, seconds)
    print(*comparison.rows(), sep="\n")
    if others > _BUSY:
        sys.exit(f"Others took {others:.1f} cores meanwhile: the local system's figures say nothing.")


if __name__ == "__main__":
    main()

"""Measure what scores are worth as evidence: `python -m services.gateway.calibrate LABELLED_DIR --target GATEWAY`.

LABELLED_DIR has a folder of pictures for each person whom recognizers know, and unknown/ with strangers; each shows one
face. A running gateway is asked about all of them. Write the table that gateway.yaml names under `calibration`, and a
page about it. Needs the extra `calibrate`. Exit code 2: nothing was written, and standard error says why.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask, fit, measure and write."""
    try:
        _run(arguments)
    except ModuleNotFoundError as exc:
        sys.stderr.write(f"{exc.name} is not installed: install the extra `calibrate`.\n")
        sys.exit(2)


def _run(arguments: Sequence[str] | None) -> None:
    from services.gateway.evaluation import command  # noqa: PLC0415 - the gateway's image has not all that it needs

    parser = command.parser_of("calibrate", "Measure what recognizers' scores are worth as evidence.")
    add = parser.add_argument
    add("--prior-unknown", type=_share, default=0.5, metavar="P", help="as in gateway.yaml (default: %(default)g)")
    add("--threshold", type=_share, default=0.5, metavar="P", help="as in gateway.yaml (default: %(default)g)")
    add("--out", type=Path, default=Path("calibration.json"), help="table to write (default: %(default)s)")
    args = parser.parse_args(arguments)
    command.run(lambda: _calibrate(args))


def _share(text: str) -> float:
    if not 0 < (share := float(text)) < 1:
        raise argparse.ArgumentTypeError("must be between 0 and 1")
    return share


def _calibrate(args: argparse.Namespace) -> None:
    from services.gateway.calibrate import report  # noqa: PLC0415 - likewise
    from services.gateway.calibrate.study import study  # noqa: PLC0415
    from services.gateway.evaluation import command  # noqa: PLC0415
    from services.gateway.evaluation.verdicts import Rule  # noqa: PLC0415
    from services.runtime.storage import files  # noqa: PLC0415

    answers, left_out, _ = command.ask(args)
    done = study(answers, Rule(prior_unknown=args.prior_unknown, threshold=args.threshold))
    files.write(args.out, f"{json.dumps(report.facts(done), indent=2)}\n")
    report.write(args.report, done, left_out)
    command.show(args, report.HEAD, report.rows(done), report.facts(done))
    command.console.print(f"Wrote {args.out} and {args.report}", markup=False)


if __name__ == "__main__":
    main()

"""Tell what policies cost and get wrong: `python -m services.gateway.policy_report LABELLED_DIR --target GATEWAY`.

LABELLED_DIR has a folder of pictures for each person whom recognizers know, and unknown/ with strangers; each shows one
face. A running gateway is asked about all of them, of every recognizer once, and each policy is played on the answers.
Write a page. Needs the extra `calibrate`. Exit code 2: nothing was written, and standard error says why.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask, play and write."""
    try:
        _run(arguments)
    except ModuleNotFoundError as exc:
        sys.stderr.write(f"{exc.name} is not installed: install the extra `calibrate`.\n")
        sys.exit(2)


def _run(arguments: Sequence[str] | None) -> None:
    from services.gateway.evaluation import command  # noqa: PLC0415 - the gateway's image has not all that it needs

    parser = command.parser_of("policy_report", "Tell what each policy costs, and what it gets wrong.")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="gateway.yaml, for its veto, calibration and confident scores"
    )
    args = parser.parse_args(arguments)
    command.run(lambda: _report(args))


def _report(args: argparse.Namespace) -> None:
    from services.gateway.config import load_config  # noqa: PLC0415 - likewise
    from services.gateway.evaluation import command  # noqa: PLC0415
    from services.gateway.evaluation.verdicts import Rule  # noqa: PLC0415
    from services.gateway.policy_report import report  # noqa: PLC0415
    from services.gateway.policy_report.curve import curve  # noqa: PLC0415
    from services.gateway.policy_report.replay import Operation, members_of, prices_of  # noqa: PLC0415

    config = load_config(args.config) if args.config else None
    veto = config.veto if config else None
    answers, left_out, recognizers = command.ask(args, veto.recognizer if veto else "")
    operation = Operation(
        members=members_of(recognizers),
        prices=prices_of(recognizers),
        rule=Rule.of(config) if config else Rule(),
        scores=config.confident_scores if config else {},
        veto=veto,
    )
    points = curve(answers, operation)
    report.write(args.report, points, len(answers), left_out)
    command.show(args, report.HEAD, report.rows(points), report.facts(points))
    command.console.print(f"Wrote {args.report}", markup=False)


if __name__ == "__main__":
    main()

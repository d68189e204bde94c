"""What the commands that study a gateway share: their options, and how they ask it and fail."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from marquee.channels.connection import Connection, ConnectionOptions
from marquee.channels.credentials import token_in
from marquee.errors import MarqueeError
from marquee.v1 import recognizer_pb2 as pb
from services.gateway.evaluation.pictures import Picture, StudyError, read_pictures
from services.gateway.evaluation.survey import Answer, Survey
from services.runtime.images.folder import LeftOut, lines

_MICRO = 1_000_000
console = Console(stderr=True, highlight=False, soft_wrap=True)


def parser_of(command: str, description: str) -> argparse.ArgumentParser:
    """Return a parser with the options that all studies have."""
    parser = argparse.ArgumentParser(prog=f"python -m services.gateway.{command}", description=description)
    add = parser.add_argument
    add("folder", type=Path, metavar="LABELLED_DIR", help="pictures that show one face: NAME/…, and unknown/…")
    add(
        "--groups", type=Path, metavar="FILE", help="lines PATH, tab, GROUP: pictures of one moment, which count as one"
    )
    add("--target", metavar="HOST:PORT|URL", help="address of the gateway (default: MARQUEE_ADDRESS)")
    add("--tls", action="store_true", help="connect with TLS, as to https:// addresses")
    add("--ca", metavar="FILE", help="CA of the gateway, PEM (default: MARQUEE_CA)")
    add("--cert", metavar="FILE", help="client certificate, PEM (default: MARQUEE_CERT)")
    add("--key", metavar="FILE", help="its key (default: MARQUEE_KEY, or in --cert)")
    add("--server-name", metavar="NAME", help="whom the gateway's certificate is for (default: its host)")
    add("--token-file", metavar="FILE", help="token to send (default: MARQUEE_TOKEN or MARQUEE_TOKEN_FILE)")
    add("--timeout", type=float, default=30, metavar="SECONDS", help="timeout per picture (default: %(default)g)")
    add("--jobs", type=int, default=2, metavar="N", help="pictures to ask for in parallel (default: %(default)s)")
    add(
        "--max-usd",
        type=float,
        default=1,
        metavar="USD",
        help="dollars that the answers may cost (default: %(default)g)",
    )
    add("--report", type=Path, metavar="PAGE", help=f"page to write (default: {command.replace('_', '-')}.html)")
    add("--output", choices=("table", "json"), default="table", help="what to print (default: %(default)s)")
    parser.set_defaults(report=Path(f"{command.replace('_', '-')}.html"))
    return parser


def run(study: Callable[[], None]) -> None:
    """Make the study; exit 2 and say what to change if that is impossible."""
    try:
        study()
    except MarqueeError as exc:
        _fail(exc.message)
    except (StudyError, OSError, ValueError) as exc:
        _fail(str(exc))
    except KeyboardInterrupt:
        console.print("Interrupted.")
        sys.exit(130)


def ask(args: argparse.Namespace, labels_of: str = "") -> tuple[list[Answer], list[LeftOut], list[pb.Recognizer]]:
    """Return the gateway's answers about the pictures, what has none, and its recognizers. Raises StudyError.

    `labels_of` names a recognizer that is asked for labels, too.
    """
    pictures, left_out = read_pictures(args.folder, args.groups)
    survey = Survey(Connection(args.target, **_options(args)), args.timeout, labels_of)
    recognizers = survey.recognizers()
    _check_price(survey.price(recognizers) * len(pictures) / _MICRO, pictures, args.max_usd)
    answers, unanswered = survey.ask(pictures, args.jobs, _track)
    left_out += unanswered
    for line in lines(left_out):
        console.print(line, markup=False)
    return answers, left_out, recognizers


def show(args: argparse.Namespace, head: Sequence[str], rows: Iterable[Sequence[str]], facts: dict[str, Any]) -> None:
    """Print the table, or the facts as one object."""
    if args.output == "json":
        sys.stdout.write(f"{json.dumps(facts, indent=2)}\n")
        return
    table = Table(*head)
    for row in rows:
        table.add_row(*row)
    Console(highlight=False).print(table)


def _options(args: argparse.Namespace) -> ConnectionOptions:
    options: ConnectionOptions = {"tls": args.tls, "ca": args.ca, "server_name": args.server_name}
    if args.cert or args.key:
        chain, key = args.cert or os.environ.get("MARQUEE_CERT", ""), args.key or os.environ.get("MARQUEE_KEY", "")
        options["cert"] = (chain, key) if key else chain
    if args.token_file:
        options["token"] = token_in(args.token_file)
    return options


def _check_price(dollars: float, pictures: Sequence[Picture], most: float) -> None:
    if dollars > most:
        raise StudyError(f"Asking about {len(pictures)} pictures costs ${dollars:.2f}: allow it with --max-usd.")


def _track(answers: Iterable[Answer | LeftOut], total: int) -> Iterable[Answer | LeftOut]:
    return track(answers, "asking", total=total, console=console)


def _fail(text: str) -> None:
    console.print(f"[red]Failed.[/] {escape(text)}")
    sys.exit(2)

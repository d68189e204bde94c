"""Manage collections: `python -m services.rekognition.collections --help`.

Region, credentials, endpoint, table, cap and rates are the recognizer's, from the same environment variables.
Calls that Rekognition bills are paid from the same budget.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from services.rekognition.aws.account import Account
from services.rekognition.collections.commands import CollectionCommands as Commands
from services.rekognition.settings import RekognitionSettings
from services.runtime import logs
from services.runtime.errors import DomainError
from services.runtime.settings import load_settings
from services.runtime.storage.s3 import ObjectStore

_PICTURE = "a file, or s3://BUCKET/KEY"


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit 0; 1 if `reconcile` finds differences; 2, with what to do, on a failure."""
    args = _parse(arguments)
    logs.redirect()
    settings = load_settings(RekognitionSettings, listens=False)
    try:
        sys.exit(asyncio.run(_run(args, settings)))
    except (DomainError, OSError, ValueError) as exc:
        Console(stderr=True, soft_wrap=True).print(f"[red]Failed.[/] {escape(str(exc))}", highlight=False)
        sys.exit(2)
    except KeyboardInterrupt:
        Console(stderr=True).print("Interrupted.")
        sys.exit(130)


async def _run(args: argparse.Namespace, settings: RekognitionSettings) -> int:
    account = await asyncio.to_thread(Account, settings)
    try:
        status: int = await args.command(Commands(account, ObjectStore(settings.s3_endpoint_url), args))
        return status
    finally:
        await account.close()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m services.rekognition.collections",
        description="Manage Rekognition's collections of faces. Region, credentials, endpoint and budget are the "
        "recognizer's, from the same environment variables.",
    )
    every = argparse.ArgumentParser(add_help=False)
    every.add_argument(
        "--output", choices=("table", "json"), default="table", help="output format (default: %(default)s)"
    )
    every.add_argument(
        "--timeout",
        type=float,
        default=600,
        metavar="SECONDS",
        help="timeout of the whole command (default: %(default)g)",
    )
    sub = parser.add_subparsers(required=True, metavar="COMMAND")
    named = argparse.ArgumentParser(add_help=False, parents=[every])
    named.add_argument("collection", metavar="COLLECTION")
    _add(sub, "create", Commands.create, "create an empty collection", named)
    _add(sub, "describe", Commands.describe, "show the size and age of a collection", named)
    _add(sub, "list", Commands.list_collections, "list the region's collections", every)
    faces = _add(sub, "faces", Commands.faces, "list the faces of a collection", named)
    faces.add_argument("--person", metavar="PERSON_ID", help="list only this person's faces")
    _add(
        sub,
        "index",
        Commands.index,
        "note in the table whose each face of a collection is, so that people can be removed; an interrupted run is "
        "continued by the next one, and a complete one is repeated after another program has added faces",
        named,
    )
    delete = _add(sub, "delete", Commands.delete, "delete a collection and everything in it", named)
    delete.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    compare = _add(
        sub, "compare", Commands.compare, "compare the largest face of a picture with the faces of another", every
    )
    compare.add_argument("source", metavar="PICTURE", help=_PICTURE)
    compare.add_argument("target", metavar="OTHER", help=_PICTURE)
    compare.add_argument(
        "--similarity", type=float, default=80, metavar="0-100", help="minimum similarity (default: %(default)g)"
    )
    reconcile = _add(sub, "reconcile", Commands.reconcile, "compare the people of a collection with a listing", named)
    reconcile.add_argument(
        "listing",
        type=Path,
        metavar="LISTING",
        help='file of JSON lines, each "person_id" or an object with the member person_id; - for standard input',
    )
    return parser.parse_args(arguments)


def _add(
    sub: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    command: Callable[[Commands], Awaitable[int]],
    description: str,
    parent: argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    parser = sub.add_parser(
        name, help=description, description=f"{description[0].upper()}{description[1:]}.", parents=[parent]
    )
    parser.set_defaults(command=command)
    return parser


if __name__ == "__main__":
    main()

"""Export pictures into a file, and import the answers that the Lambda function wrote into its table."""

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from marquee.channels.role import LIBRARY
from marquee.cli.exits import Exit, call_errors
from marquee.cli.options import ListOutput
from marquee.cli.output import count
from marquee.cli.server import Server
from marquee.cli.table import Text, print_line
from marquee.cli.terminal import Progress as Bar
from marquee.cli.terminal import print_error, print_json, print_note
from marquee.library.client import LibraryClient
from marquee.library.dynamodb import Page, Progress, ResultsTable
from marquee.library.requests import PictureQuery

STDOUT = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportArgs:
    """Validated arguments of `marquee library export`."""

    query: PictureQuery
    form: str
    file: str
    """- for standard output."""
    collection: str
    server: Server
    timeout: float | None


def export(args: ExportArgs) -> Exit:
    """Write the file, and say on standard error what it holds. Raises typer.Exit."""
    target: str | BinaryIO = sys.stdout.buffer if args.file == STDOUT else args.file
    progress = Bar(0)
    try:
        with call_errors(), args.server.connect_library() as client, progress:
            summary = client.export(
                target,
                args.form,
                collection=args.collection,
                timeout=args.timeout,
                progress=None if args.file == STDOUT else progress.show,
                **args.query,
            )
    except OSError as error:
        if args.file == STDOUT:
            raise
        print_error(args.file, error.strerror or str(error))
        return Exit.FAILED
    where = "" if args.file == STDOUT else f" in {args.file}"
    print_note(f"{count(summary.picture_count, 'picture')}{where}; the export is {summary.export_id}.")
    return Exit.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportArgs:
    """Validated arguments of `marquee library import`."""

    url: str
    recognizer: str
    fetch: bool
    progress: Path
    collection: str
    server: Server
    timeout: float
    output: ListOutput
    dry_run: bool


def import_table(args: ImportArgs) -> Exit:
    """Import the table's items, from where an earlier run was interrupted. Raises typer.Exit if a call fails."""
    counts = Counter[str]()
    try:
        table = ResultsTable(args.url, args.recognizer)
        progress = Progress(args.progress, _purpose(args))
        if not args.dry_run:
            progress.load()
        if progress.items:
            print_note(f"Going on after {count(progress.items, 'item')}, as {progress.path} says.")
        with call_errors(args.output), args.server.connect_library() as client, Bar(table.count()) as bar:
            bar.advance(progress.items)
            for page in table.pages(progress.position):
                with bar.paused():
                    counts += _imported(client, args, page)
                if not args.dry_run:
                    progress.save(page)
                bar.advance(len(page.answers) + len(page.unreadable))
    except OSError as error:
        print_error("", str(error))
        return Exit.FAILED
    _print(args, counts)
    return Exit.FAILED if counts["refused"] or counts["unreadable"] else Exit.OK


def _purpose(args: ImportArgs) -> str:
    """Return what is imported and where to, by which an interrupted import is known."""
    answers = f"{args.url} as answers of {args.recognizer}{' with --fetch' if args.fetch else ''}"
    return f"{answers} to {args.collection or 'the default collection'} of {args.server.address or LIBRARY.default}"


def _imported(client: LibraryClient, args: ImportArgs, page: Page) -> Counter[str]:
    """Import a page, and print what was refused; return how many answers were what."""
    for reason in page.unreadable:
        print_error("", reason)
    counts = Counter(unreadable=len(page.unreadable))
    if args.dry_run or not page.answers:
        counts["readable"] += len(page.answers)
        return counts
    results = client.import_answers(page.answers, fetch=args.fetch, collection=args.collection, timeout=args.timeout)
    for answer, result in zip(page.answers, results, strict=True):
        if result.status.code != "OK":
            print_error(f"s3://{answer.s3_object.bucket}/{answer.s3_object.key}", result.status.message)
            counts["refused"] += 1
        else:
            counts["imported" if result.imported else "known"] += 1
    return counts


def _print(args: ImportArgs, counts: Counter[str]) -> None:
    if args.output is ListOutput.JSON:
        print_json({name: counts[name] for name in ("imported", "known", "refused", "unreadable", "readable")})
        return
    if args.dry_run:
        facts = [f"{counts['readable']:,} would be sent"]
        facts += [f"{counts['unreadable']:,} cannot be read"] if counts["unreadable"] else []
        fetched = " Their objects would be fetched and recognized, which may cost money." if args.fetch else ""
        print_line(
            Text(f"{count(counts.total(), 'item')}: ", "bold"), f"{', '.join(facts)}. Nothing was sent.{fetched}"
        )
        return
    facts = [f"{counts['imported']:,} imported", f"{counts['known']:,} known or older"]
    facts += [f"{counts['refused']:,} refused"] if counts["refused"] else []
    facts += [f"{counts['unreadable']:,} cannot be read"] if counts["unreadable"] else []
    print_line(Text(f"{count(counts.total(), 'item')}: ", "bold"), ", ".join(facts))

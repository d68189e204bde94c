"""Signatures and help of the library's subcommands. Imports gRPC only to run one of them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from marquee.cli import options as shared
from marquee.cli.library import changes, options
from marquee.cli.library.people import commands as people
from marquee.cli.library.people import faces as people_faces
from marquee.cli.server import Server, calls_library, with_options
from marquee.library.enums import JobState

# ruff: noqa: B006, D301, PLC0415, PLR0913 - as in marquee.cli.commands

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def library() -> None:
    """Keep pictures with what is recognized in them, find them again, and export them.

    \b
      marquee library add holiday/
      marquee library search --person "Ada Lovelace" --taken-from 2024-07
      marquee library export -o pictures.csv --label Beach

    The library is a server of its own. Its address is --address, else
    MARQUEE_LIBRARY_ADDRESS in the environment, else in the file .env of the working
    directory, else that of the local system that you run (`python -m local`), else
    localhost:50052.
    """


@app.command(no_args_is_help=True)
@calls_library
def add(
    files: shared.Files = [],
    *,
    files_from: shared.FilesFrom = None,
    null: shared.Null = False,
    collection: shared.Collection = "",
    category: options.Categories = [],
    recognizer: shared.Recognizers = [],
    feature: shared.Features = [],
    wait: options.Wait = False,
    dry_run: options.DryRun = False,
    jobs: options.AddJobs = 4,
    server: Server,
    timeout: options.AddTimeout = 60.0,
    output: Annotated[
        shared.ListOutput,
        typer.Option("--output", "-o", help="json: one object per picture, on one line each if there are several."),
    ] = shared.ListOutput.TABLE,
) -> None:
    """Add pictures, and have them recognized.

    \b
      marquee library add both.jpg --wait
      marquee library add holiday/ --category "Summer 2024"
      find . -name '*.jpg' -print0 | marquee library add --files-from - -0

    A picture is stored first and recognized later, in the background; --wait waits
    for that. A picture that the library has already is not recognized again, so an
    interrupted command is simply repeated. While the library is away for a minute,
    such as for an update, the command waits.

    \b
    Exit codes:
      0  every picture is in the library and, with --wait, recognized
      1  a picture was refused or, with --wait, not recognized; or a call failed
      2  usage error, or a file does not exist
      3  the library is unreachable
    """
    from marquee.cli.inputs import pictures_of
    from marquee.cli.library.run.add import AddArgs, run

    pictures = pictures_of(files, files_from, null=null)
    if not pictures.files:
        raise typer.BadParameter(
            "there is none: give pictures, folders of them, or --files-from with their names.", param_hint="FILE"
        )
    args = AddArgs(
        pictures=pictures,
        server=server,
        timeout=timeout,
        options={
            "collection": collection,
            "categories": category,
            "recognizers": recognizer,
            "features": feature,
            "wait": wait,
        },
        output=output,
        jobs=jobs,
        dry_run=dry_run,
    )
    raise typer.Exit(run(args))


def _takes_query(command: Any) -> Any:
    """Give a subcommand the options of a query in place of its parameter `query`."""
    return with_options(command, "query", options.query)


@app.command()
@calls_library
@_takes_query
def search(
    *,
    query: Any,
    order: options.Order = "taken-newest",
    limit: options.Limit = 50,
    collection: shared.Collection = "",
    server: Server,
    timeout: shared.CallTimeout = 12.0,
    output: options.FoundFormat = options.FoundOutput.TABLE,
) -> None:
    """Find pictures. Without options: all of them, the newest first.

    \b
      marquee library search --person "Ada Lovelace" --person "Grace Hopper"
      marquee library search --only-person ada --no-label Car --min-score 0.9
      marquee library search --text "welcome" --taken-from 2024 --taken-before 2025
      marquee library search --verdict unknown -n 0 -o ids | marquee library recognize --ids-from -

    What is given has to fit in all. Case and accents of names do not matter.

    \b
    Exit codes:
      0  the search was made, whether it found pictures or not
      1  the call failed
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.library.run.search import SearchArgs, run

    args = SearchArgs(
        query=query,
        order=order,
        limit=limit,
        collection=collection,
        server=server,
        timeout=timeout,
        output=output,
    )
    raise typer.Exit(run(args))


@app.command(no_args_is_help=True)
@calls_library
def show(
    picture_id: options.PictureId,
    *,
    draw: options.DrawOne = None,
    save: options.Save = None,
    collection: shared.Collection = "",
    server: Server,
    timeout: shared.CallTimeout = 12.0,
    output: shared.ObjectFormat = shared.ListOutput.TABLE,
) -> None:
    """Show all that is known of a picture: faces, labels, places, answers, its job.

    \b
    Exit codes:
      0  the picture is shown
      1  there is no such picture, or no file of it, or the call failed
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.library.run.show import ShowArgs, run

    if draw is not None and not draw.lower().endswith((".png", ".svg")):
        raise typer.BadParameter(f"{draw} ends in neither .png nor .svg.", param_hint="--draw")
    args = ShowArgs(
        picture_id=picture_id,
        collection=collection,
        save=save,
        draw=None if draw is None else Path(draw),
        server=server,
        timeout=timeout,
        output=output,
    )
    raise typer.Exit(run(args))


@app.command()
@calls_library
@_takes_query
def export(
    *,
    query: Any,
    output: options.ExportFile = "-",
    form: options.ExportForm = None,
    collection: shared.Collection = "",
    server: Server,
) -> None:
    """Write what is known of pictures into a file: all, or those that a query finds.

    \b
      marquee library export -o pictures.jsonl
      marquee library export -o ada.csv --person "Ada Lovelace"

    The options of a query are those of `marquee library search`; docs/export.md has
    the columns. The library remembers who exported what, and names it in the
    receipt if one of the pictures is erased later.

    \b
    Exit codes:
      0  the file is written
      1  the call failed, or the file cannot be written: then there is none
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.library.run.exchange import ExportArgs
    from marquee.cli.library.run.exchange import export as run

    by_name = "CSV" if output.lower().endswith(".csv") else "JSON_LINES"
    args = ExportArgs(
        query=query, form=form or by_name, file=output, collection=collection, server=server, timeout=None
    )
    raise typer.Exit(run(args))


@app.command("import", no_args_is_help=True)
@calls_library
def import_(
    url: options.TableUrl,
    *,
    recognizer: options.TableRecognizer = "rekognition",
    fetch: options.Fetch = False,
    dry_run: options.DryRun = False,
    progress: options.ProgressFile = None,
    collection: shared.Collection = "",
    server: Server,
    timeout: shared.CallTimeout = 30.0,
    output: shared.ObjectFormat = shared.ListOutput.TABLE,
) -> None:
    """Import the answers that the Lambda function wrote into its table.

    \b
      marquee library import dynamodb://marquee-results --dry-run
      marquee library import dynamodb://marquee-results

    Your own AWS credentials read the table (dynamodb:Scan). An import that was
    interrupted goes on where it was; answers that the library has already, or newer
    ones of, stay as they are.

    \b
    Exit codes:
      0  all answers are imported
      1  an answer was refused, the table cannot be read, or a call failed
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.library.run.exchange import ImportArgs, import_table

    table = url.rpartition("/")[2]
    args = ImportArgs(
        url=url,
        recognizer=recognizer,
        fetch=fetch,
        progress=Path(progress or f".marquee-import-{table}.json"),
        collection=collection,
        server=server,
        timeout=timeout,
        output=output,
        dry_run=dry_run,
    )
    raise typer.Exit(import_table(args))


@app.command()
@calls_library
def events(
    *,
    follow: options.Follow = False,
    cursor: options.Cursor = "",
    limit: options.Limit = 0,
    collection: shared.Collection = "",
    server: Server,
    timeout: shared.CallTimeout = 12.0,
    output: options.LinesFormat = shared.ListOutput.TABLE,
) -> None:
    """Show what happened, oldest first.

    \b
      marquee library events --follow
      marquee library events -o json --cursor 1200

    \b
    Exit codes:
      0  the events are shown
      1  the call failed
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.library.run.events import run

    end = run(cursor, limit, server=server, timeout=timeout, output=output, collection=collection, follow=follow)
    raise typer.Exit(end)


@app.command()
@calls_library
def jobs(
    *,
    state: options.JobStates = None,
    limit: options.Limit = 50,
    collection: shared.Collection = "",
    server: Server,
    timeout: shared.CallTimeout = 12.0,
    output: options.LinesFormat = shared.ListOutput.TABLE,
) -> None:
    """Show the jobs that recognize pictures, the newest first.

    \b
      marquee library jobs --state dead

    \b
    Exit codes:
      0  the jobs are shown
      1  the call failed
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.library.run.jobs import list_some

    raise typer.Exit(
        list_some(
            state or JobState.UNSPECIFIED, limit, server=server, timeout=timeout, output=output, collection=collection
        )
    )


@app.command()
@calls_library
def retry(
    job_ids: options.JobIds = [],
    *,
    dry_run: options.DryRun = False,
    collection: shared.Collection = "",
    server: Server,
    timeout: shared.CallTimeout = 12.0,
    output: shared.ObjectFormat = shared.ListOutput.TABLE,
) -> None:
    """Try jobs again that were given up: all, or those with these IDs.

    \b
    Exit codes:
      0  they are tried again
      1  the call failed
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.library.run.jobs import retry as run

    end = run(job_ids, server=server, timeout=timeout, output=output, collection=collection, dry_run=dry_run)
    raise typer.Exit(end)


app.add_typer(changes.app)
app.add_typer(people.app, name="people")
app.add_typer(people_faces.lookups)

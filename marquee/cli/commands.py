"""The command's outermost part: what it is called with and what holds for all of it."""

from pathlib import Path
from typing import Annotated

import typer

import marquee
from marquee.cli.cost import cost
from marquee.cli.enroll import enroll
from marquee.cli.listing import recognizers
from marquee.cli.people import people
from marquee.cli.recognize import recognize
from marquee.cli.remove import remove

app = typer.Typer(name="marquee", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
app.command(no_args_is_help=True)(recognize)
app.command()(recognizers)
app.command()(cost)
app.command(no_args_is_help=True)(enroll)
app.command()(people)
app.command(no_args_is_help=True)(remove)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer passes the flag's value
    if wanted:
        typer.echo(f"marquee {marquee.__version__}")
        raise typer.Exit


@app.callback()
def marquee_(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Tells who is in a picture, and learns new people.

    The server's address is --address, else MARQUEE_ADDRESS in the environment,
    else in the file .env of the working directory, else localhost:50051.
    """
    from dotenv import load_dotenv  # noqa: PLC0415 - --help need not wait for it

    load_dotenv(Path(".env"))

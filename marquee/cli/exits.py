"""Exit codes, and how a failed call ends the command."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer

from marquee.cli.options import ListOutput
from marquee.cli.output import error_dict
from marquee.cli.server import Server
from marquee.cli.terminal import print_error, print_json
from marquee.client import Client
from marquee.errors import InvalidImage, InvalidRequest, MarqueeError, Unreachable


class Exit(IntEnum):
    """Exit codes of the command, from best to worst."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3


def exit_of(error: MarqueeError | OSError) -> Exit:
    """Return the exit code for an error."""
    match error:
        case Unreachable():
            return Exit.UNREACHABLE
        case InvalidRequest() if not isinstance(error, InvalidImage):
            return Exit.USAGE
        case _:
            return Exit.FAILED


@contextmanager
def connect(server: Server, output: ListOutput) -> Iterator[Client]:
    """Open a client whose first failed call ends the command; see call_errors."""
    with call_errors(output), server.connect() as client:
        yield client


@contextmanager
def call_errors(output: str = "") -> Iterator[None]:
    """Let a failed call be printed, as JSON too if that is the output, and end the command. Raises typer.Exit."""
    try:
        yield
    except MarqueeError as error:
        if output == ListOutput.JSON:
            print_json({"error": error_dict(error)})
        print_error("", error.message)
        raise typer.Exit(exit_of(error)) from error

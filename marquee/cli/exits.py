"""Exit codes, and how a failed call ends the command."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer

from marquee.cli.terminal import print_error
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
def connect(address: str | None) -> Iterator[Client]:
    """Open a client whose first failed call is printed and ends the command. Raises typer.Exit."""
    try:
        with Client(address) as client:
            yield client
    except MarqueeError as error:
        print_error("", error.message)
        raise typer.Exit(exit_of(error)) from error

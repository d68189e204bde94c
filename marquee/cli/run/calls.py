"""The client of a command that ends with its first failed call."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from marquee.cli.run.attempts import exit_of
from marquee.cli.terminal import print_error
from marquee.client import Client
from marquee.errors import MarqueeError


@contextmanager
def connected(address: str | None) -> Iterator[Client]:
    """A client; what goes wrong with a call is printed and ends the command. Raises typer.Exit."""
    try:
        with Client(address) as client:
            yield client
    except MarqueeError as error:
        print_error("", error.message)
        raise typer.Exit(exit_of(error)) from error

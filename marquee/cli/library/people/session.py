"""What all subcommands about people share: the library to call, the collection, the timeout and the output."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from marquee.cli import options as shared
from marquee.cli.library.options import FoundOutput
from marquee.cli.server import Server, calls_library, with_options

if TYPE_CHECKING:
    from marquee.library.people.client import PeopleClient

# ruff: noqa: PLC0415 - --help does not wait for gRPC

_FoundFormat = Annotated[
    FoundOutput, typer.Option("--output", "-o", help="json: one object on each line. ids: one ID on each line.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Calls of one command."""

    collection: str
    server: Server
    timeout: float
    output: shared.ListOutput | FoundOutput

    @contextmanager
    def people(self) -> Iterator["PeopleClient"]:
        """Open a client of the people, whose first failed call ends the command. Raises typer.Exit."""
        from marquee.cli.exits import call_errors

        with call_errors(self.output), self.server.connect_people() as client:
            yield client

    @property
    def is_json(self) -> bool:
        """Whether to print JSON."""
        return self.output == shared.ListOutput.JSON

    @property
    def is_ids(self) -> bool:
        """Whether to print ids alone."""
        return self.output is FoundOutput.IDS

    @property
    def own(self) -> Any:
        """Arguments of each call."""
        return {"collection": self.collection, "timeout": self.timeout}


def calls_people(command: Callable[..., None]) -> Callable[..., None]:
    """Give a subcommand the options of a session in place of its parameter `session`, which is made of them."""
    return calls_library(with_options(command, "session", _session))


def calls_people_long(command: Callable[..., None]) -> Callable[..., None]:
    """Do the same for a subcommand whose call compares much, or calls recognizers."""
    return calls_library(with_options(command, "session", _long_session))


def finds_people(command: Callable[..., None]) -> Callable[..., None]:
    """Do the same for a subcommand that lists what may be many."""
    return calls_library(with_options(command, "session", _found_session))


def writes_file(command: Callable[..., None]) -> Callable[..., None]:
    """Do the same for a subcommand whose --output is a file, and takes as long as it takes."""
    return calls_library(with_options(command, "session", _file_session))


def _session(
    *,
    collection: shared.Collection = "",
    server: Server,
    timeout: shared.CallTimeout = 12.0,
    output: shared.ObjectFormat = shared.ListOutput.TABLE,
) -> Session:
    return Session(collection=collection, server=server, timeout=timeout, output=output)


def _long_session(
    *,
    collection: shared.Collection = "",
    server: Server,
    timeout: shared.CallTimeout = 60.0,
    output: shared.ObjectFormat = shared.ListOutput.TABLE,
) -> Session:
    return Session(collection=collection, server=server, timeout=timeout, output=output)


def _found_session(
    *,
    collection: shared.Collection = "",
    server: Server,
    timeout: shared.CallTimeout = 12.0,
    output: _FoundFormat = FoundOutput.TABLE,
) -> Session:
    return Session(collection=collection, server=server, timeout=timeout, output=output)


def _file_session(*, collection: shared.Collection = "", server: Server) -> Session:
    return Session(collection=collection, server=server, timeout=12.0, output=shared.ListOutput.TABLE)

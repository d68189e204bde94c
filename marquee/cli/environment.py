"""What surrounds the command: the folder's .env, the standard streams, and the errors that end it early."""

import errno
import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

# ruff: noqa: PLC0415 - --help does not wait for what a run needs

_PREFIX = "MARQUEE_"
_AWS = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"),
)
"""Credentials, profile and region. Other variables decide which programs run and where data goes: no folder may."""
_SENT_FILE = "MARQUEE_TOKEN_FILE"
"""Its content goes to the server that the same folder may name: no file of somebody else's may."""

_UsageError: Any = typer.BadParameter.__base__
"""click's, which typer brings along under a name that depends on its version."""


class Commands(TyperGroup):
    """The subcommands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the options before the subcommand. Exits 1 if help or version cannot be written."""
        with _usage_errors(), _write_errors():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the subcommand. Exits 1 if its output cannot be written."""
        with _usage_errors(), _write_errors():
            return super().invoke(ctx)


def prepare() -> None:
    """Take the settings of the folder's .env, and let no character or log of a library end the output."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the shell closed it: >&-
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - for as long as the process
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    logging.getLogger("grpc").addHandler(logging.NullHandler())
    logging.getLogger("dotenv").addHandler(logging.NullHandler())
    _load(Path(".env"))


@contextmanager
def _usage_errors() -> Iterator[None]:
    """Keep usage errors from controlling the terminal, and print them as JSON too where JSON was asked for."""
    from marquee.cli.terminal import print_json
    from marquee.draw.text import clean

    try:
        try:
            yield
        except UnicodeEncodeError as error:  # the contract's texts are UTF-8, but not every argument is
            raise typer.BadParameter(f"{error.object} is not UTF-8.") from None
    except _UsageError as error:
        error.message = "\n".join(map(clean, error.message.split("\n")))  # help, where no argument is given
        if error.ctx is not None and error.ctx.params.get("output") == "json":
            print_json({"error": {"code": "INVALID_ARGUMENT", "message": error.message}})
        raise


@contextmanager
def _write_errors() -> Iterator[None]:
    """Say that the disk is full. A closed pipe, as of `| head`, is typer's to handle: quietly."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        from marquee.cli.terminal import print_error

        print_error("", f"The output cannot be written: {error.strerror or error}")
        with suppress(OSError):  # of a stream without a file
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes the rest when it exits
        raise typer.Exit(1) from None


def _load(file: Path) -> None:
    """Set the variables that the environment lacks. Lines that cannot be read are named on standard error."""
    from dotenv import dotenv_values
    from dotenv.parser import parse_stream

    from marquee.cli.terminal import print_note

    if not file.is_file():
        return
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        print_note(f"{file} is not read: {error}")
        return
    if "\0" in text:
        print_note(f"{file} is not read: it has a NUL, which no variable can hold")
        return
    for _, _, original, is_wrong in parse_stream(io.StringIO(text)):
        if is_wrong:
            blanks = original.string[: -len(original.string.lstrip())].count("\n")  # lines before it
            print_note(f"{file}, line {original.line + blanks}: this is not NAME=VALUE, and is not read.")
    for name, value in dotenv_values(stream=io.StringIO(text)).items():
        if value is None or not (name.startswith(_PREFIX) or name in _AWS):
            continue
        if name == _SENT_FILE and not Path(value).resolve().is_relative_to(file.parent.resolve()):
            print_note(f"{file}: {name} is not read, since it names a file outside of this folder.")
            continue
        os.environ.setdefault(name, value)

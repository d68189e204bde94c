"""Where a person reads: standard output and standard error."""

import json
import os
import sys

from rich.console import Console
from rich.text import Text

_WIDTH_OF_A_FILE = 240


def stdout() -> Console:
    """Standard output; into a pipe or file no line is cut to a terminal's width."""
    narrow = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(highlight=False, markup=False, emoji=False, width=None if narrow else _WIDTH_OF_A_FILE)


def stderr() -> Console:
    """Standard error; long lines are left to the terminal."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def clean(text: str) -> str:
    """The text without characters that could steer a terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def print_json(value: object, *, a_line: bool = False) -> None:
    """The value on standard output: indented for a person, or on one line of several."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=None if a_line else 2) + "\n")
    sys.stdout.flush()


def print_error(name: str, message: str) -> None:
    """One red line on standard error: which picture, and what is wrong with it."""
    stderr().print(Text(f"{clean(name)}: {clean(message)}" if name else clean(message), style="red"))


def print_note(message: str) -> None:
    """One yellow line on standard error: something to know that is no error."""
    stderr().print(Text(clean(message), style="yellow"))

"""Tests of what `import marquee` loads and provides."""

import sys

import pytest

import marquee
from tests.support.processes import run

HEAVY = ("boto3", "cv2", "sklearn", "tensorflow", "numpy", "PIL", "pydantic", "importlib.resources")


def _loaded(statement: str, *names: str) -> list[str]:
    code = f"import sys; {statement}; print(*[name for name in {(*HEAVY, *names)} if name in sys.modules])"
    return run([sys.executable, "-c", code]).stdout.split()


@pytest.mark.parametrize("statement", ["import marquee", "from marquee import Client, AsyncClient, MarqueeError"])
def test_importing_the_client_loads_nothing_heavy(statement: str) -> None:
    """The client loads neither a recognizer's libraries nor the command's."""
    assert _loaded(statement, "rich", "typer") == []


def test_the_command_loads_nothing_heavy() -> None:
    """What recognizes a picture loads no library of validation, drawing or layout."""
    statement = "import marquee.cli.commands, marquee.cli.run.recognize; from typer.main import get_command; "
    statement += "get_command(marquee.cli.commands.app).make_context('marquee', ['recognize', 'a.jpg'])"
    assert _loaded(statement, "rich.console", "rich.table") == []


def test_every_public_name_exists() -> None:
    """Each name in `__all__` refers to an object of that name."""
    assert [name for name in marquee.__all__ if getattr(marquee, name).__name__ != name] == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelled name raises AttributeError, as in any module."""
    with pytest.raises(AttributeError, match="Cleint"):
        _ = marquee.Cleint

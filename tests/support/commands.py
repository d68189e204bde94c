"""The `marquee` command, run in this process."""

from typer.testing import CliRunner, Result

from marquee.cli.commands import app


def marquee(*arguments: str, stdin: bytes | None = None) -> Result:
    """What became of it; tables are as wide as they need, whatever the terminal that the tests run in."""
    return CliRunner(env={"COLUMNS": None}).invoke(app, arguments, input=stdin)


def lines_of(ran: Result) -> list[str]:
    """What it printed, each line with single blanks."""
    return [" ".join(line.split()) for line in ran.stdout.splitlines()]

"""The `marquee` command, run in this process."""

from typer.testing import CliRunner, Result

from marquee.cli.commands import app


def marquee(*arguments: str, stdin: bytes | None = None) -> Result:
    """Run the command and return its result. Tables do not depend on the terminal's width."""
    return CliRunner(env={"COLUMNS": None}).invoke(app, arguments, input=stdin)


def lines_of(result: Result) -> list[str]:
    """Return the lines of standard output, with single blanks."""
    return [" ".join(line.split()) for line in result.stdout.splitlines()]

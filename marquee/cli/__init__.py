"""The `marquee` command; what it stands on is the extra `cli`."""

import sys
from importlib.util import find_spec

_EXTRA = ("dotenv", "PIL", "rich", "typer")


def main() -> None:
    """Runs the command, or tells what to install."""
    if any(find_spec(module) is None for module in _EXTRA):
        sys.stderr.write("The marquee command needs a few packages more: pip install 'marquee[cli]'\n")
        sys.exit(1)
    from marquee.cli.commands import app  # noqa: PLC0415 - fails where the extra is missing

    app()

"""The `marquee` command: `python -m marquee`. Its dependencies are the extra `cli`."""

import sys
from importlib.util import find_spec

_EXTRA = ("dotenv", "PIL", "rich", "typer")


def main() -> None:
    """Run the command, or say what to install."""
    if any(find_spec(module) is None for module in _EXTRA):
        sys.stderr.write("The marquee command needs additional packages: pip install 'marquee[cli]'\n")
        sys.exit(1)
    from marquee.cli.commands import app  # noqa: PLC0415 - fails without the extra

    app()


if __name__ == "__main__":
    main()

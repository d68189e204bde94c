"""Serve the library: `python -m services.library`; `migrate` brings its database up to date, and ends."""

import signal
import sys

if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # while the rest is imported; then it means to read files again

from services.library.database.migration import migrate
from services.library.server import Library
from services.library.settings import LibrarySettings
from services.runtime.errors import DomainError
from services.runtime.memory import give_back_freed_memory, spare_what_is_loaded
from services.runtime.server.server import run
from services.runtime.settings import load_settings


def main() -> None:
    """Read settings, then serve until SIGTERM, or migrate."""
    if sys.argv[1:2] == ["migrate"]:
        _migrate(load_settings(LibrarySettings, listens=False), *sys.argv[2:3])
        return
    settings = load_settings(LibrarySettings)
    try:
        library = Library(settings)
    except DomainError as exc:
        sys.stderr.write(f"{exc}\n")
        sys.exit(2)
    give_back_freed_memory()
    spare_what_is_loaded()
    run(library, settings)


def _migrate(settings: LibrarySettings, revision: str = "head") -> None:
    try:
        migrate(settings.database_url, revision)
    except DomainError as exc:
        sys.exit(exc.message)


if __name__ == "__main__":
    main()

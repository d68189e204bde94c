"""Bring the library's database up to date as soon as it is there, then serve: `python -m local.library`."""

import signal
import time

if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as the library does while it is imported

from services.library.__main__ import main as serve
from services.library.database.migration import migrate
from services.library.settings import LibrarySettings
from services.runtime.errors import DependencyUnavailable
from services.runtime.settings import load_settings

_RETRY_SECONDS = 0.2


def main() -> None:
    """Migrate, and become the library."""
    url = load_settings(LibrarySettings).database_url
    while not _migrated(url):
        time.sleep(_RETRY_SECONDS)
    serve()


def _migrated(url: str) -> bool:
    try:
        migrate(url)
    except DependencyUnavailable:  # it is starting, too
        return False
    return True


if __name__ == "__main__":
    main()

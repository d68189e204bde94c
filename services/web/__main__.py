"""Serve the page and the HTTP API: `python -m services.web`."""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # while the rest is imported; then it means to read files again

from services.runtime.memory import give_back_freed_memory
from services.runtime.settings import load_settings
from services.web.server import run
from services.web.settings import WebSettings


def main() -> None:
    """Read settings, then serve until SIGTERM."""
    settings = load_settings(WebSettings)
    give_back_freed_memory()
    run(settings)


if __name__ == "__main__":
    main()

"""Serve the Keras recognizer: `python -m services.keras`."""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # while the rest is imported; then it means to read files again

from services.keras.recognizer import KerasRecognizer
from services.keras.settings import KerasSettings
from services.runtime.leaf.leaf import serve
from services.runtime.memory import give_back_freed_memory
from services.runtime.settings import load_settings


def main() -> None:
    """Read the settings and serve until SIGTERM."""
    give_back_freed_memory()
    settings = load_settings(KerasSettings)
    serve(KerasRecognizer(settings), settings)


if __name__ == "__main__":
    main()

"""Serve the Rekognition recognizer: `python -m services.rekognition`."""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # while the rest is imported; then it means to read files again

from services.rekognition.enrollment.enroller import RekognitionEnroller
from services.rekognition.recognizer import RekognitionRecognizer
from services.rekognition.settings import RekognitionSettings
from services.runtime.leaf.leaf import serve
from services.runtime.memory import give_back_freed_memory
from services.runtime.settings import load_settings


def main() -> None:
    """Serve until SIGTERM."""
    give_back_freed_memory()
    settings = load_settings(RekognitionSettings)
    recognizer = RekognitionRecognizer(settings)
    serve(recognizer, settings, RekognitionEnroller(recognizer, settings))


if __name__ == "__main__":
    main()

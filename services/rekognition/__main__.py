"""Serves the Rekognition recognizer: `python -m services.rekognition`."""

from services.rekognition.recognizer import RekognitionRecognizer
from services.rekognition.settings import RekognitionSettings
from services.runtime.leaf import serve
from services.runtime.settings import load_settings


def main() -> None:
    """Serves until SIGTERM."""
    settings = load_settings(RekognitionSettings)
    serve(RekognitionRecognizer(settings), settings)


if __name__ == "__main__":
    main()

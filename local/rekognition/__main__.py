"""Serves the endpoint: `python -m local.rekognition --port 9000 --gallery DIR`."""

import argparse
import signal
import sys
from pathlib import Path

import uvicorn

from local.rekognition import gallery
from local.rekognition.app import create_app
from local.rekognition.operations import Operations
from local.rekognition.vision import Vision
from services.runtime.s3 import ObjectStore


def main() -> None:
    """Reads the gallery, then serves until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it again once it has stopped
    arguments = _arguments()
    operations = Operations(*_knowledge(arguments.gallery), ObjectStore(arguments.s3_endpoint))
    uvicorn.run(
        create_app(operations),
        host=arguments.host,
        port=arguments.port,
        log_level="warning",
        timeout_keep_alive=60,
        timeout_graceful_shutdown=10,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.rekognition", description="Rekognition, on this machine.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=9000, help="port to listen on (%(default)s)")
    parser.add_argument("--gallery", type=Path, required=True, help="folder of pictures: GALLERY/NAME/*.jpg")
    parser.add_argument("--s3-endpoint", metavar="URL", help="where S3 objects are read (Amazon S3)")
    arguments = parser.parse_args()
    if not arguments.gallery.is_dir():
        parser.error(f"--gallery: {arguments.gallery} is no folder")
    return arguments


def _knowledge(folder: Path) -> tuple[Vision, gallery.Gallery]:
    vision = Vision()
    known, problems = gallery.read(folder, vision)
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)
    print(f"{len(known)} known faces in {folder}", file=sys.stderr)
    return vision, known


if __name__ == "__main__":
    main()

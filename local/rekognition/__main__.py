"""Serves the endpoint: `python -m local.rekognition --port 9000 --gallery DIR`."""

import argparse
import signal
import sys
from pathlib import Path

import uvicorn

from local.rekognition import annotations, gallery
from local.rekognition.app import create_app
from local.rekognition.operations import Knowledge, operations
from local.rekognition.replies import answering
from local.rekognition.vision import Vision
from services.runtime.s3 import ObjectStore


def main() -> None:
    """Reads the gallery, then serves until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it again once it has stopped
    arguments = _arguments()
    uvicorn.run(
        create_app(answering(operations(_knowledge(arguments)))),
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
    parser.add_argument("--gallery", type=Path, help="folder of pictures of celebrities: GALLERY/NAME/*.jpg")
    parser.add_argument("--annotations", type=Path, help="folder of what is said of pictures (annotations.py)")
    parser.add_argument("--collections", type=Path, metavar="DIR", help="folder where collections are kept (memory)")
    parser.add_argument("--s3-endpoint", metavar="URL", help="where S3 objects are read (Amazon S3)")
    arguments = parser.parse_args()
    for name in ("gallery", "annotations"):
        folder = getattr(arguments, name)
        if folder is not None and not folder.is_dir():
            parser.error(f"--{name}: {folder} is no folder")
    return arguments


def _knowledge(arguments: argparse.Namespace) -> Knowledge:
    vision = Vision()
    return Knowledge(
        vision,
        ObjectStore(arguments.s3_endpoint),
        _known(arguments.gallery, vision) if arguments.gallery else gallery.Gallery(),
        annotations.read(arguments.annotations) if arguments.annotations else annotations.Annotations(),
        arguments.collections,
    )


def _known(folder: Path, vision: Vision) -> gallery.Gallery:
    known, problems = gallery.read(folder, vision)
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)
    print(f"{len(known)} known faces in {folder}", file=sys.stderr)
    return known


if __name__ == "__main__":
    main()

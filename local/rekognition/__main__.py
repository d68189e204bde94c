"""Serves the endpoint: `python -m local.rekognition --port 9000`."""

import argparse
import signal
import sqlite3
import sys
from pathlib import Path

import uvicorn

from local.rekognition import annotations, gallery
from local.rekognition.arguments import parse
from local.rekognition.operations.operations import Knowledge, operations
from local.rekognition.recordings import Recordings, recording, replaying
from local.rekognition.upstream import Upstream
from local.rekognition.vision.vision import Vision
from local.rekognition.wire import server
from local.rekognition.wire.access import Access
from local.rekognition.wire.app import create_app
from local.rekognition.wire.faults import Faults, Rates
from local.rekognition.wire.replies import Answering, answering
from services.runtime.storage.objects import ObjectStore


def main() -> None:
    """Reads what the endpoint knows, then serves until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it again once it has stopped
    told = parse()
    rates = Rates(told.throttle, told.error, told.reset, told.latency_rate, told.latency)
    access = Access(told.keys, frozenset(told.expired), frozenset(told.deny), told.region if told.keys else None)
    try:
        app = create_app(_answering(told), access, Faults(rates, told.seed))
    except (OSError, ValueError, sqlite3.DatabaseError) as exc:
        sys.exit(f"local.rekognition: {exc}")
    uvicorn.Server(server.config(app, told.host, told.port)).run()


def _answering(told: argparse.Namespace) -> Answering:
    if told.replay:
        return replaying(Recordings(told.replay))
    if told.record:
        return recording(Recordings(told.record), Upstream(told.region, told.upstream))
    return answering(operations(_knowledge(told)))


def _knowledge(told: argparse.Namespace) -> Knowledge:
    vision = Vision()
    return Knowledge(
        vision,
        ObjectStore(told.s3_endpoint),
        _gallery(told.gallery, vision) if told.gallery else gallery.Gallery(),
        annotations.read(told.annotations) if told.annotations else annotations.Annotations(),
        told.collections,
        told.region,
    )


def _gallery(folder: Path, vision: Vision) -> gallery.Gallery:
    known, problems = gallery.read(folder, vision)
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)
    print(f"{len(known)} known faces in {folder}", file=sys.stderr)
    return known


if __name__ == "__main__":
    main()

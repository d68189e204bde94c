"""Serve the endpoint: `python -m local.rekognition --port 9000`."""

import argparse
import logging
import signal
import sqlite3
import sys
from contextlib import ExitStack

import cv2

from local.rekognition import annotations, gallery
from local.rekognition.operations.backend import Backend
from local.rekognition.options import parse
from local.rekognition.recordings import Recordings, Upstream
from local.rekognition.vision.view import Vision
from local.rekognition.wire.access import Access
from local.rekognition.wire.app import create_app, server
from local.rekognition.wire.faults import Faults, Quotas, Rates
from local.rekognition.wire.protocol import Handler, operation_handler
from services.runtime.memory import reuse_freed_memory
from services.runtime.storage.s3 import ObjectStore


def main() -> None:
    """Read the endpoint's data, then serve until SIGTERM."""
    reuse_freed_memory()
    cv2.setNumThreads(1)  # the requests' threads use the cores
    logging.basicConfig(format="local.rekognition: %(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it again once it has stopped
    options = parse()
    rates = Rates(options.throttle, options.error, options.reset, options.latency_rate, options.latency)
    region = options.region if options.keys else None
    access = Access(options.keys, frozenset(options.expired), frozenset(options.deny), region)
    with ExitStack() as resources:
        try:
            quotas = Quotas(options.region) if options.quotas else None
            app = create_app(_handler(options, resources), access, Faults(rates, options.seed), quotas)
        except (OSError, ValueError, sqlite3.DatabaseError) as exc:
            sys.exit(f"local.rekognition: {exc}")
        server(app, options.host, options.port).run()


def _handler(options: argparse.Namespace, resources: ExitStack) -> Handler:
    if options.replay:
        return Recordings(options.replay).replay
    if options.record:
        return Recordings(options.record).recorder(Upstream(options.region, options.upstream))
    return operation_handler(resources.enter_context(_backend(options).operations()))


def _backend(options: argparse.Namespace) -> Backend:
    vision = Vision(options.smallest_face)
    people, problems = gallery.read(options.gallery, vision) if options.gallery else (gallery.Gallery(), [])
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)
    if options.gallery:
        print(f"{len(people)} known faces in {options.gallery}", file=sys.stderr)
    notes = annotations.read(options.annotations) if options.annotations else annotations.Annotations()
    store = ObjectStore(options.s3_endpoint)
    return Backend(vision, store, people, notes, options.collections, options.region, options.created)


if __name__ == "__main__":
    main()

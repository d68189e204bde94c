"""Brings a model from S3 to where it is served: `python -m services.keras.fetch s3://BUCKET/PREFIX DIR`.

s3://BUCKET/PREFIX/<version>/ holds what services.keras.convert wrote; DIR gets <version>/ and is what
TensorFlow Serving has as its model_base_path. Every file is checked against manifest.json before the
version appears. As an init container it ends after that; with --watch it stays and brings what is
published later. MARQUEE_S3_ENDPOINT_URL names another S3 than Amazon's. Exits with 2, and says what to
do, where nothing could be brought.
"""

import argparse
import signal
import sys
import threading
from pathlib import Path

import structlog

from services.keras.fetch.bucket import BucketProblem, PublishedModel
from services.keras.fetch.delivery import Delivery, DeliveryProblem
from services.runtime.logs import configure
from services.runtime.settings import LeafSettings, load_settings

logger = structlog.get_logger()


def main(arguments: list[str] | None = None) -> int:
    """Brings the newest version, and later ones with --watch; returns the exit code."""
    options = _parser().parse_args(arguments)
    settings = load_settings(LeafSettings)
    configure(settings)
    try:
        delivery = Delivery(PublishedModel(options.source, settings.s3_endpoint_url), options.folder, options.keep)
        if options.watch:
            _watch(delivery, options.watch)
        else:
            delivery.deliver()
    except (BucketProblem, DeliveryProblem, OSError) as exc:
        sys.stderr.write(f"Not fetched. {exc}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.keras.fetch", description="Brings a model from S3.")
    parser.add_argument("source", metavar="s3://BUCKET/PREFIX", help="the folder that holds the versions")
    parser.add_argument("folder", type=Path, metavar="DIR", help="where it is served from, as DIR/<version>/")
    parser.add_argument("--keep", type=_count, default=2, help="versions to keep on the disk (%(default)s)")
    parser.add_argument("--watch", type=_seconds, metavar="SECONDS", help="stay, and look so often for a new version")
    return parser


def _watch(delivery: Delivery, seconds: float) -> None:
    """Until SIGTERM or SIGINT. What goes wrong is logged once, and tried again."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    told = ""
    while not stop.is_set():
        try:
            delivery.deliver()
            told = ""
        except (BucketProblem, DeliveryProblem, OSError) as exc:
            if str(exc) != told:
                logger.warning("no model was fetched; trying again", reason=str(exc), seconds=seconds)
            told = str(exc)
        stop.wait(seconds)


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return count


def _seconds(text: str) -> float:
    if not 0 < (seconds := float(text)) < float("inf"):
        raise argparse.ArgumentTypeError("more than 0")
    return seconds


if __name__ == "__main__":
    sys.exit(main())

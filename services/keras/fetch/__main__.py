"""Fetch a model from S3 to where it is served: `python -m services.keras.fetch s3://BUCKET/PREFIX DIR`.

s3://BUCKET/PREFIX/<version>/ holds what services.keras.convert wrote. DIR, which is TensorFlow Serving's
model_base_path, gets <version>/, in which every file has been checked against manifest.json before the version
appears. As an init container, the command ends after that; with --watch it keeps running and fetches later versions.
MARQUEE_S3_ENDPOINT_URL is the URL of an S3-compatible server. If nothing could be fetched, exit 2 and say what to do.
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
    """Fetch the newest version, and later ones with --watch; return the exit code."""
    args = _parser().parse_args(arguments)
    settings = load_settings(LeafSettings, listens=False)
    configure(settings)
    try:
        delivery = Delivery(PublishedModel(args.source, settings.s3_endpoint_url), args.folder, args.keep)
        if args.watch:
            _watch(delivery, args.watch)
        else:
            delivery.deliver()
    except (BucketProblem, DeliveryProblem, OSError) as exc:
        sys.stderr.write(f"Not fetched. {exc}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.keras.fetch", description="Fetch a model from S3.")
    parser.add_argument("source", metavar="s3://BUCKET/PREFIX", help="folder that holds the versions")
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder to serve from, as DIR/<version>/")
    parser.add_argument("--keep", type=_count, default=2, help="versions to keep on disk (default: %(default)s)")
    parser.add_argument(
        "--watch", type=_seconds, metavar="SECONDS", help="keep running and check for a new version at this interval"
    )
    return parser


def _watch(delivery: Delivery, seconds: float) -> None:
    """Deliver until SIGTERM or SIGINT. Log a failure once, and keep trying."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    last_reason = ""
    while not stop.is_set():
        try:
            delivery.deliver()
            last_reason = ""
        except (BucketProblem, DeliveryProblem, OSError) as exc:
            if str(exc) != last_reason:
                logger.warning("no model was fetched; trying again", reason=str(exc), seconds=seconds)
            last_reason = str(exc)
        stop.wait(seconds)


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return count


def _seconds(text: str) -> float:
    if not 0 < (seconds := float(text)) < float("inf"):
        raise argparse.ArgumentTypeError("must be greater than 0")
    return seconds


if __name__ == "__main__":
    sys.exit(main())

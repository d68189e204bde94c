"""Serves folders as S3 buckets: `python -m local.s3 marquee-demo=pictures`. What is written is forgotten at the end."""

import argparse
import logging
import signal
import threading
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

_LOOPBACK = "127.0.0.1"


def main() -> None:
    """Serves until SIGTERM; takes connections only once all buckets are filled."""
    options = _parser().parse_args()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    filling = ThreadedMotoServer(_LOOPBACK, 0)  # of one process, so both servers have the same buckets
    filling.start()
    for bucket, folder in options.buckets:
        fill(bucket, folder, "http://{}:{}".format(*filling.get_host_and_port()))
    filling.stop()
    server = ThreadedMotoServer(options.host, options.port)
    server.start()
    stop.wait()
    server.stop()


def fill(bucket: str, folder: Path, endpoint_url: str) -> None:
    """Makes the bucket and puts every file of the folder into it, under its path in the folder."""
    client = boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - moto takes any
        region_name="us-east-1",
    )
    client.create_bucket(Bucket=bucket)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        client.upload_file(str(path), bucket, path.relative_to(folder).as_posix())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.s3", description="S3, on this machine.")
    parser.add_argument("--host", default=_LOOPBACK, help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=5000, help="port to listen on (%(default)s)")
    parser.add_argument("buckets", nargs="*", type=_bucket, metavar="BUCKET=FOLDER", help="what is in it at the start")
    return parser


def _bucket(text: str) -> tuple[str, Path]:
    bucket, _, folder = text.partition("=")
    if not bucket or not Path(folder).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r}: write BUCKET=FOLDER with a folder that is there")
    return bucket, Path(folder)


if __name__ == "__main__":
    main()

"""Serve folders as S3 buckets: `python -m local.s3 marquee-demo=pictures`. Written objects are lost at exit."""

import argparse
import logging
import signal
import threading
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

_LOOPBACK = "127.0.0.1"


def main() -> None:
    """Serve until SIGTERM; accept connections only once all buckets are filled."""
    args = _parser().parse_args()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    loader = ThreadedMotoServer(_LOOPBACK, 0)  # servers of one process have the same buckets
    loader.start()
    for bucket, folder in args.buckets:
        fill(bucket, folder, "http://{}:{}".format(*loader.get_host_and_port()))
    loader.stop()
    server = ThreadedMotoServer(args.host, args.port)
    server.start()
    stop.wait()
    server.stop()


def fill(bucket: str, folder: Path, endpoint_url: str) -> None:
    """Create the bucket with every file of the folder; a key is the file's path in the folder."""
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
    parser = argparse.ArgumentParser(prog="python -m local.s3", description="Amazon S3 on this machine.")
    parser.add_argument("--host", default=_LOOPBACK, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=5000, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "buckets", nargs="*", type=_bucket, metavar="BUCKET=FOLDER", help="bucket and the folder of its objects"
    )
    return parser


def _bucket(text: str) -> tuple[str, Path]:
    bucket, _, folder = text.partition("=")
    if not bucket or not Path(folder).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r}: must be BUCKET=FOLDER with an existing folder")
    return bucket, Path(folder)


if __name__ == "__main__":
    main()

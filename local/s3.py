"""Serve folders as S3 buckets: `python -m local.s3 marquee-demo=pictures`. Written objects are lost at exit.

The server also stands in for DynamoDB and AWS's other services; of these, --table keeps a table in a file.
"""

import argparse
import json
import logging
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from moto.server import ThreadedMotoServer

from services.runtime.storage import files

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_LOOPBACK = "127.0.0.1"
_SECONDS = 1.0
"""Time between two looks at the items: what a kill may lose."""
_KEYS = {"pk": "HASH", "sk": "RANGE"}


def main() -> None:
    """Serve until SIGTERM; accept connections only once all buckets are filled."""
    args = _parser().parse_args()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    stop, signals = threading.Event(), {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # a handler that comes just before a wait runs only after it
    loader = ThreadedMotoServer(_LOOPBACK, 0)  # servers of one process have the same buckets
    loader.start()
    url = "http://{}:{}".format(*loader.get_host_and_port())
    for bucket, folder in args.buckets:
        fill(bucket, folder, url)
    tables = [KeptTable(_client("dynamodb", url), name, file) for name, file in args.tables]
    keepers = [threading.Thread(target=table.keep, args=(stop,)) for table in tables]
    server = ThreadedMotoServer(args.host, args.port)
    server.start()
    for keeper in keepers:
        keeper.start()
    signal.sigwait(signals)
    stop.set()
    server.stop()
    for keeper in keepers:
        keeper.join()
    loader.stop()


def fill(bucket: str, folder: Path | None, endpoint_url: str) -> None:
    """Create the bucket with every file of the folder; a key is the file's path in the folder."""
    client = _client("s3", endpoint_url)
    client.create_bucket(Bucket=bucket)
    if folder is None:
        return
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        client.upload_file(str(path), bucket, path.relative_to(folder).as_posix())


class KeptTable:
    """A DynamoDB table with the string keys pk and sk, of which a file keeps the items. Methods block."""

    def __init__(self, client: "DynamoDBClient", name: str, file: Path) -> None:
        """Create the table with the items of the file. Raises OSError, ValueError for a file that is not such."""
        self._client = client
        self._name = name
        self._file = file
        self._text = file.read_text("utf-8") if file.exists() else "[]"
        client.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in _KEYS],
            KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in _KEYS.items()],  # type: ignore[typeddict-item]  # HASH or RANGE
        )
        for item in json.loads(self._text):
            client.put_item(TableName=name, Item=item)

    def keep(self, stop: threading.Event) -> None:
        """Write changed items to the file until `stop` is set, and then once more. Raises OSError."""
        while not stop.wait(_SECONDS):
            self._save()
        self._save()

    def _save(self) -> None:
        text = json.dumps(self._items(), indent=1, sort_keys=True)
        if text != self._text:
            files.write(self._file, text)
            self._text = text

    def _items(self) -> list[dict[str, Any]]:
        """Return all items. Those of bytes are none of Marquee's."""
        pages = self._client.get_paginator("scan").paginate(TableName=self._name)
        items = [dict(item) for page in pages for item in page["Items"]]
        return sorted(items, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def _client(service: str, endpoint_url: str) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]  # one of those that moto has
        endpoint_url=endpoint_url,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - moto takes any
        region_name="us-east-1",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.s3", description="Amazon S3 on this machine.")
    parser.add_argument("--host", default=_LOOPBACK, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=5000, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "buckets", nargs="*", type=_bucket, metavar="BUCKET[=FOLDER]", help="bucket and the folder of its objects"
    )
    parser.add_argument(
        "--table",
        type=_table,
        metavar="NAME=FILE",
        action="append",
        default=[],
        dest="tables",
        help="DynamoDB table with the string keys pk and sk, kept in the file (repeatable)",
    )
    return parser


def _bucket(text: str) -> tuple[str, Path | None]:
    bucket, separator, folder = text.partition("=")
    if not bucket or (separator and not Path(folder).is_dir()):
        raise argparse.ArgumentTypeError(f"{text!r}: must be BUCKET=FOLDER with an existing folder, or BUCKET alone")
    return bucket, Path(folder) if separator else None


def _table(text: str) -> tuple[str, Path]:
    name, _, file = text.partition("=")
    if not name or not file:
        raise argparse.ArgumentTypeError(f"{text!r}: must be NAME=FILE")
    return name, Path(file)


if __name__ == "__main__":
    main()

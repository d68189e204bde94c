"""moto's S3 as a server."""

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from local.stack import CREDENTIALS
from tests.support.background import in_background


@contextmanager
def s3_store(*buckets: str) -> Iterator[str]:
    """Its address, with these buckets, and with credentials in the environment.

    All stores of a process have the same buckets.
    """
    server = make_server("127.0.0.1", 0, _OneAtATime(), threaded=True, request_handler=_Quiet)
    with in_background(server), mock.patch.dict(os.environ, CREDENTIALS):
        url = f"http://127.0.0.1:{server.server_port}"
        _create(buckets, url)
        yield url


def _create(buckets: Sequence[str], url: str) -> None:
    client = boto3.Session().client("s3", endpoint_url=url)
    for bucket in buckets:
        client.create_bucket(Bucket=bucket)
    client.close()


class _OneAtATime:
    """It looks at If-Match first and writes later; S3 itself lets nobody come between."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with self._lock:
            return list(self._moto(environ, start_response))


class _Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        pass

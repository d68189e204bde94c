"""An S3 of its own for tests of the SVM's models and pictures."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from moto.server import ThreadedMotoServer

from local.stack import CREDENTIALS


@contextmanager
def s3_store() -> Iterator[str]:
    """Its address, with credentials in the environment."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        with mock.patch.dict(os.environ, CREDENTIALS):
            yield f"http://{host}:{port}"
    finally:
        server.stop()

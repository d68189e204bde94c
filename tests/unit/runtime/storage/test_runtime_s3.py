"""Pictures out of S3 when S3 itself fails. What a working S3 answers is tested with moto's server, end to end."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import (
    DependencyUnavailable,
    DomainError,
    ImageMissing,
    ImageTooLarge,
    ObjectForbidden,
    ObjectNotFound,
)
from services.runtime.storage.objects import ObjectStore
from tests.support.background import in_background

pytestmark = pytest.mark.usefixtures("aws_credentials")
OBJECT = pb.S3Object(bucket="pictures", key="a.jpg")


class Answer(BaseHTTPRequestHandler):
    """Answers each GET as its key says: STATUS, S3's error CODE, or a LENGTH with fewer bytes."""

    def do_GET(self) -> None:
        kind, _, value = self.path.rpartition("/")[2].partition("-")
        body = f"<Error><Code>{value}</Code></Error>".encode() if kind.isdecimal() else b"ten bytes."
        self.send_response(int(kind) if kind.isdecimal() else 200)
        self.send_header("Content-Length", value if kind == "length" else str(len(body)))
        self.end_headers()
        self.wfile.write(body if value != "0" else b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def store() -> Iterator[ObjectStore]:
    with in_background(ThreadingHTTPServer(("127.0.0.1", 0), Answer)) as server:
        yield ObjectStore(f"http://127.0.0.1:{server.server_port}")


def test_reads_an_object(store: ObjectStore) -> None:
    """An object's bytes are read."""
    assert store.fetch(pb.S3Object(bucket="b", key="length-10")) == b"ten bytes."


FAILURES = {
    "404-NoSuchKey": ObjectNotFound,
    "404-NoSuchBucket": ObjectNotFound,
    "403-AccessDenied": ObjectForbidden,
    "400-SomethingElse": DependencyUnavailable,
    "length-0": ImageMissing,
    "length-16000000": ImageTooLarge,
    "length-1000": DependencyUnavailable,
}


@pytest.mark.parametrize(("key", "error"), FAILURES.items(), ids=FAILURES)
def test_tells_what_went_wrong(store: ObjectStore, key: str, error: type[DomainError]) -> None:
    """Each way to fail has its error: missing, forbidden, empty, too large, ended half way, anything else."""
    with pytest.raises(DomainError) as caught:
        store.fetch(pb.S3Object(bucket="b", key=key))
    assert type(caught.value) is error


def test_an_s3_that_is_not_there_is_unavailable(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listening is UNAVAILABLE, not an error on our side."""
    del store
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(DependencyUnavailable, match="S3 cannot be used"):
        ObjectStore("http://127.0.0.1:1").fetch(OBJECT)

"""S3 objects: their URLs, reading and writing them, and the error for each failure."""

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import (
    DependencyUnavailable,
    DomainError,
    ImageMissing,
    ImageTooLarge,
    InvalidRequest,
    Misconfigured,
    ObjectForbidden,
    ObjectNotFound,
)
from services.runtime.storage.files import file_at
from services.runtime.storage.s3 import S3, Changed, ObjectStore, S3Url
from services.svm import artifact
from tests.support.aws import in_background, s3_store

pytestmark = pytest.mark.usefixtures("aws_credentials")
CLIMBING = "people/../../anna.jpg"
ODD_KEYS = ("/anna.jpg", "//a", "a//b", "./a", "a/../b", "a b+c", "Åse", "a?b=1#c", "100%", "/", "a/")


class Answer(BaseHTTPRequestHandler):
    """Answers as the key says: STATUS-CODE is an error of S3, length-N promises N bytes and sends ten."""

    def do_GET(self) -> None:
        kind, _, value = self.path.partition("?")[0].rpartition("/")[2].partition("-")
        body = f"<Error><Code>{value}</Code></Error>".encode() if kind.isdecimal() else b"ten bytes."
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(int(kind) if kind.isdecimal() else 200)
        self.send_header("Content-Length", value if kind == "length" else str(len(body)))
        self.end_headers()
        if value != "0" and self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_PUT = do_GET  # noqa: N815 - the standard library's names

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with in_background(ThreadingHTTPServer(("127.0.0.1", 0), Answer)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def store(url: str) -> ObjectStore:
    return ObjectStore(url)


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with s3_store("copied") as url:
        s3 = S3(url)
        for key in ("people/", "people/anna/1.jpg", "people/anna/2.txt", "people.txt", "top.txt", CLIMBING):
            s3.client.put_object(Bucket="copied", Key=key, Body=key.encode())
        yield url
        s3.client.close()


@pytest.mark.parametrize(
    "key", ["a.jpg", "a#1.jpg", "a?versionId=2", "100%.jpg", "a%20b", "a b+c", "Åse/ünï.jpg", "/a//b/", "s3://c/d"]
)
def test_every_character_belongs_to_the_key(key: str) -> None:
    """No character of a key is decoded, cut off or taken for a URL's query or fragment."""
    url = S3Url.parse(f"s3://bucket/{key}")
    assert (url.bucket, url.key, url.version) == ("bucket", key, "")
    assert str(url) == f"s3://bucket/{key}"


@pytest.mark.parametrize(
    "text", ["", "bucket/key", "s3:/bucket/key", "s3://", "s3://bucket", "s3://bucket/", "s3:///k"]
)
def test_an_incomplete_url_is_refused(text: str) -> None:
    """A URL without a bucket or a key is refused, and the error shows the expected form."""
    with pytest.raises(InvalidRequest, match="is not of the form s3://BUCKET/KEY"):
        S3Url.parse(text)


@pytest.mark.parametrize(
    ("text", "prefix"),
    [("s3://b", ""), ("s3://b/", ""), ("s3://b/a", "a/"), ("s3://b/a/", "a/"), ("s3://b/a#?/ü", "a#?/ü/")],
)
def test_a_folder_ends_with_one_slash(text: str, prefix: str) -> None:
    """A folder's prefix ends with one slash, however it is written; an empty prefix is the whole bucket."""
    assert S3Url.parse_folder(text) == S3Url("b", prefix)
    assert S3Url.parse_folder(text).child("c/d") == S3Url("b", f"{prefix}c/d")


@pytest.mark.parametrize("text", ["", "b/a", "s3://", "s3:///a"])
def test_a_folder_needs_a_bucket(text: str) -> None:
    """A folder URL without a bucket is refused, and the error shows the expected form."""
    with pytest.raises(InvalidRequest, match="is not of the form s3://BUCKET/PREFIX"):
        S3Url.parse_folder(text)


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
def test_each_failure_has_its_error(store: ObjectStore, key: str, error: type[DomainError]) -> None:
    """Each failure has its error: missing, forbidden, empty, too large, cut off half way, anything else."""
    with pytest.raises(DomainError) as caught:
        store.fetch(pb.S3Object(bucket="b", key=key))
    assert type(caught.value) is error


def gallery(url: str, key: str) -> bytes:
    return file_at(f"s3://b/{key}", url, name="gallery", hint="").read()[0]


def written_gallery(url: str, key: str) -> str:
    return file_at(f"s3://b/{key}", url, name="gallery", hint="").write(b"", "")


def model(url: str, key: str) -> bytes:
    return artifact.model_file(f"s3://b/{key}", url).read()[0]


def model_mark(url: str, key: str) -> str:
    return artifact.model_file(f"s3://b/{key}", url).mark()


def picture(url: str, key: str) -> bytes:
    return ObjectStore(url).fetch(pb.S3Object(bucket="b", key=key))


def checked_picture(url: str, key: str) -> None:
    ObjectStore(url).check(pb.S3Object(bucket="b", key=key))


def download(url: str, key: str) -> None:
    S3(url).download(S3Url("b", key), Path("/nowhere"))


USES = (gallery, written_gallery, model, model_mark, picture, checked_picture, download)
BY_HEAD = (model_mark, checked_picture, download)
"""Uses that send HEAD, whose response has no body: only its status tells the error."""
BY_CODE = ("400-RequestTimeout", "400-Throttling", "400-ThrottlingException", "409-OperationAborted")
BY_STATUS = (
    *("503-SlowDown", "500-InternalError", "503-ServiceUnavailable", "429-TooManyRequests"),
    *("502-BadGateway", "504-GatewayTimeout", "500-", "503-"),
)
TRANSIENT = [(use, key) for use in USES for key in BY_STATUS + (() if use in BY_HEAD else BY_CODE)]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make boto3 retry without waiting."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("use", "key"), TRANSIENT, ids=[f"{use.__name__}-{key}" for use, key in TRANSIENT])
def test_transient_failures_are_unavailable(url: str, key: str, use: Callable[[str, str], object]) -> None:
    """A transient failure is DependencyUnavailable for pictures, galleries, models and downloads alike."""
    with pytest.raises(DependencyUnavailable, match=f"S3 is unavailable for s3://b/{key}: "):
        use(url, key)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_an_s3_that_is_not_there_is_unavailable(use: Callable[[str, str], object]) -> None:
    """An S3 that does not listen is UNAVAILABLE, not an error on our side."""
    with pytest.raises(DependencyUnavailable, match="S3 is unavailable for s3://b/a: EndpointConnectionError"):
        use("http://127.0.0.1:1", "a")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "key", ["403-AccessDenied", "403-RequestTimeTooSkewed", "501-NotImplemented", "400-InvalidArgument"]
)
@pytest.mark.parametrize("use", [gallery, written_gallery, model, download], ids=lambda use: use.__name__)
def test_lasting_refusals_are_misconfigured(url: str, key: str, use: Callable[[str, str], object]) -> None:
    """A refusal that does not pass by itself (clock, permissions, wrong server) is Misconfigured."""
    code = key[:3] if use is download else key[4:]
    with pytest.raises(Misconfigured, match=f"S3 refuses s3://b/{key}: {code}"):
        use(url, key)


@pytest.mark.usefixtures("impatient")
def test_missing_credentials_are_misconfigured(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing credentials, which do not appear by themselves, are Misconfigured."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    with pytest.raises(Misconfigured, match="NoCredentialsError"):
        S3(url).read(S3Url("b", "length-10"))


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("endpoint_url", "host"), [(None, "pictures.s3.amazonaws.com"), ("http://minio:9000", "minio:9000/pictures")]
)
def test_another_s3_has_the_bucket_in_the_path(s3_url: str, endpoint_url: str | None, host: str) -> None:
    """Amazon's URLs have the bucket in the host name; those of another S3 have it in the path."""
    del s3_url  # the fixture sets credentials
    where = {"Bucket": "pictures", "Key": "a.jpg"}
    url = S3(endpoint_url).client.generate_presigned_url("get_object", Params=where)
    assert url.partition("://")[2].startswith(f"{host}/a.jpg?")


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("people/", {"anna/1.jpg": "people/anna/1.jpg", "anna/2.txt": "people/anna/2.txt"}),
        ("people/a", {"anna/1.jpg": "people/anna/1.jpg", "anna/2.txt": "people/anna/2.txt"}),
        ("people.", {"people.txt": "people.txt"}),
        ("t", {"top.txt": "top.txt"}),
    ],
)
def test_paths_are_what_follows_the_last_slash(
    tmp_path: Path, s3_url: str, prefix: str, expected: dict[str, str]
) -> None:
    """Each object becomes a file; a key that stands for a folder does not."""
    S3(s3_url).download_all(S3Url("copied", prefix), tmp_path, lambda key, _: key != CLIMBING)
    assert files(tmp_path) == expected


def test_only_wanted_objects_are_copied(tmp_path: Path, s3_url: str) -> None:
    """The filter, which gets each key and size, decides which objects are copied."""
    sizes = {}

    def wanted(key: str, size: int) -> bool:
        sizes[key] = size
        return key.endswith("1.jpg")

    S3(s3_url).download_all(S3Url("copied", "people/anna"), tmp_path, wanted)
    assert list(files(tmp_path)) == ["anna/1.jpg"]
    assert sizes == {key: len(key) for key in ("people/anna/1.jpg", "people/anna/2.txt")}


def test_a_key_cannot_leave_the_folder(tmp_path: Path, s3_url: str) -> None:
    """A key that leads out of the folder is refused by name, and nothing is written above the folder."""
    folder = tmp_path / "one" / "two"
    folder.mkdir(parents=True)
    with pytest.raises(Misconfigured, match=r"The key 'people/\.\./\.\./anna\.jpg' leads out of its folder"):
        S3(s3_url).download_all(S3Url("copied", "people/."), folder, lambda *_: True)
    assert files(tmp_path) == {}


@pytest.mark.parametrize("key", ODD_KEYS)
def test_every_key_is_read_and_written(s3_url: str, key: str) -> None:
    """A key that is no path of a file, such as one that begins with a slash, is an object like others."""
    s3, url = S3(s3_url), S3Url.parse(f"s3://odd/{key}")
    with suppress(s3.client.exceptions.BucketAlreadyOwnedByYou):
        s3.client.create_bucket(Bucket="odd")
    etag = s3.write(url, key.encode(), "")
    assert s3.read(url) == (key.encode(), etag)
    assert s3.length(url) == len(key.encode())


@pytest.mark.parametrize(
    ("prefix", "key", "path"),
    [
        ("", "anna/1.jpg", "anna/1.jpg"),
        ("/people/", "/people/anna/1.jpg", "anna/1.jpg"),
        ("/mo", "/model.h5", "model.h5"),
        ("people/", "people//anna//1.jpg", "anna/1.jpg"),
        ("//a/", "//a/1.jpg", "1.jpg"),
        ("", "/anna/1.jpg", ""),
        ("", "//anna/1.jpg", ""),
        ("", "../1.jpg", ""),
        ("people/", "people/anna/../../../1.jpg", ""),
        ("people/", f"people/{300 * 'a'}.jpg", ""),
    ],
)
def test_a_key_is_copied_or_named(tmp_path: Path, s3_url: str, prefix: str, key: str, path: str) -> None:
    """A key with a place in the folder is copied there; another one is an error that names it."""
    s3, folder = S3(s3_url), tmp_path / "folder"
    s3.client.create_bucket(Bucket=(bucket := f"copy-{uuid.uuid4().hex}"))
    s3.client.put_object(Bucket=bucket, Key=key, Body=b"picture")
    if path:
        s3.download_all(S3Url(bucket, prefix), folder, lambda *_: True)
        assert files(folder) == {path: "picture"}
    else:
        with pytest.raises(Misconfigured, match=f"The key {re.escape(repr(key))} "):
            s3.download_all(S3Url(bucket, prefix), folder, lambda *_: True)
        assert files(tmp_path) == {}


def test_s3s_error_code_is_reported(tmp_path: Path, s3_url: str) -> None:
    """A missing bucket is reported with S3's own error code."""
    with pytest.raises(Misconfigured, match="NoSuchBucket"):
        S3(s3_url).download_all(S3Url("nowhere", "people/"), tmp_path, lambda *_: True)


def test_folders_are_listed(s3_url: str) -> None:
    """Only the folder's direct subfolders are listed, by name."""
    assert S3(s3_url).folders(S3Url("copied", "people/")) == ["..", "anna"]
    assert S3(s3_url).folders(S3Url("copied", "")) == ["people"]


def test_a_version_is_read(s3_url: str) -> None:
    """A read returns the version in the URL, or the newest one."""
    s3 = S3(s3_url)
    s3.client.create_bucket(Bucket="versions")
    s3.client.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    first = s3.client.put_object(Bucket="versions", Key="a", Body=b"one")["VersionId"]
    s3.client.put_object(Bucket="versions", Key="a", Body=b"three")
    assert s3.read(S3Url("versions", "a", first))[0] == b"one"
    assert (s3.read(S3Url("versions", "a"))[0], s3.length(S3Url("versions", "a"))) == (b"three", 5)


def test_writing_needs_the_etag(s3_url: str) -> None:
    """A write needs the current object's ETag, which is empty if there is none."""
    s3, url = S3(s3_url), S3Url("copied", "written")
    etag = s3.write(url, b"one", "")
    assert s3.etag(url) == etag
    for stale in ("", '"0"'):
        with pytest.raises(Changed):
            s3.write(url, b"two", stale)
    assert s3.read(url) == (b"one", etag)

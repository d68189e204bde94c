"""Files that servers share, which a write changes only if they are as last read, and files written whole."""

import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from services.runtime.errors import DependencyUnavailable, Misconfigured
from services.runtime.storage import files
from services.runtime.storage.files import File
from services.runtime.storage.s3 import Changed
from tests.support.aws import s3_store
from tests.support.processes import free_port


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with s3_store("galleries") as url:
        yield url


def gallery_at(url: str, s3_url: str | None = None, max_bytes: int | None = None) -> File:
    return files.file_at(url, s3_url, name="gallery", hint="MARQUEE_SVM_GALLERY names it.", max_bytes=max_bytes)


@pytest.fixture(params=["path", "file", "s3"])
def file(request: pytest.FixtureRequest, tmp_path: Path, s3_url: str) -> File:
    path = tmp_path / "folder" / "gallery.npz"
    urls = {"path": str(path), "file": f"file://{path}", "s3": f"s3://galleries{path}"}
    return gallery_at(urls[request.param], s3_url, max_bytes=5)


def test_there_is_nothing_at_first(file: File) -> None:
    """A missing file is no error: it has no bytes and an empty mark."""
    assert (file.read(), file.mark()) == ((b"", ""), "")


def test_what_is_written_is_read(file: File) -> None:
    """A read returns the written bytes and the mark that the write returned."""
    first = file.write(b"one", "")
    assert (file.read(), file.mark()) == ((b"one", first), first)
    second = file.write(b"two", first)
    assert (file.read(), first != second) == ((b"two", second), True)


def test_an_outdated_mark_writes_nothing(file: File) -> None:
    """A write with an empty or an outdated mark raises Changed and writes nothing."""
    first = file.write(b"one", "")
    second = file.write(b"two", first)
    for stale in ("", first):
        with pytest.raises(Changed):
            file.write(b"three", stale)
    assert file.read() == (b"two", second)


def test_a_file_over_the_limit_is_not_read(file: File) -> None:
    """A file over the limit is refused with a message that has its size and the limit."""
    file.write(b"longer", "")
    with pytest.raises(Misconfigured, match=r"The gallery .* cannot be used: it has 6 bytes; the limit is 5\."):
        file.read()


def test_a_lost_file_counts_as_changed(s3_url: str) -> None:
    """An object that has been deleted since it was read is not written again."""
    file = gallery_at("s3://galleries/lost", s3_url)
    mark = file.write(b"one", "")
    boto3.client("s3", endpoint_url=s3_url).delete_object(Bucket="galleries", Key="lost")
    with pytest.raises(Changed):
        file.write(b"two", mark)


def test_a_missing_bucket_is_named(s3_url: str) -> None:
    """The error for a missing bucket has its address and the setting that names it."""
    file = gallery_at("s3://nowhere/gallery", s3_url)
    for use in (file.read, lambda: file.write(b"one", "")):
        with pytest.raises(Misconfigured, match=r"s3://nowhere/gallery .*NoSuchBucket.*MARQUEE_SVM_GALLERY"):
            use()


def test_an_address_without_a_key_is_refused(s3_url: str) -> None:
    """An S3 address without a key is refused, and the error names the setting."""
    with pytest.raises(Misconfigured, match=r"s3://galleries .*s3://BUCKET/KEY.*MARQUEE_SVM_GALLERY"):
        gallery_at("s3://galleries", s3_url).mark()


def test_an_unreachable_s3_is_reported(s3_url: str) -> None:
    """An S3 that does not listen is DependencyUnavailable, not the caller's fault."""
    del s3_url
    with pytest.raises(DependencyUnavailable, match="S3 is unavailable for s3://galleries/gallery: EndpointConnection"):
        gallery_at("s3://galleries/gallery", f"http://127.0.0.1:{free_port()}").read()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The error for an unwritable folder has its path, the system's reason and the setting."""
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(Misconfigured, match=r"file/gallery .*cannot be used: .*MARQUEE_SVM_GALLERY"):
        gallery_at(str(tmp_path / "file" / "gallery")).write(b"one", "")


@pytest.mark.parametrize(("content", "expected"), [(b"\x00\xff", b"\x00\xff"), ("é", "é".encode())])
def test_a_file_is_written_whole(tmp_path: Path, content: bytes | str, expected: bytes) -> None:
    """A write creates the folder, replaces an old file, leaves nothing beside it and sets a new file's usual rights."""
    path = tmp_path / "new" / "file.json"
    files.write(path, "old")
    files.write(path, content)
    (tmp_path / "plain").touch()
    assert path.read_bytes() == expected
    assert os.listdir(path.parent) == ["file.json"]  # noqa: PTH208 - hidden ones count
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails, here on a full disk, leaves the old file and nothing beside it."""
    path = tmp_path / "file"
    files.write(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.write(path, "new")
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == {"file": "old"}

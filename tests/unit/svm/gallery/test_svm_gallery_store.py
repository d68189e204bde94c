"""The file of the gallery: changed only by those who saw what they change."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from services.runtime.errors import DependencyUnavailable, Misconfigured
from services.svm.gallery.store import Changed, GalleryStore, store_at
from tests.support.processes import free_port
from tests.support.s3_store import s3_store


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with s3_store("galleries") as url:
        yield url


@pytest.fixture(params=["path", "file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, s3_url: str) -> GalleryStore:
    path = tmp_path / "folder" / "gallery.npz"
    urls = {"path": str(path), "file": f"file://{path}", "s3": f"s3://galleries{path}"}
    return store_at(urls[request.param], s3_url)


def test_there_is_nothing_at_first(store: GalleryStore) -> None:
    """No file is no error: it has no bytes and an empty mark."""
    assert (store.read(), store.mark()) == ((b"", ""), "")


def test_what_is_written_is_read(store: GalleryStore) -> None:
    """Under the mark that writing told."""
    first = store.write(b"one", "")
    assert (store.read(), store.mark()) == ((b"one", first), first)
    second = store.write(b"two", first)
    assert (store.read(), first != second) == ((b"two", second), True)


def test_who_saw_another_state_writes_nothing(store: GalleryStore) -> None:
    """Whether it saw nothing yet or an older state."""
    first = store.write(b"one", "")
    second = store.write(b"two", first)
    for seen in ("", first):
        with pytest.raises(Changed):
            store.write(b"three", seen)
    assert store.read() == (b"two", second)


def test_a_lost_file_counts_as_changed(s3_url: str) -> None:
    """An object that was deleted since is not written anew from what was seen before."""
    store = store_at("s3://galleries/lost", s3_url)
    seen = store.write(b"one", "")
    boto3.client("s3", endpoint_url=s3_url).delete_object(Bucket="galleries", Key="lost")
    with pytest.raises(Changed):
        store.write(b"two", seen)


def test_a_missing_bucket_is_named(s3_url: str) -> None:
    """With the setting that names it."""
    store = store_at("s3://nowhere/gallery", s3_url)
    for use in (store.read, lambda: store.write(b"one", "")):
        with pytest.raises(Misconfigured, match=r"s3://nowhere/gallery .*NoSuchBucket.*MARQUEE_SVM_GALLERY"):
            use()


def test_an_unreachable_s3_is_told(s3_url: str) -> None:
    """Nobody listens: that is no fault of the caller."""
    del s3_url
    with pytest.raises(DependencyUnavailable, match="S3 cannot be used"):
        store_at("s3://galleries/gallery", f"http://127.0.0.1:{free_port()}").read()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """With the system's reason."""
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(Misconfigured, match=r"file/gallery .*cannot be used: .*MARQUEE_SVM_GALLERY"):
        store_at(str(tmp_path / "file" / "gallery")).write(b"one", "")

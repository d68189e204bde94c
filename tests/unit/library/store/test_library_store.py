"""The object store, in a folder and in S3."""

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest

from services.library.store.store import Store, original, thumbnail
from services.runtime.errors import DependencyUnavailable, Misconfigured
from tests.support.aws import s3_store
from tests.support.servers import nobody

NAME = original(7, hashlib.sha256(b"picture").digest())


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_store("library", "versioned") as url:
        boto3.client("s3", endpoint_url=url).put_bucket_versioning(
            Bucket="versioned", VersioningConfiguration={"Status": "Enabled"}
        )
        yield url


@pytest.fixture(params=["folder", "s3://library/kept/", "s3://versioned"])
def store(request: pytest.FixtureRequest, tmp_path: Path, s3: str) -> Iterator[Store]:
    url = (tmp_path / "not yet there").as_uri() if request.param == "folder" else request.param
    store = Store(url, s3)
    yield store
    store.close()


async def test_what_is_written_is_read_until_it_is_erased(store: Store) -> None:
    """A file is read as it was written, and erasing it leaves nothing; another one of the same beginning stays."""
    await store.write(NAME, b"picture")
    await store.write(f"{NAME}.webp", b"thumbnail")
    assert await store.read(NAME) == b"picture"
    assert await store.has(NAME)
    (erased,) = await store.erase(NAME)
    assert NAME in erased
    assert await store.read(NAME) is None
    assert not await store.has(NAME)
    assert await store.erase(NAME) == []
    assert await store.read(f"{NAME}.webp") == b"thumbnail"
    await store.erase(f"{NAME}.webp")


async def test_a_file_is_written_once(store: Store) -> None:
    """A name stands for its content, so what is there already stays, and the second writer finds that fine."""
    await store.write(NAME, b"first")
    await store.write(NAME, b"second")
    assert await store.read(NAME) == b"first"
    await store.erase(NAME)


async def test_old_files_are_listed_and_erased_by_their_time(store: Store) -> None:
    """Files written before a time are listed; one that is written again has a new time, and is not erased by an old."""
    await store.write(NAME, b"picture")
    later = datetime.now(UTC) + timedelta(seconds=2)
    assert [name async for page in store.names(later) for name in page] == [NAME]
    earlier = datetime.now(UTC) - timedelta(days=1)
    assert [name async for page in store.names(earlier) for name in page] == []
    assert await store.erase(NAME, earlier) == []
    assert await store.read(NAME) == b"picture"
    assert len(await store.erase(NAME, later)) == 1
    assert await store.read(NAME) is None


async def test_writing_what_is_there_makes_it_new(tmp_path: Path) -> None:
    """A file that lay there for long, and is written again, counts as new: whoever sweeps old files leaves it."""
    store = Store(tmp_path.as_uri())
    await store.write(NAME, b"picture")
    os.utime(tmp_path / NAME, (0, 0))
    await store.write(NAME, b"picture")
    assert await store.erase(NAME, datetime.now(UTC) - timedelta(days=1)) == []
    store.close()


async def test_all_versions_are_erased(s3: str) -> None:
    """In a bucket that keeps versions, those that were deleted by somebody else go, too, with their markers."""
    client = boto3.client("s3", endpoint_url=s3)
    store = Store("s3://versioned/all", s3)
    for content in (b"one", b"two"):
        client.put_object(Bucket="versioned", Key=f"all/{NAME}", Body=content)
    client.delete_object(Bucket="versioned", Key=f"all/{NAME}")
    assert await store.read(NAME) is None
    assert len(await store.erase(NAME)) == 3
    left = client.list_object_versions(Bucket="versioned", Prefix="all/")
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")
    store.close()


@pytest.mark.parametrize("url", ["", "pictures", "file://host/folder", "file:", "ftp://host/folder", "s3://"])
def test_a_url_that_is_none_is_the_operators_to_change(url: str) -> None:
    """What cannot be a store is refused as it is made, with what a store's URL looks like."""
    with pytest.raises(Misconfigured, match="MARQUEE_LIBRARY_STORE is file:///FOLDER"):
        Store(url)


async def test_a_store_that_is_away_is_unavailable(tmp_path: Path) -> None:
    """A broken disk and a server that does not respond are failures that pass."""
    (tmp_path / "7").write_text("a file where the folder of a collection should be")
    for store in (Store(tmp_path.as_uri()), Store("s3://library", f"http://{nobody()}")):
        with pytest.raises(DependencyUnavailable):
            await store.write(NAME, b"picture")
        store.close()


def test_names_are_made_of_digests_alone() -> None:
    """The names of a picture's files are below the folder of its collection."""
    digest = bytes(range(32))
    assert original(7, digest) == f"7/00/{digest.hex()}"
    assert thumbnail(7, digest) == f"7/00/{digest.hex()}.webp"

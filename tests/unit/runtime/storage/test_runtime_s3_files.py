"""How S3 is reached, and objects of moto's S3 as files of a folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.runtime.storage.downloads import DownloadProblem, download
from services.runtime.storage.s3 import s3_client
from tests.support.s3_store import s3_store

CLIMBING = "people/../../anna.jpg"


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with s3_store("copied") as url:
        client = s3_client(url)
        for key in ("people/", "people/anna/1.jpg", "people/anna/2.txt", "people.txt", "top.txt", CLIMBING):
            client.put_object(Bucket="copied", Key=key, Body=key.encode())
        client.close()
        yield url


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("endpoint_url", "host"), [(None, "pictures.s3.amazonaws.com"), ("http://minio:9000", "minio:9000/pictures")]
)
def test_another_s3_is_asked_by_path(s3_url: str, endpoint_url: str | None, host: str) -> None:
    """Amazon has a host name for each bucket, another S3 the bucket in the path."""
    del s3_url  # whose credentials are set
    url = s3_client(endpoint_url).generate_presigned_url("get_object", Params={"Bucket": "pictures", "Key": "a.jpg"})
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
    download("copied", prefix, tmp_path, s3_url, lambda key, _: key != CLIMBING)
    assert files(tmp_path) == expected


def test_only_what_is_wanted_is_copied(tmp_path: Path, s3_url: str) -> None:
    """By key and by size."""
    asked = {}

    def wanted(key: str, size: int) -> bool:
        asked[key] = size
        return key.endswith("1.jpg")

    download("copied", "people/anna", tmp_path, s3_url, wanted)
    assert list(files(tmp_path)) == ["anna/1.jpg"]
    assert asked == {key: len(key) for key in ("people/anna/1.jpg", "people/anna/2.txt")}


def test_a_key_cannot_leave_the_folder(tmp_path: Path, s3_url: str) -> None:
    """One that climbs out is refused by name, and nothing is written above the folder."""
    folder = tmp_path / "one" / "two"
    folder.mkdir(parents=True)
    with pytest.raises(DownloadProblem, match=r"the key 'people/\.\./\.\./anna\.jpg' leads out of its folder"):
        download("copied", "people/.", folder, s3_url, lambda *_: True)
    assert files(tmp_path) == {}


def test_what_s3_says_is_told(tmp_path: Path, s3_url: str) -> None:
    """A bucket that is not there is S3's own word."""
    with pytest.raises(DownloadProblem, match="NoSuchBucket"):
        download("nowhere", "people/", tmp_path, s3_url, lambda *_: True)

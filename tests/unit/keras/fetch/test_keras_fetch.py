"""Tests of fetching models from S3, with moto's server."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from services.keras.fetch import manifest as manifests
from services.keras.fetch.bucket import BucketProblem, PublishedModel
from services.keras.fetch.delivery import Delivery, DeliveryProblem
from tests.support.aws import s3_store
from tests.support.processes import PATIENCE, run, spawn, wait_until

pytestmark = pytest.mark.slow

BUCKET = "models"
URL = f"s3://{BUCKET}/shop/celebrity"
ROOT = Path(__file__).parents[4]


@pytest.fixture(name="s3", scope="module")
def _s3() -> Iterator[str]:
    with s3_store() as address:
        yield address


@pytest.fixture(name="client")
def _client(s3: str) -> Any:
    """Return a client of an S3 with an empty bucket."""
    client = boto3.client("s3", endpoint_url=s3)
    client.create_bucket(Bucket=BUCKET)
    listed = client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    for item in listed:
        client.delete_object(Bucket=BUCKET, Key=item["Key"])
    return client


def _publish(client: Any, folder: Path, version: int, weights: bytes = b"weights") -> Path:
    """Publish a version of three files and its manifest; return its copy on disk."""
    own = folder / f"published-{version}-{len(weights)}"
    for name, content in {
        "saved_model.pb": b"graph",
        "variables/v.data": weights,
        "assets/marquee.json": b"{}",
    }.items():
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        (own / name).write_bytes(content)
    manifests.write(manifests.describe(own), own)
    for path in own.rglob("*"):
        if path.is_file():
            client.upload_file(str(path), BUCKET, f"shop/celebrity/{version}/{path.relative_to(own).as_posix()}")
    return own


def _delivery(s3: str, folder: Path, keep: int = 2) -> Delivery:
    return Delivery(PublishedModel(URL, s3), folder, keep)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_newest_version_arrives_complete(s3: str, client: Any, tmp_path: Path) -> None:
    """The highest number, not the last published or the last in the alphabet, arrives with every file unchanged."""
    published = _publish(client, tmp_path, 10)
    _publish(client, tmp_path, 9)
    base = tmp_path / "served" / "celebrity"
    assert _delivery(s3, base).deliver() == 10
    assert _contents(base / "10") == _contents(published)
    assert _names(base) == ["10"]


def test_two_versions_are_kept(s3: str, client: Any, tmp_path: Path) -> None:
    """When the third version arrives, the first is removed and the second is kept as a fallback."""
    base = tmp_path / "served"
    delivery = _delivery(s3, base)
    for version in (1, 2, 3):
        _publish(client, tmp_path, version)
        assert delivery.deliver() == version
    assert _names(base) == ["2", "3"]


def test_version_is_withdrawn(s3: str, client: Any, tmp_path: Path) -> None:
    """A version that is no longer published is removed, so its predecessor is served again."""
    base = tmp_path / "served"
    delivery = _delivery(s3, base)
    for version in (1, 2):
        _publish(client, tmp_path, version)
        delivery.deliver()
    client.delete_object(Bucket=BUCKET, Key="shop/celebrity/2/manifest.json")
    assert delivery.deliver() == 1
    assert _names(base) == ["1"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"weightz", "variables/v.data has a SHA-256 other than the manifest's"),
        (b"weig", "variables/v.data has 4 bytes instead of 7"),
    ],
)
def test_corrupt_file_never_appears(s3: str, client: Any, tmp_path: Path, content: bytes, reason: str) -> None:
    """The error names a changed or truncated file, and nothing of its version is left, not even hidden files."""
    _publish(client, tmp_path, 1)
    base = tmp_path / "served"
    _delivery(s3, base).deliver()
    _publish(client, tmp_path, 2)
    client.put_object(Bucket=BUCKET, Key="shop/celebrity/2/variables/v.data", Body=content)
    with pytest.raises(DeliveryProblem, match=f"Version 2 did not arrive as published: {reason}"):
        _delivery(s3, base).deliver()
    assert _names(base) == ["1"]


def test_missing_file_never_appears(s3: str, client: Any, tmp_path: Path) -> None:
    """A file that is in the manifest but not in S3 fails the delivery, and the error has its URL."""
    _publish(client, tmp_path, 1)
    client.delete_object(Bucket=BUCKET, Key="shop/celebrity/1/saved_model.pb")
    base = tmp_path / "served"
    with pytest.raises(BucketProblem, match=r"s3://models/shop/celebrity/1/saved_model\.pb cannot be read"):
        _delivery(s3, base).deliver()
    assert _names(base) == []


def test_version_without_manifest_is_not_ready(s3: str, client: Any, tmp_path: Path) -> None:
    """While a version is being published, with its manifest last, its predecessor is the newest."""
    _publish(client, tmp_path, 1)
    client.put_object(Bucket=BUCKET, Key="shop/celebrity/2/saved_model.pb", Body=b"graph")
    assert _delivery(s3, tmp_path / "served").deliver() == 1


def test_killed_download_leaves_nothing(s3: str, client: Any, tmp_path: Path) -> None:
    """The remains of a killed process do not count as a version, and the next delivery removes them."""
    _publish(client, tmp_path, 1)
    base = tmp_path / "served"
    (base / ".fetching-1" / "variables").mkdir(parents=True)
    (base / ".fetching-1" / "variables" / "v.data").write_bytes(b"wei")
    assert _delivery(s3, base).deliver() == 1
    assert _names(base) == ["1"]


def test_damaged_local_version_is_repaired(s3: str, client: Any, tmp_path: Path) -> None:
    """A local version that is damaged or has no manifest is fetched again by the next process."""
    published = _publish(client, tmp_path, 1)
    base = tmp_path / "served"
    _delivery(s3, base).deliver()
    (base / "1" / "saved_model.pb").write_bytes(b"gr")
    _delivery(s3, base).deliver()
    assert _contents(base / "1") == _contents(published)
    (base / "1" / "manifest.json").unlink()
    _delivery(s3, base).deliver()
    assert _contents(base / "1") == _contents(published)


def test_local_version_is_not_fetched_again(s3: str, client: Any, tmp_path: Path) -> None:
    """A container that restarts on the same disk uses the local files and reads only the manifest from S3."""
    _publish(client, tmp_path, 1)
    base = tmp_path / "served"
    _delivery(s3, base).deliver()
    client.delete_object(Bucket=BUCKET, Key="shop/celebrity/1/saved_model.pb")
    assert _delivery(s3, base).deliver() == 1


@pytest.mark.parametrize("same_process", [True, False])
def test_changed_version_needs_a_new_number(s3: str, client: Any, tmp_path: Path, same_process: bool) -> None:  # noqa: FBT001 - a test's parameter
    """A number published again is refused, because TensorFlow Serving would not load it; the old files are kept."""
    published = _publish(client, tmp_path, 1)
    delivery = _delivery(s3, tmp_path / "served")
    delivery.deliver()
    _publish(client, tmp_path, 1, b"other weights")
    with pytest.raises(DeliveryProblem, match=r"Version 1 was published again .* under a higher one"):
        (delivery if same_process else _delivery(s3, tmp_path / "served")).deliver()
    assert _contents(tmp_path / "served" / "1") == _contents(published)


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "manifest.json", ""])
def test_manifest_cannot_name_outside_paths(s3: str, client: Any, tmp_path: Path, name: str) -> None:
    """A manifest that names a path outside its version is refused before anything is written."""
    files = {name: {"bytes": 0, "sha256": "0" * 64}}
    client.put_object(Bucket=BUCKET, Key="shop/celebrity/1/manifest.json", Body=json.dumps({"files": files}))
    with pytest.raises(BucketProblem, match="is not a file of a version's folder"):
        _delivery(s3, tmp_path / "served").deliver()
    assert not (tmp_path / "served").exists()


def test_nothing_published(s3: str, client: Any, tmp_path: Path) -> None:
    """An empty prefix, a missing bucket and an invalid URL each get an error that says what is wrong."""
    with pytest.raises(BucketProblem, match=r"holds no <version>/manifest\.json"):
        _delivery(s3, tmp_path / "served").deliver()
    with pytest.raises(BucketProblem, match=r"s3://nowhere/x/ cannot be read: .*NoSuchBucket"):
        Delivery(PublishedModel("s3://nowhere/x", s3), tmp_path / "served", 2).deliver()
    with pytest.raises(BucketProblem, match="'models/celebrity' is not of the form"):
        PublishedModel("models/celebrity")
    assert client.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


def _command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "services.keras.fetch", *map(str, arguments)]


def test_init_container(s3: str, client: Any, tmp_path: Path) -> None:
    """Without --watch, fetch exits 0 once the version is there and 2 if there is none, without TensorFlow or gRPC."""
    environment = os.environ | {"MARQUEE_S3_ENDPOINT_URL": s3}
    command = _command(URL, tmp_path / "served")
    failed = run(command, env=environment)
    assert failed.returncode == 2
    assert failed.stderr.startswith("Not fetched. s3://models/shop/celebrity holds no")
    _publish(client, tmp_path, 1)
    command[1:1] = ["-X", "importtime"]
    done = run(command, env=environment)
    assert done.returncode == 0, done.stderr
    assert '"event": "fetched a model"' in done.stderr
    assert not {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()} & {"tensorflow", "grpc", "PIL"}


def test_sidecar(s3: str, client: Any, tmp_path: Path) -> None:
    """With --watch, fetch waits for the first version, downloads the next, and exits 0 on SIGTERM."""
    base = tmp_path / "served"
    command = _command(URL, base, "--watch", "0.1")
    environment = os.environ | {"MARQUEE_S3_ENDPOINT_URL": s3, "MARQUEE_LOG_FORMAT": "json"}
    log = tmp_path / "log"
    with log.open("w") as file, spawn(command, env=environment, stderr=file) as process:
        wait_until(lambda: "no model was fetched" in log.read_text())
        for version in (1, 2):
            _publish(client, tmp_path, version)
            wait_until((base / str(version)).exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    waited = [line for line in log.read_text().splitlines() if "holds no" in line]
    assert len(waited) == 1

"""Models on disk or in S3, reloaded when they change."""

import asyncio
import io
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
from prometheus_client import REGISTRY

from local.pictures import demo_pictures
from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import DependencyUnavailable, Misconfigured
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Options
from services.svm import artifact
from services.svm.recognizer import SvmRecognizer
from services.svm.settings import SvmSettings
from tests.support.aws import in_background, s3_store
from tests.support.processes import PATIENCE

pytestmark = pytest.mark.slow

DEMO = Path("models/svm/demo.skops")
OPTIONS = Options(
    "test", (pb.FEATURE_CELEBRITIES,), 10, 0, "", include_embeddings=True, deadline=time.monotonic() + 600
)


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with s3_store("models") as url:
        yield url


def other_model(tmp_path: Path) -> bytes:
    """Return the demo's model with another version."""
    demo = artifact.load(DEMO)
    demo.report["note"] = "another"
    artifact.save(demo, tmp_path / "other.skops")
    return (tmp_path / "other.skops").read_bytes()


def demo_copy(folder: Path) -> Path:
    return Path(shutil.copy(DEMO, folder / "model.skops"))


def collins() -> Image:
    buffer = io.BytesIO()
    demo_pictures()["collins.jpg"].save(buffer, "JPEG")
    return Image(buffer.getvalue())


@asynccontextmanager
async def running_recognizer(source: str, endpoint: str | None = None) -> AsyncIterator[SvmRecognizer]:
    settings = SvmSettings(svm_model=source, svm_model_poll_seconds=0.05, s3_endpoint_url=endpoint, workers=2)
    recognizer = SvmRecognizer(settings)
    await recognizer.load()
    yield recognizer
    await recognizer.close()


def version(recognizer: SvmRecognizer) -> str:
    return recognizer.describe().models[0].version


async def new_version(recognizer: SvmRecognizer, before: str) -> str:
    async with asyncio.timeout(PATIENCE):
        while version(recognizer) == before:  # noqa: ASYNC110 - the recognizer has no event for a new model
            await asyncio.sleep(0.02)
    return version(recognizer)


async def test_a_changed_file_is_loaded_during_calls(tmp_path: Path) -> None:
    """Calls before, during and after the change get a name and their model's version; the metric follows."""
    path = demo_copy(tmp_path)
    async with running_recognizer(str(path)) as recognizer:
        before = version(recognizer)
        (tmp_path / "new").write_bytes(other_model(tmp_path))
        (tmp_path / "new").replace(path)
        results = []
        while version(recognizer) == before:
            results.append(await recognizer.recognize(collins(), OPTIONS))
        results.append(await recognizer.recognize(collins(), OPTIONS))
    assert all(result.faces[0].candidates[0].display_name == "Eileen Collins" for result in results)
    after = results[-1].model.version
    assert {result.model.version for result in results} == {before, after}
    assert REGISTRY.get_sample_value("marquee_model_info", {"model": "embedding", "version": after}) == 1
    assert REGISTRY.get_sample_value("marquee_model_info", {"model": "embedding", "version": before}) is None


async def test_a_changed_model_in_s3_is_loaded(tmp_path: Path, s3_url: str) -> None:
    """A model in S3 is read again when its ETag changes."""
    client = boto3.client("s3", endpoint_url=s3_url)
    client.upload_file(str(DEMO), "models", "svm/a.skops")
    async with running_recognizer("s3://models/svm/a.skops", s3_url) as recognizer:
        before = version(recognizer)
        client.put_object(Bucket="models", Key="svm/a.skops", Body=other_model(tmp_path))
        assert await new_version(recognizer, before) != before


async def test_a_broken_file_leaves_the_model_in_use(tmp_path: Path) -> None:
    """A truncated file does not stop the service; the next valid one is loaded."""
    path = demo_copy(tmp_path)
    async with running_recognizer(f"file://{path}") as recognizer:
        before = version(recognizer)
        path.write_bytes(b"half")
        await asyncio.sleep(0.3)
        assert version(recognizer) == before
        path.write_bytes(other_model(tmp_path))
        os.utime(path, (1, 1))
        await new_version(recognizer, before)


def test_a_missing_object_says_what_to_do(s3_url: str) -> None:
    """The message names the object, the trainer and the setting."""
    with pytest.raises(Misconfigured, match=r"s3://models/nothing .*services\.svm\.train.*MARQUEE_SVM_MODEL"):
        artifact.load("s3://models/nothing", s3_url)


class BrokenS3(BaseHTTPRequestHandler):
    """S3 whose connection breaks half-way through an object."""

    def do_GET(self) -> None:
        whole = DEMO.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        self.wfile.write(whole[: len(whole) // 2])

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def broken_url() -> Iterator[str]:
    with in_background(ThreadingHTTPServer(("127.0.0.1", 0), BrokenS3)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.mark.usefixtures("aws_credentials")
def test_a_broken_download_is_reported(broken_url: str) -> None:
    """A broken connection is reported as S3 being unavailable, not as a damaged file."""
    reason = r"S3 is unavailable for s3://models/a\.skops: ResponseStreamingError"
    with pytest.raises(DependencyUnavailable, match=reason):
        artifact.load("s3://models/a.skops", broken_url)


@pytest.mark.parametrize("key", ["100%.skops", "a b#1?.skops"])
def test_every_key_is_read(key: str, s3_url: str) -> None:
    """Characters with a special meaning in URLs are ordinary ones in a key."""
    boto3.client("s3", endpoint_url=s3_url).put_object(Bucket="models", Key=key, Body=b"model")
    file = artifact.model_file(f"s3://models/{key}", s3_url)
    assert file.read() == (b"model", file.mark())
    assert file.mark()


def test_a_file_url_may_be_quoted(tmp_path: Path) -> None:
    """%20 in a file:// URL is a space; a plain path is used unchanged."""
    for name in ("a b", "a%20b"):
        (tmp_path / name).write_text(name)
    assert artifact.model_file(f"file://{tmp_path}/a%20b").read()[0] == b"a b"
    assert artifact.model_file(f"{tmp_path}/a%20b").read()[0] == b"a%20b"


@pytest.mark.parametrize("source", ["s3://", "s3://models", "s3:///key"])
def test_an_incomplete_s3_address_is_refused(source: str, s3_url: str) -> None:
    """An S3 address without a bucket or a key raises Misconfigured."""
    with pytest.raises(Misconfigured, match=source):
        artifact.load(source, s3_url)


async def test_embeddings_are_returned_on_request() -> None:
    """An embedding has 128 numbers and the network's name."""
    async with running_recognizer(str(DEMO)) as recognizer:
        face = (await recognizer.recognize(collins(), OPTIONS)).faces[0]
    assert (face.embedding.model, len(face.embedding.values)) == ("dlib-resnet-v1", 128)

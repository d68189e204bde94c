"""A server whose faces are embedded by another network than dlib's."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from structlog.testing import capture_logs

from local.pictures import PEOPLE, photo, variations
from marquee import Client
from services.runtime.errors import Misconfigured
from services.svm import artifact
from services.svm.__main__ import main as serve
from services.svm.networks.network import DLIB, Network, NetworkId
from services.svm.networks.onnx_network import embedder_of
from services.svm.train.__main__ import main as train
from tests.support.aws import s3_store
from tests.support.onnx_networks import MANIFEST, write_network
from tests.support.processes import PATIENCE, server
from tests.support.svm_enrollment import (
    COLLINS,
    HOPPER,
    enrollment_of,
    names,
    other_picture,
    picture,
    portrait,
    replica,
    version,
    write_model,
)

pytestmark = pytest.mark.slow

LENGTH = MANIFEST["length"]
TESTNET = Network(NetworkId("testnet", "1"), LENGTH, "l2", MANIFEST["distance"], MANIFEST["evidence_group"], "points")
LATER = replace(TESTNET, id=NetworkId("testnet", "2"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path, network=TESTNET)


@pytest.mark.parametrize(("metric", "distance"), [("l2", 1.0), ("cosine", 0.1)])
def test_people_are_enrolled_and_named(model: Path, tmp_path: Path, metric: str, distance: float) -> None:
    """A server names people whom it enrolled with its network; embeddings and the model name network and metric."""
    environment = {
        "MARQUEE_SVM_EMBEDDING": write_network(tmp_path, metric=metric, distance=distance),
        "MARQUEE_SVM_MODEL": str(model),
        "MARQUEE_SVM_GALLERY": str(tmp_path / "gallery.npz"),
    }
    with server("services.svm", os.environ | environment) as svm, Client(svm.address) as client:
        for name in (COLLINS, HOPPER):
            client.enroll([picture(portrait(name)).content], display_name=name)
        for name in (COLLINS, HOPPER):
            again = picture(portrait(name), quality=60).content
            ((result),) = client.recognize(again, include_embeddings=True).results
            (face,) = result.faces
            assert [candidate.display_name for candidate in face.candidates] == [name]
            assert face.candidates[0].score > 0.95
            embedding = face.embedding
            assert (embedding.model, embedding.version, embedding.metric) == (*TESTNET.id, metric)
            assert len(embedding.values) == LENGTH
            assert result.model.evidence_group == "pixels"


async def test_a_nearer_distance_is_in_the_networks_metric(model: Path, tmp_path: Path) -> None:
    """MARQUEE_SVM_ENROLLED_DISTANCE counts as the manifest's distance does: a mirrored face is too far for 0.01."""
    address = write_network(tmp_path, metric="cosine", distance=1.9)
    settings = {"svm_embedding": address, "gallery": tmp_path / "gallery.npz"}
    async with replica(model, **settings) as (recognizer, enroller):
        await enroller.enroll(enrollment_of(portrait(COLLINS)))
        assert await names(recognizer, other_picture(COLLINS)) == [COLLINS]
    async with replica(model, **settings, svm_enrolled_distance=0.01) as (recognizer, _):
        assert await names(recognizer, other_picture(COLLINS)) == [""]
        assert await names(recognizer, picture(portrait(COLLINS))) == [COLLINS]


async def test_a_network_may_make_nothing_of_black(model: Path, tmp_path: Path) -> None:
    """A server starts with a cosine network whose vector of a black picture is zero."""
    async with replica(model, svm_embedding=write_network(tmp_path, metric="cosine", mean=0)) as (recognizer, _):
        assert await names(recognizer, picture(portrait(COLLINS))) == [""]


@pytest.mark.parametrize(
    "network", [DLIB, LATER, replace(TESTNET, length=LENGTH + 1), replace(TESTNET, aligner="dlib")], ids=str
)
async def test_a_model_of_another_network_stops_the_start(tmp_path: Path, network: Network) -> None:
    """Name, version, length and aligner of the network must be the server's; the error names the setting and both."""
    model = write_model(tmp_path, network=network)
    with pytest.raises(Misconfigured, match=rf"{network}.*MARQUEE_SVM_EMBEDDING names testnet 1, {LENGTH} numbers"):
        async with replica(model, svm_embedding=write_network(tmp_path)):
            pass


async def test_another_networks_model_is_refused_without_the_setting(model: Path) -> None:
    """A server with dlib's network takes no model of another."""
    with pytest.raises(Misconfigured, match=r"model\.skops was trained with the network testnet 1.*dlib-resnet-v1 1"):
        async with replica(model):
            pass


async def test_a_gallery_of_another_network_stops_the_start(model: Path, tmp_path: Path) -> None:
    """A gallery of another version of the network is refused, and kept as it is."""
    gallery = tmp_path / "gallery.npz"
    async with replica(model, gallery, svm_embedding=write_network(tmp_path)) as (_, enroller):
        await enroller.enroll(enrollment_of(portrait(COLLINS)))
    before = gallery.read_bytes()
    later = write_model(tmp_path, network=LATER)
    address = write_network(tmp_path, version="2")
    with pytest.raises(Misconfigured, match=r"gallery\.npz: it is not .* \(testnet 2, .*\(testnet 1, .*SVM_EMBEDDING"):
        async with replica(later, gallery, svm_embedding=address):
            pass
    assert gallery.read_bytes() == before


async def test_a_reload_keeps_the_network(tmp_path: Path) -> None:
    """A model of another network that appears later leaves the old in use; one of the same is taken."""
    model = write_model(tmp_path, network=TESTNET)
    async with replica(model, svm_embedding=write_network(tmp_path), svm_model_poll_seconds=0.02) as (recognizer, _):
        before = version(recognizer)
        with capture_logs() as logs:
            write_model(tmp_path)
            async with asyncio.timeout(PATIENCE):
                while not any("network dlib" in line.get("error", "") for line in logs):  # noqa: ASYNC110 - as below
                    await asyncio.sleep(0.02)
        assert version(recognizer) == before
        write_model(tmp_path, network=TESTNET, seed=1)
        async with asyncio.timeout(PATIENCE):
            while version(recognizer) == before:  # noqa: ASYNC110 - the recognizer has no event for a new model
                await asyncio.sleep(0.02)


def test_the_network_is_read_from_s3(tmp_path: Path) -> None:
    """Network and manifest may be objects."""
    write_network(tmp_path)
    with s3_store("models") as url:
        client = boto3.client("s3", endpoint_url=url)
        for name in ("net.onnx", "net.onnx.json"):
            client.upload_file(str(tmp_path / name), "models", f"faces/{name}")
        assert embedder_of("onnx:s3://models/faces/net.onnx", url).network == TESTNET


def test_the_trainer_takes_the_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model that is trained with --embedding names the network, has its vectors, and tells the people apart."""
    for seed, person in enumerate(PEOPLE):
        (tmp_path / "people" / person).mkdir(parents=True)
        for number, one in enumerate(variations(photo(person), 3, seed)):
            one.save(tmp_path / "people" / person / f"{number}.jpg")
    out = tmp_path / "out.skops"
    train([str(tmp_path / "people"), "--embedding", write_network(tmp_path), "--out", str(out)])
    trained = artifact.load(out)
    assert (trained.network, trained.gallery.rows.shape) == (TESTNET.id, (6, LENGTH))
    for arguments in (["--embedding", "onnx:nowhere.onnx"], ["--embedding", "pca"], ["--recipe", "hog-lbp"]):
        with pytest.raises(SystemExit) as caught:
            train([str(tmp_path / "people"), "--embedding", write_network(tmp_path), *arguments])
        assert caught.value.code == 2
        assert "--embedding" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["onnx:nowhere.onnx", "onnx:s3://bucket", "onnx:", "resnet"])
def test_a_wrong_setting_ends_the_server(
    value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server exits with 2 before it listens, and one line names the variable."""
    monkeypatch.setenv("MARQUEE_SVM_EMBEDDING", value)
    with pytest.raises(SystemExit) as caught:
        serve()
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("MARQUEE_SVM_EMBEDDING: ")

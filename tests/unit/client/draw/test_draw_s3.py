"""Tests of --draw with pictures in S3."""

import io
import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from PIL import Image
from typer.testing import Result

from marquee.cli import targets
from tests.support.aws import s3_store
from tests.support.client import Peer, marquee, serving, two_people
from tests.support.processes import free_port


def _jpeg(color: str) -> bytes:
    picture = io.BytesIO()
    Image.new("RGB", (640, 480), color).save(picture, "JPEG")
    return picture.getvalue()


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Peer]:
    """Run a server, and S3 with two versions of a.jpg: a blue and a red one."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    answer = two_people()
    answer.image.sha256 = ""
    with s3_store("drawn") as url, serving(Peer(answer=answer)) as peer:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
        monkeypatch.setenv("MARQUEE_ADDRESS", peer.address)
        client = boto3.Session().client("s3")
        client.put_bucket_versioning(Bucket="drawn", VersioningConfiguration={"Status": "Enabled"})
        first = client.put_object(Bucket="drawn", Key="x/a.jpg", Body=_jpeg("blue"))
        client.put_object(Bucket="drawn", Key="x/a.jpg", Body=_jpeg("red"))
        monkeypatch.setenv("FIRST", first["VersionId"])
        yield peer
        client.close()


def _draw(url: str, out: str = "out.png") -> Result:
    return marquee("recognize", url, "--draw", out)


def test_a_picture_in_s3_is_drawn(peer: Peer) -> None:  # noqa: ARG001 - starts the server
    """The newest version is drawn, to the object's name in a folder, or the version that the URL names."""
    assert _draw("s3://drawn/x/a.jpg", "new/").exit_code == 0
    assert _draw(f"s3://drawn/x/a.jpg?versionId={os.environ['FIRST']}").exit_code == 0
    newest, first = (Image.open(name).convert("RGB").getpixel((630, 470)) for name in ("new/a.png", "out.png"))
    assert (newest, first) == ((254, 0, 0), (0, 0, 254))


def test_another_picture_than_the_recognized_one_is_noted(peer: Peer) -> None:
    """If the object has changed since it was recognized, the drawing comes with a note."""
    peer.answer.image.sha256 = "0" * 64
    result = _draw("s3://drawn/x/a.jpg")
    assert (result.exit_code, "it has changed since" in result.stderr) == (0, True)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://drawn/none.jpg", "there is no such object"),
        ("s3://nowhere/a.jpg", "there is no such bucket"),
        ("s3://drawn/x/a.jpg?versionId=other", "version"),
        ("s3://drawn/large", "it has more than 15 MiB"),
    ],
)
def test_a_picture_that_cannot_be_fetched_keeps_its_answer(
    peer: Peer,  # noqa: ARG001 - starts the server
    url: str,
    message: str,
) -> None:
    """The answer is printed, the error says what is wrong, and the exit code is 1."""
    client = boto3.Session().client("s3")
    client.put_object(Bucket="drawn", Key="large", Body=b"." * (15 * 2**20 + 1))
    client.close()
    result = _draw(url)
    assert result.exit_code == 1
    assert "Eileen Collins" in result.stdout
    assert message in result.stderr
    assert not Path("out.png").exists()


def test_a_server_that_cannot_be_reached_is_named(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """The error names the endpoint that the environment gives, without a password in it."""
    host = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://ada:enigma@{host}")
    result = _draw("s3://drawn/x/a.jpg")
    assert (result.exit_code, host in result.stderr, "enigma" in result.stderr) == (1, True, False)


def test_a_connection_that_breaks_off_is_an_error(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """A part of a picture is not drawn, and the answer is printed."""

    def answer() -> None:
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{listener.getsockname()[1]}")
        threading.Thread(target=answer, daemon=True).start()
        result = _draw("s3://drawn/x/a.jpg")
    assert (result.exit_code, "Eileen Collins" in result.stdout) == (1, True)
    assert "the connection has broken off" in result.stderr


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "there are no AWS credentials"),
        ({"AWS_PROFILE": "none"}, "profile (none) could not be found"),
        ({"AWS_ACCESS_KEY_ID": "half"}, "AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_missing_credentials_are_told_before_any_call(
    peer: Peer, variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent, and the message says what is missing."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    result = _draw("s3://drawn/x/a.jpg")
    assert result.exit_code == 2
    assert message in result.stderr
    assert peer.requests == []


def test_a_missing_extra_is_told_before_any_call(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without boto3, nothing is sent, and the message says how to install it."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    result = _draw("s3://drawn/x/a.jpg")
    assert (result.exit_code, "pip install 'marquee[s3]'" in result.stderr) == (2, True)
    assert peer.requests == []


def test_without_drawing_nothing_is_needed(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --draw, S3 is the servers' alone."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setattr(targets, "Store", None)
    assert marquee("recognize", "s3://drawn/x/a.jpg").exit_code == 0
    assert peer.requests[0].image.s3_object.key == "x/a.jpg"

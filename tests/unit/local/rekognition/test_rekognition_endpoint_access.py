"""Keys, trouble on purpose, recordings and what outlives a killed process, at the local Rekognition endpoint."""

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import botocore.auth
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError

from local import stack
from local.rekognition.options import parse
from local.rekognition.recordings import Recordings, Upstream
from local.rekognition.wire.access import Access
from local.rekognition.wire.app import create_app
from local.rekognition.wire.errors import AwsError
from local.rekognition.wire.faults import Faults, Rates
from local.rekognition.wire.protocol import Handler, operation_handler
from local.stack import CREDENTIALS
from tests.support import rekognition_pictures
from tests.support.rekognition_servers import endpoint, serving

DEMO = rekognition_pictures.demo()
LISTING = operation_handler({"ListCollections": lambda _: {"CollectionIds": ["a"]}})
"""An endpoint with one collection, for what comes before the operations."""


def asking(url: str, key: str = "local", secret: str = "local", region: str = "us-east-1") -> Any:  # noqa: S107 - the endpoint's
    return boto3.client(
        "rekognition",
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )


def get(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - an http address of our own
        return answer.read()


def outcome(call: Callable[[], Any]) -> str:
    """The error's code, `reset` for a lost connection, or `ok`."""
    try:
        call()
    except ClientError as exc:
        return str(exc.response["Error"]["Code"])
    except (ConnectionClosedError, EndpointConnectionError):
        return "reset"
    return "ok"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, "ok"),
        ({"key": "stranger"}, "UnrecognizedClientException"),
        ({"secret": "wrong"}, "InvalidSignatureException"),
        ({"region": "eu-west-1"}, "InvalidSignatureException"),
        ({"key": "old"}, "ExpiredTokenException"),
    ],
)
def test_signatures_are_checked_against_keys(asked: dict, expected: str) -> None:
    """boto3's signature is good with the right key, secret and region, and refused with AWS's code otherwise."""
    access = Access({"local": "local", "old": "local"}, frozenset({"old"}), region="us-east-1")
    with serving(create_app(LISTING, access)) as url:
        assert outcome(asking(url, **asked).list_collections) == expected


def test_a_changed_body_breaks_the_signature() -> None:
    """What was signed is what has to come."""
    with serving(create_app(LISTING, Access({"local": "local"}))) as url:
        client = asking(url)
        client.meta.events.register("before-send.*.*", _change_body)
        assert outcome(client.list_collections) == "InvalidSignatureException"


def _change_body(request: Any, **_: Any) -> None:
    request.body = b'{"MaxResults": 1}'
    request.headers["Content-Length"] = str(len(request.body))


def test_an_old_signature_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six minutes ago is too long, as at AWS."""
    then = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=6)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: then)
    app = create_app(LISTING, Access({"local": "local"}))
    with serving(app) as url, pytest.raises(ClientError, match="Signature expired"):
        asking(url).list_collections()


def test_an_operation_may_be_denied() -> None:
    """AccessDeniedException names the action that a policy would have to allow."""
    app = create_app(LISTING, Access(denied=frozenset({"ListCollections"})))
    with (
        serving(app) as url,
        pytest.raises(ClientError, match="not authorized to perform: rekognition:ListCollections"),
    ):
        asking(url).list_collections()


def outcomes(rates: Rates, seed: int, count: int) -> list[str]:
    with serving(create_app(LISTING, faults=Faults(rates, seed))) as url:
        client = asking(url)
        told = [outcome(client.list_collections) for _ in range(count)]
        client.close()
        return told


def test_trouble_comes_at_its_rate_and_from_its_seed() -> None:
    """Of 200 requests each fault meets about its share, and the same ones again with the same seed alone."""
    rates = Rates(throttle=0.2, error=0.1, reset=0.1)
    first = outcomes(rates, 1, 200)
    kinds = {kind: first.count(kind) for kind in set(first)}
    assert kinds.keys() == {
        *("ok", "reset", "InternalServerError"),
        *("ThrottlingException", "ProvisionedThroughputExceededException"),
    }
    assert 25 <= kinds["ThrottlingException"] + kinds["ProvisionedThroughputExceededException"] <= 55
    assert 8 <= kinds["InternalServerError"] <= 35
    assert 8 <= kinds["reset"] <= 35
    assert outcomes(rates, 1, 60) == first[:60] != outcomes(rates, 2, 60)


def test_calls_are_counted_by_what_became_of_them() -> None:
    """A request whose answer is lost is billed all the same when it was done, and the counts tell both."""
    with serving(create_app(LISTING, faults=Faults(Rates(reset=1), seed=3))) as url:
        client = asking(url)
        assert {outcome(client.list_collections) for _ in range(20)} == {"reset"}
        (told,) = json.loads(get(f"{url}/calls")).values()
    assert told["reset"] == 20
    assert 0 < told["billed"] < 20


def test_latency_comes_at_its_rate() -> None:
    """Half of the requests take a tenth of a second more."""
    with serving(create_app(LISTING, faults=Faults(Rates(latency=0.5, latency_seconds=0.1)))) as url:
        client = asking(url)
        client.list_collections()
        seconds = [_seconds(client.list_collections) for _ in range(20)]
    assert 4 <= sum(taken >= 0.1 for taken in seconds) <= 16


def _seconds(call: Callable[[], Any]) -> float:
    before = time.perf_counter()
    call()
    return time.perf_counter() - before


@contextmanager
def recorder(folder: Path, aws: str) -> Iterator[Any]:
    with serving(create_app(Recordings(folder).recorder(Upstream("us-east-1", aws)))) as url:
        yield asking(url)


@pytest.mark.usefixtures("aws_credentials")
def test_what_is_recorded_is_replayed(tmp_path: Path) -> None:
    """Answers and refusals come again to the same parameters, and nothing comes to others."""
    seen = {"Bytes": DEMO["hopper"]}
    with endpoint(None) as aws, recorder(tmp_path, aws) as client:
        faces = client.detect_faces(Image=seen)["FaceDetails"]
        refused = outcome(lambda: client.detect_faces(Image={"Bytes": b"x"}))
        client.create_collection(CollectionId="c")
        client.create_user(CollectionId="c", UserId="u")
    with serving(create_app(Recordings(tmp_path).replay)) as url:
        again = asking(url)
        assert again.detect_faces(Image=seen)["FaceDetails"] == faces
        assert outcome(lambda: again.detect_faces(Image={"Bytes": b"x"})) == refused == "InvalidImageFormatException"
        again.create_user(CollectionId="c", UserId="u")  # with another ClientRequestToken
        with pytest.raises(ClientError, match=r"UnrecordedRequestException.*--record it first"):
            again.detect_faces(Image=seen, Attributes=["ALL"])
    assert len(list(tmp_path.iterdir())) == 4
    assert b"/9j/" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())  # a JPEG in base64


@pytest.mark.usefixtures("aws_credentials")
@pytest.mark.parametrize("code", ["ThrottlingException", "ExpiredTokenException"])
def test_passing_trouble_is_not_recorded(tmp_path: Path, code: str) -> None:
    """The caller is told of it, and a replay knows nothing of it."""

    def fail(*_: Any) -> Any:
        raise AwsError(code, "not now")

    handler: Handler = fail
    with serving(create_app(handler)) as aws, recorder(tmp_path, aws) as client:
        assert outcome(client.list_collections) == code
    assert list(tmp_path.iterdir()) == []


@contextmanager
def process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    (port,) = stack.free_ports(1)
    command = [sys.executable, "-m", "local.rekognition", "--port", str(port), *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | CREDENTIALS) as running:
        try:
            _wait(port, running)
            yield running, asking(f"http://127.0.0.1:{port}")
        finally:
            running.kill()


def _wait(port: int, running: subprocess.Popen[str]) -> None:
    for _ in range(400):
        assert running.poll() is None
        try:
            get(f"http://127.0.0.1:{port}/healthz")
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the endpoint is not up")


def test_collections_outlive_a_killed_process(tmp_path: Path) -> None:
    """Whatever was answered before SIGKILL is there afterwards: collection, face, user and whose the face is."""
    image = {"Bytes": DEMO["hopper"]}
    with process("--collections", str(tmp_path / "kept")) as (running, client):
        client.create_collection(CollectionId="c")
        face = client.index_faces(CollectionId="c", Image=image)["FaceRecords"][0]["Face"]["FaceId"]
        client.create_user(CollectionId="c", UserId="grace")
        client.associate_faces(CollectionId="c", UserId="grace", FaceIds=[face])
        running.send_signal(signal.SIGKILL)
        running.wait(10)
    with process("--collections", str(tmp_path / "kept")) as (_, client):
        (match,) = client.search_faces_by_image(CollectionId="c", Image=image)["FaceMatches"]
        assert (match["Face"]["FaceId"], match["Face"]["UserId"]) == (face, "grace")


def test_two_endpoints_on_one_folder_see_each_other(tmp_path: Path) -> None:
    """What one adds the other finds, also after it has searched before."""
    image = {"Bytes": DEMO["hopper"]}
    with (
        endpoint(None, "http://127.0.0.1:9", collections=tmp_path) as one,
        endpoint(None, "http://127.0.0.1:9", collections=tmp_path) as other,
    ):
        first, second = asking(one), asking(other)
        first.create_collection(CollectionId="c")
        assert second.search_faces_by_image(CollectionId="c", Image=image)["FaceMatches"] == []
        first.index_faces(CollectionId="c", Image=image)
        assert len(second.search_faces_by_image(CollectionId="c", Image=image)["FaceMatches"]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--key", "x"], "must be ID=SECRET"),
        (["--throttle", "2"], "must be a number from 0 to 1"),
        (["--throttle", "0.6", "--error", "0.6"], "must add up to at most 1"),
        (["--expired", "x"], "x is not a --key"),
        (["--gallery", "nowhere"], "nowhere is not a folder"),
        (["--collections", __file__], "is not a folder"),
        (["--record", __file__], "is not a folder"),
        (["--upstream", "http://x"], "requires --record"),
    ],
)
def test_a_wrong_command_line_is_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It exits 2 and names the option and the value that it requires."""
    with pytest.raises(SystemExit) as exit_info:
        parse(arguments)
    assert exit_info.value.code == 2
    assert message in capsys.readouterr().err

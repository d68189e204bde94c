"""Tests of the local Rekognition endpoint's access keys, fault injection, recordings and durability."""

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

from local.rekognition.options import parse
from local.rekognition.recordings import Recordings, Upstream
from local.rekognition.wire.access import Access
from local.rekognition.wire.app import create_app
from local.rekognition.wire.errors import AwsError
from local.rekognition.wire.faults import Faults, Quotas, Rates
from local.rekognition.wire.protocol import Handler, operation_handler
from local.stack import CREDENTIALS
from tests.support import pictures
from tests.support.aws import endpoint, serving
from tests.support.processes import PATIENCE, free_port, spawn, wait_until

pytestmark = pytest.mark.slow

DEMO = pictures.demo()
LISTING = operation_handler({"ListCollections": lambda _: {"CollectionIds": ["a"]}})
"""A handler with one collection, for tests of the checks before operations run."""


def client_of(url: str, key: str = "local", secret: str = "local", region: str = "us-east-1") -> Any:  # noqa: S107 - the local endpoint
    return boto3.client(
        "rekognition",
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )


def get(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own http address
        return answer.read()


def outcome(call: Callable[[], Any]) -> str:
    """Return the error's code, `reset` for a lost connection, or `ok`."""
    try:
        call()
    except ClientError as exc:
        return str(exc.response["Error"]["Code"])
    except (ConnectionClosedError, EndpointConnectionError):
        return "reset"
    return "ok"


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, "ok"),
        ({"key": "stranger"}, "UnrecognizedClientException"),
        ({"secret": "wrong"}, "InvalidSignatureException"),
        ({"region": "eu-west-1"}, "InvalidSignatureException"),
        ({"key": "old"}, "ExpiredTokenException"),
    ],
)
def test_signatures_are_checked_against_keys(parameters: dict, expected: str) -> None:
    """A signature with the right key, secret and region is accepted; any other is refused with AWS's code."""
    access = Access({"local": "local", "old": "local"}, frozenset({"old"}), region="us-east-1")
    with serving(create_app(LISTING, access)) as url:
        assert outcome(client_of(url, **parameters).list_collections) == expected


def test_a_changed_body_breaks_the_signature() -> None:
    """The signature covers the body."""
    with serving(create_app(LISTING, Access({"local": "local"}))) as url:
        client = client_of(url)
        client.meta.events.register("before-send.*.*", _change_body)
        assert outcome(client.list_collections) == "InvalidSignatureException"


def _change_body(request: Any, **_: Any) -> None:
    request.body = b'{"MaxResults": 1}'
    request.headers["Content-Length"] = str(len(request.body))


def test_an_old_signature_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature that is six minutes old is refused, as by AWS."""
    then = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=6)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: then)
    app = create_app(LISTING, Access({"local": "local"}))
    with serving(app) as url, pytest.raises(ClientError, match="Signature expired"):
        client_of(url).list_collections()


def test_an_operation_can_be_denied() -> None:
    """The AccessDeniedException names the action that a policy must allow."""
    app = create_app(LISTING, Access(denied=frozenset({"ListCollections"})))
    with (
        serving(app) as url,
        pytest.raises(ClientError, match="not authorized to perform: rekognition:ListCollections"),
    ):
        client_of(url).list_collections()


def outcomes(rates: Rates, seed: int, count: int) -> list[str]:
    with serving(create_app(LISTING, faults=Faults(rates, seed))) as url:
        client = client_of(url)
        results = [outcome(client.list_collections) for _ in range(count)]
        client.close()
        return results


def test_faults_follow_their_rates_and_the_seed() -> None:
    """Each fault hits about its share of 200 requests, and only the same seed hits the same requests again."""
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


@pytest.mark.parametrize(("region", "quota"), [("us-east-1", 100), ("eu-west-1", 100), ("sa-east-1", 25)])
def test_quotas_are_those_of_the_region(region: str, quota: int) -> None:
    """Of calls at one moment as many pass as AWS allows in a second; a tenth of a second later, a tenth of them."""
    now = [1000.0]
    quotas = Quotas(region, lambda: now[0])
    assert sum(_passes(quotas, "DetectFaces") for _ in range(300)) == quota
    assert sum(_passes(quotas, "DeleteFaces") for _ in range(300)) == 5
    now[0] += 0.1
    assert sum(_passes(quotas, "DetectFaces") for _ in range(300)) == quota // 10


def _passes(quotas: Quotas, operation: str) -> bool:
    try:
        quotas.check(operation)
    except AwsError:
        return False
    return True


def test_a_call_beyond_the_quota_is_throttled() -> None:
    """It has AWS's code, costs nothing, and is counted as throttled."""
    with serving(create_app(LISTING, quotas=Quotas("us-east-1", lambda: 1.0))) as url:
        client = client_of(url)
        outcomes = [outcome(client.list_collections) for _ in range(7)]
        client.close()
        (counts,) = json.loads(get(f"{url}/calls")).values()
    assert outcomes == ["ok"] * 5 + ["ProvisionedThroughputExceededException"] * 2
    assert (counts["free"], counts["throttled"]) == (5, 2)


def test_a_lost_response_is_billed() -> None:
    """A request that ran is billed even if its response is lost, so it counts as both."""
    faces: Handler = operation_handler({"DetectFaces": lambda _: {"FaceDetails": []}})
    with serving(create_app(faces, faults=Faults(Rates(reset=1), seed=3))) as url:
        client = client_of(url)
        assert {outcome(lambda: client.detect_faces(Image={"Bytes": b"x"})) for _ in range(20)} == {"reset"}
        (counts,) = json.loads(get(f"{url}/calls")).values()
    assert counts["reset"] == 20
    assert 0 < counts["billed"] < 20
    assert counts["free"] == 0


def test_latency_follows_its_rate() -> None:
    """Half of the requests take at least half a second."""
    with serving(create_app(LISTING, faults=Faults(Rates(latency=0.5, latency_seconds=0.5)))) as url:
        client = client_of(url)
        client.list_collections()
        seconds = [_seconds(client.list_collections) for _ in range(20)]
    assert 4 <= sum(taken >= 0.5 for taken in seconds) <= 16


def _seconds(call: Callable[[], Any]) -> float:
    before = time.perf_counter()
    call()
    return time.perf_counter() - before


@contextmanager
def recorder(folder: Path, aws: str) -> Iterator[Any]:
    with serving(create_app(Recordings(folder).recorder(Upstream("us-east-1", aws)))) as url:
        yield client_of(url)


@pytest.mark.usefixtures("aws_credentials")
def test_recordings_are_replayed(tmp_path: Path) -> None:
    """The same parameters get their response or error again; other parameters get an error."""
    image = {"Bytes": DEMO["hopper"]}
    with endpoint(None) as aws, recorder(tmp_path, aws) as client:
        faces = client.detect_faces(Image=image)["FaceDetails"]
        error = outcome(lambda: client.detect_faces(Image={"Bytes": b"x"}))
        client.create_collection(CollectionId="c")
        client.create_user(CollectionId="c", UserId="u")
    with serving(create_app(Recordings(tmp_path).replay)) as url:
        replay = client_of(url)
        assert replay.detect_faces(Image=image)["FaceDetails"] == faces
        assert outcome(lambda: replay.detect_faces(Image={"Bytes": b"x"})) == error == "InvalidImageFormatException"
        replay.create_user(CollectionId="c", UserId="u")  # with another ClientRequestToken
        with pytest.raises(ClientError, match=r"UnrecordedRequestException.*--record it first"):
            replay.detect_faces(Image=image, Attributes=["ALL"])
        for path in tmp_path.glob("CreateUser-*"):
            path.write_text(path.read_text()[:50])
        with pytest.raises(ClientError, match=r"CreateUser-.*\.json is damaged: .*--record it again"):
            replay.create_user(CollectionId="c", UserId="u")
    assert len(list(tmp_path.iterdir())) == 4
    assert b"/9j/" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())  # a JPEG in base64


@pytest.mark.usefixtures("aws_credentials")
@pytest.mark.parametrize("code", ["ThrottlingException", "ExpiredTokenException"])
def test_transient_errors_are_not_recorded(tmp_path: Path, code: str) -> None:
    """The caller gets the transient error, and no recording is made."""

    def fail(*_: Any) -> Any:
        raise AwsError(code, "not now")

    handler: Handler = fail
    with serving(create_app(handler)) as aws, recorder(tmp_path, aws) as client:
        assert outcome(client.list_collections) == code
    assert list(tmp_path.iterdir()) == []


@contextmanager
def process(*args: str) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    port = free_port()
    command = [sys.executable, "-m", "local.rekognition", "--port", str(port), *args]
    with spawn(command, env=os.environ | CREDENTIALS) as running:
        wait_until(lambda: _is_up(port) or running.poll() is not None)
        assert running.poll() is None
        yield running, client_of(f"http://127.0.0.1:{port}")


def _is_up(port: int) -> bool:
    try:
        return get(f"http://127.0.0.1:{port}/healthz") == b"ok\n"
    except OSError:
        return False


@pytest.mark.slow
def test_collections_outlive_a_killed_process(tmp_path: Path) -> None:
    """Everything confirmed before SIGKILL is kept: the collection, the face, the user and their association."""
    image = {"Bytes": DEMO["hopper"]}
    with process("--collections", str(tmp_path / "kept")) as (running, client):
        client.create_collection(CollectionId="c")
        face = client.index_faces(CollectionId="c", Image=image)["FaceRecords"][0]["Face"]["FaceId"]
        client.create_user(CollectionId="c", UserId="grace")
        client.associate_faces(CollectionId="c", UserId="grace", FaceIds=[face])
        running.send_signal(signal.SIGKILL)
        running.wait(PATIENCE)
    with process("--collections", str(tmp_path / "kept")) as (_, client):
        (match,) = client.search_faces_by_image(CollectionId="c", Image=image)["FaceMatches"]
        assert (match["Face"]["FaceId"], match["Face"]["UserId"]) == (face, "grace")


@pytest.mark.slow
def test_two_endpoints_share_a_folder(tmp_path: Path) -> None:
    """A face that one endpoint adds is found by the other, even if the other has already searched."""
    image = {"Bytes": DEMO["hopper"]}
    with (
        endpoint(None, "http://127.0.0.1:9", collections=tmp_path) as one,
        endpoint(None, "http://127.0.0.1:9", collections=tmp_path) as other,
    ):
        first, second = client_of(one), client_of(other)
        first.create_collection(CollectionId="c")
        assert second.search_faces_by_image(CollectionId="c", Image=image)["FaceMatches"] == []
        first.index_faces(CollectionId="c", Image=image)
        assert len(second.search_faces_by_image(CollectionId="c", Image=image)["FaceMatches"]) == 1


@pytest.mark.parametrize(
    ("args", "message"),
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
def test_a_wrong_command_line_is_refused(args: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An invalid command line exits 2, and the message names the option and the required value."""
    with pytest.raises(SystemExit) as exit_info:
        parse(args)
    assert exit_info.value.code == 2
    assert message in capsys.readouterr().err

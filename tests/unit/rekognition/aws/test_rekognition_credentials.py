"""Wrong or missing credentials, permissions and regions, against the local endpoint's signature checks."""

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from google.rpc import code_pb2, status_pb2
from PIL import Image as Pillow

from local.rekognition.wire.access import Access
from local.rekognition.wire.app import create_app
from local.rekognition.wire.protocol import operation_handler
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.recognizer_pb2_grpc import RecognizerServiceStub
from services.runtime import status
from tests.support.aws import serving as serving_app
from tests.support.processes import free_port, serving, spawn, wait_until

pytestmark = pytest.mark.slow

ID, SECRET, TOKEN = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "FwoGZXIvYXdzEXAMPLETOKEN"
REGION = "us-east-1"
LABELS = {"Labels": [], "LabelModelVersion": "3.0"}
GOOD = {
    "AWS_ACCESS_KEY_ID": ID,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_SESSION_TOKEN": TOKEN,
    "AWS_REGION": REGION,
}


@contextmanager
def guarded_endpoint(access: Access) -> Iterator[str]:
    """Serve DetectLabels behind the local endpoint's access checks; yield its URL."""
    with serving_app(create_app(operation_handler({"DetectLabels": lambda _: LABELS}), access)) as url:
        yield url


@contextmanager
def rekognition(folder: Path, url: str, **environment: str) -> Iterator[tuple[str, Path]]:
    """Run `python -m services.rekognition` with these credentials; yield its address and its log."""
    port, log = free_port(), folder / "stderr"
    nowhere = str(folder / "none")
    own = {
        "MARQUEE_PORT": str(port),
        "MARQUEE_METRICS_PORT": str(free_port()),
        "MARQUEE_LOG_LEVEL": "debug",
        "MARQUEE_REKOGNITION_ENDPOINT_URL": url,
        "AWS_CONFIG_FILE": nowhere,
        "AWS_SHARED_CREDENTIALS_FILE": nowhere,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MARQUEE_"))}
    command = [sys.executable, "-m", "services.rekognition"]
    with log.open("wb") as stderr, spawn(command, env=clean | own | environment, stderr=stderr) as process:
        wait_until(lambda: serving(f"127.0.0.1:{port}") or process.poll() is not None)
        yield f"127.0.0.1:{port}", log


def recognize(address: str) -> status_pb2.Status:
    """Return the status with which a call ends."""
    picture = io.BytesIO()
    Pillow.new("RGB", (100, 100)).save(picture, "JPEG")
    request = pb.RecognizeImageRequest(image=pb.Image(content=picture.getvalue()), features=[pb.FEATURE_LABELS])
    with grpc.insecure_channel(address) as channel:
        try:
            RecognizerServiceStub(channel).RecognizeImage(request, timeout=60)
        except grpc.RpcError as error:
            return status.from_rpc_error(error)
    return status_pb2.Status()


@pytest.mark.parametrize(
    ("access", "environment", "code", "fix"),
    [
        (Access({ID: "another"}), {}, code_pb2.UNAUTHENTICATED, "renew them"),
        (Access({"another": SECRET}), {}, code_pb2.UNAUTHENTICATED, "renew them"),
        (Access({ID: SECRET}, expired=frozenset({ID})), {}, code_pb2.UNAUTHENTICATED, "expired"),
        (Access({ID: SECRET}, denied=frozenset({"DetectLabels"})), {}, code_pb2.PERMISSION_DENIED, "IAM policy"),
        (Access({ID: SECRET}, region=REGION), {"AWS_REGION": "eu-west-1"}, code_pb2.FAILED_PRECONDITION, "AWS_REGION"),
    ],
    ids=["wrong secret", "unknown key", "expired token", "no permission", "wrong region"],
)
def test_aws_refusals_are_explained(
    tmp_path: Path, access: Access, environment: dict[str, str], code: int, fix: str
) -> None:
    """The error says what an operator has to do; the server stays ready, and its log contains no secret."""
    with guarded_endpoint(access) as url, rekognition(tmp_path, url, **GOOD | environment) as (address, log):
        statuses = [recognize(address) for _ in range(3)]
        assert {one.code for one in statuses} == {code}
        assert fix in statuses[0].message
        assert serving(address)
        text = log.read_text()
    assert not [word for word in (SECRET, TOKEN, "Signature=") if word in text + str(statuses)]
    failures = [json.loads(line) for line in text.splitlines() if '"rekognition failed"' in line]
    assert len(failures) == 3


def test_right_credentials_are_accepted(tmp_path: Path) -> None:
    """The same server succeeds with the credentials and the region that the endpoint knows."""
    access = Access({ID: SECRET}, region=REGION)
    with guarded_endpoint(access) as url, rekognition(tmp_path, url, **GOOD) as (address, _):
        assert recognize(address) == status_pb2.Status()

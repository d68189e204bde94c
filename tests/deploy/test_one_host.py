"""Tests of one machine behind nginx: what callers get, and whether the files are consistent."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from dotenv import dotenv_values
from grpc_health.v1 import health_pb2, health_pb2_grpc

from helm.generate import ROOT
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.recognizer_pb2_grpc import RecognizerServiceStub
from services.gateway.config import load_config
from services.gateway.settings import GatewaySettings
from services.keras.settings import KerasSettings
from services.rekognition.settings import RekognitionSettings
from services.runtime.settings import PREFIX, Settings
from services.svm.settings import SvmSettings
from tests.deploy import manual
from tests.deploy.nginx import Nginx, running
from tests.support.processes import LocalSystem, free_port, run

pytestmark = pytest.mark.slow

_ONE_HOST = ROOT / "deploy" / "one-host"
_PAGE = ROOT / "docs" / "one-host.md"
_TOKEN = (("authorization", "Bearer open-sesame"),)
_SETTINGS: dict[str, type[Settings]] = {
    "gateway": GatewaySettings,
    "svm": SvmSettings,
    "rekognition": RekognitionSettings,
    "keras": KerasSettings,
}


@pytest.fixture(scope="module")
def nginx(system: LocalSystem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """Run nginx in front of the local system's gateway."""
    with running(tmp_path_factory.mktemp("nginx"), system.address("gateway")) as server:
        yield server


def _picture(system: LocalSystem) -> pb.RecognizeImageRequest:
    return pb.RecognizeImageRequest(image=pb.Image(content=system.picture("hopper.jpg")))


def test_picture_is_recognized_through_nginx(nginx: Nginx, system: LocalSystem) -> None:
    """With TLS outside and gRPC inside, the response arrives complete, including trailers."""
    with nginx.channel() as channel:
        answer = RecognizerServiceStub(channel).RecognizeImage(_picture(system), metadata=_TOKEN, timeout=60)
    assert [verdict.display_name for verdict in answer.verdicts] == ["Grace Hopper"]


def test_results_stream_through_nginx(nginx: Nginx, system: LocalSystem) -> None:
    """A stream's messages arrive one by one."""
    with nginx.channel() as channel:
        stream = RecognizerServiceStub(channel).StreamRecognizeImage(_picture(system), metadata=_TOKEN, timeout=60)
        assert len(list(stream)) == 4


def test_health_is_visible_through_nginx(nginx: Nginx) -> None:
    """The gateway's other services can be reached too."""
    with nginx.channel() as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), metadata=_TOKEN, timeout=60)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_errors_keep_their_details(nginx: Nginx) -> None:
    """An error of the gateway passes through nginx with its code."""
    code, _ = nginx.refusal(lambda stub: stub.RecognizeImage(pb.RecognizeImageRequest(), metadata=_TOKEN, timeout=60))
    assert code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("metadata", [(), (("authorization", "Bearer wrong"),)], ids=["no token", "wrong token"])
def test_unknown_callers_are_refused(nginx: Nginx, metadata: tuple[tuple[str, str], ...]) -> None:
    """Without a listed token, nothing reaches the gateway, and the error says which header is missing."""
    code, message = nginx.refusal(lambda stub: stub.ListRecognizers(pb.ListRecognizersRequest(), metadata=metadata))
    assert (code, "authorization: Bearer" in message) == (grpc.StatusCode.UNAUTHENTICATED, True)


def test_message_that_is_too_large(nginx: Nginx) -> None:
    """A message over 16 MiB is refused by nginx itself, with a gRPC status."""
    large = pb.RecognizeImageRequest(image=pb.Image(content=bytes(17 << 20)))
    code, _ = nginx.refusal(lambda stub: stub.RecognizeImage(large, metadata=_TOKEN, timeout=60))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_gateway_that_is_not_running(tmp_path: Path) -> None:
    """While the gateway is not running, callers get UNAVAILABLE, which clients may retry."""
    with running(tmp_path, f"127.0.0.1:{free_port()}") as nginx:
        code, message = nginx.refusal(
            lambda stub: stub.ListRecognizers(pb.ListRecognizersRequest(), metadata=_TOKEN, timeout=60)
        )
    assert (code, message) == (grpc.StatusCode.UNAVAILABLE, "the gateway is not running")


def test_callers_have_a_rate_limit(tmp_path: Path) -> None:
    """A caller that exceeds the rate limit gets RESOURCE_EXHAUSTED."""
    with running(tmp_path, f"127.0.0.1:{free_port()}") as nginx, nginx.channel() as channel:
        method = RecognizerServiceStub(channel).ListRecognizers
        calls = [method.future(pb.ListRecognizersRequest(), metadata=_TOKEN, timeout=60) for _ in range(100)]
        codes = [call.code() for call in calls]
    assert {*codes} == {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert codes.count(grpc.StatusCode.UNAVAILABLE) >= 40


@pytest.mark.parametrize("unit", ["marquee@.service", "tensorflow-serving.service"])
def test_systemd_accepts_the_unit(tmp_path: Path, unit: str) -> None:
    """The unit passes systemd's verification, assuming that its programs are installed."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is missing: apt-get install systemd")
    text = re.sub(r"(Exec\w+=-?)\S+", r"\1/bin/true", (_ONE_HOST / unit).read_text())
    text = re.sub(r"(After|Requires)=docker.service\n", "", text)
    path = tmp_path / unit.replace("@", "@gateway")
    path.write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", str(path)]
    done = run(command)
    faults = [line for line in done.stderr.splitlines() if path.name in line]
    assert (done.returncode, faults) == (0, [])


@pytest.mark.parametrize("service", _SETTINGS)
def test_environment_has_valid_settings(service: str) -> None:
    """Every variable is one of the server's settings, with a valid value."""
    values = dotenv_values(_ONE_HOST / "env" / f"{service}.env")
    own = {name.removeprefix(PREFIX).lower(): value for name, value in values.items() if name.startswith(PREFIX)}
    kind = _SETTINGS[service]
    assert own.keys() <= kind.model_fields.keys()
    kind.model_validate(own)


def test_gateway_calls_the_recognizers_ports() -> None:
    """The gateway's file and the recognizers' environments name the same ports, and no port is used twice."""
    environments = {name: dotenv_values(_ONE_HOST / "env" / f"{name}.env") for name in _SETTINGS}
    config = load_config(_ONE_HOST / "gateway.yaml")
    targets = {name: backend.target.removeprefix("dns:///") for name, backend in config.recognizers.items()}
    listening = {name: f"127.0.0.1:{values['MARQUEE_PORT']}" for name, values in environments.items()}
    assert targets == {name: address for name, address in listening.items() if name != "gateway"}
    ports = [values[f"MARQUEE_{kind}"] for values in environments.values() for kind in ("PORT", "METRICS_PORT")]
    assert len(set(ports)) == len(ports)
    assert f"server {listening['gateway']};" in (_ONE_HOST / "nginx.conf").read_text()


@pytest.mark.parametrize("block", manual.blocks(_PAGE), ids=lambda block: block.split("\n")[0][:40])
def test_shell_accepts_the_manual(block: str) -> None:
    """Bash accepts each block of the manual, and the files that it names exist."""
    manual.check_shell(block)
    assert all((ROOT / name).exists() for name in re.findall(r"(?<![\w/])deploy/one-host/[\w./@-]*\w", block))

"""Tests of one machine behind nginx: what callers get, and whether the page's commands and files do what it says."""

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import grpc
import pytest
from dotenv import dotenv_values
from grpc_health.v1 import health_pb2, health_pb2_grpc

from helm.generate import ROOT
from local.pictures import photo
from marquee.v1 import enrollment_pb2
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.enrollment_pb2_grpc import EnrollmentServiceStub
from marquee.v1.recognizer_pb2_grpc import RecognizerServiceStub
from services.gateway.config import load_config
from services.gateway.settings import GatewaySettings
from services.keras.settings import KerasSettings
from services.rekognition.settings import RekognitionSettings
from services.runtime import status
from services.runtime.settings import PREFIX, ProcessSettings
from services.svm.settings import SvmSettings
from services.web.settings import WebSettings
from tests.deploy.machine import PAGE, Machine, installed
from tests.support import pages
from tests.support.pictures import jpeg
from tests.support.processes import run, wait_until

pytestmark = pytest.mark.slow

_ONE_HOST = ROOT / "deploy" / "one-host"
_SETTINGS: dict[str, type[ProcessSettings]] = {
    "gateway": GatewaySettings,
    "svm": SvmSettings,
    "rekognition": RekognitionSettings,
    "keras": KerasSettings,
    "web": WebSettings,
}
_SETUP = ("Your values", "Packages and code", "Models", "Settings and tokens")
_Call = Callable[[grpc.Channel, str], object]
_HOPPER = jpeg(photo("Grace Hopper"))
_LARGEST = 15 << 20
_RIGHTS = {
    "tagger": "scopes=recognize",
    "desk": "scopes=enroll collections=guests",
    "gone": "scopes=recognize expires=2020-01-01",
    "hasty": "scopes=recognize calls=0.01",
}
"""Callers with their rights."""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Follow the page up to the first caller: nginx, the gateway, the page, the SVM and Rekognition run."""
    with Machine(tmp_path_factory.mktemp("machine")) as machine:
        machine.read(*_SETUP, "Start", "Nginx")
        yield machine


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Run nginx alone."""
    with Machine(tmp_path_factory.mktemp("front")) as machine:
        machine.read(*_SETUP, "Nginx")
        yield machine


@pytest.fixture(scope="module")
def token(machine: Machine) -> str:
    """Return the token of first-team, as the page makes it, which may recognize and enroll."""
    return _known(machine, machine.follow("marquee auth token first-team"))


def _known(machine: Machine, printed: str, port: int = 443) -> str:
    """Return the printed token once the gateway knows it."""
    (token,) = re.findall(r"^mq_\S+$", printed, re.MULTILINE) or [printed]
    wait_until(lambda: _refusal(machine, _list, token, port)[1] != "TOKEN_UNKNOWN")
    return token


def _bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),) if token else ()


def _list(channel: grpc.Channel, token: str) -> pb.ListRecognizersResponse:
    return RecognizerServiceStub(channel).ListRecognizers(
        pb.ListRecognizersRequest(), metadata=_bearer(token), timeout=60
    )


def _people(channel: grpc.Channel, token: str, collection: str = "") -> enrollment_pb2.ListPeopleResponse:
    request = enrollment_pb2.ListPeopleRequest(collection=collection)
    return EnrollmentServiceStub(channel).ListPeople(request, metadata=_bearer(token), timeout=60)


def _recognize(channel: grpc.Channel, token: str, content: bytes = b"") -> pb.RecognizeImageResponse:
    request = pb.RecognizeImageRequest(
        image=pb.Image(content=content or _HOPPER),
        features=[pb.FEATURE_CELEBRITIES],
        recognizers=["svm"],
        no_cache=True,  # so that the SVM is asked, and says so
    )
    return RecognizerServiceStub(channel).RecognizeImage(request, metadata=_bearer(token), timeout=60)


def _refusal(machine: Machine, call: _Call, token: str = "", port: int = 443) -> tuple[str, str, str]:
    """Return the code, the reason and the message of a call, empty if it succeeds."""
    with machine.channel(port) as channel:
        try:
            call(channel, token)
        except grpc.RpcError as error:
            refused = status.from_rpc_error(error)
            return error.code().name, status.reason_of(refused), refused.message
    return "", "", ""


def test_picture_is_recognized_through_nginx(machine: Machine, token: str) -> None:
    """With TLS outside and gRPC inside, the response arrives complete, including trailers."""
    with machine.channel() as channel:
        answer = _recognize(channel, token)
    assert [verdict.display_name for verdict in answer.verdicts] == ["Grace Hopper"]


def test_results_stream_through_nginx(machine: Machine, token: str) -> None:
    """A stream's messages arrive one by one; a recognizer that is not running is one of them."""
    request = pb.RecognizeImageRequest(image=pb.Image(content=_HOPPER))
    with machine.channel() as channel:
        stream = RecognizerServiceStub(channel).StreamRecognizeImage(request, metadata=_bearer(token), timeout=60)
        assert len(list(stream)) == 4


def test_health_is_visible_through_nginx(machine: Machine) -> None:
    """A load balancer asks without a token."""
    with machine.channel() as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=60)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_the_command_calls_over_https(machine: Machine, token: str) -> None:
    """What the page tells callers to type needs no tunnel."""
    (machine.folder / "opt/marquee/picture.jpg").write_bytes(_HOPPER)
    printed = machine.shell("marquee recognize --address https://$HOST:443 picture.jpg", MARQUEE_TOKEN=token)
    assert "Grace Hopper" in printed


def test_the_page_asks_visitors_to_sign_in(machine: Machine) -> None:
    """A browser at nginx's address gets the page over TLS, which shows nothing more before somebody signs in."""
    with machine.browser() as browser:
        answer = browser.get("/")
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/sign-in")
        assert browser.get("/sign-in").is_success


def test_the_page_recognizes_for_a_caller(machine: Machine, token: str) -> None:
    """Curl's upload gets past nginx and the page to the gateway, with the caller's own token; one of 20 MB does not.

    Events get back.
    """
    with machine.browser(headers={"Authorization": f"Bearer {token}"}) as browser:
        answer = browser.post("/v1/recognize?features=celebrities&recognizers=svm", files={"image": _HOPPER})
        assert answer.json()["verdicts"][0]["displayName"] == "Grace Hopper"
        assert browser.post("/v1/recognize", content=bytes(20 << 20)).status_code == 413
        events = browser.post("/v1/recognize/stream?recognizers=svm", files={"image": _HOPPER})
    assert events.headers["content-type"].startswith("text/event-stream")
    assert "Grace Hopper" in events.text


def test_everyone_logs_the_caller(machine: Machine, token: str) -> None:
    """The caller's name is in the gateway's line of the call and, told by the gateway, in the recognizer's."""
    with machine.channel() as channel:
        request_id = _recognize(channel, token).request_id
    for server in ("gateway", "svm"):
        wait_until(lambda server=server: _callers(machine, server, request_id))
        assert _callers(machine, server, request_id) == ["first-team"]


def _callers(machine: Machine, server: str, request_id: str) -> list[str]:
    calls = (line for line in machine.log(server) if line["event"] == "call")
    return [line["caller"] for line in calls if line.get("request_id") == request_id]


def test_the_recognizers_answer_the_gateway_alone(machine: Machine, token: str) -> None:
    """On this machine, too, a caller gets past the gateway neither without a token nor with its own."""
    with grpc.insecure_channel(f"localhost:{machine.port(50052)}") as channel:
        for known in ("", token):
            with pytest.raises(grpc.RpcError) as refused:
                _list(channel, known)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def _picture(channel: grpc.Channel, token: str) -> object:
    return _recognize(channel, token, b"not a picture")


def _upload(channel: grpc.Channel, token: str) -> object:
    return _recognize(channel, token, bytes(_LARGEST))


def _too_large(channel: grpc.Channel, token: str) -> object:
    return _recognize(channel, token, bytes(17 << 20))


def _staff(channel: grpc.Channel, token: str) -> object:
    return _people(channel, token, "staff")


@pytest.fixture(scope="module")
def register(machine: Machine) -> None:
    """Write callers into the gateway's register; the token of each is its name."""
    with (machine.folder / "etc/marquee/callers").open("a") as file:
        for name, rights in _RIGHTS.items():
            file.write(f"sha256:{hashlib.sha256(name.encode()).hexdigest()} name={name} {rights}\n")
    for name in _RIGHTS:
        _known(machine, name)


@pytest.mark.parametrize(
    ("token", "call", "expected"),
    [
        ("tagger", _picture, ("INVALID_ARGUMENT", "INVALID_IMAGE")),
        ("tagger", _too_large, ("RESOURCE_EXHAUSTED", "")),
        ("tagger", _people, ("PERMISSION_DENIED", "SCOPE_MISSING")),
        ("desk", _upload, ("PERMISSION_DENIED", "SCOPE_MISSING")),
        ("desk", _staff, ("PERMISSION_DENIED", "COLLECTION_FORBIDDEN")),
        ("gone", _list, ("UNAUTHENTICATED", "TOKEN_EXPIRED")),
        ("nobody", _list, ("UNAUTHENTICATED", "TOKEN_UNKNOWN")),
        ("nobody", _upload, ("UNAUTHENTICATED", "TOKEN_UNKNOWN")),
        ("", _list, ("UNAUTHENTICATED", "CREDENTIALS_MISSING")),
        ("", _upload, ("UNAUTHENTICATED", "CREDENTIALS_MISSING")),
    ],
)
@pytest.mark.usefixtures("register")
def test_refusals_arrive_through_nginx(machine: Machine, token: str, call: _Call, expected: tuple[str, str]) -> None:
    """Each refusal has its code and reason, that of 15 MiB, too, which nobody receives; over 16 MiB nginx refuses."""
    assert _refusal(machine, call, token)[:2] == expected


@pytest.mark.usefixtures("register")
def test_too_many_calls_of_a_caller_are_refused(machine: Machine) -> None:
    """A caller's limit in the register holds, and is its own."""
    refusals = [_refusal(machine, _list, "hasty")[:2] for _ in range(3)]
    assert refusals[1:] == [("RESOURCE_EXHAUSTED", "RATE_EXCEEDED")] * 2
    assert _refusal(machine, _list, "tagger")[0] == ""


def test_refused_calls_are_recorded_with_their_address(machine: Machine) -> None:
    """The gateway's audit log has who was refused and the address that nginx saw; nginx's log has the gRPC status."""
    _refusal(machine, _list, "eve")
    refused = [line for line in machine.audit() if line["action"] == "refused"]
    assert {(line["method"], line["forwarded_for"]) for line in refused} >= {("ListRecognizers", "127.0.0.1")}
    log = machine.folder / "var/log/nginx/marquee.log"
    call = re.compile(r"^\S+ 127\.0\.0\.1 /marquee\.v1\.RecognizerService/ListRecognizers 200 16 \S+$", re.MULTILINE)
    wait_until(lambda: call.search(log.read_text()))


def test_changes_are_recorded_with_their_caller(machine: Machine, token: str) -> None:
    """The gateway's audit log says who enrolled whom."""
    request = enrollment_pb2.EnrollFacesRequest(display_name="Grace", images=[pb.Image(content=_HOPPER)])
    with machine.channel() as channel:
        person = EnrollmentServiceStub(channel).EnrollFaces(request, metadata=_bearer(token), timeout=60).person_id
    enrolled = [line for line in machine.audit() if line.get("person_id") == person]
    assert [(line["action"], line["caller"]) for line in enrolled] == [("enrolled", "first-team")]


def test_the_audit_log_is_rotated(machine: Machine) -> None:
    """Logrotate moves the file away as the page installs it, and the running gateway begins a new one."""
    program = installed("logrotate", "logrotate")
    _refusal(machine, _list)
    machine.shell(f"{program} --force --state /var/lib/logrotate.status /etc/logrotate.d/marquee")
    folder = machine.folder / "var/log/marquee/gateway"
    assert [path.name for path in folder.iterdir()] == ["audit.log.1"]
    _refusal(machine, _list)
    assert [line["reason"] for line in machine.audit()] == ["CREDENTIALS_MISSING"]


def test_a_token_is_replaced(machine: Machine) -> None:
    """Old and new one are valid together until the page's command deletes the old one's line."""
    old = _known(machine, machine.shell("marquee auth token second-team --register /etc/marquee/callers"))
    new = _known(machine, machine.shell("marquee auth token second-team --register /etc/marquee/callers"))
    assert [_refusal(machine, _list, one)[0] for one in (old, new)] == ["", ""]
    machine.follow("read -rs OLD_TOKEN", OLD_TOKEN=old)
    wait_until(lambda: _refusal(machine, _list, old)[1] == "TOKEN_UNKNOWN")
    assert _refusal(machine, _list, new)[0] == ""


def test_a_caller_is_locked_out(machine: Machine) -> None:
    """The page's command deletes every line of the caller, and of no other."""
    tokens = [
        machine.shell(f"marquee auth token {name} --register /etc/marquee/callers").split()[0]
        for name in ("third-team", "third-team", "third-team-too")
    ]
    _known(machine, tokens[-1])
    (block,) = [one for one in pages.blocks(PAGE) if one.text.startswith("sed -i '/ name=")]
    machine.shell(block.text.replace("first-team", "third-team"))
    wait_until(lambda: _refusal(machine, _list, tokens[0])[1] == "TOKEN_UNKNOWN")
    assert [_refusal(machine, _list, one)[1] for one in tokens] == ["TOKEN_UNKNOWN", "TOKEN_UNKNOWN", ""]


def test_tokens_of_nginx_are_converted(machine: Machine) -> None:
    """The callers that nginx knew keep their tokens, their names and their rate."""
    old = machine.folder / "etc/nginx/marquee/callers.conf"
    old.write_text("".join(f'"Bearer {name * 8}" {name};\n' for name in ("old-team", "older-team")))
    machine.follow("sed -En")
    _known(machine, "older-team" * 8)
    assert [_refusal(machine, _people, name * 8)[0] for name in ("old-team", "older-team")] == ["", ""]
    register = (machine.folder / "etc/marquee/callers").read_text()
    assert re.findall(r" name=(old\S+) scopes=recognize,enroll,admin calls=20$", register, re.MULTILINE) == [
        "old-team",
        "older-team",
    ]


def test_the_gateways_own_token_is_replaced(machine: Machine, token: str) -> None:
    """After the page's commands, the recognizers know the restarted gateway by its new token alone."""
    old = (machine.folder / "etc/marquee/token").read_text()
    machine.follow("OLD_TOKEN=")
    assert (machine.folder / "etc/marquee/token").read_text() != old
    assert len((machine.folder / "etc/marquee/gateways").read_text().splitlines()) == 1
    assert _refusal(machine, _recognize, token) == ("", "", "")


def test_gateway_that_is_not_running(front: Machine) -> None:
    """While the gateway is not running, callers get UNAVAILABLE, which clients may retry."""
    assert _refusal(front, _list) == ("UNAVAILABLE", "", "the gateway is not running")


def test_addresses_have_a_rate_limit(front: Machine) -> None:
    """An address that floods the machine gets RESOURCE_EXHAUSTED."""
    with front.channel() as channel:
        method = RecognizerServiceStub(channel).ListRecognizers
        calls = [method.future(pb.ListRecognizersRequest(), timeout=60) for _ in range(600)]
        codes = [call.code() for call in calls]
    assert {*codes} == {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert codes.count(grpc.StatusCode.UNAVAILABLE) >= 200


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """The units and their drop-ins pass systemd's verification, assuming that their programs are installed."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is missing: apt-get install systemd")
    paths = [_unit(tmp_path, "tensorflow-serving.service")]
    for name, drop_in in {"gateway": "token.conf", "web": "page.conf"}.items():
        (tmp_path / f"marquee@{name}.service.d").mkdir()
        shutil.copy(_ONE_HOST / drop_in, tmp_path / f"marquee@{name}.service.d")
        paths.append(_unit(tmp_path, "marquee@.service", name))
    done = run(["systemd-analyze", "verify", "--man=no", *paths])
    faults = [line for line in done.stderr.splitlines() if str(tmp_path) in line]
    assert (done.returncode, faults) == (0, [])


def _unit(folder: Path, name: str, instance: str = "") -> Path:
    text = re.sub(r"(Exec\w+=-?)\S+", r"\1/bin/true", (_ONE_HOST / name).read_text())
    path = folder / name.replace("@", f"@{instance}")
    path.write_text(re.sub(r"(After|Requires)=docker.service\n", "", text))
    return path


@pytest.mark.parametrize("service", _SETTINGS)
def test_environment_has_valid_settings(service: str) -> None:
    """Every variable is one of the server's settings, with a valid value."""
    _check_settings(service, dotenv_values(_ONE_HOST / "env" / f"{service}.env"))


def test_environment_with_tls_has_valid_settings() -> None:
    """What is added to the environment for a machine without nginx keeps the gateway closed."""
    values = dotenv_values(_ONE_HOST / "env" / "gateway.env") | dotenv_values(_ONE_HOST / "tls.env")
    _check_settings("gateway", values)


def _check_settings(service: str, values: Mapping[str, str | None]) -> None:
    own = {name.removeprefix(PREFIX).lower(): value for name, value in values.items() if name.startswith(PREFIX)}
    kind = _SETTINGS[service]
    assert own.keys() <= kind.model_fields.keys()
    kind.model_validate(own)


def test_gateway_calls_the_recognizers_ports() -> None:
    """The gateway's file and the recognizers' environments name the same ports, and no port is used twice."""
    environments = {name: dotenv_values(_ONE_HOST / "env" / f"{name}.env") for name in _SETTINGS}
    config = load_config(_ONE_HOST / "gateway.yaml")
    targets = {name: backend.target.removeprefix("dns:///") for name, backend in config.recognizers.items()}
    page = environments.pop("web")
    listening = {name: f"127.0.0.1:{values['MARQUEE_PORT']}" for name, values in environments.items()}
    assert targets == {name: address for name, address in listening.items() if name != "gateway"}
    ports = [values[f"MARQUEE_{kind}"] for values in environments.values() for kind in ("PORT", "METRICS_PORT")]
    ports += [page["MARQUEE_WEB_PORT"], page["MARQUEE_METRICS_PORT"]]
    assert len(set(ports)) == len(ports)
    assert page["MARQUEE_WEB_GATEWAY"] == listening["gateway"]
    for address in (listening["gateway"], f"127.0.0.1:{page['MARQUEE_WEB_PORT']}"):
        assert f"server {address};" in (_ONE_HOST / "nginx.conf").read_text()

"""Tests of Marquee with TLS and tokens: who gets in, and what is replaced while calls are made."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import grpc
import pytest

from marquee.v1 import recognizer_pb2 as pb
from marquee.v1 import recognizer_pb2_grpc
from services.names import RECOGNIZERS, SERVERS
from tests.cluster import cluster
from tests.cluster.credentials import CALLERS, CLIENT, TLS, Credentials
from tests.cluster.loads import under_load
from tests.support.processes import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
_NAMESPACE = "marquee-doors"
_SOON_SECONDS = 4  # kubectl takes CPU from the calls: it is asked seldom
_OLD, _NEW = "an-old-token", "a-new-token"
_VALUES = {
    "auth.mode": "token",
    "auth.callers.secretName": CALLERS,
    "auth.test.secretName": CLIENT,
    "tls.secretName": TLS,
    "library.enabled": "false",  # it would need a token
    "defaults.drain.delaySeconds": 1,  # no pod is replaced here, and all are deleted in the end
}
_OPTIONS = [f"--set={key}={value}" for key, value in _VALUES.items()]


@pytest.fixture(scope="module")
def credentials() -> Iterator[Credentials]:
    """Install Marquee with TLS, and with a token that is in use."""
    made = Credentials(_NAMESPACE)
    with cluster.namespaced(_NAMESPACE):
        made.renew_certificate()
        made.admit(_OLD)
        made.use(_OLD)
        cluster.install(*_OPTIONS, namespace=_NAMESPACE)
        yield made


@pytest.mark.usefixtures("credentials")
def test_helm_test_calls_over_tls_with_a_token() -> None:
    """All pods are ready, and `helm test` gets a result of every recognizer."""
    output = cluster.helm_test(_NAMESPACE)
    assert "Phase:          Succeeded" in output
    for name in RECOGNIZERS:
        assert f"{name} OUTCOME_OK" in output


def test_only_the_gateway_gets_into_a_recognizer(credentials: Credentials) -> None:
    """A recognizer answers no caller without a certificate, whatever its token."""
    assert _code(f"pod/{_pods('svm')[0]}", credentials, _OLD) == grpc.StatusCode.UNAVAILABLE


def test_what_is_replaced_loses_no_call(credentials: Credentials) -> None:
    """Every call is answered while the same pods get other certificates, recognizers and, in the end, another token."""
    before = [*map(_pods, SERVERS)]

    def replace() -> None:
        _reloaded({"certificate": SERVERS, "client certificate": ["gateway"]}, credentials.renew_certificate)
        _reloaded({"configuration": ["gateway"]}, lambda: _upgrade("--set=recognizers.svm.gateway.timeout=9"))
        _reloaded({"callers": ["gateway"]}, lambda: credentials.admit(_OLD, _NEW))
        credentials.use(_NEW)
        wait_until(lambda: _look_again() and _token_in_use() == _NEW)
        _reloaded({"callers": ["gateway"]}, lambda: credentials.admit(_NEW))

    report = under_load("replaced", 120, replace, _NAMESPACE, CLIENT)
    assert report["failed"] == [], report
    assert [*map(_pods, SERVERS)] == before
    assert _code("service/marquee-gateway", credentials, _NEW) == grpc.StatusCode.OK
    assert _code("service/marquee-gateway", credentials, _OLD) == grpc.StatusCode.UNAUTHENTICATED


def _upgrade(*arguments: str) -> None:
    cluster.upgrade(*_OPTIONS, *arguments, namespace=_NAMESPACE)


def _reloaded(readers: Mapping[str, Sequence[str]], change: Callable[[], None]) -> None:
    """Change files, and wait until every pod of the components that read them has done so."""
    pods = [(what, pod) for what, components in readers.items() for component in components for pod in _pods(component)]
    before = {each: _reloads(*each) for each in pods}
    change()
    wait_until(lambda: _look_again() and all(_reloads(*each) > count for each, count in before.items()))


def _reloads(what: str, pod: str) -> float:
    """Return how often the pod has read something again."""
    page = cluster.run("kubectl", "get", "--raw", f"/api/v1/namespaces/{_NAMESPACE}/pods/{pod}:9464/proxy/metrics")
    series = f'marquee_reloads_total{{outcome="ok",what="{what}"}} '
    return next((float(line.removeprefix(series)) for line in page.splitlines() if line.startswith(series)), 0)


def _look_again() -> bool:
    """Make kubelet update the files of all pods: it looks once a minute, and soon at a pod that changes."""
    cluster.kubectl("annotate", "pods", "--all", "--overwrite", f"touched={time.time()}", namespace=_NAMESPACE)
    time.sleep(_SOON_SECONDS)
    return True


def _token_in_use() -> str:
    """Return the token that the load calls with."""
    read = "import pathlib; print(pathlib.Path('/credentials/token').read_text(), end='')"
    return cluster.kubectl("exec", "job/replaced", "--", "python", "-c", read, namespace=_NAMESPACE)


def _pods(component: str) -> list[str]:
    return cluster.pod_names(component, _NAMESPACE)


def _code(target: str, credentials: Credentials, token: str) -> grpc.StatusCode:
    """Return how a call ends that is made over TLS with the token."""
    with cluster.port_forward(target, 50051, _NAMESPACE) as address:
        ca = grpc.ssl_channel_credentials(credentials.ca)
        with grpc.secure_channel(f"localhost:{address.rpartition(':')[2]}", ca) as channel:
            stub = recognizer_pb2_grpc.RecognizerServiceStub(channel)
            metadata = (("authorization", f"Bearer {token}"),)
            try:
                stub.ListRecognizers(pb.ListRecognizersRequest(), timeout=20, metadata=metadata)
            except grpc.RpcError as exc:
                code: grpc.StatusCode = exc.code()
                return code
    return grpc.StatusCode.OK

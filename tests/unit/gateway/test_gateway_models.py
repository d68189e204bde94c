"""What recognizers tell the gateway of themselves while nobody calls."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.backends.backend import Backend
from services.gateway.config import BackendConfig
from tests.support.processes import free_port
from tests.support.servers import DEFAULT_FEATURES, Scripted, gateway, leaf, result, until

VERSION_1, VERSION_2 = (frozenset({("scripted", version)}) for version in "12")


@asynccontextmanager
async def watched(target: str) -> AsyncIterator[Backend]:
    """Yield the gateway's side of a recognizer, which is asked for its models."""
    backend = Backend("svm", BackendConfig(target=target))
    backend.watch()
    try:
        yield backend
    finally:
        await backend.close()


def answered(version: str) -> pb.RecognizerResult:
    return result("svm", model=pb.Model(name="scripted", version=version))


async def test_tells_models_features_and_prices() -> None:
    """Models, features and prices are known without a call, and followed when they change."""
    svm = Scripted("svm")
    svm.listed.prices.add(feature=pb.FEATURE_LABELS, micro_usd=1000)
    async with leaf(svm) as target, watched(target) as backend:
        await until(lambda: backend.told.recognizers)
        assert (backend.told.features, backend.told.is_gateway) == (frozenset(DEFAULT_FEATURES), False)
        assert [backend.told.price_of([one]) for one in DEFAULT_FEATURES] == [0, 1000]
        assert backend.models.versions == {"svm": VERSION_1}
        svm.listed.models[0].version = "2"
        await until(lambda: backend.models.versions == {"svm": VERSION_2})
    assert svm.calls == []


async def test_tells_what_is_behind_a_gateway() -> None:
    """Of a gateway the models of all recognizers behind it are known, and it is known to be one."""
    async with (
        leaf(Scripted("keras")) as target,
        gateway({"a": target, "b": target}) as inner,
        watched(inner) as backend,
    ):
        await until(lambda: backend.models.versions == {"svm/a": VERSION_1, "svm/b": VERSION_1})
        assert backend.told.is_gateway


async def test_is_asked_again_once_it_is_back() -> None:
    """A recognizer that goes away keeps what it told; one that comes back, or comes late, is asked again."""
    svm, port = Scripted("svm"), free_port()
    async with watched(f"127.0.0.1:{port}") as backend:
        async with leaf(svm, port):
            await until(lambda: backend.models.versions == {"svm": VERSION_1})
        assert backend.models.versions == {"svm": VERSION_1}
        svm.listed.models[0].version = "2"
        async with leaf(svm, port):
            await until(lambda: backend.models.versions == {"svm": VERSION_2})


async def test_is_no_call_of_a_caller() -> None:
    """The recognizer counts and logs none of it as a call."""

    def listings() -> float | None:
        labels = {"grpc_type": "unary", "grpc_service": "marquee.v1.RecognizerService", "grpc_code": "OK"}
        return REGISTRY.get_sample_value("grpc_server_handled_total", labels | {"grpc_method": "ListRecognizers"})

    before = listings()
    with capture_logs() as log:
        async with leaf(Scripted("svm")) as target, watched(target) as backend:
            await until(lambda: backend.told.recognizers)
    assert listings() == before
    assert {line["log_level"] for line in log if line["event"] == "call"} == {"debug"}


async def test_an_answer_tells_the_version_too() -> None:
    """The version in an answer counts until the recognizer is asked again; one that was begun before does not."""
    async with leaf(Scripted("svm")) as target:
        backend = Backend("svm", BackendConfig(target=target))  # is not asked
        await backend.models.ask()
        backend.models.hear([answered("2")], begin=0)
        assert backend.models.versions == {"svm": VERSION_1}
        backend.models.hear([answered("2")], begin=float("inf"))
        assert backend.models.versions == {"svm": VERSION_2}
        await backend.models.ask()
        assert backend.models.versions == {"svm": VERSION_1}
        await backend.close()


async def test_nothing_is_known_in_doubt() -> None:
    """After somebody was enrolled the versions are unknown, until they were asked for anew."""
    async with leaf(Scripted("svm")) as target:
        backend = Backend("svm", BackendConfig(target=target))
        await backend.models.ask()
        backend.models.doubt()
        assert backend.models.versions is None
        await backend.models.ask()
        assert backend.models.versions == {"svm": VERSION_1}
        await backend.close()

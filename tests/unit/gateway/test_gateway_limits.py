"""Callers' limits in dollars a day, which a recognizer keeps that believes the gateway, and nobody else does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from marquee.v1 import enrollment_pb2 as enrolling_pb
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.enrollment_pb2_grpc import EnrollmentServiceStub
from services.gateway.config import BackendConfig
from tests.support.doors import bearer, line
from tests.support.enrollers import ScriptedEnroller, enrolling, enrollment
from tests.support.servers import Stub, code_and_reason, gateway, outcomes, request

CALLERS = (
    line("of-ada", name="ada", scopes="recognize,enroll,admin", usd="1.5")
    + line("of-zoe", name="zoe", usd="0")
    + line("of-root", name="root")
    + line("of-page", name="page", scopes="recognize,relay", usd="3")
)
BOB = (("marquee-caller", "bob"), ("marquee-caller-micro-usd", "7"))


@asynccontextmanager
async def clients(folder: Path, **entry: object) -> AsyncIterator[tuple[Stub, EnrollmentServiceStub]]:
    """Yield clients of a gateway with callers, over svm, which is free, and paid, which has this entry."""
    callers = folder / "callers"
    callers.write_text(CALLERS)
    async with enrolling(ScriptedEnroller("svm")) as svm, enrolling(ScriptedEnroller("paid")) as paid:
        backends = {"svm": BackendConfig(target=svm), "paid": BackendConfig(target=paid, **{"priced": True} | entry)}
        async with gateway(backends, callers=callers) as address, grpc.aio.insecure_channel(address) as channel:
            yield Stub(channel), EnrollmentServiceStub(channel)


@pytest.mark.parametrize("metadata", [bearer("of-ada"), bearer("of-zoe"), (*bearer("of-page"), *BOB)])
@pytest.mark.parametrize("tls", ["plaintext", {}, None], ids=["plaintext", "TLS", "nothing"])
async def test_a_limit_that_nobody_would_keep_lets_no_paid_call_through(
    tmp_path: Path, tls: object, metadata: tuple[tuple[str, str], ...]
) -> None:
    """A priced recognizer that is not shown who the gateway is fails for callers with a limit, saying what to set."""
    async with clients(tmp_path, tls=tls) as (client, _):
        response = await client.RecognizeImage(request(), metadata=metadata)
        streamed = [one async for one in client.StreamRecognizeImage(request(), metadata=metadata)]
    failed = response.results[1].status
    assert outcomes(response) == {"svm": "OK", "paid": "ERROR"}
    assert {"paid": "ERROR"} in map(outcomes, streamed)
    assert code_and_reason(failed) == ("FAILED_PRECONDITION", "MISCONFIGURED")
    assert failed.message.startswith("paid costs money: set tls with cert and key, or token_file, for it")


@pytest.mark.parametrize(
    ("metadata", "entry"),
    [(bearer("of-root"), {}), ((*bearer("of-page"), BOB[0]), {}), (bearer("of-ada"), {"priced": False})],
    ids=["no limit", "for another without a limit", "nothing to pay"],
)
async def test_other_calls_are_let_through(
    tmp_path: Path, metadata: tuple[tuple[str, str], ...], entry: dict[str, object]
) -> None:
    """Where there is no limit, or nothing to pay, the gateway need not show who it is."""
    async with clients(tmp_path, **entry) as (client, _):
        response = await client.RecognizeImage(request(), metadata=metadata)
    assert outcomes(response) == {"svm": "OK", "paid": "OK"}


async def test_of_enrollment_what_may_cost_is_not_let_through(tmp_path: Path) -> None:
    """To enroll and to remove faces fails likewise; to list, and to remove a person, costs nothing."""
    key = enrolling_pb.FaceKey(content_sha256="0" * 64)
    async with clients(tmp_path) as (recognition, client):
        listed = await recognition.ListRecognizers(pb.ListRecognizersRequest(), metadata=bearer("of-ada"))
        calls = {
            client.EnrollFaces: enrollment(),
            client.RemoveFaces: enrolling_pb.RemoveFacesRequest(faces=[key]),
            client.RemovePerson: enrolling_pb.RemovePersonRequest(person_id="ada"),
            client.ListPeople: enrolling_pb.ListPeopleRequest(),
            client.ListFaces: enrolling_pb.ListFacesRequest(person_id="ada"),
        }
        responses = [await method(message, metadata=bearer("of-ada")) for method, message in calls.items()]
    assert [one.state for one in listed.recognizers] == [pb.RECOGNIZER_STATE_READY] * 2
    assert [outcomes(one)["paid"] for one in responses] == ["ERROR", "ERROR", "OK", "OK", "OK"]

"""A gateway's answers when recognizers are down, hang or fail."""

import grpc
from google.rpc import status_pb2

from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.recognizer_pb2_grpc import RecognizerServiceServicer, add_RecognizerServiceServicer_to_server
from services.gateway.config import BackendConfig
from services.runtime import status
from services.runtime.errors import InvalidImage, ObjectNotFound, Throttled
from tests.support.servers import (
    LEFT,
    Scripted,
    code_and_reason,
    face,
    gateway_client,
    leaf,
    nobody,
    outcomes,
    refusal,
    request,
    until,
)


async def test_one_that_is_down_is_unavailable() -> None:
    """A recognizer that is down is a result with a status; the other results are intact."""
    svm = Scripted("svm", result=pb.RecognizerResult(faces=[face(LEFT, "Ada")]))
    async with gateway_client(svm, keras=nobody()) as client:
        response = await client.RecognizeImage(request(), timeout=60)
    assert outcomes(response) == {"svm": "OK", "keras": "ERROR"}
    assert code_and_reason(response.results[1].status) == ("UNAVAILABLE", "RECOGNIZER_UNAVAILABLE")
    assert [one.display_name for one in response.verdicts] == ["Ada"]


async def test_network_errors_hide_addresses() -> None:
    """The caller never sees the addresses behind the gateway."""
    target = nobody()
    async with gateway_client(Scripted("svm"), keras=target) as client:
        response = await client.RecognizeImage(request(), timeout=60)
    assert response.results[1].status.message == "keras does not answer."
    assert target not in str(response)


async def test_an_error_keeps_its_own_words() -> None:
    """A recognizer's own error is its result's status, word for word."""
    async with gateway_client(Scripted("svm"), Scripted("aws", error=Throttled("Slow down."))) as client:
        response = await client.RecognizeImage(request())
    aws = response.results[1].status
    assert (*code_and_reason(aws), aws.message) == ("RESOURCE_EXHAUSTED", "THROTTLED", "Slow down.")


async def test_one_that_hangs_delays_no_answer() -> None:
    """A recognizer that hangs becomes TIMEOUT, and the response arrives before the caller's deadline."""
    hanging = Scripted("keras", seconds=60)
    async with gateway_client(Scripted("svm"), hanging) as client:
        response = await client.RecognizeImage(request(), timeout=5)
        await until(lambda: hanging.cancelled == 1)
    assert outcomes(response) == {"svm": "OK", "keras": "TIMEOUT"}
    assert status.code_of(response.results[1].status) is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_the_operators_timeout_holds() -> None:
    """A recognizer gets no more time than configured, however long the caller's deadline is."""
    async with leaf(Scripted("svm", seconds=60)) as slow, leaf(Scripted("keras")) as quick:
        limited = BackendConfig(target=slow, timeout=0.2)
        async with gateway_client(svm=limited, keras=quick) as client:
            response = await client.RecognizeImage(request(), timeout=60)
    assert outcomes(response) == {"svm": "TIMEOUT", "keras": "OK"}


async def test_a_common_failure_becomes_the_calls_failure() -> None:
    """If all recognizers fail for the same reason, the call fails with it: a bad picture is INVALID_ARGUMENT."""
    error = InvalidImage("This is no picture.")
    async with gateway_client(Scripted("svm", error=error), Scripted("keras", error=error)) as client:
        refused = await refusal(client, request())
    assert (*code_and_reason(refused), refused.message) == ("INVALID_ARGUMENT", "INVALID_IMAGE", "This is no picture.")


async def test_different_failures_are_in_the_details() -> None:
    """If recognizers fail for different reasons, the call is UNAVAILABLE, with each one's status in the details."""
    recognizers = [Scripted("svm", error=ObjectNotFound("gone")), Scripted("aws", error=Throttled("slow"))]
    async with gateway_client(*recognizers) as client:
        refused = await refusal(client, request())
    details = [status_pb2.Status() for _ in range(2)]
    unpacked = [packed.Unpack(one) for packed, one in zip(refused.details[1:], details, strict=True)]
    assert code_and_reason(refused) == ("UNAVAILABLE", "NO_RECOGNIZER_ANSWERED")
    assert unpacked == [True, True]
    assert [(*code_and_reason(one), one.message) for one in details] == [
        ("NOT_FOUND", "OBJECT_NOT_FOUND", "svm: gone"),
        ("RESOURCE_EXHAUSTED", "THROTTLED", "aws: slow"),
    ]


async def test_nobody_there_is_unavailable() -> None:
    """If no recognizer answers, the call is UNAVAILABLE, and its message names each of them."""
    async with gateway_client(svm=nobody(), keras=nobody()) as client:
        refused = await refusal(client, request())
    assert code_and_reason(refused) == ("UNAVAILABLE", "RECOGNIZER_UNAVAILABLE")
    assert "svm does not answer." in refused.message
    assert "keras does not answer." in refused.message


class Wordless(RecognizerServiceServicer):
    """A server that breaks the contract: its responses have no result."""

    async def RecognizeImage(self, request: pb.RecognizeImageRequest, context: object) -> pb.RecognizeImageResponse:  # noqa: N802, ARG002 - gRPC's names
        return pb.RecognizeImageResponse(request_id=request.request_id)


async def test_a_response_without_a_result_is_an_error() -> None:
    """A recognizer whose response has no result gets an ERROR result."""
    server = grpc.aio.server()
    add_RecognizerServiceServicer_to_server(Wordless(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with gateway_client(Scripted("svm"), odd=f"127.0.0.1:{port}") as client:
        response = await client.RecognizeImage(request())
    await server.stop(0)
    assert outcomes(response) == {"svm": "OK", "odd": "ERROR"}

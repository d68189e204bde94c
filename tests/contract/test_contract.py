"""Behaviour that every RecognizerService server shares: the gateway and each recognizer, over a real channel."""

import asyncio
import io
import re
import struct
import zlib
from collections.abc import AsyncIterator

import grpc
import pytest
from google.protobuf import descriptor_pb2, message_factory
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from PIL import Image

from marquee.v1 import recognizer_pb2 as pb
from marquee.v1 import recognizer_pb2_grpc
from services.names import SERVERS
from services.runtime.server import health
from tests.support.processes import MISSING_BUCKET, LocalSystem, metric

pytestmark = pytest.mark.slow

MIB = 1024 * 1024
WITH_LIBRARY = (*SERVERS, "library")


def behind(server: str) -> list[str]:
    """Return the recognizers behind the server, in the order in which a cascade asks them."""
    return ["svm", "keras", "rekognition"] if server == "gateway" else [server]


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def channel(system: LocalSystem, server: str) -> AsyncIterator[grpc.aio.Channel]:
    options = [("grpc.max_send_message_length", 64 * MIB)]
    async with grpc.aio.insecure_channel(system.address(server), options=options) as channel:
        yield channel


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> recognizer_pb2_grpc.RecognizerServiceStub:
    return recognizer_pb2_grpc.RecognizerServiceStub(channel)


@pytest.fixture
def picture(system: LocalSystem) -> pb.Image:
    return pb.Image(content=system.picture("both.jpg"))


def request(content: bytes = b"", **fields: object) -> pb.RecognizeImageRequest:
    return pb.RecognizeImageRequest(image=pb.Image(content=content), **fields)


async def refusal(
    stub: recognizer_pb2_grpc.RecognizerServiceStub, message: pb.RecognizeImageRequest
) -> tuple[str, str]:
    """Return the status code and the ErrorInfo reason of a call that fails."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.RecognizeImage(message, timeout=60)
    assert caught.value.details()
    return caught.value.code().name, reason(caught.value)


def reason(error: grpc.aio.AioRpcError) -> str:
    details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    info = error_details_pb2.ErrorInfo()
    for detail in status_pb2.Status.FromString(details).details:
        if detail.Unpack(info):
            assert info.domain == "marquee"
            return info.reason
    return ""


def png_bomb(side: int = 10_000) -> bytes:
    """Return a small file that unpacks to side x side pixels, 100 megapixels by default."""
    rows = zlib.compress(b"\0" * (side // 8 + 1) * side, 9)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


@pytest.mark.parametrize("name", ["", "liveness", "readiness", "marquee.v1.RecognizerService"])
async def test_health_is_serving(channel: grpc.aio.Channel, name: str) -> None:
    """Liveness and readiness are SERVING once the model is loaded."""
    response = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=name), timeout=60)
    assert response.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("server", WITH_LIBRARY, indirect=True)
async def test_health_of_an_unknown_name(channel: grpc.aio.Channel) -> None:
    """A health check for an unknown name gets NOT_FOUND."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=60)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("server", WITH_LIBRARY, indirect=True)
async def test_every_service_has_a_health(channel: grpc.aio.Channel) -> None:
    """Health's List has every service of Marquee by its full name, beside liveness and readiness, all SERVING."""
    health_list = channel.unary_unary(
        "/grpc.health.v1.Health/List",
        response_deserializer=message_factory.GetMessageClass(
            health.POOL.FindMessageTypeByName("grpc.health.v1.HealthListResponse")
        ).FromString,
    )
    statuses = (await health_list(b"", timeout=60)).statuses
    services = {name for name in await _services(channel) if name.startswith("marquee.")}
    assert set(statuses) == services | {"", "liveness", "readiness"}
    assert {one.status for one in statuses.values()} == {health_pb2.HealthCheckResponse.SERVING}


@pytest.mark.parametrize("server", WITH_LIBRARY, indirect=True)
async def test_reflection_describes_the_whole_health_service(channel: grpc.aio.Channel) -> None:
    """Reflection's health service has List, so that grpcurl can call it."""
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    message = reflection_pb2.ServerReflectionRequest(file_containing_symbol="grpc.health.v1.Health.List")
    response = await anext(aiter(stub.ServerReflectionInfo(iter([message]), timeout=60)))
    (file,) = map(
        descriptor_pb2.FileDescriptorProto.FromString, response.file_descriptor_response.file_descriptor_proto
    )
    assert [method.name for method in file.service[0].method] == ["Check", "Watch", "List"]


async def test_reflection_lists_the_services(channel: grpc.aio.Channel) -> None:
    """Reflection lists the contract's service and the health service, so grpcurl needs no protos."""
    assert {"marquee.v1.RecognizerService", "grpc.health.v1.Health"} <= await _services(channel)


async def _services(channel: grpc.aio.Channel) -> set[str]:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    message = reflection_pb2.ServerReflectionRequest(list_services="")
    response = await anext(aiter(stub.ServerReflectionInfo(iter([message]), timeout=60)))
    return {service.name for service in response.list_services_response.service}


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
@pytest.mark.parametrize("symbol", ["marquee.v1.RecognizerService", "marquee.v1.RecognizerService.RecognizeImage"])
async def test_reflection_describes(channel: grpc.aio.Channel, version: str, symbol: str) -> None:
    """Reflection returns the contract's file for a service and for a method of it, which is how ghz queries it."""
    call = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    message = reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)
    response = await anext(aiter(call(iter([message]), timeout=60)))
    assert response.file_descriptor_response.file_descriptor_proto


async def test_reflection_of_an_unknown_symbol(channel: grpc.aio.Channel) -> None:
    """Reflection answers NOT_FOUND for an unknown symbol."""
    message = reflection_pb2.ServerReflectionRequest(file_containing_symbol="marquee.v1.RecognizerService.Nothing")
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    response = await anext(aiter(stub.ServerReflectionInfo(iter([message]), timeout=60)))
    assert response.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_recognizes_bytes(
    stub: recognizer_pb2_grpc.RecognizerServiceStub, picture: pb.Image, server: str
) -> None:
    """Every recognizer behind the server recognizes a picture sent as bytes."""
    response = await stub.RecognizeImage(pb.RecognizeImageRequest(image=picture, request_id="call-1"), timeout=60)
    assert response.request_id == "call-1"
    assert [result.recognizer for result in response.results] == behind(server)
    assert {result.outcome for result in response.results} == {pb.OUTCOME_OK}


async def test_returns_the_pictures_size_and_format(
    stub: recognizer_pb2_grpc.RecognizerServiceStub, system: LocalSystem, picture: pb.Image
) -> None:
    """The response has the picture's size and format."""
    size = Image.open(io.BytesIO(system.picture("both.jpg"))).size
    response = await stub.RecognizeImage(pb.RecognizeImageRequest(image=picture), timeout=60)
    assert ((response.image.width, response.image.height), response.image.format) == (size, "JPEG")


async def test_makes_a_request_id(stub: recognizer_pb2_grpc.RecognizerServiceStub, picture: pb.Image) -> None:
    """A call without a request_id gets one."""
    response = await stub.RecognizeImage(pb.RecognizeImageRequest(image=picture), timeout=60)
    assert re.fullmatch(r"[0-9a-f]{32}", response.request_id)


async def test_recognizes_an_s3_object(stub: recognizer_pb2_grpc.RecognizerServiceStub) -> None:
    """A picture in an allowed S3 bucket is recognized."""
    image = pb.Image(s3_object=pb.S3Object(bucket="marquee-demo", key="hopper.jpg"))
    response = await stub.RecognizeImage(pb.RecognizeImageRequest(image=image), timeout=60)
    assert {result.outcome for result in response.results} == {pb.OUTCOME_OK}


async def test_the_stream_merges_into_the_answer(
    stub: recognizer_pb2_grpc.RecognizerServiceStub, picture: pb.Image
) -> None:
    """A stream has one result per message, then the rest; merged, its messages equal the unary response."""
    message = pb.RecognizeImageRequest(image=picture, request_id="call-2")
    whole = await stub.RecognizeImage(message, timeout=60)
    parts = [part async for part in stub.StreamRecognizeImage(message, timeout=60)]
    assert [len(part.results) for part in parts] == [1] * len(whole.results) + [0]
    merged = pb.RecognizeImageResponse()
    for part in parts:
        merged.MergeFrom(part)
    assert comparable(merged) == comparable(whole)


def comparable(response: pb.RecognizeImageResponse) -> pb.RecognizeImageResponse:
    """Return the response without the fields that differ between calls."""
    response.ClearField("timings")
    results = sorted(response.results, key=lambda result: result.recognizer)
    for result in results:
        result.ClearField("timings")
    del response.results[:]
    response.results.extend(results)
    return response


async def test_lists_its_recognizers(stub: recognizer_pb2_grpc.RecognizerServiceStub, server: str) -> None:
    """ListRecognizers returns each recognizer's name, state, features and models."""
    response = await stub.ListRecognizers(pb.ListRecognizersRequest(), timeout=60)
    assert [one.name for one in response.recognizers] == behind(server)
    assert all(one.state == pb.RECOGNIZER_STATE_READY and one.features and one.models for one in response.recognizers)


async def test_unsupported_features_are_skipped(
    stub: recognizer_pb2_grpc.RecognizerServiceStub, picture: pb.Image
) -> None:
    """A recognizer that lists the requested feature performs it; any other returns SKIPPED."""
    listed = (await stub.ListRecognizers(pb.ListRecognizersRequest(), timeout=60)).recognizers
    message = pb.RecognizeImageRequest(image=picture, features=[pb.FEATURE_MODERATION], recognizers=[])
    response = await stub.RecognizeImage(message, timeout=60)
    assert {result.recognizer: result.outcome for result in response.results} == {
        one.name: pb.OUTCOME_OK if pb.FEATURE_MODERATION in one.features else pb.OUTCOME_SKIPPED for one in listed
    }


async def test_given_faces_are_described_in_their_order(
    stub: recognizer_pb2_grpc.RecognizerServiceStub, picture: pb.Image
) -> None:
    """A recognizer that takes face_boxes has a face for each; any other looks for none. Embeddings come as listed."""
    listed = (await stub.ListRecognizers(pb.ListRecognizersRequest(), timeout=60)).recognizers
    takes, gives = (
        {one.name: getattr(one, name) for one in listed} for name in ("takes_face_boxes", "gives_embeddings")
    )
    boxes = [pb.BoundingBox(left=left, top=0.1, width=0.3, height=0.7) for left in (0.6, 0.1, 0.6)]
    message = pb.RecognizeImageRequest(
        image=picture, face_boxes=boxes, features=[pb.FEATURE_FACES], include_embeddings=True
    )
    results = (await stub.RecognizeImage(message, timeout=60)).results
    assert {one.recognizer: one.outcome == pb.OUTCOME_OK for one in results} == takes
    for one in results:
        assert [face.box for face in one.faces] == (boxes if takes[one.recognizer] else [])
        assert all(
            bool(face.embedding.values and face.embedding.version) == gives[one.recognizer] for face in one.faces
        )
        assert one.outcome == pb.OUTCOME_OK or (one.cost_micro_usd, bool(one.status.message)) == (0, True)


BAD = {
    "no picture": (pb.RecognizeImageRequest(), "INVALID_ARGUMENT", "IMAGE_MISSING"),
    "0 bytes": (request(b""), "INVALID_ARGUMENT", "IMAGE_MISSING"),
    "text": (request(b"hello, I am no picture"), "INVALID_ARGUMENT", "INVALID_IMAGE"),
    "a GIF": (request(b"GIF89a" + b"\0" * 100), "INVALID_ARGUMENT", "INVALID_IMAGE"),
    "a PNG bomb": (request(png_bomb()), "INVALID_ARGUMENT", "IMAGE_TOO_LARGE"),
    "15 MiB and a byte": (request(b"\xff" * (15 * MIB + 1)), "INVALID_ARGUMENT", "IMAGE_TOO_LARGE"),
    "an unknown recognizer": (request(b"x", recognizers=["nobody"]), "INVALID_ARGUMENT", "UNKNOWN_RECOGNIZER"),
    "an unknown required one": (request(b"x", required=["nobody"]), "INVALID_ARGUMENT", "UNKNOWN_RECOGNIZER"),
    "negative max_labels": (request(b"x", max_labels=-1), "INVALID_ARGUMENT", "INVALID_REQUEST"),
    "min_score over 1": (request(b"x", min_score=1.5), "INVALID_ARGUMENT", "INVALID_REQUEST"),
    "an unspecified feature": (request(b"x", features=[pb.FEATURE_UNSPECIFIED]), "INVALID_ARGUMENT", "INVALID_REQUEST"),
    "a bad request_id": (request(b"x", request_id="a b"), "INVALID_ARGUMENT", "INVALID_REQUEST"),
    "an unserved policy": (request(b"x", policy=77), "UNIMPLEMENTED", "UNSUPPORTED_POLICY"),
}


@pytest.mark.parametrize("case", BAD)
async def test_refuses(stub: recognizer_pb2_grpc.RecognizerServiceStub, case: str) -> None:
    """Bad input gets a code, a reason and a message, and the server keeps serving."""
    message, code, why = BAD[case]
    assert await refusal(stub, message) == (code, why)
    await stub.ListRecognizers(pb.ListRecognizersRequest(), timeout=60)


async def test_refuses_a_truncated_picture(
    stub: recognizer_pb2_grpc.RecognizerServiceStub, system: LocalSystem
) -> None:
    """A JPEG cut off in the middle is an invalid picture, not half a picture."""
    message = request(system.picture("both.jpg")[:9000])
    assert await refusal(stub, message) == ("INVALID_ARGUMENT", "INVALID_IMAGE")


@pytest.mark.parametrize(
    ("bucket", "key", "expected"),
    [
        ("marquee-demo", "nobody.jpg", ("NOT_FOUND", "OBJECT_NOT_FOUND")),
        (MISSING_BUCKET, "hopper.jpg", ("NOT_FOUND", "OBJECT_NOT_FOUND")),
        ("somebody-elses", "hopper.jpg", ("PERMISSION_DENIED", "BUCKET_NOT_ALLOWED")),
        ("marquee-demo", "", ("INVALID_ARGUMENT", "INVALID_REQUEST")),
    ],
)
async def test_refuses_an_object(
    stub: recognizer_pb2_grpc.RecognizerServiceStub, bucket: str, key: str, expected: tuple[str, str]
) -> None:
    """An object that is missing, not allowed or unnamed is refused with the matching reason."""
    image = pb.Image(s3_object=pb.S3Object(bucket=bucket, key=key))
    assert await refusal(stub, pb.RecognizeImageRequest(image=image)) == expected


async def test_refuses_an_oversized_message(stub: recognizer_pb2_grpc.RecognizerServiceStub) -> None:
    """A message over 16 MiB gets RESOURCE_EXHAUSTED before anything reads it."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.RecognizeImage(request(b"\xff" * (17 * MIB)), timeout=60)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_keeps_the_deadline(stub: recognizer_pb2_grpc.RecognizerServiceStub, picture: pb.Image) -> None:
    """A call whose deadline is too short ends with DEADLINE_EXCEEDED once the deadline passes."""
    start = asyncio.get_running_loop().time()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.RecognizeImage(pb.RecognizeImageRequest(image=picture, no_cache=True), timeout=0.001)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert asyncio.get_running_loop().time() - start < 20


async def test_survives_cancelled_calls(stub: recognizer_pb2_grpc.RecognizerServiceStub, picture: pb.Image) -> None:
    """After several cancelled calls, the server still answers the next one."""
    message = pb.RecognizeImageRequest(image=picture)
    for _ in range(5):
        call = stub.RecognizeImage(message, timeout=60)
        await asyncio.sleep(0.01)
        call.cancel()
    response = await stub.RecognizeImage(message, timeout=60)
    assert {result.outcome for result in response.results} == {pb.OUTCOME_OK}


async def test_answers_concurrent_calls(stub: recognizer_pb2_grpc.RecognizerServiceStub, system: LocalSystem) -> None:
    """Each of several concurrent calls gets its own response."""
    names = ["both.jpg", "coffee.jpg", "hopper.jpg", "collins.jpg"] * 3
    messages = [request(system.picture(name), request_id=f"{number}-{name}") for number, name in enumerate(names)]
    responses = await asyncio.gather(*(stub.RecognizeImage(message, timeout=60) for message in messages))
    assert [response.request_id for response in responses] == [message.request_id for message in messages]
    assert all(result.outcome == pb.OUTCOME_OK for response in responses for result in response.results)


async def test_metrics_move(
    stub: recognizer_pb2_grpc.RecognizerServiceStub, system: LocalSystem, server: str, picture: pb.Image
) -> None:
    """A call is counted under its method and code."""
    series = 'grpc_code="OK",grpc_method="RecognizeImage",grpc_service="marquee.v1.RecognizerService"'
    before = await asyncio.to_thread(metric, system.metrics_url(server), "grpc_server_handled_total", series)
    await stub.RecognizeImage(pb.RecognizeImageRequest(image=picture), timeout=60)
    assert (
        await asyncio.to_thread(metric, system.metrics_url(server), "grpc_server_handled_total", series) == before + 1
    )

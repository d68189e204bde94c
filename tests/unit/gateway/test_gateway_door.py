"""The gateway's door: whatever bytes come in, the caller gets a status of the contract, and the next call works."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.v1 import enrollment_pb2
from marquee.v1 import recognizer_pb2 as pb
from tests.support.enrollers import ScriptedEnroller, enrolling
from tests.support.hostile import (
    ENROLL,
    LIST,
    LIST_FACES,
    LIST_PEOPLE,
    RECOGNIZE,
    REMOVE,
    REMOVE_FACES,
    STREAM,
    face_at,
    field,
    varint,
)
from tests.support.servers import gateway, request

pytestmark = pytest.mark.slow

METHODS = (RECOGNIZE, STREAM, LIST, ENROLL, REMOVE, LIST_PEOPLE, REMOVE_FACES, LIST_FACES)
CODES = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "PERMISSION_DENIED", "UNIMPLEMENTED", "DEADLINE_EXCEEDED"}
VALID = [
    message.SerializeToString()
    for message in (
        request(request_id="id", recognizers=["svm"], features=[1, 2], min_score=0.5, max_labels=3, collection="c"),
        request(recognizer_options={"svm": pb.RecognizerOptions(timeout={"seconds": 5}, min_score=0.1)}, policy=1),
        pb.RecognizeImageRequest(image=pb.Image(s3_object=pb.S3Object(bucket="b", key="k", version_id="v"))),
        enrollment_pb2.EnrollFacesRequest(display_name="Ada", images=[request().image] * 2),
        enrollment_pb2.RemovePersonRequest(person_id="ada", recognizers=["svm"]),
        enrollment_pb2.RemoveFacesRequest(faces=[face_at("svm")], person_id="ada"),
        enrollment_pb2.ListFacesRequest(person_id="ada", page_size=7),
        enrollment_pb2.ListPeopleRequest(page_size=7, page_token="ada"),  # noqa: S106 - no password
    )
]

numbers = st.integers(1, 20)
scalars = st.one_of(
    st.tuples(numbers, st.integers(0, 2**64 - 1)).map(lambda one: varint(one[0] << 3) + varint(one[1])),
    st.tuples(numbers, st.binary(min_size=4, max_size=4)).map(lambda one: varint(one[0] << 3 | 5) + one[1]),
    st.tuples(numbers, st.binary(min_size=8, max_size=8)).map(lambda one: varint(one[0] << 3 | 1) + one[1]),
)
texts = st.one_of(st.binary(max_size=20), st.text(max_size=20).map(str.encode))
messages = st.recursive(
    st.one_of(scalars, st.builds(field, numbers, texts)),
    lambda inner: st.builds(field, numbers, st.lists(inner, max_size=4).map(b"".join)),
    max_leaves=10,
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Return a valid request with some bytes replaced."""
    data = draw(st.sampled_from(VALID))
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, min(len(data), start + 10)))
    return data[:start] + draw(st.binary(max_size=10)) + data[end:]


Door = Callable[[str, bytes], str]


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    """Return a function that sends a request to a gateway and returns the name of the code that it gets."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        channel = runner.run(_opened(stack))
        yield lambda method, data: runner.run(_code(channel, method, data))
        runner.run(stack.aclose())


async def _opened(stack: AsyncExitStack) -> grpc.aio.Channel:
    recognizer = await stack.enter_async_context(enrolling(ScriptedEnroller("svm")))
    address = await stack.enter_async_context(gateway({"svm": recognizer}))
    return await stack.enter_async_context(grpc.aio.insecure_channel(address))


async def _code(channel: grpc.aio.Channel, method: str, data: bytes) -> str:
    if method != STREAM:
        return (await channel.unary_unary(method)(data, timeout=60).code()).name
    call = channel.unary_stream(method)(data, timeout=60)
    with suppress(grpc.aio.AioRpcError):
        [_ async for _ in call]
    return (await call.code()).name


@given(
    method=st.sampled_from(METHODS),
    data=st.one_of(st.binary(max_size=300), st.lists(messages, max_size=8).map(b"".join), damaged()),
)
def test_any_bytes_get_a_status(door: Door, method: str, data: bytes) -> None:
    """Any bytes get a code that the contract has for them, never INTERNAL or UNKNOWN, and the next call works."""
    assert door(method, data) in CODES
    assert door(RECOGNIZE, request().SerializeToString()) == "OK"

"""Statuses of any contents, joined and cut to what arrives at a client."""

import time

import pytest
from google.protobuf import any_pb2, json_format
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runtime import status


def _packed(message: Message) -> any_pb2.Any:
    detail = any_pb2.Any()
    detail.Pack(message)
    return detail


pytestmark = pytest.mark.slow

TEXTS = st.text(max_size=20) | st.text(min_size=400, max_size=2000) | st.just("错误" * 2000) | st.just("%" * 9000)
UTF8 = TEXTS.map(lambda text: text.encode("utf-8", "replace").decode())
ANYS = st.builds(
    any_pb2.Any,
    type_url=st.sampled_from(["type.googleapis.com/google.rpc.ErrorInfo", "type.googleapis.com/google.rpc.Status"])
    | UTF8,
    value=st.binary(max_size=3000),
)
INFOS = st.builds(
    error_details_pb2.ErrorInfo,
    reason=UTF8,
    domain=UTF8,
    metadata=st.dictionaries(UTF8, UTF8, max_size=5),
).map(_packed)
STATUSES = st.builds(
    status_pb2.Status,
    code=st.integers(1, 16) | st.integers(-(2**31), -1) | st.integers(17, 2**31 - 1),
    message=UTF8,
    details=st.lists(ANYS | INFOS, max_size=3),
)
OTHERWISE = (status.grpc.StatusCode.UNAVAILABLE, "NO_RECOGNIZER_ANSWERED")


def on_the_wire(one: status_pb2.Status) -> int:
    """Return the size of a failed call's metadata: the message, percent-encoded, the status in base64, and the keys."""
    encoded = sum(1 if 0x20 <= byte <= 0x7E and byte != ord("%") else 3 for byte in one.message.encode())
    return encoded + -(-one.ByteSize() // 3) * 4 + 400


@settings(max_examples=30)
@given(st.lists(STATUSES, min_size=1, max_size=4).flatmap(lambda few: st.just(few) | st.just(few * 16)))
def test_any_statuses_join_into_one_that_arrives(statuses: list[status_pb2.Status]) -> None:
    """However many statuses of whatever contents: the joined one fits into 8 KiB of metadata, and keeps its cause."""
    named = {f"recognizer-{number}": one for number, one in enumerate(statuses)}
    joined = status.join(named, "No recognizer answered.", OTHERWISE, request_id="r")
    codes = {status.code_of(one) for one in statuses}
    assert on_the_wire(joined) <= 8192
    assert status.code_of(joined) in (codes if len(codes) == 1 else {OTHERWISE[0], *codes})
    json_format.MessageToDict(joined)


@settings(max_examples=30)
@given(STATUSES)
def test_a_bounded_status_stays_as_it_is(one: status_pb2.Status) -> None:
    """Cutting what has been cut changes nothing, so that gateways behind gateways agree."""
    once = status.bounded(one)
    assert status.bounded(once) == once


def test_many_causes_keep_code_reason_and_first_words() -> None:
    """Of 20 failures with 500 characters and metadata each, every code, reason and first words stay."""
    statuses = {
        f"r{n}": status.make(status.grpc.StatusCode.NOT_FOUND, f"REASON_{n}", f"cause {n} " * 50, key="v" * 500)
        for n in range(20)
    }
    joined = status.join(statuses, "No recognizer answered.", OTHERWISE)
    causes = [status_pb2.Status.FromString(detail.value) for detail in joined.details[1:]]
    assert [(one.code, status.reason_of(one), one.message[:11]) for one in causes] == [
        (5, f"REASON_{n}", f"r{n}: cause {n}"[:11]) for n in range(20)
    ]


def test_a_detail_without_room_leaves_the_others() -> None:
    """A detail that is larger than a status may be is left out; smaller ones beside it, and other failures, stay."""
    large, small = error_details_pb2.DebugInfo(detail="x" * 10_000), error_details_pb2.RequestInfo(request_id="r")
    one = status_pb2.Status(code=13, message="boo", details=[_packed(large), _packed(small)])
    joined = status.join({"a": one, "b": status.make(*OTHERWISE, "away")}, "No recognizer answered.", OTHERWISE)
    causes = [status_pb2.Status.FromString(detail.value) for detail in joined.details[1:]]
    assert list(status.bounded(one).details) == [_packed(small)]
    assert [one.message for one in causes] == ["a: boo", "b: away"]


def test_megabytes_in_a_detail_are_not_read() -> None:
    """Statuses in statuses, 5 MB of them, are left out without a look, which would take seconds."""
    one = status_pb2.Status(code=13, message="boo")
    for _ in range(3):
        one = status_pb2.Status(code=13, message="boo", details=[_packed(one)] * 50)
    begin = time.process_time()
    assert status.bounded(one) == status_pb2.Status(code=13, message="boo")
    assert time.process_time() - begin < 1

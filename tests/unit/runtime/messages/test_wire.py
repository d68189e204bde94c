"""The protobuf wire format, read without parsing."""

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.messages import wire


def test_fields_are_found_with_their_values() -> None:
    """Each occurrence of a field is yielded with its number and the place of its value."""
    data = pb.RecognizeImageRequest(request_id="id", features=[1, 2], min_score=0.5).SerializeToString()
    found = [(field.number, data[field.start : field.end]) for field in wire.fields(data)]
    assert found[0] == (1, b"id")
    assert found[1] == (4, b"\x01\x02")
    assert [number for number, _ in found] == [1, 4, 6]


@pytest.mark.parametrize("data", [b"\xff" * 11, b"\x0a", b"\x0a\x05ab", b"\x00\x01", b"\x0b\x0c", b"\x09abc"])
def test_malformed_bytes_are_refused(data: bytes) -> None:
    """Truncated values, field number 0, groups and endless numbers raise DecodeError."""
    with pytest.raises(DecodeError):
        list(wire.fields(data))


@given(st.binary(max_size=200))
def test_any_bytes_end_or_are_refused(data: bytes) -> None:
    """Whatever the bytes are, the fields cover them without overlap, or DecodeError is raised."""
    position = 0
    try:
        for field in wire.fields(data):
            assert position < field.start <= field.end <= len(data)
            position = field.end
    except DecodeError:
        return
    assert position == len(data)

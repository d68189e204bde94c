"""The envelope of a serialized request, measured before it is parsed."""

from contextlib import nullcontext, suppress

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from marquee.library.v1 import library_pb2
from marquee.v1 import enrollment_pb2
from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import InvalidRequest
from services.runtime.limits import MIB
from services.runtime.messages import envelope

KIB = 1024
RECOGNITION = pb.RecognizeImageRequest.DESCRIPTOR
ENROLLMENT = enrollment_pb2.EnrollFacesRequest.DESCRIPTOR
EMPTY_NAME = b"\x1a\x00"
EMPTY_PICTURE = b"\x12\x00"
EMPTY_PICTURES = b"\x22\x00"
UNKNOWN = b"\x98\x06\x00"
EMPTY_CONTENT = b"\x0a\x00"
EMPTY_OBJECT = b"\x12\x00"
MALFORMED = b"\xff" * 11


def picture(*sources: bytes) -> bytes:
    """Return the field `image` of a RecognizeImageRequest, with these fields in it."""
    inner = b"".join(sources)
    return b"\x12" + varint(len(inner)) + inner


def content(size: int) -> bytes:
    return b"\x0a" + varint(size) + bytes(size)


def varint(value: int) -> bytes:
    return bytes([value & 0x7F | 0x80]) + varint(value >> 7) if value > 0x7F else bytes([value])


FIT: dict[str, pb.RecognizeImageRequest | enrollment_pb2.EnrollFacesRequest] = {
    "nothing": pb.RecognizeImageRequest(),
    "a large picture": pb.RecognizeImageRequest(image=pb.Image(content=bytes(15 * MIB))),
    "a picture beside all of an envelope": pb.RecognizeImageRequest(
        image=pb.Image(content=bytes(MIB)), recognizers=["x" * 1020] * 63
    ),
    "as many fields as are allowed": pb.RecognizeImageRequest(recognizers=[""] * 1024),
    "many pictures": enrollment_pb2.EnrollFacesRequest(images=[pb.Image(content=bytes(400 * KIB))] * 32),
}
TOO_LARGE = {
    "empty names": EMPTY_NAME * MIB,
    "one name": pb.RecognizeImageRequest(recognizers=["x" * 65 * KIB]).SerializeToString(),
    "an unknown field, repeated": UNKNOWN * MIB,
    "one unknown field": b"\x9a\x06" + varint(MIB) + bytes(MIB),
    "packed numbers": pb.RecognizeImageRequest(features=[pb.FEATURE_TEXT] * MIB).SerializeToString(),
    "an object's key": pb.RecognizeImageRequest(
        image=pb.Image(s3_object=pb.S3Object(key="x" * 65 * KIB))
    ).SerializeToString(),
    "unknown fields in the picture": picture(UNKNOWN * MIB),
    "a picture beside a large envelope": picture(content(MIB)) + EMPTY_NAME * 33 * KIB,
    "one field too many": EMPTY_NAME * 1025,
}


@pytest.mark.parametrize("message", FIT.values(), ids=FIT)
def test_pictures_do_not_count(message: pb.RecognizeImageRequest | enrollment_pb2.EnrollFacesRequest) -> None:
    """However large its pictures are, a request with up to 64 KiB besides their bytes passes."""
    envelope.check(message.SerializeToString(), message.DESCRIPTOR)


@pytest.mark.parametrize("data", TOO_LARGE.values(), ids=TOO_LARGE)
def test_a_large_envelope_is_refused(data: bytes) -> None:
    """More than 64 KiB or 1024 fields besides the picture's bytes is refused, wherever in the request they are."""
    with pytest.raises(InvalidRequest, match="more than 64 KiB"):
        envelope.check(data, RECOGNITION)


def test_an_import_has_more_room() -> None:
    """Answers to import take up to 1 MiB together."""
    answer = library_pb2.ImportedAnswer(result=pb.RecognizerResult(recognizer="x" * (1024 - 7)))
    for count, fits in ((1000, True), (1024, False)):
        request = library_pb2.ImportAnswersRequest(answers=[answer] * count)
        with nullcontext() if fits else pytest.raises(InvalidRequest, match="more than 1024 KiB"):
            envelope.check(request.SerializeToString(), request.DESCRIPTOR)


@pytest.mark.parametrize("start", [EMPTY_NAME * 33 * KIB, picture(UNKNOWN * 33 * KIB)])
def test_nothing_is_read_past_the_limit(start: bytes) -> None:
    """Malformed bytes after the limit are not found, since nothing there is read."""
    with pytest.raises(InvalidRequest):
        envelope.check(start + MALFORMED, RECOGNITION)


@pytest.mark.parametrize("extra", [EMPTY_CONTENT, EMPTY_OBJECT, content(100)])
def test_a_picture_has_one_source(extra: bytes) -> None:
    """Content beside an S3 object or beside other content is refused, though protobuf would take the last."""
    with pytest.raises(InvalidRequest, match="exactly one is required") as caught:
        envelope.check(picture(content(10), extra), RECOGNITION)
    assert caught.value.metadata["field"] == "image"


@pytest.mark.parametrize(
    ("data", "message", "field"),
    [(EMPTY_PICTURE * 2, RECOGNITION, "image"), (EMPTY_PICTURES * 33, ENROLLMENT, "images")],
)
def test_too_many_pictures_are_refused(data: bytes, message: Descriptor, field: str) -> None:
    """More pictures than a request may have are refused by their number, before any of them is held."""
    with pytest.raises(InvalidRequest, match=f"{field} has more than") as caught:
        envelope.check(data, message)
    assert caught.value.metadata["field"] == field


@pytest.mark.parametrize("data", [MALFORMED, picture(MALFORMED), b"\x12\x05a", b"\x0b\x0c"])
def test_malformed_bytes_are_refused(data: bytes) -> None:
    """Bytes that are no message raise DecodeError."""
    with pytest.raises(DecodeError):
        envelope.check(data, RECOGNITION)


@given(st.binary(max_size=300), st.sampled_from([RECOGNITION, ENROLLMENT]))
def test_any_bytes_pass_or_are_refused(data: bytes, message: Descriptor) -> None:
    """Whatever the bytes are, no other error is raised."""
    with suppress(InvalidRequest, DecodeError):
        envelope.check(data, message)


IMAGES = st.one_of(
    st.builds(pb.Image, content=st.binary(max_size=300)),
    st.builds(pb.Image, s3_object=st.builds(pb.S3Object, bucket=st.text(max_size=5), key=st.text(max_size=5))),
    st.just(pb.Image()),
)


@given(st.builds(enrollment_pb2.EnrollFacesRequest, person_id=st.text(max_size=5), images=st.lists(IMAGES, max_size=5)))
def test_pictures_stay_as_they_came(request: enrollment_pb2.EnrollFacesRequest) -> None:
    """The request has all but its pictures' content, which is apart, with the fields that make the request whole."""
    received = envelope.read(request.SerializeToString(), enrollment_pb2.EnrollFacesRequest)
    assert [bytes(picture.content or b"") for picture in received.pictures] == [one.content for one in request.images]
    assert [len(one.content) for one in request.images] == received.sizes
    rest = enrollment_pb2.EnrollFacesRequest(person_id=request.person_id)
    fields = b"".join(picture.field for picture in received.pictures)
    assert enrollment_pb2.EnrollFacesRequest.FromString(rest.SerializeToString() + fields) == request
    for image in request.images:
        if image.WhichOneof("source") == "content":
            image.content = b""
    assert received.request == request

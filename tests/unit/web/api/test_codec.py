"""Messages in HTTP bodies: every spelling of base64 is read, and nothing but the contract's messages."""

import base64
import json
import random
import tracemalloc

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee.v1 import enrollment_pb2
from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import InvalidRequest, MalformedRequest
from services.runtime.limits import MAX_IMAGE_BYTES, MIB
from services.web.api import codec

PICTURE = b"\xff\xd8" + random.Random(1).randbytes(100_000)  # noqa: S311 - any bytes, the same each time
BASE64 = base64.b64encode(PICTURE).decode()
Request = pb.RecognizeImageRequest


@pytest.mark.parametrize(
    "text",
    [
        BASE64,
        BASE64.rstrip("="),
        base64.urlsafe_b64encode(PICTURE).decode(),
        BASE64.replace("/", "\\/"),
        BASE64.replace("+", "\\u002b").replace("=", "\\u003D"),
        base64.encodebytes(PICTURE).decode().replace("\n", "\\n"),
    ],
    ids=["standard", "unpadded", "URL-safe", "PHP's slashes", "dotnet's pluses", "lines"],
)
def test_pictures_are_read_in_every_spelling(text: str) -> None:
    """Base64 counts in both alphabets, with or without padding, whatever of it the client escapes."""
    request = codec.from_json(f'{{"image": {{"content": "{text}"}}, "maxLabels": 3}}'.encode(), Request)
    assert (request.image.content, request.max_labels) == (PICTURE, 3)


def test_several_pictures_stay_in_order() -> None:
    """Each picture of a call stays where it was, large and small."""
    pictures = [PICTURE, b"small", PICTURE[::-1], b"", PICTURE[1:]]
    images = ", ".join(f'{{"content": "{base64.b64encode(one).decode()}"}}' for one in pictures)
    request = codec.from_json(f'{{"images": [{images}]}}'.encode(), enrollment_pb2.EnrollFacesRequest)
    assert [image.content for image in request.images] == pictures


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        "{}".encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"image": ' * 2000 + b"1" + b"}" * 2000,
        b'{"imag": {}}',
        b'{"image": {"content": "AAAA", "contnt": 1}}',
        b'{"image": {"content": "AAAA", "s3Object": {"bucket": "a"}}}',
        b'{"requestId": "a", "requestId": "b"}',
        b'{"maxLabels": "many"}',
        b'{"maxLabels": 99999999999}',
        b'{"features": ["FEATURE_NONE"]}',
        b'{"features": {"a": 1}}',
        b'{"recognizerOptions": {"svm": {"timeout": 5}}}',
        b'{"recognizerOptions": {"svm": {"timeout": "5 minutes"}}}',
        b'{"image": {"content": 5}}',
        b'{"image": {"content": "A"}}',
        b'{"image": {"content": "%b"}}' % (b"A" * 100_001),
        b'{"image": {"content": "%b"}}' % (b"A" * 100_000 + b"\\"),
        b'{"image": {"content": "%b\\x"}}' % (b"A" * 100_000),
        b'{"requestId": "%b"}' % (b"A" * 100_000),
        b'{"requestId": "a\\"%b"}' % (b"A" * 100_000),
        b'{"%b": 1}' % (b"A" * 100_000),
        b'{"image": {"content": "%b", "content": "AAAA"}}' % (b"A" * 100_000),
    ],
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    """Bodies that are not the message's JSON are refused as such; nothing else is raised."""
    with pytest.raises(MalformedRequest):
        codec.from_json(body, Request)


@pytest.mark.parametrize(
    "body",
    [
        b'{"recognizers": [%b""]}' % (b'"",' * 1_000_000),
        b'{"recognizers": [%b[]]}' % (b"[]," * 1_000_000),
        b"{%b}" % (b" " * 2_000_000),
    ],
)
def test_large_envelopes_are_not_parsed(body: bytes) -> None:
    """Megabytes that are no picture cost no more than themselves."""
    tracemalloc.start()
    with pytest.raises(InvalidRequest, match="besides its pictures"):
        codec.from_json(body, Request)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * len(body)


def test_a_picture_is_in_memory_once_as_text() -> None:
    """Reading the largest picture takes its bytes and no second copy of its text."""
    body = b'{"image": {"content": "%b"}}' % base64.b64encode(bytes(MAX_IMAGE_BYTES))
    tracemalloc.start()
    request = codec.from_json(body, Request)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(request.image.content) == MAX_IMAGE_BYTES
    assert peak < 16 * MIB


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"image": 1}', "The body is no RecognizeImageRequest in JSON: Failed to parse image field."),
        (b'{"features": [{}]}', "The body is no RecognizeImageRequest in JSON: Failed to parse features field"),
        (b'{"maxLabels": "x"}', "in JSON: Failed to parse maxLabels field."),
        (
            b'{"image": {"conten": ""}}',
            'has no field named "conten" at "RecognizeImageRequest.image"; known: content, s3O',
        ),
        (b'{"requestId": "a", "requestId": "b"}', "in JSON: Failed to load JSON: duplicate key requestId."),
        (b"{,}", "Failed to load JSON: Expecting property name"),
    ],
)
def test_refusals_say_where(body: bytes, words: str) -> None:
    """A refusal names the field, and shows nothing of Python's own words."""
    with pytest.raises(MalformedRequest) as caught:
        codec.from_json(body, Request)
    assert words in caught.value.message
    assert "object" not in caught.value.message


_TEXT = st.text(max_size=20)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_FIELDS = [field.json_name for field in Request.DESCRIPTOR.fields]


@given(body=st.dictionaries(st.sampled_from([*_FIELDS, "other"]), _JSON, max_size=3))
@settings(max_examples=100, deadline=None)
def test_any_json_is_read_or_refused(body: object) -> None:
    """Whatever JSON comes, it is the message that protobuf reads in it, or refused."""
    try:
        request = codec.from_json(json.dumps(body).encode(), Request)
    except InvalidRequest:
        return
    assert request == json_format.ParseDict(body, Request())


@pytest.mark.parametrize("body", [b"\xff", b"\x0a\xff", b"text", b"\x12\x04\x0a\x02\xff"])
def test_malformed_bytes_are_refused(body: bytes) -> None:
    """Bytes that are no message are refused as such."""
    with pytest.raises(MalformedRequest):
        codec.from_bytes(body, Request)


def test_json_is_one_line() -> None:
    """JSON has no line breaks, which would end an event, and keeps other letters readable."""
    assert codec.to_json(pb.Verdict(display_name="Zoë\n", score=1)) == '{"displayName": "Zoë\\n", "score": 1.0}'

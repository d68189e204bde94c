"""Requests that no well-meaning caller sends, each with the status that every server answers."""

import base64
import ssl
from contextlib import suppress
from typing import NamedTuple

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from marquee.v1 import enrollment_pb2
from marquee.v1 import recognizer_pb2 as pb
from tests.support.senders import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    frame,
    header_block,
)

MIB = 1024 * 1024
RECOGNIZE = "/marquee.v1.RecognizerService/RecognizeImage"
STREAM = "/marquee.v1.RecognizerService/StreamRecognizeImage"
LIST = "/marquee.v1.RecognizerService/ListRecognizers"
ENROLL = "/marquee.v1.EnrollmentService/EnrollFaces"
REMOVE = "/marquee.v1.EnrollmentService/RemovePerson"
REMOVE_FACES = "/marquee.v1.EnrollmentService/RemoveFaces"
LIST_PEOPLE = "/marquee.v1.EnrollmentService/ListPeople"
LIST_FACES = "/marquee.v1.EnrollmentService/ListFaces"
NAN, INFINITY = float("nan"), float("inf")
Metadata = tuple[tuple[str, str | bytes], ...]


class Hostile(NamedTuple):
    """A serialized request, and the status that it gets."""

    method: str
    data: bytes
    code: str
    reason: str
    metadata: Metadata = ()


def varint(value: int) -> bytes:
    """Return the number as protobuf writes it."""
    return bytes([value & 0x7F | 0x80]) + varint(value >> 7) if value > 0x7F else bytes([value])


def field(number: int, value: bytes = b"") -> bytes:
    """Return a length-delimited field."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def invalid(message: Message | bytes, method: str = RECOGNIZE, reason: str = "INVALID_REQUEST") -> Hostile:
    """Return the request with the expectation of INVALID_ARGUMENT."""
    data = message if isinstance(message, bytes) else message.SerializeToString()
    return Hostile(method, data, "INVALID_ARGUMENT", reason)


def request(image: pb.Image | None = None, **fields: object) -> pb.RecognizeImageRequest:
    return pb.RecognizeImageRequest(image=image or pb.Image(content=b"x"), **fields)


def stored(bucket: str = "marquee-demo", key: str = "hopper.jpg", version_id: str = "") -> pb.RecognizeImageRequest:
    return request(pb.Image(s3_object=pb.S3Object(bucket=bucket, key=key, version_id=version_id)))


def option(name: str = "svm", **fields: object) -> pb.RecognizeImageRequest:
    return request(recognizer_options={name: pb.RecognizerOptions(**fields)})


def timeout(seconds: int, nanos: int = 0) -> pb.RecognizeImageRequest:
    return option(timeout=Duration(seconds=seconds, nanos=nanos))


def options(count: int) -> pb.RecognizeImageRequest:
    return request(recognizer_options={f"r{number}": pb.RecognizerOptions() for number in range(count)})


def given(left: float, top: float, width: float, height: float, count: int = 1) -> pb.RecognizeImageRequest:
    """Return a request that gives this box of a face so many times."""
    return request(face_boxes=[pb.BoundingBox(left=left, top=top, width=width, height=height)] * count)


IMAGE = field(2, field(1, b"x"))
"""A picture, as it stands in a RecognizeImageRequest."""

RECOGNITIONS = {
    "4,000,000 features": invalid(request(features=[pb.FEATURE_TEXT] * 4_000_000)),
    "17 features": invalid(request(features=[pb.FEATURE_TEXT] * 17)),
    "an unspecified feature": invalid(request(features=[0])),
    "an unknown feature": invalid(request(features=[99])),
    "a negative feature": invalid(request(features=[-1])),
    "a feature of 64 bits": invalid(IMAGE + b"\x20" + varint(2**63)),
    "1,000,000 empty names": invalid(IMAGE + field(3) * 1_000_000),
    "1,025 empty names": invalid(IMAGE + field(3) * 1025),
    "65 names": invalid(request(recognizers=["svm"] * 65)),
    "a long name": invalid(request(recognizers=["x" * 129])),
    "an empty name": invalid(request(recognizers=[""]), reason="UNKNOWN_RECOGNIZER"),
    "a name of control characters": invalid(request(recognizers=["\r\n\0\x1b[2J"]), reason="UNKNOWN_RECOGNIZER"),
    "a name with a bidi override": invalid(request(recognizers=["\u202esvm"]), reason="UNKNOWN_RECOGNIZER"),
    "a path as a name": invalid(request(recognizers=["../svm"]), reason="UNKNOWN_RECOGNIZER"),
    "65 options": invalid(options(65)),
    "100,000 options": invalid(options(100_000)),
    "options under a long name": invalid(option("x" * 129)),
    "options under no name": invalid(option(""), reason="UNKNOWN_RECOGNIZER"),
    "options of nobody": invalid(option("nobody\n"), reason="UNKNOWN_RECOGNIZER"),
    "an option's NaN": invalid(option(min_score=NAN)),
    "an option's infinity": invalid(option(min_score=INFINITY)),
    "a timeout of 0": invalid(timeout(0)),
    "a negative timeout": invalid(timeout(-1)),
    "a timeout of 10^15 s": invalid(timeout(10**15)),
    "a timeout of 2^63 s": invalid(timeout(2**63 - 1)),
    "a timeout of -2^63 s": invalid(timeout(-(2**63))),
    "a timeout's nanoseconds out of range": invalid(timeout(1, 2**31 - 1)),
    "a timeout's signs mixed": invalid(timeout(1, -1)),
    "NaN": invalid(request(min_score=NAN)),
    "infinity": invalid(request(min_score=INFINITY)),
    "minus infinity": invalid(request(min_score=-INFINITY)),
    "a score over 1": invalid(request(min_score=1.0001)),
    "a score below 0": invalid(request(min_score=-1e-9)),
    "no labels": invalid(request(max_labels=0)),
    "-2^31 labels": invalid(request(max_labels=-(2**31))),
    "2^31 labels": invalid(request(max_labels=2**31 - 1)),
    "an unknown policy": Hostile(
        RECOGNIZE, request(policy=77).SerializeToString(), "UNIMPLEMENTED", "UNSUPPORTED_POLICY"
    ),
    "a negative policy": Hostile(
        RECOGNIZE, request(policy=-1).SerializeToString(), "UNIMPLEMENTED", "UNSUPPORTED_POLICY"
    ),
    "a face box of NaN": invalid(given(NAN, 0, 0.1, 0.1)),
    "a face box of infinite size": invalid(given(0, 0, INFINITY, 0.1)),
    "a face box of no size": invalid(given(0.5, 0.5, 0, 0)),
    "a face box of negative size": invalid(given(0.5, 0.5, -0.1, -0.1)),
    "a face box in pixels": invalid(given(100, 50, 80, 80)),
    "a face box outside": invalid(given(-0.5, 0.1, 0.1, 0.1)),
    "a face box past the edge": invalid(given(0.95, 0.1, 0.1, 0.1)),
    "65 face boxes": invalid(given(0.1, 0.1, 0.1, 0.1, count=65)),
    "1,000,000 empty face boxes": invalid(IMAGE + field(12) * 1_000_000),
    "a request_id of spaces": invalid(request(request_id="   ")),
    "a request_id that adds a log line": invalid(request(request_id='a\n{"event": "call"}')),
    "a request_id that clears the screen": invalid(request(request_id="\x1b[2J")),
    "a long request_id": invalid(request(request_id="x" * 129)),
    "a request_id of 1 MiB": invalid(request(request_id="x" * MIB)),
    "a path as a collection": invalid(request(collection="../../etc/passwd")),
    "a collection of control characters": invalid(request(collection="a\r\nb")),
    "a long collection": invalid(request(collection="x" * 129)),
    "no picture": invalid(b"", reason="IMAGE_MISSING"),
    "a picture without a source": invalid(field(2), reason="IMAGE_MISSING"),
    "0 bytes": invalid(field(2, field(1)), reason="IMAGE_MISSING"),
    "a picture that is a number": invalid(b"\x10\x05", reason="IMAGE_MISSING"),
    "a byte": invalid(IMAGE, reason="INVALID_IMAGE"),
    "content twice": invalid(field(2, field(1, b"x") * 2)),
    "content beside an object": invalid(field(2, field(1, b"x") + field(2, field(1, b"marquee-demo")))),
    "two pictures": invalid(IMAGE * 2),
    "1,000,000 empty contents": invalid(field(2, field(1) * 1_000_000)),
    "1,000,000 empty pictures": invalid(field(2) * 1_000_000),
    "an object without a bucket": invalid(stored(bucket="")),
    "an object without a key": invalid(stored(key="")),
    "a long bucket": invalid(stored(bucket="b" * 64)),
    "a long key": invalid(stored(key="ü" * 513)),
    "a long version": invalid(stored(version_id="v" * 1025)),
    **{
        f"the bucket {bucket!r}": Hostile(
            RECOGNIZE, stored(bucket).SerializeToString(), "PERMISSION_DENIED", "BUCKET_NOT_ALLOWED"
        )
        for bucket in ("a", "..", "marquee-demo/", "Marquee-Demo", "marquee-demo\0", "marquee-demo\n", "a:b@c")
    },
    **{
        f"the key {key!r}": Hostile(RECOGNIZE, stored(key=key).SerializeToString(), "NOT_FOUND", "OBJECT_NOT_FOUND")
        for key in ("/hopper.jpg", "../hopper.jpg", "hopper%2Ejpg", "?versions", "\u202e", "a//b", " ")
    },
    "random bytes": invalid(b"\xff" * 100, reason="MALFORMED_REQUEST"),
    "a truncated picture": invalid(IMAGE[:-1], reason="MALFORMED_REQUEST"),
    "a length past the end": invalid(b"\x12" + varint(2**62), reason="MALFORMED_REQUEST"),
    "field 0": invalid(IMAGE + b"\x02\x00", reason="MALFORMED_REQUEST"),
    "nested groups": invalid(b"\xa3\x06" * 10_000, reason="MALFORMED_REQUEST"),
    "a surrogate": invalid(IMAGE + field(1, b"\xed\xa0\x80"), reason="MALFORMED_REQUEST"),
    "invalid UTF-8": invalid(IMAGE + field(3, b"\xc3\x28"), reason="MALFORMED_REQUEST"),
    "JSON": invalid(b'{"image": {"content": ""}}', reason="MALFORMED_REQUEST"),
    "another message": invalid(b"GET / HTTP/1.1\r\n\r\n", reason="MALFORMED_REQUEST"),
    "1 MiB of an unknown field": invalid(IMAGE + field(1000, bytes(MIB))),
    "1,000,000 unknown fields": invalid(IMAGE + b"\x98\x3f\x00" * 1_000_000),
    "unknown fields in a picture": invalid(field(2, b"\x98\x3f\x00" * 1_000_000)),
    "4,000,000 features to a stream": invalid(request(features=[1] * 4_000_000), STREAM),
    "random bytes to a stream": invalid(b"\xff" * 100, STREAM, "MALFORMED_REQUEST"),
    "random bytes to a list": invalid(b"\xff" * 100, LIST, "MALFORMED_REQUEST"),
    "1 MiB to a list": invalid(field(1, bytes(MIB)), LIST),
    "metadata over 16 KiB": Hostile(RECOGNIZE, b"", "RESOURCE_EXHAUSTED", "", (("x", "y" * 17_000),)),
    "an unknown method": Hostile("/marquee.v1.RecognizerService/Nothing", b"", "UNIMPLEMENTED", ""),
    "an unknown service": Hostile("/marquee.v2.RecognizerService/RecognizeImage", b"", "UNIMPLEMENTED", ""),
    "a path without a method": Hostile("/", b"", "UNIMPLEMENTED", ""),
    "a health check of 1 MiB": invalid(field(1, b"x" * MIB), "/grpc.health.v1.Health/Check"),
    "a health check of 129 characters": invalid(field(1, b"x" * 129), "/grpc.health.v1.Health/Check"),
    "random bytes to a health check": invalid(b"\xff" * 100, "/grpc.health.v1.Health/Check", "MALFORMED_REQUEST"),
}

PERSON = field(3, b"Ada")
"""A display_name, as it stands in an EnrollFacesRequest."""


def enrollment(**fields: object) -> enrollment_pb2.EnrollFacesRequest:
    named = {"display_name": "Ada", "images": [pb.Image(content=b"x")]} | fields
    return enrollment_pb2.EnrollFacesRequest(**named)


def face_removal(*keys: enrollment_pb2.FaceKey, **fields: object) -> Hostile:
    """Return a removal of the faces, by default of one at any recognizer, with the expectation of INVALID_ARGUMENT."""
    faces = keys or (enrollment_pb2.FaceKey(content_sha256="0" * 64),)
    return invalid(enrollment_pb2.RemoveFacesRequest(faces=faces, **fields), REMOVE_FACES)


def face_at(recognizer: str, face_id: str = "f") -> enrollment_pb2.FaceKey:
    return enrollment_pb2.FaceKey(face=enrollment_pb2.FaceId(recognizer=recognizer, face_id=face_id))


def digest(text: str) -> enrollment_pb2.FaceKey:
    return enrollment_pb2.FaceKey(content_sha256=text)


_JSON = (
    "[]",
    "null",
    "{}",
    "1" * 5000,
    "[" * 20_000,
    '{"svm": "\\ud800"}',
    '{"svm": 1}',
    '{"svm": {}}',
)
PAGE_TOKENS = ("\0", "../ada", "é", *(base64.b64encode(text.encode()).decode() for text in _JSON))
"""Neither a leaf nor a gateway made them."""

ENROLLMENTS = {
    "33 pictures": invalid(enrollment(images=[pb.Image(content=b"x")] * 33), ENROLL),
    "1,000,000 empty pictures": invalid(PERSON + field(4) * 1_000_000, ENROLL),
    "a picture without a source": invalid(enrollment(images=[pb.Image()]), ENROLL, "IMAGE_MISSING"),
    "content beside an object": invalid(PERSON + field(4, field(1, b"x") + field(2)), ENROLL),
    "nobody": invalid(enrollment(display_name=""), ENROLL),
    "a name without letters": invalid(enrollment(display_name="!?"), ENROLL),
    "a long name": invalid(enrollment(display_name="x" * 201), ENROLL),
    "a name of two lines": invalid(enrollment(display_name="Ada\nLovelace"), ENROLL),
    "a name with a bidi override": invalid(enrollment(display_name="\u202eAda"), ENROLL),
    "a blank name": invalid(enrollment(person_id="ada", display_name="  "), ENROLL),
    "a path as a person_id": invalid(enrollment(person_id="../ada"), ENROLL),
    "a long person_id": invalid(enrollment(person_id="x" * 129), ENROLL),
    "a path as a collection": invalid(enrollment(collection="../ada"), ENROLL),
    "65 recognizers": invalid(enrollment(recognizers=["svm"] * 65), ENROLL),
    "1 MiB of a name": invalid(enrollment(display_name="x" * MIB), ENROLL),
    "random bytes": invalid(b"\xff" * 100, ENROLL, "MALFORMED_REQUEST"),
    "no removal": invalid(b"", REMOVE),
    "a removal by path": invalid(enrollment_pb2.RemovePersonRequest(person_id="a/b"), REMOVE),
    "a removal from a path": invalid(enrollment_pb2.RemovePersonRequest(person_id="a", collection="a/b"), REMOVE),
    "a removal by a long id": invalid(enrollment_pb2.RemovePersonRequest(person_id="x" * 129), REMOVE),
    "a removal of no faces": invalid(b"", REMOVE_FACES),
    "a removal of a face without a key": face_removal(enrollment_pb2.FaceKey()),
    "a removal of a face without an id": face_removal(face_at("svm", "")),
    "a removal of a face with an id of control characters": face_removal(face_at("svm", "f\x1b[2J")),
    "a removal of a face with a long id": face_removal(face_at("svm", "x" * 129)),
    "a removal of a face at nobody": face_removal(face_at("nobody\n"))._replace(reason="UNKNOWN_RECOGNIZER"),
    "a removal of a face at a long name": face_removal(face_at("x" * 129)),
    "a removal by half a digest": face_removal(digest("0" * 63)),
    "a removal by a digest in capitals": face_removal(digest("A" * 64)),
    "a removal by a digest and a line": face_removal(digest("0" * 64 + "\n")),
    "a removal by no digest": face_removal(digest("")),
    "a removal of 65 faces": face_removal(*[digest("0" * 64)] * 65),
    "a removal of 1,000,000 empty faces": invalid(field(2) * 1_000_000, REMOVE_FACES),
    "a removal of both keys of a face": invalid(field(2, field(1, field(2, b"f")) + field(2, b"0")), REMOVE_FACES),
    "a removal of a face of a path": face_removal(person_id="../ada"),
    "a removal of a face from a path": face_removal(collection="../ada"),
    "random bytes to a removal of faces": invalid(b"\xff" * 100, REMOVE_FACES, "MALFORMED_REQUEST"),
    "a list of nobody's faces": invalid(b"", LIST_FACES),
    "a list of a path's faces": invalid(enrollment_pb2.ListFacesRequest(person_id="a/b"), LIST_FACES),
    "a negative page of faces": invalid(enrollment_pb2.ListFacesRequest(person_id="a", page_size=-1), LIST_FACES),
    **{
        f"the page token {token[:20]!r} of faces": invalid(
            enrollment_pb2.ListFacesRequest(person_id="grace-hopper", page_token=token), LIST_FACES
        )
        for token in PAGE_TOKENS
    },
    "a negative page size": invalid(enrollment_pb2.ListPeopleRequest(page_size=-1), LIST_PEOPLE),
    "a long page token": invalid(enrollment_pb2.ListPeopleRequest(page_token="x" * 32_769), LIST_PEOPLE),
    **{
        f"the page token {token[:20]!r}": invalid(enrollment_pb2.ListPeopleRequest(page_token=token), LIST_PEOPLE)
        for token in PAGE_TOKENS
    },
    "a list of a path": invalid(enrollment_pb2.ListPeopleRequest(collection="a/b"), LIST_PEOPLE),
    "a list of 65 recognizers": invalid(enrollment_pb2.ListPeopleRequest(recognizers=["a"] * 65), LIST_PEOPLE),
}


def client_hello() -> bytes:
    """Return the first bytes that a TLS client sends."""
    outgoing = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="marquee")
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


_OPENING = PREFACE + frame(SETTINGS)
_STREAMS = range(1, 2001, 2)


def call(body: bytes = b"\0\0\0\0\0", **headers: str) -> bytes:
    """Return what is sent for a call, an empty request unless there is a body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return _OPENING + frame(HEADERS, END_HEADERS, 1, header_block(**named)) + frame(DATA, END_STREAM, 1, body)


CONNECTIONS = {
    "nothing": b"",
    "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: marquee\r\n\r\n",
    "TLS": client_hello(),
    "half a preface": PREFACE[:10],
    "every byte": bytes(range(256)) * 100,
    "every byte after the preface": _OPENING + bytes(range(256)) * 100,
    "a frame over the limit": _OPENING + b"\xff\xff\xff\0\0\0\0\0\1",
    "frames of an unknown kind": _OPENING + frame(77, payload=b"x") * 1000,
    "10,000 pings": _OPENING + frame(PING, payload=bytes(8)) * 10_000,
    "10,000 settings": _OPENING + frame(SETTINGS) * 10_000,
    "1,000 calls, each reset at once": _OPENING
    + b"".join(
        frame(HEADERS, END_HEADERS, stream, header_block()) + frame(RST_STREAM, 0, stream, bytes(4))
        for stream in _STREAMS
    ),
    "headers without an end": _OPENING
    + frame(HEADERS, 0, 1, header_block())
    + frame(CONTINUATION, 0, 1, b"\0\1x\1y" * 100) * 1000,
    "a header table of nothing": _OPENING + frame(HEADERS, END_HEADERS, 1, b"\xff" * 100),
    "data without a call": _OPENING + frame(DATA, END_STREAM, 1, b"x"),
    "a JSON call": call(b"{}", content_type="application/json"),
    "gRPC with JSON": call(b"\0\0\0\0\2{}", content_type="application/grpc+json"),
    "a GET": call(**{":method": "GET"}),
    "a compression that nobody has": call(b"\1\0\0\0\1x", grpc_encoding="brotli"),
    "compressed bytes that are none": call(b"\1\0\0\0\1x", grpc_encoding="gzip"),
    "a message of 4 GiB": call(b"\0\xff\xff\xff\xffx"),
    "half a message": call(b"\0\0\0\1\0x"),
    "two messages": call(b"\0\0\0\0\0" * 2),
    "a deadline of nothing": call(grpc_timeout="xyz"),
    "a deadline of 10,000 years": call(grpc_timeout="99999999H"),
    "hops that are no number": call(marquee_hops="٣"),
    "hops of 100 digits": call(marquee_hops="9" * 100),
    "binary metadata that is not base64": call(x_bin="%%%"),
}
"""What is sent on a connection of its own."""

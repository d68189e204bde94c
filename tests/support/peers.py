"""Recognizers that break the contract, on real servers, and what each of them may do to a gateway's call."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2, timestamp_pb2
from google.rpc import error_details_pb2, status_pb2

from marquee.v1 import enrollment_pb2
from marquee.v1 import recognizer_pb2 as pb
from services.runtime.limits import MIB
from services.runtime.status import DETAILS_KEY
from tests.support.servers import LEFT, box, candidate, face

Code = grpc.StatusCode
KEY = enrollment_pb2.FaceKey(content_sha256="0" * 64)
"""Of the face that is removed."""
NAN, INFINITY = float("nan"), float("inf")


@dataclass(frozen=True)
class Abort:
    """A failed call."""

    message: str
    details: bytes | None = None
    code: grpc.StatusCode = Code.INTERNAL


@dataclass
class Peer(grpc.GenericRpcHandler):
    """Serves every method with `answer`: the messages to send, however many, or how the call fails."""

    answer: list[bytes] | Abort = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Return a handler for any method; to a client of a unary method a stream of one message looks the same."""
        del handler_call_details
        return grpc.unary_stream_rpc_method_handler(self._serve)

    async def _serve(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        self.requests.append(request)
        if isinstance(self.answer, Abort):
            details = ((DETAILS_KEY, self.answer.details),) if self.answer.details is not None else ()
            await context.abort(self.answer.code, self.answer.message, details)
        for message in self.answer:
            yield message


@asynccontextmanager
async def served_peer(peer: Peer) -> AsyncIterator[str]:
    """Serve the peer; yield the address."""
    server = grpc.aio.server(
        options=[("grpc.max_send_message_length", 64 * MIB), ("grpc.max_metadata_size", MIB), ("grpc.so_reuseport", 0)]
    )
    server.add_generic_rpc_handlers((peer,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


def result(*faces: pb.Face, **fields: Any) -> pb.RecognizerResult:
    """Return a legal result that has more than a test looks at."""
    legal = pb.RecognizerResult(
        recognizer="peer",
        status=status_pb2.Status(),
        outcome=pb.OUTCOME_OK,
        model=pb.Model(name="m", version="1"),
        faces=faces or [face(LEFT, "Eve")],
        performed_features=[pb.FEATURE_CELEBRITIES],
    )
    for name in fields:
        legal.ClearField(name)
    legal.MergeFrom(pb.RecognizerResult(**fields))
    return legal


def response(*results: pb.RecognizerResult, **fields: Any) -> bytes:
    """Return a serialized response with the results, by default a legal one."""
    return pb.RecognizeImageResponse(results=results or [result()], **fields).SerializeToString()


def failed(*details: Any, code: int = 13, message: str = "boo") -> bytes:
    """Return a serialized status."""
    packed = [any_pb2.Any() for _ in details]
    for target, detail in zip(packed, details, strict=True):
        target.Pack(detail)
    return status_pb2.Status(code=code, message=message, details=packed).SerializeToString()


def info(reason: str = "R", **metadata: str) -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=reason, domain="peer", metadata=metadata)


def nested(depth: int) -> status_pb2.Status:
    """Return a status in a status, and so on."""
    inner = status_pb2.Status(code=13, message="deep")
    for _ in range(depth):
        outer = status_pb2.Status(code=13, message="deep")
        outer.details.add().Pack(inner)
        inner = outer
    return inner


def _with(place: pb.BoundingBox | None = None, score: float = 0.9, **fields: Any) -> pb.RecognizerResult:
    """Return a result with one face."""
    person = pb.Candidate(**{"person_id": "e", "display_name": "Eve", "score": score} | fields)
    return result(pb.Face(box=place or box(LEFT), candidates=[person]))


def _at(left: float, top: float, width: float, height: float) -> bytes:
    return response(_with(pb.BoundingBox(left=left, top=top, width=width, height=height)))


def _named(*names: str) -> bytes:
    """Return the response of a gateway with recognizers of these names behind it."""
    return response(*(result(recognizer=name) for name in names), gateway="inner")


def _seconds(seconds: int, nanos: int = 0) -> duration_pb2.Duration:
    return duration_pb2.Duration(seconds=seconds, nanos=nanos)


def _label(**fields: Any) -> bytes:
    return response(result(labels=[pb.Label(**{"name": "Sea", "score": 0.5} | fields)]))


def _replaced(old: bytes, new: bytes) -> bytes:
    legal = response(_with(display_name="XXXX"))
    assert legal.count(old) == 1
    return legal.replace(old, new)


ANSWERS: Mapping[str, Callable[[], bytes]] = {
    "garbage": lambda: b"\xff\xff\xff\xffnot a message",
    "empty": lambda: b"",
    "zeros": lambda: bytes(1000),
    "truncated": lambda: response()[:-3],
    "a length past the end": lambda: b"\x1a\xff\xff\xff\xff\x0f" + b"x" * 20,
    "another message": lambda: pb.ListRecognizersResponse(recognizers=[pb.Recognizer(name="peer")]).SerializeToString(),
    "a group": lambda: b"\x1b\x1b\x1b",
    "invalid UTF-8": lambda: _replaced(b"XXXX", b"\xff\xfe\xfd\xfc"),
    "a lone surrogate": lambda: _replaced(b"XXXX", b"\xed\xa0\x80X"),
    "no result": lambda: pb.RecognizeImageResponse(request_id="r").SerializeToString(),
    "two results": lambda: response(result(), result()),
    "an unknown outcome": lambda: response(result(outcome=42)),
    "a negative outcome": lambda: response(result(outcome=-1)),
    "no outcome": lambda: response(result(outcome=0)),
    "ERROR with OK": lambda: response(result(outcome=pb.OUTCOME_ERROR)),
    "TIMEOUT with OK": lambda: response(result(outcome=pb.OUTCOME_TIMEOUT)),
    "SHED with OK": lambda: response(result(outcome=pb.OUTCOME_SHED, status=status_pb2.Status(message="busy"))),
    "OK with an error": lambda: response(result(status=status_pb2.Status(code=5, message="gone"))),
    "SKIPPED with an error": lambda: response(
        result(outcome=pb.OUTCOME_SKIPPED, status=status_pb2.Status(code=14, message="away"))
    ),
    "a code of its own": lambda: response(result(outcome=3, status=status_pb2.Status(code=-299, message="x"))),
    "a score of NaN": lambda: response(_with(score=NAN)),
    "an infinite score": lambda: response(_with(score=INFINITY)),
    "a score of 42": lambda: response(_with(score=42)),
    "a negative score": lambda: response(_with(score=-0.5)),
    "a box outside": lambda: _at(-5, 7, 100, 100),
    "a box past the edge": lambda: _at(0.5, 0.5, 0.7, 0.2),
    "a box inside out": lambda: _at(0.5, 0.5, -0.3, -0.3),
    "a box of NaN": lambda: _at(0.1, NAN, 0.2, 0.2),
    "no box": lambda: response(result(pb.Face(candidates=[candidate("Eve")]))),
    "no name": lambda: response(_with(person_id="", display_name="")),
    "no person": lambda: response(_with(person_id="")),
    "a name with control characters": lambda: response(_with(display_name="Eve\x1b[2J\x00")),
    "a name of two lines": lambda: response(_with(display_name="Eve\nAda")),
    "a name written backwards": lambda: response(_with(display_name="\u202eevE")),
    "a name of blanks": lambda: response(_with(display_name=" \u3000\u200b")),
    "a name without end": lambda: response(_with(display_name="E" * 100_000)),
    "a nameless image candidate": lambda: response(result(image_candidates=[pb.Candidate(person_id="e", score=0.5)])),
    "an identify_score of NaN": lambda: response(result(model=pb.Model(identify_score=NAN))),
    "an identify_score of 2": lambda: response(result(model=pb.Model(identify_score=2))),
    "a label of NaN": lambda: _label(score=NAN),
    "a nameless label": lambda: _label(name=""),
    "a label with 100 parents": lambda: _label(parents=["Water"] * 100),
    "an instance outside": lambda: _label(instances=[pb.LabelInstance(box=pb.BoundingBox(left=2))]),
    "a moderation label of 2": lambda: response(result(moderation_labels=[pb.ModerationLabel(name="Wine", score=2)])),
    "a text of -1": lambda: response(result(texts=[pb.Text(content="STOP", score=-1)])),
    "an infinite landmark": lambda: response(
        result(pb.Face(box=box(LEFT), landmarks=[pb.Landmark(type="nose", x=INFINITY, y=0)]))
    ),
    "a pose of 1000 degrees": lambda: response(
        result(pb.Face(box=box(LEFT), quality=pb.FaceQuality(pose=pb.Pose(yaw=1000))))
    ),
    "an embedding of NaN": lambda: response(
        result(pb.Face(box=box(LEFT), embedding=pb.Embedding(model="m", values=[0.1, NAN])))
    ),
    "a negative cost": lambda: response(cost_micro_usd=-5_000_000),
    "a negative cost of the result": lambda: response(result(cost_micro_usd=-1)),
    "a cost near the overflow": lambda: response(cost_micro_usd=2**63 - 1),
    "a negative saving": lambda: response(saved_micro_usd=-1),
    "a negative time": lambda: response(timings=pb.CallTimings(total=_seconds(-1))),
    "a time of centuries": lambda: response(timings=pb.CallTimings(total=_seconds(2**62))),
    "impossible nanoseconds": lambda: response(
        result(timings=pb.RecognizerTimings(recognizer=_seconds(0, 2_000_000_000)))
    ),
    "a picture of no size": lambda: response(image=pb.ImageInfo(format="JPEG")),
    "a negative picture": lambda: response(image=pb.ImageInfo(width=-3, height=4)),
    "a picture without end": lambda: response(image=pb.ImageInfo(width=2**31 - 1, height=2**31 - 1)),
    "a digest that is none": lambda: response(image=pb.ImageInfo(width=3, height=4, sha256="abc")),
    "a long request_id": lambda: response(request_id="r" * 1000),
    "one name twice": lambda: _named("svm", "svm"),
    "a name of no recognizer": lambda: _named("svm\n{}"),
    "an empty inner name": lambda: _named(""),
    "a path too deep": lambda: _named("a/b/c/d/e"),
    "a name of 10,000 characters": lambda: _named("a" * 10_000),
    "65 recognizers": lambda: _named(*(f"r{number}" for number in range(65))),
}
"""Messages of RecognizeImage that a gateway cannot use."""

ABORTS: Mapping[str, Abort] = {
    "braces": Abort('upstream said {"error": "x"} {0} {}'),
    "undecodable details": Abort("boo", b"\xff\xff\xff\xff garbage"),
    "details with code 0": Abort("boo", failed(info(), code=0)),
    "details with another code": Abort("boo", failed(info(), code=5)),
    "an undecodable ErrorInfo": Abort(
        "boo",
        status_pb2.Status(
            code=13,
            message="boo",
            details=[any_pb2.Any(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff\xff")],
        ).SerializeToString(),
    ),
    "details of an unknown type": Abort(
        "boo",
        status_pb2.Status(
            code=13, message="boo", details=[any_pb2.Any(type_url="x/acme.Secret", value=b"\x01")]
        ).SerializeToString(),
    ),
    "a retry in centuries": Abort("boo", failed(info(), error_details_pb2.RetryInfo(retry_delay=_seconds(2**62)))),
    "a status 100 deep": Abort("boo", failed(info(), nested(100))),
    "many details": Abort("boo", failed(info(k="v" * 2500), message="m" * 3000)),
    "30 KiB of details": Abort("boo", failed(*[info(k="v" * 1000)] * 30)),
    "a long reason": Abort("boo", failed(info("R" * 5000), message="boo")),
    "a message of 20,000 characters": Abort("boo " * 5000),
    "a message in Chinese": Abort("错误" * 1000),
    "a message of per cent signs": Abort("%s %d %n" * 500),
    "control characters": Abort("boo\x00\x1b[2J\x7f"),
    "CANCELLED": Abort("gone", code=Code.CANCELLED),
    "UNIMPLEMENTED": Abort("what?", code=Code.UNIMPLEMENTED),
}
"""Failures of a call, of whatever method."""

FLOODS: Mapping[str, Callable[[], list[bytes]]] = {
    "no message": list,
    "two messages": lambda: [response(), response()],
    "millions of results": lambda: [b"\x1a\x00" * (7 * MIB)],
    "millions of labels": lambda: [b"\x1a\x84\x80\x80\x07" + b"\x42\x00" * (7 * MIB + 2)],
    "millions of features": lambda: [response(result(performed_features=[1] * (4 * MIB)))],
    "too large": lambda: [response(result(warnings=["w" * 1000] * 20_000))],
}
"""Too many messages or too large ones, or none, of RecognizeImage."""


def listing(**fields: Any) -> bytes:
    """Return a serialized list of one recognizer."""
    one = pb.Recognizer(**{"name": "peer", "state": pb.RECOGNIZER_STATE_READY} | fields)
    return pb.ListRecognizersResponse(recognizers=[one]).SerializeToString()


LISTINGS: Mapping[str, Callable[[], bytes]] = {
    "garbage": lambda: b"\xff\xff\xff\xff",
    "empty": lambda: b"",
    "two of one leaf": lambda: listing() + listing(),
    "millions": lambda: b"\x0a\x00" * (7 * MIB),
    "a negative price": lambda: listing(prices=[pb.Price(micro_usd=-1)]),
    "a price of the year 30000": lambda: listing(
        prices=[pb.Price(effective_time=timestamp_pb2.Timestamp(seconds=900_000_000_000))]
    ),
    "a negative spending": lambda: listing(spending=pb.Spending(today_micro_usd=-5)),
    "100 models": lambda: listing(models=[pb.Model(name="m")] * 100),
    "a model with control characters": lambda: listing(models=[pb.Model(name="\x1b[31m")]),
}
"""Messages of ListRecognizers that a gateway cannot use."""


def enrolled(**fields: Any) -> bytes:
    """Return a serialized result of an enrollment."""
    one = enrollment_pb2.EnrollmentResult(**{"outcome": pb.OUTCOME_OK} | fields)
    return enrollment_pb2.EnrollFacesResponse(results=[one]).SerializeToString()


def removed(**fields: Any) -> bytes:
    """Return a serialized result of a removal."""
    one = enrollment_pb2.RemovalResult(**{"outcome": pb.OUTCOME_OK} | fields)
    return enrollment_pb2.RemovePersonResponse(results=[one]).SerializeToString()


def people(token: str = "", **fields: Any) -> bytes:
    """Return a serialized page of people."""
    one = enrollment_pb2.PeopleResult(**{"outcome": pb.OUTCOME_OK} | fields)
    return enrollment_pb2.ListPeopleResponse(results=[one], next_page_token=token).SerializeToString()


def faces_removed(**fields: Any) -> bytes:
    """Return a serialized result of a removal of the face `KEY`."""
    entry = enrollment_pb2.RemovedFace(key=KEY, removed_faces=1)
    one = enrollment_pb2.FaceRemovalResult(**{"outcome": pb.OUTCOME_OK, "faces": [entry]} | fields)
    return enrollment_pb2.RemoveFacesResponse(results=[one]).SerializeToString()


def faces_listed(**fields: Any) -> bytes:
    """Return a serialized page of Ada's faces, by default of one."""
    legal = {
        "outcome": pb.OUTCOME_OK,
        "person": _person(person_id="ada"),
        "faces": [enrollment_pb2.PersonFace(face_id="f")],
    }
    one = enrollment_pb2.FacesResult(**legal | fields)
    return enrollment_pb2.ListFacesResponse(results=[one]).SerializeToString()


def _entries(*keys: enrollment_pb2.FaceKey) -> list[enrollment_pb2.RemovedFace]:
    return [enrollment_pb2.RemovedFace(key=key) for key in keys]


def _face(**fields: Any) -> list[enrollment_pb2.PersonFace]:
    return [enrollment_pb2.PersonFace(**{"face_id": "f"} | fields)]


def _person(**fields: Any) -> enrollment_pb2.Person:
    return enrollment_pb2.Person(**{"person_id": "eve", "display_name": "Eve"} | fields)


ENROLLMENTS: Mapping[str, Callable[[], bytes]] = {
    "garbage": lambda: b"\xff\xff\xff\xff",
    "empty": lambda: b"",
    "two results": lambda: enrolled() + enrolled(),
    "an unknown outcome": lambda: enrolled(outcome=42),
    "ERROR with OK": lambda: enrolled(outcome=pb.OUTCOME_ERROR),
    "OK with an error": lambda: enrolled(status=status_pb2.Status(code=5, message="gone")),
    "a nameless person": lambda: enrolled(person=enrollment_pb2.Person(display_name="Eve")),
    "a person of the year 30000": lambda: enrolled(
        person=_person(create_time=timestamp_pb2.Timestamp(seconds=900_000_000_000))
    ),
    "another person": lambda: enrolled(person=_person()),
    "two faces in one picture": lambda: enrolled(faces=[enrollment_pb2.EnrolledFace(state=1)] * 2),
    "33 faces": lambda: enrolled(faces=[enrollment_pb2.EnrolledFace(state=1)] * 33),
    "a face outside": lambda: enrolled(faces=[enrollment_pb2.EnrolledFace(box=pb.BoundingBox(left=3))]),
    "a negative cost": lambda: enrolled(cost_micro_usd=-1),
}
"""Messages of EnrollFaces that a gateway cannot use."""

REMOVALS: Mapping[str, Callable[[], bytes]] = {
    "garbage": lambda: b"\xff\xff\xff\xff",
    "an unknown outcome": lambda: removed(outcome=42),
    "ERROR with OK": lambda: removed(outcome=pb.OUTCOME_ERROR),
    "a negative number of faces": lambda: removed(removed_faces=-1),
}
"""Messages of RemovePerson that a gateway cannot use."""

PEOPLE: Mapping[str, Callable[[], bytes]] = {
    "garbage": lambda: b"\xff\xff\xff\xff",
    "empty": lambda: b"",
    "TIMEOUT with OK": lambda: people(outcome=pb.OUTCOME_TIMEOUT),
    "a name with control characters": lambda: people(people=[_person(display_name="\x00")]),
    "2000 people": lambda: people(people=[_person()] * 2000),
    "a token of 100,000 characters": lambda: people("t" * 100_000),
    "a token that leaves no room": lambda: people("t" * 15_000),
}
"""Messages of ListPeople that a gateway cannot use."""

_OTHER = enrollment_pb2.FaceKey(content_sha256="1" * 64)
FACE_REMOVALS: Mapping[str, Callable[[], bytes]] = {
    "garbage": lambda: b"\xff\xff\xff\xff",
    "empty": lambda: b"",
    "two results": lambda: faces_removed() * 2,
    "an unknown outcome": lambda: faces_removed(outcome=42),
    "ERROR with OK": lambda: faces_removed(outcome=pb.OUTCOME_ERROR),
    "no face": lambda: faces_removed(faces=[]),
    "a face more": lambda: faces_removed(faces=_entries(KEY, KEY)),
    "another face": lambda: faces_removed(faces=_entries(_OTHER)),
    "a face at a recognizer": lambda: faces_removed(
        faces=_entries(enrollment_pb2.FaceKey(face=enrollment_pb2.FaceId(face_id="0" * 64)))
    ),
    "a face without a key": lambda: faces_removed(faces=[enrollment_pb2.RemovedFace()]),
    "an empty key": lambda: faces_removed(faces=_entries(enrollment_pb2.FaceKey())),
    "65 faces": lambda: faces_removed(faces=_entries(*[KEY] * 65)),
    "a face though SKIPPED": lambda: faces_removed(outcome=pb.OUTCOME_SKIPPED),
    "a negative number": lambda: faces_removed(faces=[enrollment_pb2.RemovedFace(key=KEY, removed_faces=-1)]),
    "a warning of 2,001 characters": lambda: faces_removed(warnings=["w" * 2001]),
}
"""Messages of RemoveFaces that a gateway cannot use."""

FACES: Mapping[str, Callable[[], bytes]] = {
    "garbage": lambda: b"\xff\xff\xff\xff",
    "empty": lambda: b"",
    "two results": lambda: faces_listed() * 2,
    "TIMEOUT with OK": lambda: faces_listed(outcome=pb.OUTCOME_TIMEOUT),
    "another person": lambda: faces_listed(person=_person()),
    "nobody's faces": lambda: faces_listed(person=None),
    "a face without an id": lambda: faces_listed(faces=_face(face_id="")),
    "a face_id of two lines": lambda: faces_listed(faces=_face(face_id="f\ng")),
    "a long face_id": lambda: faces_listed(faces=_face(face_id="f" * 129)),
    "a digest that is none": lambda: faces_listed(faces=_face(content_sha256="abc")),
    "a key with control characters": lambda: faces_listed(faces=_face(s3_object=pb.S3Object(key="a\x1b[2J"))),
    "a long bucket": lambda: faces_listed(faces=_face(s3_object=pb.S3Object(bucket="b" * 64))),
    "a face of the year 30000": lambda: faces_listed(
        faces=_face(create_time=timestamp_pb2.Timestamp(seconds=900_000_000_000))
    ),
    "1,001 faces": lambda: faces_listed(faces=_face() * 1001),
    "invalid UTF-8": lambda: faces_listed(faces=_face(face_id="XXXX")).replace(b"XXXX", b"\xff\xfe\xfd\xfc"),
}
"""Messages of ListFaces that a gateway cannot use."""

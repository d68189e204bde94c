"""What recognizers answer: the one place where it is read, checked and made fit to pass on.

No recognizer is trusted to keep the contract. A result that breaks it becomes an ERROR that says how, and nothing of it
is used. Statuses are cut instead, since they tell why something failed, and so are more faces than the limit. Numbers
of enums that are newer than this gateway are passed on, except for outcomes, which it has to understand.
"""

import asyncio
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import structlog
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, status_pb2

from marquee.v1 import enrollment_pb2
from marquee.v1 import recognizer_pb2 as pb
from services.runtime import status
from services.runtime.bounds.limit import Limit
from services.runtime.boxes import ROUNDING
from services.runtime.errors import AnswerTooLarge, InvalidAnswer
from services.runtime.limits import MAX_HOPS, MAX_IMAGE_PIXELS, MAX_MESSAGE_BYTES, MIB, limit_of
from services.runtime.messages import wire
from services.runtime.requests import FACE_FEATURES
from services.runtime.server.admission import hold

logger = structlog.get_logger()
MAX_RESULTS_BYTES = MAX_MESSAGE_BYTES - 64 * 1024
"""Maximum size of all results of a response; the rest is for what is said of all of them."""
_SMALL_BYTES = 16 * 1024
"""Maximum size of an answer that is read in the event loop: whatever is in it, that takes well under 0.1 s."""
_LARGE_BYTES = MIB
"""Maximum size of an answer that does not count as memory in flight; well-meant ones have some KiB."""
_COPIES = 2
"""An answer is held as a message, and serialized until the caller has read it."""
_MAX_FIELDS = 100_000
"""Maximum number of fields in an answer, at all depths; 256 faces with all that AWS tells of them have half of it."""
_MAX_MICRO_USD = 10**15
_MAX_SECONDS = 24 * 60 * 60
_MAX_FLOAT = sys.float_info.max
_YEARS_1_TO_9999 = range(-62_135_596_800, 253_402_300_800)
_NANOS = range(10**9)
_SCORES = ("score", "detection_score", "identify_score", "sharpness", "brightness", "smallest_face")
_RANGES = {
    **dict.fromkeys((*_SCORES, "left", "top", "width", "height"), (0, 1)),
    **dict.fromkeys(("roll", "yaw", "pitch"), (-180, 180)),
}
"""Ranges of float fields by their names; all others have to be finite."""
_REQUIRED = {
    "Face": ("box",),
    "Candidate": ("person_id", "display_name"),
    "Label": ("name",),
    "ModerationLabel": ("name",),
    "Person": ("person_id",),
    "PersonFace": ("face_id",),
    "RemovedFace": ("key",),
    "ImageInfo": ("width", "height"),
}
_EDGE = 1 + ROUNDING
_ENTRIES = frozenset(("results", "recognizers"))
_PACKAGE = "marquee.v1."
_PROSE = frozenset(("content", "warnings"))
"""Fields whose text may have several lines."""
_INNER_NAME = re.compile(rf"[a-z0-9][a-z0-9-]{{0,62}}(/[a-z0-9][a-z0-9-]{{0,62}}){{0,{MAX_HOPS - 1}}}")
_SHA256 = re.compile(r"([0-9a-f]{64})?")
_OUTCOMES = frozenset(pb.Outcome.values()) - {pb.OUTCOME_UNSPECIFIED}
SUCCESSES = frozenset((pb.OUTCOME_OK, pb.OUTCOME_PARTIAL, pb.OUTCOME_SKIPPED))
_MAX_FACES = limit_of(pb.RecognizerResult.DESCRIPTOR, "faces").entries or 0
_MAX_ENTRIES = limit_of(pb.RecognizeImageResponse.DESCRIPTOR, "results").entries or 0
_Rule = Callable[[Any], None]


async def read(kind: type[Any], data: object, name: str) -> Any:
    """Return the serialized answer of the recognizer `name`, its results named as this gateway names them.

    Raises InvalidAnswer if none of it can be used; otherwise a result that cannot be used is an ERROR. Raises
    Overloaded for a large answer without room.
    """
    if not isinstance(data, bytes):
        raise InvalidAnswer(f"{name} sent no message.")
    if len(data) > _LARGE_BYTES:
        hold(_COPIES * len(data))
    if len(data) <= _SMALL_BYTES:
        return _read(kind, data, name)
    return await asyncio.to_thread(_read, kind, data, name)


def entries_of(answer: Any) -> Any:
    """Return the answer's results; those of ListRecognizers are called recognizers."""
    return answer.recognizers if isinstance(answer, pb.ListRecognizersResponse) else answer.results


def fail(entry: Any, name: str, why: status_pb2.Status, outcome: pb.Outcome.ValueType = pb.OUTCOME_ERROR) -> None:
    """Make the result, or the listed recognizer, say why it failed, and nothing else but what it cost."""
    if isinstance(entry, pb.Recognizer):
        entry.CopyFrom(pb.Recognizer(name=name, state=pb.RECOGNIZER_STATE_UNAVAILABLE, status=why))
        return
    cost = getattr(entry, "cost_micro_usd", 0)
    entry.CopyFrom(type(entry)(recognizer=name, outcome=outcome, status=why))
    if 0 < cost <= _MAX_MICRO_USD:
        entry.cost_micro_usd = cost


def is_recalled(response: pb.RecognizeImageResponse) -> bool:
    """Return whether this gateway had the response already: then it took no time, and has no timings."""
    return not response.HasField("timings") and any(result.from_cache for result in response.results)


def check_described(result: pb.RecognizerResult, boxes: int) -> None:
    """Make the result fail if it looked for faces, but does not have one for each of so many given boxes."""
    looked = FACE_FEATURES.intersection(result.performed_features)
    if boxes and looked and result.outcome in SUCCESSES and len(result.faces) != boxes:
        _refuse(result, InvalidAnswer(f"There are {len(result.faces)} faces for {boxes} face_boxes."))


def check_enrolled(result: enrollment_pb2.EnrollmentResult, person_id: str, pictures: int) -> None:
    """Make the result fail if it is another person's, or if its faces are not those of so many pictures."""
    if result.outcome not in SUCCESSES:
        return
    if result.HasField("person") and result.person.person_id != person_id:
        _refuse(result, InvalidAnswer(f"Person.person_id is {result.person.person_id!r}, not {person_id!r}."))
    elif result.faces and len(result.faces) != pictures:
        _refuse(result, InvalidAnswer(f"There are {len(result.faces)} faces for {pictures} pictures."))


def check_removed(result: enrollment_pb2.FaceRemovalResult, keys: list[enrollment_pb2.FaceKey]) -> None:
    """Make the result fail unless its faces are those of the keys, in their order, or none if it is SKIPPED."""
    expected = [] if result.outcome == pb.OUTCOME_SKIPPED else keys
    if result.outcome in SUCCESSES and [face.key for face in result.faces] != expected:
        _refuse(result, InvalidAnswer("Its faces are not those that were to be removed."))


def check_listed(result: enrollment_pb2.FacesResult, person_id: str) -> None:
    """Make the result fail if it is another person's, or if it has faces of nobody."""
    if result.outcome not in SUCCESSES:
        return
    if result.HasField("person") and result.person.person_id != person_id:
        _refuse(result, InvalidAnswer(f"Person.person_id is {result.person.person_id!r}, not {person_id!r}."))
    elif result.faces and not result.HasField("person"):
        _refuse(result, InvalidAnswer(f"There are {len(result.faces)} faces of nobody."))


def make_room(entries: Sequence[Any], room: int = MAX_RESULTS_BYTES) -> None:
    """Make the largest of the results fail until all of them together have at most `room` bytes."""
    excess = sum(entry.ByteSize() for entry in entries) - room
    if excess <= 0:  # quick, and nearly always so
        return
    for entry in sorted(entries, key=lambda entry: -entry.ByteSize()):
        size = entry.ByteSize()
        error = AnswerTooLarge(f"Left out: with its {size / MIB:.1f} MiB the response would be over 16 MiB.")
        fail(entry, _name_of(entry), status.from_exception(error))
        excess -= size - entry.ByteSize()
        if excess <= 0:
            return


def _read(kind: type[Any], data: bytes, name: str) -> Any:
    try:
        if len(data) > _SMALL_BYTES:
            _count_fields(kind.DESCRIPTOR, data, 0, len(data), _MAX_FIELDS)
        answer = kind.FromString(data)
    except DecodeError:
        raise InvalidAnswer(f"{name} sent bytes that are no {kind.DESCRIPTOR.name}.") from None
    if kind is pb.RecognizeImageResponse:  # those of the outermost gateway count
        answer.ClearField("labels")
        answer.ClearField("verdicts")
    entries = entries_of(answer)
    _check_names([_name_of(entry) for entry in entries], name, is_leaf=not answer.gateway)
    _checker(kind.DESCRIPTOR, _ENTRIES)(answer)
    for entry in entries:
        _settle(entry, f"{name}/{_name_of(entry)}" if answer.gateway else name)
    return answer


def _count_fields(kind: Descriptor, data: bytes, start: int, end: int, room: int) -> int:
    """Return how many more fields there may be after those of data[start:end] and of the messages in it.

    To be known before parsing, which takes a hundred bytes for an entry of two. Raises InvalidAnswer and DecodeError.
    """
    for number, is_bytes, first, last in wire.fields(data, start, end):
        field = kind.fields_by_number.get(number) if is_bytes else None
        room -= 1
        if field is not None and field.enum_type is not None:
            room -= last - first
        if room < 0:
            raise InvalidAnswer(f"The answer has more than {_MAX_FIELDS} fields.")
        if field is not None and field.message_type is not None and first < last:
            room = _count_fields(field.message_type, data, first, last, room)
    return room


def _check_names(names: Sequence[str], name: str, *, is_leaf: bool) -> None:
    """Raise InvalidAnswer unless there is one entry, or behind a gateway some with names of their own."""
    if not names:
        raise InvalidAnswer(f"{name} returned no result.")
    if len(names) > _MAX_ENTRIES:
        raise InvalidAnswer(f"{name} returned {len(names)} results; the limit is {_MAX_ENTRIES}.")
    if is_leaf and len(names) > 1:
        raise InvalidAnswer(f"{name} is no gateway, but returned {len(names)} results.")
    if not is_leaf and len(set(names)) < len(names):
        raise InvalidAnswer(f"{name} returned several results of one recognizer.")
    if not is_leaf and not all(map(_INNER_NAME.fullmatch, names)):
        raise InvalidAnswer(f"{name} returned a result without a proper name of a recognizer.")


def _name_of(entry: Any) -> str:
    return str(entry.name if isinstance(entry, pb.Recognizer) else entry.recognizer)


def _settle(entry: Any, name: str) -> None:
    """Name the entry, and make it fail if it breaks the contract."""
    setattr(entry, "name" if isinstance(entry, pb.Recognizer) else "recognizer", name)
    try:
        if isinstance(entry, pb.RecognizerResult):
            _cut_faces(entry)
        _check(entry)
        if not isinstance(entry, pb.Recognizer):
            _check_outcome(entry)
    except InvalidAnswer as exc:
        _refuse(entry, exc)


def _refuse(entry: Any, why: InvalidAnswer) -> None:
    logger.warning("invalid answer", recognizer=_name_of(entry), error=why.message)
    fail(entry, _name_of(entry), status.from_exception(why))


def _cut_faces(result: pb.RecognizerResult) -> None:
    count = len(result.faces)
    if count > _MAX_FACES:
        del result.faces[_MAX_FACES:]
        result.warnings.append(f"{count} faces; all but the first {_MAX_FACES} were left out.")


def _check_outcome(result: Any) -> None:
    """Make outcome and status agree. Raises InvalidAnswer for an outcome that this gateway does not know."""
    if result.outcome not in _OUTCOMES:
        raise InvalidAnswer(f"The outcome is {result.outcome}, which this gateway does not know.")
    if result.outcome not in SUCCESSES:
        _check_failure(result)
    elif result.status.code != code_pb2.OK:
        fail(result, result.recognizer, result.status)


def _check(message: Any) -> None:
    """Check the fields of a message and of all messages in it. Raises InvalidAnswer."""
    _checker(message.DESCRIPTOR)(message)


@cache
def _checker(kind: Descriptor, but: frozenset[str] = frozenset()) -> _Rule:
    """Return what checks a message of this kind, except for the fields with these names."""
    rules = {field: _rule(field, limit_of(kind, field.name)) for field in kind.fields if field.name not in but}
    required = [(name, kind.fields_by_name[name].has_presence) for name in _REQUIRED.get(kind.name, ())]
    check_whole = _WHOLE.get(kind.name)

    def check(message: Any) -> None:
        for field, value in message.ListFields():
            if (rule := rules.get(field)) is not None:
                rule(value)
        for name, has_presence in required:
            if not (message.HasField(name) if has_presence else getattr(message, name)):
                raise InvalidAnswer(f"{kind.name}.{name} is missing.")
        if check_whole is not None:
            check_whole(message)

    return check


def _rule(field: FieldDescriptor, limit: Limit) -> _Rule | None:
    name = field.full_name.removeprefix(_PACKAGE)
    check, most = _value_rule(field, name, limit.length), limit.entries

    def check_all(values: Sequence[Any]) -> None:
        if most is not None and len(values) > most:
            raise InvalidAnswer(f"{name} has {len(values)} entries; the limit is {most}.")
        if check is not None:
            for value in values:
                check(value)

    return check_all if field.is_repeated else check


def _value_rule(field: FieldDescriptor, name: str, longest: int | None) -> _Rule | None:
    if field.message_type is not None:
        special = _MESSAGES.get(field.message_type.full_name)
        return _checker(field.message_type) if special is None else special
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _text_rule(name, longest, status.CONTROL if field.name in _PROSE else status.CONTROL_IN_NAME)
    if field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT:
        return _float_rule(name, *_RANGES.get(field.name, (-math.inf, math.inf)))
    if field.cpp_type in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64):
        return _integer_rule(name)
    return None


def _text_rule(name: str, longest: int | None, control: re.Pattern[str]) -> _Rule:
    def check(text: str) -> None:
        if longest is not None and len(text) > longest:
            raise InvalidAnswer(f"{name} has {len(text)} characters; the limit is {longest}.")
        if not text.isprintable() and control.search(text):  # the first is quick, and nearly always true
            raise InvalidAnswer(f"{name} has control characters.")

    return check


def _float_rule(name: str, low: float, high: float) -> _Rule:
    least, most = (low - ROUNDING, high + ROUNDING) if math.isfinite(low) else (-_MAX_FLOAT, _MAX_FLOAT)
    proper = f"{low:g} to {high:g}" if math.isfinite(low) else "finite"

    def check(value: float) -> None:
        if not least <= value <= most:  # nor is what is no number
            raise InvalidAnswer(f"{name} is {value:g}; it must be {proper}.")

    return check


def _integer_rule(name: str) -> _Rule:
    def check(value: int) -> None:
        if not 0 <= value <= _MAX_MICRO_USD:
            raise InvalidAnswer(f"{name} is {value}; it must be 0 to {_MAX_MICRO_USD}.")

    return check


def _check_duration(value: Any) -> None:
    if not 0 <= value.seconds <= _MAX_SECONDS or value.nanos not in _NANOS:
        raise InvalidAnswer(f"A duration is {value.seconds} s; it must be 0 to {_MAX_SECONDS} s.")


def _check_time(value: Any) -> None:
    if value.seconds not in _YEARS_1_TO_9999 or value.nanos not in _NANOS:
        raise InvalidAnswer("A time is not in the years 1 to 9999.")


def _check_box(box: pb.BoundingBox) -> None:
    if box.left + box.width > _EDGE or box.top + box.height > _EDGE:
        raise InvalidAnswer("BoundingBox reaches past the picture.")


def _check_candidate(candidate: pb.Candidate) -> None:
    name = candidate.display_name
    if name.isprintable() and not name.isspace():  # quick, and nearly always true
        return
    if not any(letter.isprintable() and not letter.isspace() for letter in name):
        raise InvalidAnswer("Candidate.display_name is blank.")


def _check_image(image: pb.ImageInfo) -> None:
    if image.width * image.height > MAX_IMAGE_PIXELS or not _SHA256.fullmatch(image.sha256):
        raise InvalidAnswer("ImageInfo is of no picture that Marquee reads.")


def _check_face(face: enrollment_pb2.EnrolledFace) -> None:
    if face.state == enrollment_pb2.ENROLLMENT_STATE_REFUSED:
        _check_failure(face)


def _check_person_face(face: enrollment_pb2.PersonFace) -> None:
    if not _SHA256.fullmatch(face.content_sha256):
        raise InvalidAnswer("PersonFace.content_sha256 is not a SHA-256.")


def _check_failure(entry: Any) -> None:
    """Give what failed a status that says so, if it has none."""
    if entry.status.code == code_pb2.OK:
        words = entry.status.message or "It failed and does not say why."
        entry.status.CopyFrom(status.from_exception(InvalidAnswer(words)))


def _shorten(value: status_pb2.Status) -> None:
    if value.ByteSize():
        value.CopyFrom(status.bounded(value))


_MESSAGES: Mapping[str, _Rule] = {
    "google.rpc.Status": _shorten,
    "google.protobuf.Duration": _check_duration,
    "google.protobuf.Timestamp": _check_time,
}
_WHOLE: Mapping[str, _Rule] = {
    "BoundingBox": _check_box,
    "Candidate": _check_candidate,
    "ImageInfo": _check_image,
    "EnrolledFace": _check_face,
    "PersonFace": _check_person_face,
    "FeatureError": _check_failure,
}

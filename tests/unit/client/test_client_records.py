"""Tests of the dataclasses that messages become."""

import json
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from marquee import Enrollment, Feature, Outcome, PeopleResult, Recognition, Recognizer, Removal
from marquee.records import Record, read
from marquee.v1 import enrollment_pb2
from marquee.v1 import recognizer_pb2 as pb
from tests.support.client import two_people

OWN_FORM = ("google.protobuf.Duration", "google.protobuf.Timestamp", "google.rpc.Status")


def _fill(message: Message) -> None:
    """Set every field of the message, recursively, to a non-default value."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type:
            child = getattr(message, field.name)
            _fill(child.add() if field.is_repeated else child)
        elif field.is_repeated:
            getattr(message, field.name).append(_value(field))
        else:
            setattr(message, field.name, _value(field))


def _value(field: Any) -> Any:
    special = {FieldDescriptor.TYPE_STRING: "text", FieldDescriptor.TYPE_BYTES: b"x", FieldDescriptor.TYPE_BOOL: True}
    return special.get(field.type, 1)


def _missing(record: Record, descriptor: Any, path: str) -> list[str]:
    """Return the contract's fields that are missing or empty in the record."""
    missing = []
    for field in descriptor.fields:
        value, name = getattr(record, field.name, None), f"{path}.{field.name}"
        value = value[0] if isinstance(value, tuple) and value else value
        if not value:
            missing.append(name)
        elif field.message_type and field.message_type.full_name not in OWN_FORM:
            missing += _missing(value, field.message_type, name)
    return missing


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Recognition, pb.RecognizeImageResponse()),
        (Recognizer, pb.Recognizer()),
        (Enrollment, enrollment_pb2.EnrollFacesResponse()),
        (Removal, enrollment_pb2.RemovePersonResponse()),
        (PeopleResult, enrollment_pb2.PeopleResult()),
    ],
)
def test_every_field_of_the_contract_arrives(kind: type[Record], message: Message) -> None:
    """No field is lost between message and dataclass, and the result can be serialized as JSON."""
    _fill(message)
    record = read(kind, message)
    assert _missing(record, message.DESCRIPTOR, kind.__name__) == []
    assert json.loads(json.dumps(record.to_dict())) == record.to_dict()


def test_absent_and_empty_differ() -> None:
    """An absent box, model or quality is None; an absent score is 0."""
    message = pb.RecognizeImageResponse(verdicts=[pb.Verdict(state=pb.VERDICT_STATE_NO_FACE)])
    message.results.add().faces.add().quality.sharpness = 0
    recognition = read(Recognition, message)
    assert (recognition.verdicts[0].box, recognition.results[0].model) == (None, None)
    face = recognition.results[0].faces[0]
    assert face.quality is not None
    assert (face.quality.sharpness, face.quality.brightness) == (0.0, None)
    assert face.detection_score == 0.0


def test_values_are_python_values() -> None:
    """Durations are seconds, enums are strings, and scores are rounded to the precision that the server meant."""
    message = two_people()
    recognition = read(Recognition, message)
    assert recognition.timings.total == 0.13
    assert recognition.verdicts[0].state == "IDENTIFIED"
    assert recognition.verdicts[0].score == 0.97
    assert recognition.results[0].performed_features == (Feature.CELEBRITIES, Feature.LABELS)
    assert recognition.results[0].outcome is Outcome.OK
    assert (recognition.results[0].status.code, recognition.results[1].status.reason) == (
        "OK",
        "DEPENDENCY_UNAVAILABLE",
    )


def test_an_unknown_enum_value_is_unspecified() -> None:
    """An enum value from a newer server becomes UNSPECIFIED and does not break the response."""
    message = pb.RecognizeImageResponse()
    message.ParseFromString(pb.RecognizeImageResponse(results=[pb.RecognizerResult()]).SerializeToString())
    message.results[0].MergeFromString(b"\x18\x63")  # outcome 99
    assert read(Recognition, message).results[0].outcome is Outcome.UNSPECIFIED

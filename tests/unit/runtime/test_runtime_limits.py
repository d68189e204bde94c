"""The table of limits, and what is over one of them."""

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message

from marquee.library.v1 import library_pb2, notification_pb2, people_pb2
from marquee.v1 import enrollment_pb2, recognizer_pb2
from marquee.v1 import recognizer_pb2 as pb
from protos import generate
from services.runtime.limits import MIB, TABLE, excess

MESSAGES: list[Descriptor] = [
    message
    for file in (recognizer_pb2, enrollment_pb2, library_pb2, people_pb2, notification_pb2)
    for message in file.DESCRIPTOR.message_types_by_name.values()
]
IMAGE = pb.Image(content=b"x")
OVER: dict[str, tuple[Message, str]] = {
    "features": (
        pb.RecognizeImageRequest(features=[pb.FEATURE_TEXT] * 17),
        "features has 17 entries; the limit is 16.",
    ),
    "a recognizer's name": (
        pb.RecognizeImageRequest(recognizers=["svm", "x" * 129]),
        "recognizers has an entry of 129 characters; the limit is 128.",
    ),
    "a key of a map": (
        pb.RecognizeImageRequest(recognizer_options={"x" * 129: pb.RecognizerOptions()}),
        "recognizer_options has an entry of 129 characters; the limit is 128.",
    ),
    "a map": (
        pb.RecognizeImageRequest(recognizer_options={str(one): pb.RecognizerOptions() for one in range(65)}),
        "recognizer_options has 65 entries; the limit is 64.",
    ),
    "bytes of UTF-8": (
        pb.RecognizeImageRequest(image=pb.Image(s3_object=pb.S3Object(key="ü" * 513))),
        "image.s3_object.key has 1026 bytes; the limit is 1024.",
    ),
    "a string inside an entry": (
        enrollment_pb2.EnrollFacesRequest(images=[IMAGE, pb.Image(s3_object=pb.S3Object(bucket="b" * 64))]),
        "images.s3_object.bucket has 64 characters; the limit is 63.",
    ),
    "a string": (
        enrollment_pb2.EnrollFacesRequest(display_name="x" * 201),
        "display_name has 201 characters; the limit is 200.",
    ),
    "entries of an answer": (
        pb.RecognizeImageResponse(results=[pb.RecognizerResult(faces=[pb.Face()] * 257)]),
        "results.faces has 257 entries; the limit is 256.",
    ),
}


def is_bounded(field: FieldDescriptor) -> bool:
    """Return whether a sender decides how much the field holds; a picture's bytes have limits of their own."""
    return field.is_repeated or field.type == FieldDescriptor.TYPE_STRING


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_every_field_has_a_limit(message: Descriptor) -> None:
    """Every string, repeated field and map of the contract is in the table, and nothing else is."""
    assert list(TABLE.get(message.name, ())) == [field.name for field in message.fields if is_bounded(field)]
    for field in message.fields:
        if is_bounded(field):
            limit = TABLE[message.name][field.name]
            assert (limit.entries is not None) == field.is_repeated
            assert (limit.length is not None) == has_text(field)


def has_text(field: FieldDescriptor) -> bool:
    """Return whether the field holds strings; all maps of the contract have strings as keys."""
    is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
    return is_map or field.type == FieldDescriptor.TYPE_STRING


def test_only_messages_of_the_contract_have_limits() -> None:
    """The table has no message that the contract has not."""
    assert set(TABLE) <= {message.name for message in MESSAGES}


@pytest.mark.parametrize(("message", "expected"), OVER.values(), ids=OVER)
def test_names_what_is_over_its_limit(message: Message, expected: str) -> None:
    """What is over a limit, however deep inside the message, is named with its amount and its limit."""
    found = excess(message)
    assert found is not None
    assert found.message == expected
    assert expected.startswith(found.field)


def test_the_limits_themselves_are_allowed() -> None:
    """A message with as much as each limit allows has no excess."""
    names = ["x" * 128] * 64
    request = pb.RecognizeImageRequest(
        request_id="x" * 128,
        image=pb.Image(s3_object=pb.S3Object(bucket="b" * 63, key="ü" * 512, version_id="v" * 1024)),
        recognizers=names,
        features=[pb.FEATURE_TEXT] * 16,
        recognizer_options={f"{number:0128}": pb.RecognizerOptions() for number in range(64)},
    )
    assert excess(request) is None


def test_a_picture_is_not_looked_at() -> None:
    """A picture's bytes are not limited here: they have an error of their own."""
    assert excess(pb.RecognizeImageRequest(image=pb.Image(content=bytes(16 * MIB)))) is None


@pytest.fixture(scope="module")
def comments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the comment of each of the contract's fields by its full name, as one line."""
    image = tmp_path_factory.mktemp("contract") / "image.binpb"
    generate.protoc(generate.CONTRACT, "--include_source_info", f"--descriptor_set_out={image}")
    files = FileDescriptorSet.FromString(image.read_bytes()).file
    return {
        f"{file.message_type[path[1]].name}.{file.message_type[path[1]].field[path[3]].name}": " ".join(
            location.leading_comments.split()
        )
        for file in files
        for location in file.source_code_info.location
        if len(path := location.path) == 4 and path[::2] == [4, 2]  # message_type of a file, field of a message
    }


@pytest.mark.parametrize("message", TABLE)
def test_the_comments_state_the_limits(comments: dict[str, str], message: str) -> None:
    """The protos' comments state each field's limit."""
    missing = {
        field: str(limit) for field, limit in TABLE[message].items() if str(limit) not in comments[f"{message}.{field}"]
    }
    assert missing == {}

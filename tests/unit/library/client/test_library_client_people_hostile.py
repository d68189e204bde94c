"""What the subcommands about people print of answers that are made to break a terminal."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from marquee.library.v1 import people_pb2 as pb
from marquee.library.v1 import people_pb2_grpc
from tests.support.client import marquee
from tests.support.evil import EVIL, controls, strict

_ID = "01900000-0000-7000-8000-000000000000"
_LISTS = (("list",), ("faces",), ("clusters",), ("actions",))
_OTHERS = (
    ("show", _ID),
    ("create", "Ada"),
    ("rename", _ID, "Ada"),
    ("alias", _ID, "--add", "Ada"),
    ("cover", _ID, "--auto"),
    ("merge", _ID, _ID),
    ("separate", _ID, _ID),
    ("delete", _ID),
    ("split", _ID),
    ("name", _ID, "face"),
    ("draw", "picture", "0,0,1,1"),
    ("similar", "face"),
    ("undo", "action"),
    ("enroll", _ID),
    ("reconcile",),
    ("adopt",),
    ("erase", _ID, "--yes"),
    ("audits",),
    ("models",),
    ("embed",),
    ("compare", "1"),
)
_QUIET = (
    ("refuse", _ID, "face"),
    ("mark", "face", "--ignored"),
    ("answer", "question", "skip"),
    ("use-model", "1"),
)


def _filled(kind: Descriptor, depth: int = 6) -> Message:
    """Return a message with something in every field: EVIL, no number, and enums and times that there are not."""
    message = GetMessageClass(kind)()
    for field in kind.fields:
        if depth and field.name != "next_page_token":
            _fill(message, field, depth)
    return message


def _fill(message: Any, field: FieldDescriptor, depth: int) -> None:
    if field.message_type is None:
        value = _scalar(field)
        if field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)
    elif field.message_type.full_name.startswith("google.protobuf."):
        if field.message_type.full_name.endswith("Timestamp"):
            getattr(message, field.name).seconds = 2**62
    elif field.message_type.GetOptions().map_entry:
        value = field.message_type.fields_by_name["value"]
        if value.message_type is None:
            getattr(message, field.name)[EVIL] = 1
        else:
            getattr(message, field.name)[EVIL].MergeFrom(_filled(value.message_type, depth - 1))
    elif field.is_repeated:
        getattr(message, field.name).append(_filled(field.message_type, depth - 1))
    else:
        getattr(message, field.name).CopyFrom(_filled(field.message_type, depth - 1))


def _scalar(field: FieldDescriptor) -> Any:
    kinds: dict[int, Any] = {
        FieldDescriptor.CPPTYPE_STRING: b"x" if field.type == FieldDescriptor.TYPE_BYTES else EVIL,
        FieldDescriptor.CPPTYPE_FLOAT: math.nan,
        FieldDescriptor.CPPTYPE_DOUBLE: math.nan,
        FieldDescriptor.CPPTYPE_BOOL: True,
        FieldDescriptor.CPPTYPE_ENUM: 99,
    }
    return kinds.get(field.cpp_type, 3)


def _answer(kind: Descriptor, _request: object, _context: object) -> Message:
    return _filled(kind)


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Run a library at MARQUEE_LIBRARY_ADDRESS that answers each call of PeopleService with all that is evil."""
    monkeypatch.chdir(tmp_path)
    servicer = people_pb2_grpc.PeopleServiceServicer()
    for method in pb.DESCRIPTOR.services_by_name["PeopleService"].methods:
        setattr(servicer, method.name, partial(_answer, method.output_type))
    server = grpc.server(ThreadPoolExecutor(2))
    people_pb2_grpc.add_PeopleServiceServicer_to_server(servicer, server)
    monkeypatch.setenv("MARQUEE_LIBRARY_ADDRESS", f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
    server.start()
    yield
    server.stop(0).wait()


@pytest.mark.parametrize("arguments", [*_LISTS, *(("list", "-o", "ids"),), *_OTHERS], ids=" ".join)
def test_tables_of_people_pass_nothing_to_the_terminal(arguments: tuple[str, ...]) -> None:
    """Names, reasons and receipts show no control, bidi or markup character."""
    result = marquee("library", "people", *arguments)
    assert result.exit_code in (0, 1), result.output
    assert "Eve[bold]" in result.stdout + result.stderr
    assert controls(result.stdout + result.stderr) == set()


def test_an_explanation_passes_nothing_to_the_terminal() -> None:
    """Neither reasons nor opinions, refusals and neighbours do."""
    result = marquee("library", "why", "face")
    assert result.exit_code == 0, result.output
    assert "Eve[bold]" in result.stdout
    assert controls(result.stdout) == set()
    strict(marquee("library", "why", "face", "-o", "json").stdout)


@pytest.mark.parametrize("arguments", [*_LISTS, *_OTHERS, *_QUIET], ids=" ".join)
def test_json_of_people_is_valid_whatever_the_answer(arguments: tuple[str, ...]) -> None:
    """What JSON has no number for is null, a time that is none too, and control characters are escaped."""
    result = marquee("library", "people", *arguments, "-o", "json")
    assert result.exit_code in (0, 1), result.output
    strict(result.stdout)
    assert controls(result.stdout) == set()

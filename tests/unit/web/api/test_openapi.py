"""The description of the HTTP API against the contract: nothing is missing, and nothing is too much."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from jsonschema import ValidationError
from openapi_spec_validator import validate

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.limits import TABLE
from services.runtime.status import TABLE as ERRORS
from services.web import errors
from services.web.gateway import SERVICES
from services.web.options import OPTIONS
from tests.support.openapi import DOCUMENT, check

SCHEMAS = DOCUMENT["components"]["schemas"]
METHODS = [method for service in SERVICES for method in service.methods]


def _messages() -> Iterator[Descriptor]:
    """Yield every message that goes in or out, by the descriptors alone."""
    ahead, seen = [one for method in METHODS for one in (method.input_type, method.output_type)], set()
    while ahead:
        kind = ahead.pop()
        if kind.full_name in seen or kind.full_name.startswith("google.protobuf."):
            continue
        seen.add(kind.full_name)
        ahead += [field.message_type for field in kind.fields if field.message_type]
        if not kind.GetOptions().map_entry:
            yield kind


MESSAGES = sorted(_messages(), key=lambda kind: kind.full_name)


def test_it_is_openapi() -> None:
    """A validator that others wrote finds no fault in it."""
    validate(DOCUMENT)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_method_has_its_path(method: Any) -> None:
    """Each method is there under its Connect path, with its messages and its comment."""
    call = DOCUMENT["paths"][f"/{method.containing_service.full_name}/{method.name}"]["post"]
    assert call["operationId"] == method.name
    assert len(call["description"]) > len(method.name)
    if not method.server_streaming:
        assert _schema(call["requestBody"]) == f"#/components/schemas/{method.input_type.name}"
        assert _schema(call["responses"]["200"]) == f"#/components/schemas/{method.output_type.name}"


def _schema(body: Any) -> str:
    return str(body["content"]["application/json"]["schema"]["$ref"])


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.name)
def test_every_field_has_its_property(kind: Descriptor) -> None:
    """Each message has exactly its fields, each with a comment; of a oneof one alone may be set."""
    schema = SCHEMAS[kind.name]
    assert list(schema["properties"]) == [field.json_name for field in kind.fields]
    assert all(one.get("description") for one in schema["properties"].values())
    choices = [[field.json_name for field in one.fields] for one in kind.oneofs if not one.name.startswith("_")]
    assert [[part["required"][0] for part in schema["oneOf"]]] == choices if choices else "oneOf" not in schema


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.name)
def test_every_field_has_its_type(kind: Descriptor) -> None:
    """Each property has the type that protobuf's JSON has."""
    for field in kind.fields:
        schema = SCHEMAS[kind.name]["properties"][field.json_name]
        is_map = bool(field.message_type) and field.message_type.GetOptions().map_entry
        if is_map:
            assert schema["type"] == "object"
        elif field.is_repeated:
            assert schema["type"] == "array"
            assert _is_of(schema["items"], field)
        else:
            assert _is_of(schema, field)


_TYPES = {
    FieldDescriptor.CPPTYPE_BOOL: "boolean",
    FieldDescriptor.CPPTYPE_FLOAT: "number",
    FieldDescriptor.CPPTYPE_DOUBLE: "number",
    FieldDescriptor.CPPTYPE_INT32: "integer",
    FieldDescriptor.CPPTYPE_INT64: "string",
    FieldDescriptor.CPPTYPE_STRING: "string",
}
_WELL_KNOWN = {"Duration": "string", "Timestamp": "string", "Any": "object"}


def _is_of(schema: Any, field: FieldDescriptor) -> bool:
    kind = field.message_type or field.enum_type
    if kind is None:
        return schema["type"] == _TYPES[field.cpp_type]
    if kind.name in _WELL_KNOWN:
        return schema["type"] == _WELL_KNOWN[kind.name]
    return schema["$ref"] == f"#/components/schemas/{kind.name}"


def test_every_enum_has_its_values() -> None:
    """Each enum has exactly its values, by their names."""
    enums = {field.enum_type.name: field.enum_type for kind in MESSAGES for field in kind.fields if field.enum_type}
    assert enums
    for name, kind in enums.items():
        assert SCHEMAS[name]["enum"] == [value.name for value in kind.values]


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.name)
def test_every_limit_is_in_it(kind: Descriptor) -> None:
    """What the contract bounds is bounded, with the same numbers."""
    for field, limit in TABLE.get(kind.name, {}).items():
        schema = SCHEMAS[kind.name]["properties"][kind.fields_by_name[field].json_name]
        texts = schema.get("propertyNames") or schema.get("items") or schema
        assert texts.get("maxLength") == limit.length
        assert schema.get("maxItems", schema.get("maxProperties")) == limit.entries


def test_nothing_is_in_it_that_the_contract_lacks() -> None:
    """Schemas are those of messages and enums, and of errors; paths those of methods, and of files."""
    enums = {field.enum_type.name for kind in MESSAGES for field in kind.fields if field.enum_type}
    assert SCHEMAS.keys() == {kind.name for kind in MESSAGES} | enums | {"Error", "ErrorDetail"}
    own = {path for path in DOCUMENT["paths"] if path.startswith("/v1/")}
    assert own == {"/v1/recognize", "/v1/recognize/stream", "/v1/recognizers"}
    assert len(DOCUMENT["paths"]) == len(METHODS) + len(own)


@pytest.mark.parametrize("path", ["/v1/recognize", "/v1/recognize/stream"])
def test_files_take_every_option(path: str) -> None:
    """Whatever the contract takes beside a picture is an option in the query and in the form."""
    call = DOCUMENT["paths"][path]["post"]
    names = [field.name for field in OPTIONS]
    form = call["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert {one["name"] for one in call["parameters"] if "name" in one} == set(names)
    assert form.keys() == {"image", "s3", "timeout", *names}
    assert {*names, "image"} == set(pb.RecognizeImageRequest.DESCRIPTOR.fields_by_name)


def test_every_code_of_an_error_is_in_it() -> None:
    """An error's code is one of those described."""
    codes = {errors.connect_code(code) for code, _ in ERRORS.values()}
    assert codes <= set(SCHEMAS["Error"]["properties"]["code"]["enum"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"requestId": 5},
        {"image": {"content": "AAAA", "s3Object": {}}},
        {"recognizers": ["x" * 129]},
        {"features": ["FEATURE_NONE"]},
        {"maxLabel": 1},
    ],
)
def test_it_refuses_what_the_api_does(wrong: object) -> None:
    """What the API refuses for its form does not fit the description either."""
    with pytest.raises(ValidationError):
        check("RecognizeImageRequest", wrong)

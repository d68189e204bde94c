"""OpenAPI 3.1 of the HTTP API, made of the contract's descriptors, comments and limits. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from services.runtime.limits import MAX_IMAGE_BYTES, limit_of
from services.web.api.connect import STREAMING, UNARY
from services.web.api.recognize import EVENTS, JSON
from services.web.errors import HTTP_STATUS, connect_code
from services.web.gateway import LIST, RECOGNIZE, SERVICES, STREAM, path_of
from services.web.options import OPTIONS

Json: TypeAlias = dict[str, Any]
Comments: TypeAlias = Mapping[str, str]
"""Comment of each thing in the protos, by its full name."""
_INTRODUCTION = """\
Who and what is in a picture: Marquee's contract over HTTP.

The paths `/marquee.v1.…` are [Connect](https://connectrpc.com/docs/protocol): each takes and gives a message of the
protos as JSON, or as protobuf. The paths `/v1/…` take a file, for curl. All 64-bit integers are strings, bytes are
base64, and fields that are 0, false or empty are left out. Requests with unknown fields are refused. A request has at
most 22 MiB, a picture 15 MiB.
"""
_SCALARS: Mapping[int, Json] = {
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_INT64: {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"},
}
_WELL_KNOWN: Mapping[str, Json] = {
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$", "examples": ["1.5s"]},
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Any": {
        "type": "object",
        "properties": {
            "@type": {"type": "string", "description": "Type of the message, whose fields stand beside it."}
        },
        "required": ["@type"],
        "additionalProperties": True,
    },
}
_BASE64_OF_IMAGE = (MAX_IMAGE_BYTES + 2) // 3 * 4
_FILE: Json = {"type": "string", "format": "binary"}


def document(files: FileDescriptorSet) -> Json:
    """Return the description. `files` are the protos with their comments, as protoc writes them."""
    comments = dict(pair for file in files.file for pair in _comments(file))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Marquee", "version": "v1", "description": _INTRODUCTION},
        "servers": [{"url": "/"}],
        "security": [{}, {"bearer": []}],
        "tags": [{"name": one.name, "description": comments[one.full_name]} for one in SERVICES] + [_FILES_TAG],
        "paths": {path_of(one): {"post": _call(one, comments)} for one in _methods()} | _file_paths(comments),
        "components": {
            "schemas": dict(sorted((_schemas(comments) | _ERRORS).items())),
            "parameters": _PARAMETERS,
            "responses": {"Error": _ERROR},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _methods() -> Iterator[MethodDescriptor]:
    for service in SERVICES:
        yield from service.methods


def _call(method: MethodDescriptor, comments: Comments) -> Json:
    request, response = method.input_type, method.output_type
    body, answer = (_streamed, _streamed) if method.server_streaming else (_whole, _whole)
    return {
        "operationId": method.name,
        "summary": comments[method.full_name].partition(".")[0] + ".",
        "description": comments[method.full_name],
        "tags": [method.containing_service.name],
        "parameters": [_ref("parameters", name) for name in ("ConnectProtocolVersion", "ConnectTimeoutMs")],
        "requestBody": {"required": True, "content": body(request)},
        "responses": _responses(f"{response.name}.", answer(response)),
    }


def _whole(message: Descriptor) -> Json:
    as_json, as_bytes = UNARY
    return {as_json: {"schema": _ref("schemas", message.name)}, as_bytes: {"schema": _FILE}}


def _streamed(message: Descriptor) -> Json:
    envelopes = f"Envelopes: a byte of flags, four of length, big-endian, and {message.name}; flag 2 marks the end."
    return {kind: {"schema": _FILE | {"description": envelopes}} for kind in STREAMING}


def _responses(description: str, content: Json) -> Json:
    return {"200": {"description": description, "content": content}, "default": _ref("responses", "Error")}


def _file_paths(comments: Comments) -> Json:
    response = {"schema": _ref("schemas", RECOGNIZE.output_type.name)}
    events = (
        f"Events: `result`, each a {STREAM.output_type.name}; then `done`, or `error` with an Error. Comments keep the "
        "connection alive."
    )
    return {
        "/v1/recognize": {
            "post": _file_call("recognizeFile", "Recognizes a file.", RECOGNIZE, comments)
            | {"responses": _responses(f"{RECOGNIZE.output_type.name}.", {JSON: response})}
        },
        "/v1/recognize/stream": {
            "post": _file_call("streamRecognizeFile", "Recognizes a file, with events.", STREAM, comments)
            | {"responses": _responses(events, {EVENTS: response})}
        },
        "/v1/recognizers": {
            "get": {
                "operationId": "getRecognizers",
                "summary": f"{LIST.name} for curl.",
                "description": comments[LIST.full_name],
                "tags": [_FILES_TAG["name"]],
                "parameters": [_ref("parameters", name) for name in ("Timeout", "ConnectTimeoutMs")],
                "responses": _responses(
                    f"{LIST.output_type.name}.", {JSON: {"schema": _ref("schemas", LIST.output_type.name)}}
                ),
            }
        },
    }


def _file_call(name: str, summary: str, method: MethodDescriptor, comments: Comments) -> Json:
    return {
        "operationId": name,
        "summary": summary,
        "description": comments[method.full_name],
        "tags": [_FILES_TAG["name"]],
        "parameters": [
            *(_option(field, comments) for field in OPTIONS),
            *(_ref("parameters", name) for name in ("S3", "Timeout", "ConnectTimeoutMs")),
        ],
        "requestBody": {
            "description": "The picture, unless `s3` tells where it is. A form takes the options as fields, too.",
            "content": {
                "multipart/form-data": {"schema": _form(comments)},
                "image/*": {"schema": _FILE},
                "application/octet-stream": {"schema": _FILE},
            },
        },
    }


def _option(field: FieldDescriptor, comments: Comments) -> Json:
    parameter = {"name": field.name, "in": "query", "description": comments[field.full_name]}
    if field.message_type is not None:
        return parameter | {"content": {JSON: {"schema": _field(field)}}}
    return parameter | {"schema": _field(field)} | ({"style": "form", "explode": False} if field.is_repeated else {})


def _form(comments: Comments) -> Json:
    fields = {field.name: _field(field) | {"description": comments[field.full_name]} for field in OPTIONS}
    own = {"image": _FILE, **{name.lower(): _PARAMETERS[name]["schema"] for name in ("S3", "Timeout")}}
    return {"type": "object", "properties": own | fields, "additionalProperties": False}


def _schemas(comments: Comments) -> Json:
    """Return a schema for each message and enum that the services' messages consist of."""
    responses = set(_reachable(method.output_type for method in _methods()))
    schemas: Json = {}
    for kind in _reachable(one for method in _methods() for one in (method.input_type, method.output_type)):
        if isinstance(kind, EnumDescriptor):
            schemas[kind.name] = _enum(kind, comments)
        else:
            schemas[kind.name] = _message(kind, comments) | (
                {} if kind in responses else {"additionalProperties": False}
            )
    return schemas


def _reachable(roots: Iterable[Descriptor]) -> Sequence[Descriptor | EnumDescriptor]:
    seen: dict[Descriptor | EnumDescriptor, None] = {}
    ahead: list[Descriptor | EnumDescriptor] = list(roots)
    while ahead:
        kind = ahead.pop()
        if kind in seen or kind.full_name in _WELL_KNOWN:
            continue
        seen[kind] = None
        if isinstance(kind, Descriptor):
            ahead += [one for field in kind.fields if (one := _kind(field)) is not None]
    return tuple(one for one in seen if isinstance(one, EnumDescriptor) or not one.GetOptions().map_entry)


def _kind(field: FieldDescriptor) -> Descriptor | EnumDescriptor | None:
    return field.message_type or field.enum_type


def _message(kind: Descriptor, comments: Comments) -> Json:
    properties = {
        field.json_name: _field(field) | ({"description": text} if (text := comments.get(field.full_name)) else {})
        for field in kind.fields
    }
    choices = [[field.json_name for field in one.fields] for one in kind.oneofs if not one.name.startswith("_")]
    return {
        "type": "object",
        "description": comments.get(kind.full_name, kind.full_name),
        "properties": properties,
        **({"oneOf": [{"required": [name]} for name in names]} if (names := next(iter(choices), None)) else {}),
    }


def _enum(kind: EnumDescriptor, comments: Comments) -> Json:
    values = "\n".join(f"- `{value.name}`: {comments[f'{kind.full_name}.{value.name}']}" for value in kind.values)
    return {
        "type": "string",
        "description": f"{comments[kind.full_name]}\n\n{values}",
        "enum": [value.name for value in kind.values],
    }


def _field(field: FieldDescriptor) -> Json:
    limit = limit_of(field.containing_type, field.name)  # type: ignore[arg-type]
    entry = (
        field.message_type.fields_by_name if field.message_type and field.message_type.GetOptions().map_entry else {}
    )
    length = {} if limit.length is None else {"maxLength": limit.length}
    if entry:
        most = {} if limit.entries is None else {"maxProperties": limit.entries}
        return {"type": "object", "additionalProperties": _value(entry["value"]), "propertyNames": length, **most}
    if field.is_repeated:
        most = {} if limit.entries is None else {"maxItems": limit.entries}
        return {"type": "array", "items": _value(field) | length, **most}
    return _value(field) | length


def _value(field: FieldDescriptor) -> Json:
    kind = _kind(field)
    if kind is not None:
        return _WELL_KNOWN[kind.full_name] if kind.full_name in _WELL_KNOWN else _ref("schemas", kind.name)
    is_picture = field.type == FieldDescriptor.TYPE_BYTES
    return _SCALARS[field.type] | ({"maxLength": _BASE64_OF_IMAGE} if is_picture else {})


def _ref(section: str, name: str) -> Json:
    return {"$ref": f"#/components/{section}/{name}"}


def _comments(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    for location in file.source_code_info.location:
        if location.leading_comments and (name := _name(file, location.path)):
            yield name, _text(location.leading_comments)


def _name(file: FileDescriptorProto, path: Sequence[int]) -> str | None:
    """Return the full name of what a path of the source leads to; None if it is nothing with a name."""
    names, place = [file.package], file
    for number, index in zip(path[::2], path[1::2], strict=False):
        field = place.DESCRIPTOR.fields_by_number.get(number)
        if field is None or not field.is_repeated or field.message_type is None:
            return None
        place = getattr(place, field.name)[index]
        names.append(place.name)
    return ".".join(names) if len(names) > 1 and len(path) % 2 == 0 else None


def _text(comment: str) -> str:
    """Return a comment's paragraphs, each in one line."""
    paragraphs = "\n".join(line.strip() for line in comment.strip().splitlines()).split("\n\n")
    return "\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs)


_FILES_TAG = {"name": "Files", "description": "The same for a file, as curl sends it."}
_PARAMETERS: Json = {
    "ConnectProtocolVersion": {
        "name": "Connect-Protocol-Version",
        "in": "header",
        "description": "Version of Connect's protocol.",
        "schema": {"type": "string", "const": "1"},
    },
    "ConnectTimeoutMs": {
        "name": "Connect-Timeout-Ms",
        "in": "header",
        "description": "Deadline of the call, in milliseconds. Without one it is 12 s.",
        "schema": {"type": "integer", "minimum": 0, "maximum": 9_999_999_999},
    },
    "S3": {
        "name": "s3",
        "in": "query",
        "description": "Where the picture is, if it is not sent, such as `s3://bucket/key`.",
        "schema": {"type": "string", "pattern": "^s3://[^/]+/.+"},
    },
    "Timeout": {
        "name": "timeout",
        "in": "query",
        "description": "Deadline of the call, in seconds. Without one it is 12 s.",
        "schema": {"type": "number", "minimum": 0},
    },
}
_ERROR: Json = {
    "description": "The call failed. HTTP's status follows from the code: "
    + ", ".join(
        f"{number} {connect_code(code)}" for code, number in sorted(HTTP_STATUS.items(), key=lambda one: one[1])
    )
    + ". What is refused before it is a call may also be 405, 408, 413, 415, 421 or 431.",
    "content": {JSON: {"schema": _ref("schemas", "Error")}},
}
_ERRORS: Json = {
    "Error": {
        "type": "object",
        "description": "Why a call failed.",
        "properties": {
            "code": {"type": "string", "enum": sorted(connect_code(code) for code in HTTP_STATUS)},
            "message": {"type": "string", "description": "What is wrong, and what to do."},
            "details": {"type": "array", "items": _ref("schemas", "ErrorDetail")},
        },
        "required": ["code", "message"],
    },
    "ErrorDetail": {
        "type": "object",
        "description": "A message of google.rpc, such as ErrorInfo, whose reason says what kind of error it is.",
        "properties": {
            "type": {"type": "string", "description": "Full name of the message."},
            "value": {"type": "string", "contentEncoding": "base64", "description": "The message, without padding."},
            "debug": {"type": "object", "description": "The message as JSON."},
        },
        "required": ["type", "value"],
    },
}

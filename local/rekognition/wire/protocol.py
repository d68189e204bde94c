"""A call from JSON to JSON: parameters are checked, an operation runs, its response is checked.

Both checks use botocore's own description of Rekognition.
"""

import base64
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.model import StructureShape

from local.rekognition.wire import shapes
from local.rekognition.wire.errors import AwsError, invalid_parameter, validation

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reply:
    """An HTTP status and a JSON body."""

    http_status: int
    body: bytes


Operation = Callable[[Mapping[str, Any]], dict[str, Any]]
"""From checked parameters to a response. Blocks; raises AwsError."""
Handler = Callable[[str, bytes], Reply]
"""From an operation's name and a request's body to the reply. Blocks; raises AwsError."""


def operation_handler(operations: Mapping[str, Operation]) -> Handler:
    """Return a handler that runs the operations, which are named as Rekognition names them."""

    def handle(name: str, body: bytes) -> Reply:
        if name not in operations:
            raise AwsError("UnknownOperationException", _unknown(name, operations))
        try:
            response = operations[name](read_parameters(name, body))
        except UnicodeEncodeError:  # JSON can hold half of a surrogate pair, which is no text
            raise _not_serialized(name) from None
        faults = shapes.faults_of(response, shapes.output_shape(name), name)
        if faults:
            _log.error("%s returned a response that botocore's model rejects: %s", name, "; ".join(faults))
            raise AwsError("InternalServerError", "Internal server error", 500)
        return Reply(200, json.dumps(response).encode())

    return handle


def error_reply(exc: AwsError) -> Reply:
    """Return the error in Amazon's format."""
    return Reply(exc.http_status, json.dumps({"__type": exc.code, "Code": exc.code, "Message": exc.message}).encode())


def read_parameters(operation: str, body: bytes) -> dict[str, Any]:
    """Return the request's parameters, with base64 decoded. Raises AwsError unless they fit the operation's shape."""
    shape = shapes.input_shape(operation)
    try:
        parameters = _object(body)
        images = [parameters[name] for name in _image_members(shape) if name in parameters]
        for image in images:
            _decode(image)
    except (ValueError, TypeError, RecursionError):  # binascii.Error is a ValueError
        raise _not_serialized(operation) from None
    _check(parameters, shape)
    if any(len(image) != 1 for image in images):
        raise invalid_parameter()
    return parameters


def _object(body: bytes) -> dict[str, Any]:
    """Return the JSON object, which has no NaN and no infinity. Raises ValueError."""
    value = json.loads(body, parse_constant=_refuse)
    if not isinstance(value, dict):
        raise ValueError("no object")  # noqa: TRY004 - as all that is wrong with a body
    return value


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _not_serialized(operation: str) -> AwsError:
    return AwsError("SerializationException", f"The body is not a JSON object for {operation}.")


def _unknown(name: str, operations: Mapping[str, Operation]) -> str:
    if name in shapes.service_model().operation_names:
        return f"{name} is not supported by this endpoint. Supported: {', '.join(operations)}."
    return f"Rekognition has no operation {name!r}."


def _image_members(shape: StructureShape) -> list[str]:
    return [name for name, member in shape.members.items() if member.name == "Image"]


def _decode(image: dict[str, Any]) -> None:
    if "Bytes" in image:
        image["Bytes"] = base64.b64decode(image["Bytes"], validate=True)


def _check(parameters: Any, shape: StructureShape) -> None:
    faults = [_missing(name) for name in shape.required_members if name not in parameters]
    misfit = "" if faults else shapes.misfit(parameters, shape)
    if misfit:
        raise validation(misfit)
    faults = faults or list(shapes.constraint_faults(parameters, shape, ""))
    if faults:
        raise validation(f"{len(faults)} validation error{'s' * (len(faults) > 1)} detected: {'; '.join(faults)}")


def _missing(name: str) -> str:
    return f"Value null at '{name[:1].lower()}{name[1:]}' failed to satisfy constraint: Member must not be null"

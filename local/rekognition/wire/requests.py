"""Reads the parameters of an operation, checked against botocore's own description of Rekognition."""

import base64
import json
from typing import Any

from botocore.model import StructureShape

from local.rekognition.wire.errors import AwsError, invalid_parameter, validation
from local.rekognition.wire.shapes import broken_constraints, input_shape, misfit


def read(operation: str, body: bytes) -> dict[str, Any]:
    """The parameters, with bytes decoded. Raises AwsError unless they are of the operation's shape."""
    shape = input_shape(operation)
    try:
        parameters = dict(json.loads(body))
        images = [parameters[name] for name in _images(shape) if name in parameters]
        for image in images:
            _decode(image)
    except (ValueError, TypeError):  # binascii.Error is a ValueError
        raise AwsError("SerializationException", "The body is no JSON object of this operation.") from None
    _check(parameters, shape)
    if any(len(image) != 1 for image in images):
        raise invalid_parameter()
    return parameters


def _images(shape: StructureShape) -> list[str]:
    return [name for name, member in shape.members.items() if member.name == "Image"]


def _decode(image: dict[str, Any]) -> None:
    if "Bytes" in image:
        image["Bytes"] = base64.b64decode(image["Bytes"], validate=True)


def _check(parameters: Any, shape: StructureShape) -> None:
    broken = [_missing(name) for name in shape.required_members if name not in parameters]
    wrong = "" if broken else misfit(parameters, shape)
    if wrong:
        raise validation(wrong)
    broken = broken or list(broken_constraints(parameters, shape, ""))
    if broken:
        raise validation(f"{len(broken)} validation error{'s' * (len(broken) > 1)} detected: {'; '.join(broken)}")


def _missing(name: str) -> str:
    return f"Value null at '{name[:1].lower()}{name[1:]}' failed to satisfy constraint: Member must not be null"

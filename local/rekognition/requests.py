"""Reads the parameters of an operation, checked against botocore's own description of Rekognition."""

import base64
import json
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from local.rekognition.errors import AwsError, invalid_parameter, validation

MAX_BYTES = 5 * 1024 * 1024


@cache
def service_model() -> ServiceModel:
    """Rekognition's operations and their shapes."""
    return ServiceModel(Loader().load_service_model("rekognition", "service-2"), "rekognition")


def read(operation: str, body: bytes) -> dict[str, Any]:
    """The parameters, `Image.Bytes` decoded. Raises AwsError unless they are of the operation's shape."""
    try:
        parameters = json.loads(body)
        _decode_bytes(parameters)
    except (ValueError, TypeError, AttributeError):  # binascii.Error is a ValueError
        raise AwsError("SerializationException", "The body is no JSON object of this operation.") from None
    shape = service_model().operation_model(operation).input_shape
    if shape is None:
        raise ValueError(f"{operation} takes no parameters")
    report = ParamValidator().validate(parameters, shape)
    if report.has_errors():
        raise validation(report.generate_report())
    _check_image(parameters["Image"])
    return dict(parameters)


def _decode_bytes(parameters: dict[str, Any]) -> None:
    image = parameters.get("Image") or {}
    if "Bytes" in image:
        image["Bytes"] = base64.b64decode(image["Bytes"], validate=True)


def _check_image(image: dict[str, Any]) -> None:
    if len(image) != 1:
        raise invalid_parameter()
    if len(image.get("Bytes", b"")) > MAX_BYTES:
        raise validation(
            "1 validation error detected: Value at 'image.bytes' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAX_BYTES}"
        )

"""What goes back over HTTP, whoever answers: operations, Amazon or a recording."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from local.rekognition.operations.operations import Operation
from local.rekognition.wire import requests
from local.rekognition.wire.errors import AwsError
from local.rekognition.wire.shapes import faults_of, output_shape, service_model

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reply:
    """An HTTP status and a JSON body."""

    http_status: int
    body: bytes


Answering = Callable[[str, bytes], Reply]
"""From an operation's name and a request's body to the reply. Blocks; raises AwsError."""


def answering(operations: Mapping[str, Operation]) -> Answering:
    """Answers with the operations, and checks their answers against botocore's service model."""

    def answer(name: str, body: bytes) -> Reply:
        if name not in operations:
            raise AwsError("UnknownOperationException", _unknown(name, operations))
        told = operations[name](requests.read(name, body))
        faults = faults_of(told, output_shape(name), name)
        if faults:
            _log.error("%s answers what botocore's model does not allow: %s", name, "; ".join(faults))
            raise AwsError("InternalServerError", "Internal server error", 500)
        return Reply(200, json.dumps(told).encode())

    return answer


def refusal(exc: AwsError) -> Reply:
    """An error as Amazon tells it."""
    return Reply(exc.http_status, json.dumps({"__type": exc.code, "Code": exc.code, "Message": exc.message}).encode())


def _unknown(name: str, operations: Mapping[str, Operation]) -> str:
    if name in service_model().operation_names:
        return f"{name} is not built into this endpoint; it has {', '.join(operations)}."
    return f"Rekognition has no operation {name!r}."

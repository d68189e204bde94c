"""Answers of Amazon in a folder, one JSON file a request, so that they can be given again without it."""

import base64
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.rekognition.wire.errors import AwsError
from local.rekognition.wire.replies import Answering, Reply

_ABOUT_THE_REQUEST = (
    *("InvalidParameterException", "InvalidImageFormatException", "ImageTooLargeException", "ValidationException"),
    *("InvalidS3ObjectException", "ResourceNotFoundException", "ResourceAlreadyExistsException", "ConflictException"),
    *("InvalidPaginationTokenException", "ServiceQuotaExceededException", "IdempotentParameterMismatchException"),
)
"""Refusals that are kept. Throttling, credentials and Amazon's own troubles pass."""


class Recordings:
    """The files OPERATION-HASH.json of a folder. Safe to share between threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, name: str, body: bytes) -> Reply | None:
        """What was answered last to the same parameters, whatever their order and ClientRequestToken."""
        try:
            kept = json.loads(self._path(name, body).read_bytes())
        except FileNotFoundError:
            return None
        return Reply(kept["http_status"], json.dumps(kept["answer"]).encode())

    def keep(self, name: str, body: bytes, reply: Reply) -> None:
        """Writes the file whole or not at all."""
        kept = {
            "operation": name,
            "request": _without_bytes(_parameters(body)),
            "http_status": reply.http_status,
            "answer": json.loads(reply.body or b"{}"),
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self._folder, suffix=".new", delete=False) as fresh:
            json.dump(kept, fresh, indent=2)
        os.replace(fresh.name, self._path(name, body))  # noqa: PTH105 - a name, not a path

    def _path(self, name: str, body: bytes) -> Path:
        asked = json.dumps([name, _parameters(body)], sort_keys=True).encode()
        operation = name if name.isalnum() else "unknown"
        return self._folder / f"{operation}-{hashlib.sha256(asked).hexdigest()[:32]}.json"


def recording(recordings: Recordings, upstream: Answering) -> Answering:
    """Asks `upstream` and keeps what it answers to."""

    def answer(name: str, body: bytes) -> Reply:
        reply = upstream(name, body)
        if _is_lasting(reply):
            recordings.keep(name, body, reply)
        return reply

    return answer


def replaying(recordings: Recordings) -> Answering:
    """Answers from the recordings alone."""

    def answer(name: str, body: bytes) -> Reply:
        reply = recordings.find(name, body)
        if reply is None:
            raise AwsError("UnrecordedRequestException", f"No answer is recorded for this {name}; --record it first.")
        return reply

    return answer


def _is_lasting(reply: Reply) -> bool:
    if reply.http_status == 200:  # noqa: PLR2004 - HTTP's OK
        return True
    code = str(json.loads(reply.body or b"{}").get("__type", "")).rpartition("#")[2]
    return reply.http_status == 400 and code in _ABOUT_THE_REQUEST  # noqa: PLR2004 - HTTP's bad request


def _parameters(body: bytes) -> dict[str, Any]:
    try:
        parameters = dict(json.loads(body))
    except (ValueError, TypeError):
        raise AwsError("SerializationException", "The body is no JSON object.") from None
    parameters.pop("ClientRequestToken", None)
    return parameters


def _without_bytes(value: Any) -> Any:
    """Pictures by their SHA-256: recordings are read by people, and kept in repositories."""
    if not isinstance(value, Mapping):
        return value
    return {
        name: f"sha256:{hashlib.sha256(base64.b64decode(one)).hexdigest()}" if name == "Bytes" else _without_bytes(one)
        for name, one in value.items()
    }

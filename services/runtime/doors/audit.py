"""The audit log: who enrolled and removed whom, and who was refused. JSON lines, by a logger of its own."""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

from structlog.contextvars import get_contextvars

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.doors.caller import current

logger = logging.getLogger("marquee.audit")
_ACTIONS = {"EnrollFaces": "enrolled", "RemoveFaces": "removed", "RemovePerson": "removed"}


def configure(path: Path | None) -> None:
    """Append to the file, which may be moved away at any time; without one write to standard error. Raises OSError."""
    handler = WatchedFileHandler(path, encoding="utf-8") if path else logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def subject(method: str, request: Any) -> dict[str, Any] | None:
    """Return whom and what a request changes; None for a method that changes nothing. Keeps none of the request."""
    if method not in _ACTIONS:
        return None
    names = ("person_id", "collection")
    facts = {name: str(getattr(request, name)) for name in names if getattr(request, name, "")}
    counts = {name: len(getattr(request, name)) for name in ("images", "faces") if hasattr(request, name)}
    return facts | counts


def change(method: str, subject: Mapping[str, Any], response: Any) -> None:
    """Record a change with each recognizer's outcome."""
    outcomes = {
        one.recognizer: pb.Outcome.Name(one.outcome).removeprefix("OUTCOME_").lower() for one in response.results
    }
    person = {"person_id": response.person_id} if getattr(response, "person_id", "") else {}
    _record(_ACTIONS[method], method=method, **dict(subject) | person, outcomes=outcomes)


def refusal(method: str, reason: str, origin: Mapping[str, str]) -> None:
    """Record that a call was not allowed, and where it came from."""
    _record("refused", method=method, reason=reason, **origin)


def _record(action: str, **facts: Any) -> None:
    line = {
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "event": "audit",
        "action": action,
        "caller": current().name,
        "request_id": get_contextvars().get("request_id"),
    }
    logger.info(json.dumps({**line, **facts}, ensure_ascii=False))

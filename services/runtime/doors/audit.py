"""The audit log: who enrolled and removed whom, and who was refused. JSON lines, by a logger of its own."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

import structlog
from structlog.contextvars import get_contextvars

from marquee.v1 import recognizer_pb2 as pb

logger = logging.getLogger("marquee.audit")
_ACTIONS = {"EnrollFaces": "enrolled", "RemoveFaces": "removed", "RemovePerson": "removed"}
_MAX_CHARACTERS = 500
_ORIGIN = ("peer", "forwarded_for", "relayed_by")


def configure(path: Path | None) -> None:
    """Append to the file, which may be moved away at any time; without one write to standard error. Raises OSError."""
    handler = _File(path, encoding="utf-8") if path else logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


class _File(WatchedFileHandler):
    """A file that may be moved away, or be full: then the line goes elsewhere."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Raise what kept the line from being written."""
        del record
        raise  # noqa: PLE0704 - called while it is being handled


@dataclass
class Change:
    """What became of a call."""

    response: Any = None


def is_change(method: str) -> bool:
    """Return whether the method changes who is known."""
    return method in _ACTIONS


@contextmanager
def change(method: str, request: Any) -> Iterator[Change]:
    """Record the change that the body makes, with each recognizer's outcome in the response that it sets.

    A body that fails may have made part of the change: it is recorded, too, with its error. Keeps none of the request,
    which is large.
    """
    facts, change, error = _facts(request), Change(), None
    del request
    try:
        yield change
    except BaseException as exc:
        error = type(exc).__name__
        raise
    finally:
        record(_ACTIONS[method], method=method, **facts | _results(change.response), error=error)


def refusal(method: str, reason: str, error: str) -> None:
    """Record that a call was not allowed, and why."""
    record("refused", method=method, reason=reason, error=error[:_MAX_CHARACTERS])


def _facts(request: Any) -> dict[str, Any]:
    """Return whom and what a request changes."""
    texts = {name: str(getattr(request, name, ""))[:_MAX_CHARACTERS] for name in ("person_id", "collection")}
    counts = {name: len(getattr(request, name)) for name in ("images", "faces") if hasattr(request, name)}
    return {name: text for name, text in texts.items() if text} | counts


def _results(response: Any) -> dict[str, Any]:
    """Return what became of a change: the person that it made, perhaps, and each recognizer's outcome."""
    person_id, results = getattr(response, "person_id", ""), getattr(response, "results", ())
    outcomes = {one.recognizer: pb.Outcome.Name(one.outcome).removeprefix("OUTCOME_").lower() for one in results}
    return ({"person_id": person_id} if person_id else {}) | {"outcomes": outcomes}


def record(action: str, **facts: Any) -> None:
    """Write a line: what was done, facts of it, and who asked for it from where, as the log has that."""
    context = get_contextvars()
    line = {
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "event": "audit",
        "action": action,
        "caller": context.get("caller"),
        "request_id": context.get("request_id"),
        **{name: context[name] for name in _ORIGIN if name in context},
        **facts,
    }
    try:
        logger.info(json.dumps(line))
    except OSError as exc:  # the file's folder is gone, or closed to this server
        structlog.get_logger().error("audit log cannot be written", error=str(exc), line=line)

"""Logging: JSON lines for machines, colour on a terminal."""

import json
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, TextIO, cast

import structlog

from services.runtime.settings import ProcessSettings


def configure(settings: ProcessSettings) -> None:
    """Send the logs of this project and of libraries to standard error in one format.

    Our own bypass the standard library's loggers, which would double the time for the line of a call.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderers = _renderers(settings)
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=_to_standard_error(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    own = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[own, *renderers]))
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    logging.captureWarnings(capture=True)
    for noisy in ("asyncio", "authlib", "botocore", "boto3", "httpcore2", "httpx2", "urllib3", "PIL"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("grpc._cython.cygrpc").addFilter(_is_discreet)


def _is_discreet(record: logging.LogRecord) -> bool:
    """Return False for gRPC's line about metadata that is no UTF-8: it has all of it, which may be a token."""
    return record.msg != "Invalid encoding on %s"


def redirect() -> None:
    """Send the logs of this project to standard error, in a command whose standard output is its result."""
    processors = [*structlog.get_config()["processors"][:-1], _console()]
    structlog.configure(processors=processors, logger_factory=_to_standard_error())


def _to_standard_error() -> structlog.WriteLoggerFactory:
    return structlog.WriteLoggerFactory(cast("TextIO", _StandardError()))


def _renderers(settings: ProcessSettings) -> list[structlog.typing.Processor]:
    if settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty()):
        return [_console()]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_to_json)]


def _to_json(line: Any, default: Callable[[Any], Any]) -> str:
    """Return the line as json.dumps does, which makes an encoder each time it is given a default."""
    return _encoder(default).encode(line)


@cache
def _encoder(default: Callable[[Any], Any]) -> json.JSONEncoder:
    return json.JSONEncoder(default=default)


def _console() -> structlog.typing.Processor:
    """Return what renders for a person, with Python's tracebacks: its own have variables' values, such as tokens."""
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


class _StandardError:
    """Standard error without exceptions: as with the standard library, a full disk or closed pipe fails no call."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()

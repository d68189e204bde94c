"""Settings from the environment."""

import os
import sys
from collections.abc import Iterable
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "MARQUEE_"


class Settings(BaseSettings):
    """Settings of every server."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 in a container.")
    port: int = Field(50051, ge=1, le=65535, description="Port for gRPC.")
    metrics_port: int = Field(9464, ge=1, le=65535, description="Port for Prometheus, path /metrics.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`json`, `console`, or `auto`: console at a terminal, else json."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    s3_allowed: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Comma-separated `bucket` or `bucket/prefix` (a folder ends with `/`) that calls may name.",
    )
    max_in_flight_mib: int = Field(
        256, ge=16, description="MiB of requests in memory at once; a call that would bring more is refused."
    )
    drain_delay_seconds: float = Field(
        0, ge=0, le=300, description="After SIGTERM: how long to answer NOT_SERVING and still take calls."
    )
    drain_seconds: float = Field(15, ge=0, le=300, description="After that: how long running calls may go on.")
    max_connection_age_seconds: int = Field(
        300, ge=1, description="After how long clients are asked to connect anew, so that new replicas get calls."
    )

    @field_validator("s3_allowed", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class LeafSettings(Settings):
    """Settings of every recognizer."""

    s3_endpoint_url: str | None = Field(None, description="Another S3 than Amazon's.")
    workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1, ge=1, le=256, description="Threads that work on pictures."
    )
    queue: int = Field(32, ge=0, le=10_000, description="Pictures that may wait for a thread; more are refused.")
    evidence_group: str = Field(
        "", description="Recognizers with the same group count as one witness (the same network underneath)."
    )


S = TypeVar("S", bound=Settings)


def load_settings(kind: type[S]) -> S:
    """The settings; a wrong value names its variable on standard error and exits with 2."""
    try:
        return kind()
    except ValidationError as exc:
        sys.stderr.write("".join(f"{line}\n" for line in _explain(exc)))
        raise SystemExit(2) from None


def _explain(exc: ValidationError) -> Iterable[str]:
    for error in exc.errors():
        name = PREFIX + "_".join(str(part) for part in error["loc"]).upper()
        given = "" if error["type"] == "missing" else f" (it is {error['input']!r})"
        yield f"{name}: {error['msg']}{given}"

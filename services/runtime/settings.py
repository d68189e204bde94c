"""Settings from the environment."""

import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.runtime.doors.settings import DoorSettings

PREFIX = "MARQUEE_"
_PASSWORD = re.compile("//[^/]*@")
"""The user and the password of a URL."""


class ProcessSettings(BaseSettings):
    """Settings of every process that serves."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    metrics_port: int = Field(9464, ge=1, le=65535, description="Port of the Prometheus metrics, path /metrics.")
    metrics_host: str | None = Field(None, description="Address on which metrics are served. Default: `MARQUEE_HOST`.")
    version: str = Field("unknown", description="Version that `marquee_build_info` shows. The images set it.")
    revision: str = Field("unknown", description="Commit that `marquee_build_info` shows. The images set it.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`json`, `console`, or `auto`: console on a terminal, otherwise json."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Minimum log level.")
    drain_delay_seconds: float = Field(
        0,
        ge=0,
        le=300,
        description="Seconds after SIGTERM during which the server says that it is not ready, but still accepts calls.",
    )
    drain_seconds: float = Field(
        15, ge=0, le=300, description="Seconds after that during which running calls may finish."
    )


class Settings(ProcessSettings, DoorSettings):
    """Settings of every gRPC server."""

    model_config = ProcessSettings.model_config  # of several bases pydantic takes the last one's

    port: int = Field(50051, ge=1, le=65535, description="gRPC port.")
    health_port: int = Field(
        9465,
        ge=0,
        le=65535,
        description="Port of a second listener, plaintext, with the health service alone, for kubelet's probes. It is "
        "opened only where `host` is no loopback address. 0: none.",
    )
    s3_allowed: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="S3 objects that callers may name, comma-separated: `bucket` or `bucket/prefix`; a folder ends "
        "with `/`. Empty: none.",
    )
    max_in_flight_mib: int = Field(
        256,
        ge=16,
        description="Memory for requests, in MiB: those being answered count with every copy that the server makes "
        "and with recognizers' answers over 1 MiB, those being received with 16 each. A call beyond it is refused, "
        "unless it is alone. Four requests, two health checks and two reflection streams are received besides: "
        "resident memory exceeds that of an idle server by up to this and 224 MiB, not counting decoded pictures. "
        "Further calls wait for up to 3 s to be received.",
    )
    max_connection_age_seconds: int = Field(
        300,
        ge=1,
        description="Seconds after which clients are asked to reconnect, so that new replicas get calls. Calls that "
        "run then go on.",
    )

    @field_validator("s3_allowed", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _share(value: object) -> object:
    """Read "2%" as 0.02; leave all else to pydantic."""
    if isinstance(value, str) and value.strip().endswith("%"):
        with suppress(ValueError):
            return float(value.strip().removesuffix("%")) / 100
    return value


class LeafSettings(Settings):
    """Settings of every recognizer."""

    s3_endpoint_url: str | None = Field(None, description="URL of an S3-compatible server; unset: Amazon S3.")
    workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        le=256,
        description="Number of threads that process pictures.",
    )
    queue: int = Field(
        32,
        ge=0,
        le=10_000,
        description="Maximum number of pictures that wait for a thread; calls beyond it are refused.",
    )
    evidence_group: str = Field(
        "",
        description="Recognizers of one group, such as those built on the same network, count once in a verdict.",
    )


class FaceSettings(LeafSettings):
    """Settings of recognizers that find faces themselves."""

    smallest_face: Annotated[float, BeforeValidator(_share)] = Field(
        0.02,
        ge=0.002,
        le=0.5,
        description="Side of the smallest face to find, as a share of the picture's longer side: `0.02` or `2%`. A "
        "face of fewer than 10 pixels is never found. Time grows with the square: at 2 % a picture is searched in a "
        "copy of 896 pixels, at 0.6 % in tiles of one of 3000.",
    )
    turn_pictures: bool = Field(
        default=True,
        description="Whether a picture in which no face is found is searched again on its sides and upside down, "
        "which takes up to four times as long.",
    )


S = TypeVar("S", bound=ProcessSettings)


def load_settings(kind: type[S], *, listens: bool = True) -> S:
    """Return the settings. For an invalid value, name its variable on standard error and exit 2.

    A command that does not listen has a server's settings without its address: an image sets that for its server.
    """
    try:
        return kind() if listens else kind(host="127.0.0.1")
    except ValidationError as exc:
        sys.stderr.write("".join(f"{line}\n" for line in _explain(exc)))
        raise SystemExit(2) from None


def _explain(exc: ValidationError) -> Iterable[str]:
    for error in exc.errors():
        if not error["loc"]:  # what several settings say together names them itself
            yield error["msg"].removeprefix("Value error, ")
            continue
        name = f"{PREFIX}{error['loc'][0]}".upper()
        given = "" if error["type"] == "missing" else f" (got {_PASSWORD.sub('//…@', repr(error['input']))})"
        yield f"{name}: {error['msg'].removeprefix('Value error, ')}{given}"

"""The gateway's configuration: one YAML file.

    tls: {ca: ca.crt, cert: tls.crt, key: tls.key}
    recognizers:
      svm:
        target: svm:50051
        timeout: 5
    veto: {recognizer: keras, label: Non-Celebrity}

A mistake is reported with file and line. The gateway then does not start, or works on with the file before.
"""

import re
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from services.runtime.bounds.limit import MAX_DISPLAY_NAME
from services.runtime.doors.credentials import Tls
from services.runtime.doors.settings import is_loopback

_HOST_PORT = re.compile(r"([A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\]):([0-9]{1,5})")
_SCHEMES = ("dns:///", "ipv4:", "ipv6:", "unix:")
_VERSIONS = {"ipv4": 4, "ipv6": 6}
_MAX_PORT = 65535


class ConfigError(ValueError):
    """The configuration is unusable; the text has one line per mistake."""


def _target(value: str) -> str:
    """Return host:port as a DNS target, so that every address behind a name gets its share of calls."""
    if value.startswith(_SCHEMES):
        _check_addresses(value)
        return value
    match = _HOST_PORT.fullmatch(value)
    if match is None or not _is_port(match[2]):
        raise ValueError(f"{value!r} is not a target; use host:port or one of {', '.join(_SCHEMES)}…")
    return f"dns:///{value}"


def _check_addresses(target: str) -> None:
    """Raise ValueError for addresses that gRPC would refuse, in each call and with the target in its words."""
    scheme, _, rest = target.partition(":")
    if not rest.strip("/"):
        raise ValueError(f"{target!r} is not a target; nothing follows {scheme}:")
    for host, port in _addresses(target) if scheme in _VERSIONS else ():
        if not (_is_address(host, _VERSIONS[scheme]) and _is_port(port)):
            raise ValueError(f"{target!r} is not a target; use {scheme}:ADDRESS:PORT, several parted by commas")


def _addresses(target: str) -> list[tuple[str, str]]:
    scheme, _, rest = target.partition(":")
    parts = [] if scheme == "unix" else rest.removeprefix("///").split(",")
    return [(host.strip("[]"), port) for host, _, port in (part.rpartition(":") for part in parts)]


def _is_address(host: str, version: int) -> bool:
    try:
        return ip_address(host).version == version
    except ValueError:
        return False


def _is_port(port: str) -> bool:
    return port.isdecimal() and 1 <= int(port) <= _MAX_PORT


Way = Annotated[
    Annotated[Tls, Tag("[map]")] | Annotated[Literal["plaintext"], Tag("[word]")],
    Discriminator(lambda value: "[word]" if isinstance(value, str) else "[map]"),
]


class BackendConfig(BaseModel):
    """Configuration of one recognizer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: Annotated[str, AfterValidator(_target)]
    """host:port, or a gRPC target such as dns:///svm:50051."""
    timeout: float = Field(10, gt=0, le=300)
    """Maximum seconds per recognition; a caller's deadline may leave less."""
    max_in_flight: int = Field(64, ge=1, le=10_000)
    """Maximum concurrent calls; further ones are SHED at once."""
    confident_score: float | None = Field(None, gt=0, le=1)
    """Score of this recognizer from which a policy is sure of its name; by default that of all."""
    priced: bool = False
    """Whether calls cost money: one that may have been billed is never retried, and callers' limits have to be kept."""
    tls: Way | None = None
    """How to reach it. Only for targets on this machine it may be left out, which means plaintext."""
    token_file: Path | None = None
    """File with the token that the gateway sends, over TLS or on this machine, to a recognizer that asks for one."""

    @property
    def addresses(self) -> list[tuple[str, str]]:
        """Hosts and ports of the target; none for a socket in this machine's files."""
        return _addresses(self.target)

    @property
    def is_local(self) -> bool:
        """Whether the target is on this machine."""
        return all(is_loopback(host) for host, _ in self.addresses)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.tls is None and not self.is_local:
            raise ValueError("set tls: the certificates of the way there, or the word plaintext")
        if isinstance(self.tls, Tls) and len(self.addresses) != 1 and not self.tls.server_name:
            raise ValueError(
                "set tls.server_name, the name in its certificate: a socket, or several addresses, have none"
            )
        if self.token_file and self.tls == "plaintext" and not self.is_local:
            raise ValueError("token_file: a token goes to another machine over TLS only")
        return self


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class Veto(BaseModel):
    """A label with which one recognizer ends a cascade before a call that costs money."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recognizer: Name
    """One of the file's recognizers; in a cascade it is asked for LABELS, too."""
    label: str = Field(min_length=1, max_length=MAX_DISPLAY_NAME)
    """Name of the label, such as Non-Celebrity; its case does not matter."""
    score: float = Field(0.9, gt=0, le=1)
    """Score from which the label counts."""


class CacheConfig(BaseModel):
    """The memory for results."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mib: int = Field(32, ge=0, le=65_536)
    """Maximum size in MiB; 0: there is no cache."""
    ttl: float = Field(300, gt=0, le=86_400)
    """Maximum age of a result in seconds, and so the longest that somebody who was erased can still be named."""


class CalibrationConfig(BaseModel):
    """What turns scores into probabilities."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: Path
    """File that `python -m services.gateway.calibrate` wrote."""
    prior_unknown: float = Field(0.5, gt=0, lt=1)
    """Probability that a face shows somebody whom no recognizer knows, before any of them is asked."""
    threshold: float = Field(0.5, ge=0.5, lt=1)
    """Probability from which a face is IDENTIFIED; from 0.5 on it can be one person's only."""


class GatewayConfig(BaseModel):
    """Recognizers by name, in the order of lists, of responses and of a cascade."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tls: Way | None = None
    """`tls` of all recognizers without one of their own."""
    recognizers: dict[Name, BackendConfig] = Field(min_length=1)
    max_in_flight: int | None = Field(None, ge=1, le=10_000)
    """Maximum concurrent calls of the gateway; see `places`."""
    confident_score: float = Field(0.9, gt=0, le=1)
    """Score, or where it is calibrated probability, from which a policy is sure of a name."""
    veto: Veto | None = None
    cache: CacheConfig = CacheConfig()
    calibration: CalibrationConfig | None = None
    repeated_people: bool = False
    """Whether one person may be named for several faces of a picture."""

    @property
    def places(self) -> int:
        """Maximum concurrent calls of the gateway: by default as many as its widest recognizer takes."""
        return self.max_in_flight or max(one.max_in_flight for one in self.recognizers.values())

    @property
    def confident_scores(self) -> dict[str, float]:
        """The `confident_score` of each recognizer that has one of its own."""
        scores = {name: one.confident_score for name, one in self.recognizers.items()}
        return {name: score for name, score in scores.items() if score is not None}

    @field_validator("veto", mode="after")
    @classmethod
    def _check_veto(cls, veto: Veto | None, info: ValidationInfo) -> Veto | None:
        recognizers = info.data.get("recognizers", {})
        if veto is not None and recognizers and veto.recognizer not in recognizers:
            raise ValueError(f"there is no recognizer {veto.recognizer!r}; use one of {', '.join(recognizers)}")
        return veto

    @field_validator("recognizers", mode="before")
    @classmethod
    def _pass_on(cls, recognizers: Any, info: ValidationInfo) -> Any:
        """Give the recognizers what is said of all; if that is a mistake, something else, so as to report it once."""
        if not isinstance(recognizers, dict):
            return recognizers
        tls = info.data.get("tls", Tls())
        return {name: {"tls": tls, **one} if isinstance(one, dict) else one for name, one in recognizers.items()}


def load_config(path: Path) -> GatewayConfig:
    """Read the file. Raises ConfigError."""
    tree = _read(path)
    try:
        return GatewayConfig.model_validate(tree)
    except ValidationError as exc:
        raise ConfigError("\n".join(_explain(path, tree, exc))) from exc


def _read(path: Path) -> Any:
    try:
        return YAML(typ="rt").load(path.read_text("utf-8"))
    except MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        problem = str(exc.problem).partition(" with value")[0]
        raise ConfigError(f"{path}:{line}: {problem}") from exc
    except RecursionError:
        raise ConfigError(f"{path}: it is nested too deeply.") from None
    except (OSError, UnicodeDecodeError, YAMLError) as exc:
        raise ConfigError(f"{path}: {exc}. Set MARQUEE_GATEWAY_CONFIG to the file.") from exc


def _explain(path: Path, tree: Any, exc: ValidationError) -> Iterator[str]:
    for error in exc.errors():
        keys = [key for key in error["loc"] if key not in ("[key]", "[map]", "[word]")]
        message = error["msg"].removeprefix("Value error, ").partition(" or instance of ")[0]
        if error["type"] == "extra_forbidden":
            message = "unknown key"
        yield f"{path}:{_line(tree, keys)}: {'.'.join(map(str, keys)) or 'the file'}: {message}"


def _line(tree: Any, keys: Sequence[int | str]) -> int:
    """Return the line of the deepest of the nested keys that the file has."""
    line = 1
    for key in keys:
        if not isinstance(tree, CommentedMap) or key not in (tree.lc.data or ()):
            break  # a key merged in by `<<` has no line here
        line = tree.lc.key(key)[0] + 1
        tree = tree[key]
    return line

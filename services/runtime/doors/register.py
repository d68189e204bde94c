"""The register of callers: a text file with a line for each token, client certificate or JWT subject.

    # Made by `marquee auth token`.
    sha256:9f86d08… name=first-team scopes=recognize,enroll collections=staff expires=2027-03-01 calls=20 usd=5
    san:gateway.marquee.svc name=gateway scopes=recognize,enroll,admin,relay
    sub:system:serviceaccount:media:tagger name=tagger scopes=recognize

It holds no token, only digests. Two lines may name one caller, so that a new token is valid beside the old one.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from services.runtime.doors.caller import ANONYMOUS, NAME, Caller, name_of
from services.runtime.doors.scopes import Scope
from services.runtime.errors import TokenExpired

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PREFIX = 16
_MAX_BYTES = 1024 * 1024
_Collection = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]


def _split(value: object) -> object:
    return value.split(",") if isinstance(value, str) else value


def _time(value: object) -> object:
    """Read ISO 8601, in UTC unless it says otherwise; a date means its first moment."""
    if not isinstance(value, str):
        return value
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("is no date or time such as 2027-03-01 or 2027-03-01T18:00Z") from None
    try:
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("is not within the years 1 to 9999 in UTC") from None


@dataclass(frozen=True)
class Entry:
    """A line of the register."""

    key: str
    caller: Caller
    expiry: datetime | None = None

    def valid(self, what: str) -> Caller:
        """Return the caller. Raises TokenExpired."""
        if self.expiry is not None and self.expiry <= datetime.now(UTC):
            raise TokenExpired(f"The {what} of {self.caller.name} expired on {self.expiry:%Y-%m-%d %H:%M} UTC.")
        return self.caller


@dataclass(frozen=True)
class Register:
    """Callers by what shows that it is them."""

    tokens: dict[str, Entry] = field(default_factory=dict)
    """By the beginning of the SHA-256, so that the rest is compared in constant time."""
    names: dict[str, Entry] = field(default_factory=dict)
    """By a subject alternative name of the client certificate."""
    subjects: dict[str, Entry] = field(default_factory=dict)
    """By `sub` of the JWT."""

    def caller_of_token(self, token: str) -> Caller | None:
        """Return whose token it is, None if nobody's. Raises TokenExpired."""
        return self.caller_of_digest(digest_of(token))

    def caller_of_digest(self, digest: str) -> Caller | None:
        """Return whose token has the digest, None if nobody's. Raises TokenExpired."""
        entry = self.tokens.get(digest[:_PREFIX])
        return entry.valid("token") if entry and hmac.compare_digest(entry.key, digest) else None

    def caller_of_subject(self, subject: str) -> Caller | None:
        """Return the caller of a JWT's subject, None if it has no line. Raises TokenExpired."""
        entry = self.subjects.get(subject)
        return entry.valid("line for the JWT's subject") if entry else None

    def caller_of_names(self, names: Sequence[str]) -> Caller | None:
        """Return the caller of a certificate with these names, None if none has a line. Raises TokenExpired."""
        entry = next((self.names[name] for name in names if name in self.names), None)
        return entry.valid("line for the certificate's name") if entry else None

    def free_name(self, text: str) -> str:
        """Return a name for a caller who has no line. Raises ValueError if it cannot be one, or is another caller's."""
        name = name_of(text)
        if name == ANONYMOUS.name or name in self._callers:
            raise ValueError(f"another caller here is named {name}")
        return name

    @cached_property
    def _callers(self) -> frozenset[str]:
        entries = (*self.tokens.values(), *self.names.values(), *self.subjects.values())
        return frozenset(entry.caller.name for entry in entries)


def digest_of(token: str) -> str:
    """Return what the register holds of a token: its SHA-256, in hexadecimal digits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def read_register(path: Path) -> Register:
    """Return what the file says. Raises ValueError, which names the line, and OSError."""
    data = path.read_bytes()
    if len(data) > _MAX_BYTES:
        raise ValueError(f"{path} has {len(data)} bytes; the limit is {_MAX_BYTES}.")
    try:
        return parse(data.decode("utf-8-sig"))
    except ValueError as exc:
        raise ValueError(f"{path}: {exc}") from None


def parse(text: str) -> Register:
    """Return what the lines say. Raises ValueError, which names the line."""
    register = Register()
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            _add(register, words[0], words[1:])
        except ValueError as exc:
            raise ValueError(f"line {number}: {exc}") from None
    return register


class _Line(BaseModel):
    """What a line says of its caller."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(pattern=rf"^{NAME.pattern}$")]
    scopes: Annotated[frozenset[Scope], BeforeValidator(_split), Field(min_length=1)]
    collections: Annotated[frozenset[_Collection], BeforeValidator(_split)] | None = None
    expires: Annotated[datetime, BeforeValidator(_time)] | None = None
    calls: Annotated[float, Field(ge=0.00001, le=1_000_000)] | None = None
    usd: Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=6)] | None = None

    def caller(self) -> Caller:
        micro_usd = None if self.usd is None else int(self.usd.scaleb(6))
        return Caller(self.name, self.scopes, self.collections, self.calls, micro_usd)


def _add(register: Register, who: str, words: Sequence[str]) -> None:
    """Add the line's caller. Raises ValueError."""
    kind, _, key = who.partition(":")
    known = {"sha256": register.tokens, "san": register.names, "sub": register.subjects}
    if kind not in known or not key:
        raise ValueError("it must begin with sha256:DIGEST, san:NAME or sub:SUBJECT")
    if kind == "sha256" and not _DIGEST.fullmatch(key):
        raise ValueError("sha256: takes 64 lowercase hexadecimal digits")
    place = key[:_PREFIX] if kind == "sha256" else key
    if place in known[kind]:
        raise ValueError(f"{who} is there twice")
    line = _read(words)
    if line.name == ANONYMOUS.name:
        raise ValueError(f"name={line.name}: that is everybody without a line")
    known[kind][place] = Entry(key, line.caller(), line.expires)


def _read(words: Sequence[str]) -> _Line:
    pairs = [word.partition("=")[::2] for word in words]
    options = dict(pairs)
    if len(options) < len(pairs):
        raise ValueError("a key is there twice")
    try:
        return _Line.model_validate(options)
    except ValidationError as exc:
        raise ValueError("; ".join(_explain(exc))) from None


def _explain(exc: ValidationError) -> Iterator[str]:
    for error in exc.errors():
        key = error["loc"][0]
        if error["type"] == "extra_forbidden":
            yield f"{key!r} is none of {', '.join(f'{name}=' for name in _Line.model_fields)}"
        elif error["type"] == "missing":
            yield f"{key}= is missing"
        else:
            yield f"{key}={error['input']}: {error['msg'].removeprefix('Value error, ')}"

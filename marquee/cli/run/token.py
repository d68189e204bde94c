"""Make a token, and the line with which a server's register of callers knows it."""

import fcntl
import hashlib
import os
import secrets
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from tempfile import NamedTemporaryFile

import typer

from marquee.cli.exits import Exit
from marquee.cli.options import ListOutput
from marquee.cli.terminal import print_error, print_json, print_note

_PREFIX = "mq_"
"""What tells a leaked token from other secrets: scanners look for it."""
_BYTES = 32
_MAX_CHARACTERS = 4096
_GUESSABLE = 22
"""Characters in which 128 bits fit; the digest of a shorter token may be guessed."""
_DIGEST_DIGITS = 16
"""With which a server tells digests apart."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Who holds a token, and what they may do."""

    name: str
    scopes: Sequence[str]
    collections: Sequence[str] = ()
    """Empty: all."""
    expires: datetime | None = None
    calls: float | None = None
    """A second."""
    usd: Decimal | None = None
    """Dollars a day."""

    def line(self, token: str) -> str:
        """Return the register's line for the token, of which it has the digest alone."""
        facts = {
            "name": self.name,
            "scopes": ",".join(self.scopes),
            "collections": ",".join(self.collections),
            "expires": "" if self.expires is None else f"{self.expires:%Y-%m-%dT%H:%M:%SZ}",
            "calls": "" if self.calls is None else f"{self.calls:.15g}",
            "usd": "" if self.usd is None else f"{self.usd.normalize():f}",
        }
        pairs = (f"{key}={value}" for key, value in facts.items() if value)
        return " ".join([f"sha256:{hashlib.sha256(token.encode()).hexdigest()}", *pairs])


def run(grant: Grant, register: Path | None, output: ListOutput, *, token_stdin: bool) -> Exit:
    """Print a new token, or take one from standard input, and print its line or add it to the register."""
    token = _read_token() if token_stdin else _PREFIX + secrets.token_urlsafe(_BYTES)
    line = grant.line(token)
    try:
        if register is not None:
            _append(register, line)
    except (OSError, RuntimeError, ValueError) as error:
        message = str(getattr(error, "strerror", None) or error)
        if output is ListOutput.JSON:
            print_json({"error": {"code": None, "message": f"{register}: {message}"}})
        print_error(str(register), message)
        return Exit.FAILED
    _print("" if token_stdin else token, line, register, output)
    return Exit.OK


def _read_token() -> str:
    """Return the token on standard input. Raises BadParameter."""
    token = sys.stdin.read(_MAX_CHARACTERS + 2).rstrip("\r\n") if sys.stdin else ""  # the shell may close it: <&-
    if not token or len(token) > _MAX_CHARACTERS or not all("!" <= character <= "~" for character in token):
        raise typer.BadParameter(
            "standard input holds no token: one line of ASCII without blanks.", param_hint="--token-stdin"
        )
    if len(token) < _GUESSABLE:
        print_note(f"The token has {len(token)} characters: whoever reads the line might guess it. Replace it soon.")
    return token


def _append(register: Path, line: str) -> None:
    """Add the line, so that a server sees the old file or the new one. Raises OSError, RuntimeError, ValueError."""
    path = register.resolve()  # a link stays, and what it names is replaced
    if path.is_symlink():  # since 3.13 resolve leaves these; before, it raises RuntimeError
        raise ValueError("its links lead in a circle.")
    if path.exists() and not path.is_file():
        raise ValueError("this is no regular file.")
    with _locked(path.parent):
        data = path.read_bytes() if path.exists() else b""
        digest = line[: len("sha256:") + _DIGEST_DIGITS].encode()
        if any(known.lstrip().startswith(digest) for known in data.splitlines()):
            raise ValueError("the token has a line there already.")
        separator = b"" if not data or data.endswith(b"\n") else b"\n"
        _replace(path, data + separator + line.encode() + b"\n")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait for others who add a line to a file in the folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, data: bytes) -> None:
    """Replace the file by one with the same owner and mode; a new one is for its owner alone."""
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if path.exists():
                status = path.stat()
                os.fchown(file.fileno(), status.st_uid, status.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode))
            Path(file.name).replace(path)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise


def _print(token: str, line: str, register: Path | None, output: ListOutput) -> None:
    if output is ListOutput.JSON:
        made = {"token": token} if token else {}
        print_json({**made, "line": line, "register": None if register is None else str(register)})
        return
    sys.stdout.write("".join(f"{text}\n" for text in (token, "" if register else line) if text))
    sys.stdout.flush()
    if token:
        print_note("Keep the token: it is not shown again.")
    print_note(f"Its line is in {register}." if register else "The line goes into the file that MARQUEE_CALLERS names.")

"""Local systems, as `python -m local` starts them, that this user runs on this machine.

Each has a file in the user's own state folder, which no folder of somebody else's can hold, and keeps it locked as long
as it runs: what a killed one leaves behind is nobody's.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from marquee.channels.connection import ConnectionOptions


@dataclass(frozen=True, slots=True)
class LocalSystem:
    """A running system: where its gateway is, and how it is called."""

    address: str
    """The gateway's, as clients take it."""
    folder: str
    """Where it was started."""
    state: str
    """Where it keeps its files."""
    ca: str = ""
    cert: str = ""
    key: str = ""
    token_file: str = ""
    """The caller's, as the system was told at its start; empty: none."""
    asks: bool = False
    """Whether the gateway asks callers who they are."""
    library: str = ""
    """The library's address, which is called as the gateway is; empty: there is none."""
    exports: Mapping[str, str] = field(default_factory=dict)
    """Environment variables with which other programs reach it and its stand-ins for AWS."""

    def origin_of(self, address: str) -> str:
        """Return where one of its addresses is from, as a sentence."""
        return f"{address} is the local system that was started in {self.folder}."

    def options(self) -> "ConnectionOptions":
        """Return how a client connects: as the system says alone, since the environment means other servers.

        Only a system that asks who calls gets the environment's token. Raises InvalidCredentials.
        """
        from marquee.channels.credentials import token_in  # noqa: PLC0415 - --help does not wait for gRPC

        return {
            "ca": self.ca,
            "cert": (self.cert, self.key or self.cert) if self.cert else "",
            "token": token_in(self.token_file) if self.token_file else None if self.asks else "",
        }

    @contextmanager
    def published(self) -> Iterator[None]:
        """Let the user's commands find the system meanwhile. Raises OSError, and RuntimeError without a home."""
        import fcntl  # noqa: PLC0415 - Windows has none

        folder = _folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        list(running())
        with NamedTemporaryFile("w", encoding="utf-8", dir=folder, suffix=".json") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            json.dump(asdict(self), file, indent=2)
            file.flush()
            yield


def running() -> Iterator[LocalSystem]:
    """Yield the user's running systems, and remove what killed ones left."""
    if sys.platform == "win32":  # which cannot lock files so
        return
    for path in _files():
        try:
            with path.open(encoding="utf-8") as file:
                if _is_locked(file):
                    yield LocalSystem(**json.load(file))
                elif path.stat().st_size:  # one without content is about to be locked
                    path.unlink()
        except (OSError, TypeError, ValueError):  # it ends at this moment, or another version started it
            continue


def find(state: str = "") -> LocalSystem | None:
    """Return the system with this state folder, or by default the one of this folder, else the newest."""
    systems = list(running())
    if state:
        systems = [system for system in systems if Path(system.state).resolve() == Path(state).resolve()]
    try:
        here = str(Path.cwd())
    except FileNotFoundError:  # somebody removed it
        here = ""
    return next((system for system in systems if system.folder == here), systems[0] if systems else None)


def _folder() -> Path:
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "marquee" / "local"


def _files() -> list[Path]:
    """Return the systems' files, newest first."""
    try:
        return sorted(_folder().glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    except (OSError, RuntimeError):  # one ends at this moment; there is no home
        return []


def _is_locked(file: IO[str]) -> bool:
    import fcntl  # noqa: PLC0415 - Windows has none

    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False

"""Keeps processes running: starts them, starts them again when they end, and ends them all."""

import asyncio
import math
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals

_RESTART_SECONDS = 1.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.2


@dataclass
class Part:
    """One process of the system."""

    name: str
    module: str
    address: str
    """host:port that it listens on."""
    is_ready: Callable[[str], Awaitable[bool]]
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None


class PartFailed(Exception):
    """A part did not get ready; its log tells why."""


class Supervisor:
    """Runs parts until it is closed. What they print goes to LOGS/NAME.log."""

    def __init__(self, parts: Sequence[Part], logs: Path, tell: Callable[[str], None]) -> None:
        self.parts = parts
        self._logs = logs
        self._tell = tell
        self._keepers: list[asyncio.Task[None]] = []

    async def start(self, timeout: float) -> None:
        """Starts all parts at once and returns when all are ready. Raises PartFailed."""
        self._logs.mkdir(parents=True, exist_ok=True)
        for part in self.parts:
            await self._spawn(part)
        await asyncio.gather(*(self._first_ready(part, timeout) for part in self.parts))
        self._keepers = [asyncio.create_task(self._keep(part)) for part in self.parts]

    async def close(self) -> None:
        """Ends all parts: SIGTERM, and SIGKILL for one that has not gone after 10 s."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await asyncio.gather(*(_end(part) for part in self.parts))

    async def _first_ready(self, part: Part, timeout: float) -> None:
        if not await _becomes_ready(part, timeout):
            log = self._log(part)
            raise PartFailed(f"{part.name} did not get ready; the end of {log}:\n{_tail(log)}")

    async def _keep(self, part: Part) -> None:
        while part.process is not None:
            code = await part.process.wait()
            self._tell(f"{part.name} ended ({_how(code)}); it is started again in {_RESTART_SECONDS:g} s")
            await asyncio.sleep(_RESTART_SECONDS)
            await self._spawn(part)
            if await _becomes_ready(part, math.inf):
                self._tell(f"{part.name} is back")

    async def _spawn(self, part: Part) -> None:
        with self._log(part).open("ab") as log:
            part.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "local.child", str(os.getpid()), part.module, *part.arguments),
                env=os.environ | part.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C at the terminal is for the launcher alone
            )

    def _log(self, part: Part) -> Path:
        return self._logs / f"{part.name}.log"


async def _becomes_ready(part: Part, timeout: float) -> bool:
    """Waits until the part is ready; False when it ends or takes too long."""
    deadline = time.monotonic() + timeout
    while part.process is not None and part.process.returncode is None and time.monotonic() < deadline:
        if await part.is_ready(part.address):
            return True
        await asyncio.sleep(_POLL_SECONDS)
    return False


async def _end(part: Part) -> None:
    if part.process is None or part.process.returncode is not None:
        return
    part.process.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await part.process.wait()
    except TimeoutError:
        part.process.kill()
        await part.process.wait()


def _how(code: int) -> str:
    return f"signal {Signals(-code).name}" if code < 0 else f"exit code {code}"


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text("utf-8", errors="replace").splitlines()[-lines:])

"""Processes kept running: started, checked for readiness, restarted when they exit, and stopped together."""

import asyncio
import math
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_RESTART_SECONDS = 1.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.2


@dataclass
class Part:
    """One process of the system."""

    name: str
    module: str
    address: str
    """host:port, or path of the socket, on which it listens."""
    is_ready: Callable[[str], Awaitable[bool]]
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    first: bool = False
    """Whether it is ready before the others start, because they ask it for something as they do."""
    last: bool = False
    """Whether it stops after the others, because they need it until they end."""
    stop_signal: Signals = Signals.SIGTERM
    process: asyncio.subprocess.Process | None = None


class PartFailed(Exception):
    """A part did not become ready; the message ends with its log."""


class Supervisor:
    """Runner of parts, until it is closed. Their output goes to LOGS/NAME.log."""

    def __init__(self, parts: Sequence[Part], logs: Path, report: Callable[[str], None]) -> None:
        self.parts = parts
        self._logs = logs
        self._report = report
        self._keepers: list[asyncio.Task[None]] = []

    async def start(self, timeout: float) -> None:
        """Start all parts at once, those that are first before, and return when all are ready. Raises PartFailed."""
        self._logs.mkdir(parents=True, exist_ok=True)
        for parts in ([part for part in self.parts if part.first], [part for part in self.parts if not part.first]):
            for part in parts:
                await self._spawn(part)
            await asyncio.gather(*(self._await_ready(part, timeout) for part in parts))
        self._keepers = [asyncio.create_task(self._keep(part)) for part in self.parts]

    async def close(self) -> None:
        """Stop all parts by their signals, those that are last after the others, and after 10 s each by SIGKILL."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for parts in ([part for part in self.parts if not part.last], [part for part in self.parts if part.last]):
            await asyncio.gather(*(_stop(part) for part in parts))

    async def _await_ready(self, part: Part, timeout: float) -> None:
        if not await _becomes_ready(part, timeout):
            log = self._log(part)
            raise PartFailed(f"{part.name} did not become ready; the end of {log}:\n{_tail(log)}")

    async def _keep(self, part: Part) -> None:
        while part.process is not None:
            code = await part.process.wait()
            self._report(f"{part.name} exited ({_exit_reason(code)}); restarting in {_RESTART_SECONDS:g} s")
            await asyncio.sleep(_RESTART_SECONDS)
            await self._spawn(part)
            if await _becomes_ready(part, math.inf):
                self._report(f"{part.name} is back")

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


async def grpc_serving(address: str) -> bool:
    """Return whether the gRPC server's health is SERVING."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            response = await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
        except grpc.aio.AioRpcError:
            return False
    return bool(response.status == health_pb2.HealthCheckResponse.SERVING)


async def tcp_open(address: str) -> bool:
    """Return whether the address accepts connections."""
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except OSError:
        return False
    writer.close()
    return True


async def socket_open(address: str) -> bool:
    """Return whether the socket at the path accepts connections."""
    try:
        _, writer = await asyncio.open_unix_connection(address)
    except OSError:
        return False
    writer.close()
    return True


async def _becomes_ready(part: Part, timeout: float) -> bool:
    """Wait until the part is ready; return False if it exits or takes too long."""
    deadline = time.monotonic() + timeout
    while part.process is not None and part.process.returncode is None and time.monotonic() < deadline:
        if await part.is_ready(part.address):
            return True
        await asyncio.sleep(_POLL_SECONDS)
    return False


async def _stop(part: Part) -> None:
    if part.process is None or part.process.returncode is not None:
        return
    part.process.send_signal(part.stop_signal)
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await part.process.wait()
    except TimeoutError:
        part.process.kill()
        await part.process.wait()


def _exit_reason(code: int) -> str:
    return f"signal {Signals(-code).name}" if code < 0 else f"exit code {code}"


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text("utf-8", errors="replace").splitlines()[-lines:])

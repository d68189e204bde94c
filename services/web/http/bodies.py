"""Bodies of requests: bounded in size and time, received into a file, and then in memory while there is room."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import IO

import structlog
from prometheus_client import Gauge
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

from services.runtime.errors import Overloaded
from services.runtime.limits import MAX_IMAGE_BYTES, MAX_MESSAGE_BYTES, MIB

logger = structlog.get_logger()
_LIMITS: Mapping[str, int] = {
    "/recognize": MAX_MESSAGE_BYTES,
    "/enroll": MAX_MESSAGE_BYTES,
    "/v1/": MAX_MESSAGE_BYTES,
    "/marquee.v1.": 22 * MIB,  # JSON has pictures in base64
}
"""Beginning of a path → most bytes."""
_MAX_FORM_BYTES = 64 * 1024
"""Most bytes elsewhere."""
_IN_MEMORY_BYTES = 256 * 1024
_PIECE_BYTES = 1024 * 1024
_COPIES = 4
"""How often a picture lies in memory at the worst moment: as the form has it, in the call, serialized, and at gRPC."""
_ENCODINGS = ("content-encoding", "connect-content-encoding", "grpc-encoding")
_MOST_UNPACKED = 1032
"""How many bytes one byte of gzip can become."""
_LINGER_SECONDS = 10.0
_LINGER_BYTES = 64 * MIB
_uploads = Gauge(
    "marquee_uploads_in_flight",
    "Requests with a body over 64 KiB, or of unknown length, that are received or answered.",
)


@dataclass(frozen=True)
class Bounds:
    """What bodies may take."""

    memory: int
    """Bytes of memory, with all copies, of those that are being answered."""
    wait: float = 5.0
    """Seconds that one waits for memory."""
    receipts: int = 128
    """How many are received at once."""
    receipt: float = 60.0
    """Seconds that one may take to be received."""
    stall: float = 10.0
    """Seconds between two pieces of one."""
    slow: float = 5.0
    """Seconds after which one that is being received gives way to others."""


class Room:
    """Memory for bodies over 64 KiB. Those beyond it wait in turn; one that is alone may have more."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._taken = 0
        self._waiting: dict[asyncio.Future[None], int] = {}

    @asynccontextmanager
    async def taking(self, size: int) -> AsyncIterator[None]:
        """Hold room for a body of `size` bytes and its copies. Raises Overloaded."""
        need = size * _COPIES
        await self._wait(need)
        try:
            yield
        finally:
            self._give_back(need)

    async def _wait(self, need: int) -> None:
        place = asyncio.get_running_loop().create_future()
        self._waiting[place] = need
        self._admit()
        try:
            await asyncio.wait((place,), timeout=self._bounds.wait)
        except asyncio.CancelledError:
            if self._waiting.pop(place, None) is None:
                self._give_back(need)
            raise
        if self._waiting.pop(place, None) is not None:
            raise _busy()

    def _give_back(self, need: int) -> None:
        self._taken -= need
        self._admit()

    def _admit(self) -> None:
        for place, need in list(self._waiting.items()):
            if self._taken and self._taken + need > self._bounds.memory:
                break
            del self._waiting[place]
            self._taken += need
            place.set_result(None)


@dataclass(eq=False)
class _Receipt:
    """A body that is being received."""

    host: str
    bounds: Bounds
    begin: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    limit: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))
    gave_way: bool = False

    def go_on(self) -> None:
        """Give the next piece its time."""
        now = asyncio.get_running_loop().time()
        self.limit.reschedule(now if self.gave_way else min(now + self.bounds.stall, self.begin + self.bounds.receipt))

    def give_way(self) -> None:
        """End it now."""
        self.gave_way = True
        self.limit.reschedule(asyncio.get_running_loop().time())


class Receipts:
    """Bodies that are being received. Past their limit the oldest of the address with most gives way.

    It does if it is slow, or its address has more than that of the one that comes, which is refused otherwise.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._all: dict[_Receipt, None] = {}

    @asynccontextmanager
    async def receiving(self, host: str) -> AsyncIterator[_Receipt]:
        """Receive a body of the address in time. Raises Overloaded, and HTTPException 408 for one that is slow."""
        receipt = _Receipt(host, self._bounds)
        self._make_way(receipt)
        self._all[receipt] = None
        try:
            async with receipt.limit:
                yield receipt
        except TimeoutError:
            if not receipt.limit.expired():
                raise
            raise _busy() if receipt.gave_way else _too_slow(self._bounds) from None
        finally:
            del self._all[receipt]

    def _make_way(self, coming: _Receipt) -> None:
        running = [each for each in self._all if not each.gave_way]
        if len(running) < self._bounds.receipts:
            return
        shares = Counter(each.host for each in running)
        oldest = min(running, key=lambda each: (-shares[each.host], each.begin))
        is_slow = coming.begin - oldest.begin >= self._bounds.slow
        if not is_slow and shares[oldest.host] <= shares[coming.host] + 1:
            raise _busy()
        oldest.give_way()


class Body:
    """A request's body, in place of ASGI's `receive`. It is received once the application asks for it."""

    def __init__(self, scope: Scope, receive: Receive, room: Room, receipts: Receipts) -> None:
        headers = Headers(scope=scope)
        self.size = 0
        """Bytes received."""
        self.has_client_gone = False
        self._path = scope["path"]
        self._host = scope["client"][0] if scope.get("client") else ""
        self._declared = int(headers.get("content-length", "0"))
        self._is_form = headers.get("content-type", "").lower().startswith("multipart/")
        self._is_packed = any(headers.get(name, "identity") != "identity" for name in _ENCODINGS)
        self._waits_to_send = "expect" in headers
        self._receive = receive
        self._room, self._receipts = room, receipts
        self._file: IO[bytes] | None = None
        self._is_taken_in = False
        self._is_left = bool(self._declared) or "transfer-encoding" in headers
        self._life = AsyncExitStack()

    @property
    def is_left(self) -> bool:
        """Whether the client may still be sending it."""
        return self._is_left

    async def receive(self) -> Message:
        """Return the next piece, all of it if it is no multipart form, or that the client has gone.

        Raises Overloaded, and HTTPException 413 or 408 for a body that is too large or too slow.
        """
        if self._is_left and not self._is_taken_in:
            self._is_taken_in = True
            if (end := await self._take_in()) is not None:
                return end
        return await self._piece() if self._file is None else self._next(self._file)

    async def linger(self) -> None:
        """Take in and forget what the client is still sending: most read an answer only after that."""
        if self._waits_to_send:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                forgotten = 0
                while self._is_left and forgotten < _LINGER_BYTES:
                    forgotten += len((await self._piece()).get("body", b""))

    async def close(self) -> None:
        """Give back file and memory."""
        await self._life.aclose()

    async def _take_in(self) -> Message | None:
        """Receive all of it. Return the last message if the client has gone before."""
        limit = _limit(self._path)
        if self._declared > limit:
            raise _too_large(limit)
        file: IO[bytes] = SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 - it is closed with the request
        self._life.callback(file.close)
        if not 0 < self._declared <= _MAX_FORM_BYTES:
            self._life.enter_context(_uploads.track_inprogress())
        async with self._receipts.receiving(self._host) as receipt:
            while self._is_left:
                receipt.go_on()
                message = await self._piece()
                if self.has_client_gone:
                    return message
                self.size += len(message["body"])
                if self.size > limit:
                    raise _too_large(limit)
                _write(file, message["body"])
        file.seek(0)
        size = min(self.size * _MOST_UNPACKED, limit) if self._is_packed else self.size
        if size > _MAX_FORM_BYTES:
            await self._life.enter_async_context(self._room.taking(size))
        self._file = file
        return None

    async def _piece(self) -> Message:
        self._waits_to_send = False
        message = await self._receive()
        self.has_client_gone = message["type"] == "http.disconnect"
        self._is_left = not self.has_client_gone and message.get("more_body", False)
        return message

    def _next(self, file: IO[bytes]) -> Message:
        piece = file.read(_PIECE_BYTES if self._is_form else -1)
        is_left = file.tell() < self.size
        if not is_left:
            file.close()
            self._file = None
        return {"type": "http.request", "body": piece, "more_body": is_left}


def _limit(path: str) -> int:
    return next((limit for beginning, limit in _LIMITS.items() if path.startswith(beginning)), _MAX_FORM_BYTES)


def _write(file: IO[bytes], piece: bytes) -> None:
    try:
        file.write(piece)
    except OSError as exc:  # the disk is full
        logger.error("no room for a body", error=str(exc))  # noqa: TRY400 - the text says it all
        raise _busy() from None


def _too_large(limit: int) -> HTTPException:
    if limit == _MAX_FORM_BYTES:
        return HTTPException(413, f"The request's body is too large: at most {limit // 1024} KiB fit here.")
    most, each = limit // MIB, MAX_IMAGE_BYTES // MIB
    return HTTPException(413, f"The upload is too large: at most {most} MiB, and {each} MiB a picture.")


def _too_slow(bounds: Bounds) -> HTTPException:
    most, pause = f"{bounds.receipt:.0f} s", f"{bounds.stall:.0f} s"
    return HTTPException(408, f"The request did not arrive in time: it may take {most}, and pause for {pause}.")


def _busy() -> Overloaded:
    return Overloaded("Many pictures are being recognized just now. Try again in a moment.", retry_after=2)

"""A caller of gRPC that is in no hurry, or keeps to no rule: it writes HTTP/2's frames itself.

Source: https://datatracker.ietf.org/doc/html/rfc9113
"""

import asyncio
import contextlib
import struct
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.support.processes import PATIENCE

RECOGNIZE_IMAGE = "/marquee.v1.RecognizerService/RecognizeImage"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 8, 9
MAX_CONCURRENT_STREAMS = 3
END_STREAM, ACK, END_HEADERS = 1, 1, 4
_INITIAL_WINDOW_SIZE = 4
_FRAME = 16_000


class Connection:
    """One connection, and the calls on it by the numbers of their streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._initial = 65_535
        self._windows: defaultdict[int, int] = defaultdict(int, {0: 65_535})
        self._changed = asyncio.Condition()
        self._last = -1
        self.sent = 0
        """Bytes of requests."""
        self.ended: set[int] = set()
        """Calls that the server has answered or reset."""
        self.settings: dict[int, int] = {}
        """The server's."""

    def call(self, path: str = RECOGNIZE_IMAGE, **headers: str) -> int:
        """Begin a call; return its number."""
        self._last += 2
        self._windows[self._last] = self._initial
        self._write(HEADERS, END_HEADERS, self._last, header_block(path, **headers))
        return self._last

    async def send(self, call: int, data: bytes, *, end: bool = False) -> None:
        """Send part of a call's request as the server makes room for it; return early if the call ends."""
        for start in range(0, len(data), _FRAME):
            part = data[start : start + _FRAME]
            await self._room(call, len(part))
            if call in self.ended:
                return
            self._windows[0] -= len(part)
            self._windows[call] -= len(part)
            self._write(DATA, 0, call, part)
            self.sent += len(part)
            await self._writer.drain()
        if end and call not in self.ended:
            self._write(DATA, END_STREAM, call, b"")

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what the server has sent makes the condition true."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(condition)

    async def _room(self, call: int, size: int) -> None:
        async with self._changed:
            await self._changed.wait_for(
                lambda: call in self.ended or min(self._windows[0], self._windows[call]) >= size
            )

    def _write(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        self._writer.write(frame(kind, flags, stream, payload))

    async def _listen(self) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await self._reader.readexactly(9)
                kind, flags, stream = struct.unpack(">BBI", head[3:])
                payload = await self._reader.readexactly(int.from_bytes(head[:3]))
                async with self._changed:
                    self._take(kind, flags, stream, payload)
                    self._changed.notify_all()

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == WINDOW_UPDATE:
            self._windows[stream] += int.from_bytes(payload)
        elif kind == RST_STREAM or (kind in {DATA, HEADERS} and flags & END_STREAM):
            self.ended.add(stream)
        elif kind == PING and not flags & ACK:
            self._write(PING, ACK, 0, payload)
        elif kind == SETTINGS and not flags & ACK:
            self.settings |= struct.iter_unpack(">HI", payload)
            self._resize(self.settings.get(_INITIAL_WINDOW_SIZE, self._initial))
            self._write(SETTINGS, ACK, 0, b"")

    def _resize(self, initial: int) -> None:
        for each in self._windows.keys() - {0}:
            self._windows[each] += initial - self._initial
        self._initial = initial


@asynccontextmanager
async def connection(address: str, local: str = "127.0.0.1") -> AsyncIterator[Connection]:
    """Connect from the local address; yield the connection."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), local_addr=(local, 0))
    opened = Connection(reader, writer)
    writer.write(PREFACE)
    opened._write(SETTINGS, 0, 0, b"")
    listening = asyncio.create_task(opened._listen())
    try:
        yield opened
    finally:
        listening.cancel()
        writer.close()


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """Return a frame of HTTP/2."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def header_block(path: str = RECOGNIZE_IMAGE, **headers: str) -> bytes:
    """Return the headers of a call, of which others may be given, too."""
    pseudo = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "test"}
    fields = pseudo | {"content-type": "application/grpc", "te": "trailers"} | headers
    return b"".join(_literal(*each) for each in fields.items())


def message(body: bytes) -> bytes:
    """Return the body as gRPC frames it."""
    return struct.pack(">BI", 0, len(body)) + body


def _literal(name: str, value: str) -> bytes:
    """Return a header that is neither indexed nor compressed (RFC 7541, 6.2.2)."""
    return b"\x00" + b"".join(_number(len(data)) + data for data in map(_encoded, (name, value)))


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _number(value: int) -> bytes:
    """Return a length of 7 bits, or longer (RFC 7541, 5.1)."""
    if value < 127:
        return bytes([value])
    value -= 127
    return b"\x7f" + b"".join(
        bytes([value >> shift & 0x7F | (0x80 if value >> shift + 7 else 0)])
        for shift in range(0, max(7, value.bit_length()), 7)
    )

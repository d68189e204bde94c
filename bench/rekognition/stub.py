"""A stand-in for Rekognition that costs little CPU: AWS's wire protocol, with answers made from the picture's hash.

usage: python bench/rekognition/stub.py --port 9000 [--latency 0.05] [--throttle 0.05] [--error 0.01] [--reset 0.01]

`GET /` returns how many requests it answered and billed, and the name and arrival time (on the system's monotonic
clock) of every request. Faults are drawn with a fixed seed; half of the errors and resets are billed.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import random
import signal
import socket
import struct
import time
from collections import Counter
from typing import Any

THROTTLES = ("ProvisionedThroughputExceededException", "ThrottlingException")
_RESET = struct.pack("ii", 1, 0)


def name_of(content: bytes) -> str:
    """Return the name of the celebrity that the stub finds in a picture."""
    return hashlib.sha256(content).hexdigest()[:16]


class Stub:
    """A server that answers RecognizeCelebrities and counts its answers."""

    def __init__(self, faults: argparse.Namespace) -> None:
        self.faults = faults
        self.draws = random.Random(0)  # noqa: S311 - draws faults, not secrets
        self.counts: Counter[str] = Counter()
        self.requests: list[tuple[str, float]] = []

    async def answer(self, body: bytes) -> tuple[int, dict[str, Any]] | None:
        """Return the HTTP status and body, or None to reset the connection."""
        name = name_of(base64.b64decode(json.loads(body)["Image"]["Bytes"]))
        self.requests.append((name, time.monotonic()))
        draw, half = self.draws.random(), self.draws.random()
        if draw < self.faults.throttle:
            return self._refuse(self.draws.choice(THROTTLES), 400, "throttled")
        if self.faults.latency:
            await asyncio.sleep(self.faults.latency)
        error = self.faults.throttle + self.faults.error
        reset = error + self.faults.reset
        self.counts["billed"] += draw >= reset or half < 0.5  # noqa: PLR2004 - half of the failures
        if draw < error:
            return self._refuse("InternalServerError", 500, "failed")
        if draw < reset:
            self.counts["reset"] += 1
            return None
        self.counts["answered"] += 1
        return 200, _celebrity(name)

    def _refuse(self, code: str, status: int, kind: str) -> tuple[int, dict[str, Any]]:
        self.counts[kind] += 1
        return status, {"__type": code, "Message": code}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve the requests of one connection until it ends."""
        try:
            while await self._serve_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has disconnected, or the stand-in is stopping
        finally:
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            _write(writer, 200, {**self.counts, "requests": self.requests})
            return True
        if b"100-continue" in head:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        answer = await self.answer(await reader.readexactly(_length(head)))
        if answer is None:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
            return False
        _write(writer, *answer)
        await writer.drain()
        return True


def _celebrity(name: str) -> dict[str, Any]:
    face = {"BoundingBox": {"Left": 0.2, "Top": 0.2, "Width": 0.5, "Height": 0.5}, "Confidence": 99.0}
    celebrity = {"Id": name, "Name": name, "MatchConfidence": 99.0, "Urls": [], "Face": face}
    return {"CelebrityFaces": [celebrity], "UnrecognizedFaces": []}


def _length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    return int(next(line for line in lines if line.startswith(b"content-length:")).partition(b":")[2])


def _write(writer: asyncio.StreamWriter, status: int, content: dict[str, Any]) -> None:
    body = json.dumps(content).encode()
    writer.write(b"HTTP/1.1 %d X\r\ncontent-type: application/x-amz-json-1.1\r\n" % status)
    writer.write(b"content-length: %d\r\n\r\n%s" % (len(body), body))


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    for fault in ("latency", "throttle", "error", "reset"):
        parser.add_argument(f"--{fault}", type=float, default=0)
    args = parser.parse_args()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await asyncio.start_server(Stub(args).serve, "127.0.0.1", args.port, limit=1 << 24, backlog=512)
    await stop.wait()


if __name__ == "__main__":
    asyncio.run(_main())

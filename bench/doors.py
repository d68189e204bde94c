"""Compare the CPU time that a call costs the gateway by who is let in and how, with the calls interleaved.

usage: PYTHONPATH=. python bench/doors.py [--rounds 30] [--calls 200] [--kilobytes 100] [--recognizers 1]

Each row is a gateway of its own, in front of one recognizer that answers at once, listed under so many names. All run
at the same time, but only one is called at any moment, over one connection, with four calls in flight. The CPU time is
the gateway's process's own; ratios are medians of the rounds' ratios to the first row.
"""

import argparse
import hashlib
import json
import os
import statistics
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import grpc
import trustme
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from PIL import Image as Pillow

from bench.checkouts import free_ports, listens, process, until
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.recognizer_pb2_grpc import RecognizerServiceStub
from services.runtime.images.image import Image
from services.runtime.leaf.leaf import serve
from services.runtime.leaf.recognizer import Options
from services.runtime.settings import LeafSettings, load_settings

ROOT = Path(__file__).resolve().parents[1]
_IN_FLIGHT = 4
_SECONDS = 60
_AUDIENCE = "marquee"
_KEYS: dict[str, RSAKey | ECKey] = {
    "RS256": RSAKey.generate_key(2048, {"kid": "RS256"}),
    "ES256": ECKey.generate_key("P-256", {"kid": "ES256"}),
}
_TOKEN = "a-token-for-this-benchmark-alone"  # noqa: S105 - it opens nothing


class Instant:
    """A recognizer that answers at once."""

    name = "instant"
    features = (pb.FEATURE_LABELS,)

    async def load(self) -> None:
        """Do nothing."""

    async def recognize(self, image: Image, options: Options) -> pb.RecognizerResult:
        """Return a label."""
        del image, options
        return pb.RecognizerResult(labels=[pb.Label(name="Person", score=0.9)])

    def describe(self) -> pb.Recognizer:
        """Return nothing."""
        return pb.Recognizer()

    async def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Door:
    """A gateway, and how it is called."""

    pid: int
    call: Any
    metadata: tuple[tuple[str, str], ...]

    def cost(self, request: pb.RecognizeImageRequest, calls: int) -> float:
        """Return the milliseconds of CPU that a call costs the gateway."""
        clock = (~self.pid << 3) | 2  # that of another process, as clock_getcpuclockid(3) makes it
        begin, pending = time.clock_gettime(clock), deque[Any]()
        for _ in range(calls):
            pending.append(self.call.future(request, metadata=self.metadata, timeout=_SECONDS))
            if len(pending) == _IN_FLIGHT:
                _check(pending.popleft().result())
        while pending:
            _check(pending.popleft().result())
        return (time.clock_gettime(clock) - begin) / calls * 1000


def main() -> None:
    """Print a Markdown table with a row for each door."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--calls", type=int, default=200, help="calls of each row in a round")
    parser.add_argument("--kilobytes", type=int, default=100)
    parser.add_argument("--recognizers", type=int, default=1, help="recognizers that get the picture")
    parser.add_argument("--recognizer", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.recognizer:
        serve(Instant(), load_settings(LeafSettings))
        return
    request = pb.RecognizeImageRequest(image=pb.Image(content=_picture(args.kilobytes * 1000)), no_cache=True)
    with opened(args.recognizers) as doors:
        costs: dict[str, list[float]] = {name: [] for name in doors}
        for number in range(-1, args.rounds):  # the first round warms up and does not count
            for name in sorted(doors, reverse=bool(number % 2)):
                cost = doors[name].cost(request, args.calls)
                costs[name] += [cost] if number >= 0 else []
    first = next(iter(costs.values()))
    print("| client to gateway, gateway to recognizer | CPU ms a call | ratio |")
    print("|---|---|---|")
    for name, row in costs.items():
        ratio = statistics.median(one / base for one, base in zip(row, first, strict=True))
        print(f"| {name} | {statistics.median(row):.2f} | {ratio:.3f} |")


@contextmanager
def opened(recognizers: int) -> Iterator[dict[str, Door]]:
    """Start the recognizers and a gateway for each way in; yield the doors by name."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tls, register = _certificates(folder), folder / "callers"
        digest = hashlib.sha256(_TOKEN.encode()).hexdigest()
        register.write_text(
            f"sha256:{digest} name=bench scopes=recognize\nsan:gateway name=gateway scopes=recognize,relay\n"
        )
        own = {"MARQUEE_TLS_CERT": tls["cert"], "MARQUEE_TLS_KEY": tls["key"]}
        plain = _start(stack, "bench.doors", "--recognizer")
        callers = {"MARQUEE_CALLERS": str(register)}
        asking = own | callers | {"MARQUEE_TLS_CLIENT_CA": tls["ca"]}
        certified = _start(stack, "bench.doors", "--recognizer", **asking)
        issuer = stack.enter_context(_issuer())
        jwts = {
            "MARQUEE_JWT_ISSUER": issuer,
            "MARQUEE_JWT_AUDIENCE": _AUDIENCE,
            "MARQUEE_JWT_JWKS_URL": f"{issuer}/keys",
        }
        rows: dict[str, tuple[dict[str, str], str, tuple[int, Any]]] = {
            "plaintext anonymous, plaintext": ({}, "", (plain[0], "plaintext")),
            "plaintext and token, plaintext": (callers, _TOKEN, (plain[0], "plaintext")),
            "TLS anonymous, plaintext": (own, "", (plain[0], "plaintext")),
            "TLS and token, plaintext": (own | callers, _TOKEN, (plain[0], "plaintext")),
            "TLS and JWT RS256, plaintext": (own | jwts, _jwt("RS256", issuer), (plain[0], "plaintext")),
            "TLS and JWT ES256, plaintext": (own | jwts, _jwt("ES256", issuer), (plain[0], "plaintext")),
            "TLS and token, mTLS": (own | callers, _TOKEN, (certified[0], tls)),
        }
        doors = {}
        for number, (name, (settings, token, way)) in enumerate(rows.items()):
            config = folder / f"{number}.yaml"
            entry = {"target": f"127.0.0.1:{way[0]}", "tls": way[1]}
            config.write_text(json.dumps({"recognizers": {f"r{one}": entry for one in range(recognizers)}}))
            port, pid = _start(stack, "services.gateway", MARQUEE_GATEWAY_CONFIG=str(config), **settings)
            channel = stack.enter_context(_channel(port, tls["ca"] if "MARQUEE_TLS_CERT" in settings else None))
            metadata = (("authorization", f"Bearer {token}"),) if token else ()
            doors[name] = Door(pid, RecognizerServiceStub(channel).RecognizeImage, metadata)
        yield doors


def _start(stack: ExitStack, *command: str, **settings: str) -> tuple[int, int]:
    """Start a server; return its port and process ID once it listens."""
    port, metrics_port = free_ports(2)
    environment = {"MARQUEE_PORT": str(port), "MARQUEE_METRICS_PORT": str(metrics_port), "MARQUEE_LOG_FORMAT": "json"}
    child = stack.enter_context(process(ROOT, "-m", *command, **environment, **settings))
    until(lambda: listens(port) or child.poll() is not None)
    return port, child.pid


def _channel(port: int, ca: str | None) -> grpc.Channel:
    address = f"127.0.0.1:{port}"
    credentials = grpc.ssl_channel_credentials(Path(ca).read_bytes()) if ca else None
    channel = grpc.secure_channel(address, credentials) if credentials else grpc.insecure_channel(address)
    grpc.channel_ready_future(channel).result(_SECONDS)
    return channel


def _check(response: pb.RecognizeImageResponse) -> None:
    failed = [one for one in response.results if one.outcome != pb.OUTCOME_OK]
    if failed:
        raise RuntimeError(str(failed))


def _picture(size: int) -> bytes:
    """Return a JPEG of that size; the gateway looks at none of it."""
    buffer = BytesIO()
    Pillow.frombytes("RGB", (64, 64), os.urandom(64 * 64 * 3)).save(buffer, "JPEG")
    return buffer.getvalue() + os.urandom(size - buffer.tell())


def _certificates(folder: Path) -> dict[str, str]:
    """Return `tls` of a gateway's file: a certificate for clients and servers, and what vouches for it."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "gateway")
    paths = {name: str(folder / name) for name in ("ca", "cert", "key")}
    authority.cert_pem.write_to_path(paths["ca"])
    issued.private_key_pem.write_to_path(paths["key"])
    issued.cert_chain_pems[0].write_to_path(paths["cert"])
    return paths


def _jwt(algorithm: str, issuer: str) -> str:
    claims = {"iss": issuer, "aud": _AUDIENCE, "sub": "bench", "scope": "recognize", "exp": int(time.time()) + 36_000}
    return jwt.encode({"alg": algorithm, "kid": algorithm}, claims, _KEYS[algorithm], algorithms=[algorithm])


@contextmanager
def _issuer() -> Iterator[str]:
    """Serve the public keys on loopback; yield the issuer's URL."""
    keys: Sequence[Any] = [key.as_dict(private=False) for key in _KEYS.values()]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"keys": keys}).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    main()

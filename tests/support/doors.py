"""What shows who calls, for tests: certificates, tokens, JWTs and the issuer that serves their keys."""

import base64
import hashlib
import hmac
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import trustme
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from services.runtime import status
from tests.support.processes import PATIENCE, free_port, spawn, wait_until

AUDIENCE = "marquee"
DISCOVERY = "/.well-known/openid-configuration"
_HOUR = timedelta(hours=1)


class Authority:
    """A certificate authority, whose files lie in the folder."""

    def __init__(self, folder: Path, ca: trustme.CA | None = None) -> None:
        self._ca = ca or trustme.CA()
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self.path = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(self.path)

    def issue(self, name: str, *more: str, begin: timedelta = -_HOUR, end: timedelta = _HOUR) -> "Pair":
        """Return a certificate for the names, in files that have the first name; valid from and until then from now."""
        now = datetime.now(UTC)
        issued = self._ca.issue_cert(name, *more, not_before=now + begin, not_after=now + end)
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        pair.chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(pair.key)
        return pair

    def child(self) -> "Authority":
        """Return an authority that this one vouches for."""
        return Authority(self._folder / "child", self._ca.create_child_ca())

    def server_context(self) -> ssl.SSLContext:
        """Return what an HTTPS server at 127.0.0.1 needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert("127.0.0.1").configure_cert(context)
        return context


@dataclass(frozen=True)
class Pair:
    """A certificate chain and its key."""

    chain: Path
    key: Path

    def copy_to(self, other: "Pair") -> None:
        other.key.write_bytes(self.key.read_bytes())
        other.chain.write_bytes(self.chain.read_bytes())


def line(token: str, **options: str) -> str:
    """Return the register's line for the token."""
    said = {"name": "someone", "scopes": "recognize"} | options
    return f"sha256:{hashlib.sha256(token.encode()).hexdigest()} {words(said)}\n"


def reflected(address: str, metadata: tuple[tuple[str, str], ...] = ()) -> list[str]:
    """Return the services that reflection lists, or the code and the reason of its refusal.

    Not by grpc.aio: there the end of a stream may come as INTERNAL while its request is still being written.
    """
    asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    with grpc.insecure_channel(address) as channel:
        answers = ServerReflectionStub(channel).ServerReflectionInfo(asked, metadata=metadata, timeout=PATIENCE)
        try:
            return [one.name for answer in answers for one in answer.list_services_response.service]
        except grpc.RpcError as exc:
            refusal = status.from_rpc_error(exc)
    return [status.code_of(refusal).name, status.reason_of(refusal)]


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata of a call with the token."""
    return (("authorization", f"Bearer {token}"),)


def words(options: Mapping[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in options.items())


@dataclass
class Issuer:
    """An OIDC issuer: its pages by path, and what was asked for. `go` delays its answers until it is set."""

    url: str
    ca: Path
    pages: dict[str, Any] = field(default_factory=dict)
    """JSON, bytes as they are, the address of a redirect as a text, or what writes the page."""
    requests: list[str] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)
    keys: dict[str, RSAKey | ECKey] = field(default_factory=dict)

    def rotate(self, *kids: str) -> None:
        """Publish keys with these IDs; those that are there already stay as they are."""
        self.keys = {kid: self.keys.get(kid) or RSAKey.generate_key(2048, {"kid": kid}) for kid in kids}
        self.pages[DISCOVERY] = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        self.pages["/keys"] = {"keys": [key.as_dict(private=False) for key in self.keys.values()]}

    def token(self, kid: str = "first", key: RSAKey | ECKey | None = None, **claims: Any) -> str:
        """Return a JWT of `someone`, valid for an hour, with other claims as given; None leaves one out."""
        return jwt.encode({"alg": "RS256", "kid": kid}, self.claims(**claims), key or self.keys[kid], ["RS256"])

    def claims(self, **claims: Any) -> dict[str, Any]:
        said = {"iss": self.url, "aud": AUDIENCE, "sub": "someone", "exp": int(time.time()) + 3600} | claims
        return {name: value for name, value in said.items() if value is not None}

    def settings(self) -> dict[str, str]:
        """Return the settings of a server that believes this issuer."""
        return {"jwt_issuer": self.url, "jwt_audience": AUDIENCE, "jwt_ca": str(self.ca)}


def hmac_jwt(claims: Mapping[str, Any], header: object, secret: bytes) -> str:
    """Return a JWT that anybody could make: its signature is an HMAC with the secret."""
    text = f"{_base64(header)}.{_base64(claims)}"
    return f"{text}.{_base64(hmac.digest(secret, text.encode(), 'sha256'))}"


def _base64(part: object) -> str:
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextmanager
def issuer(authority: Authority) -> Iterator[Issuer]:
    """Run an issuer with one key, `first`, over HTTPS; yield it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.requests.append(self.path)
            served.go.wait(PATIENCE)
            page = served.pages.get(self.path)
            self.send_response(404 if page is None else 302 if isinstance(page, str) else 200)
            if isinstance(page, str):
                self.send_header("Location", page)
            self.end_headers()
            with suppress(OSError):  # it may have gone
                if callable(page):
                    page(self.wfile)
                else:
                    self.wfile.write(page if isinstance(page, bytes) else json.dumps(page).encode())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = authority.server_context().wrap_socket(server.socket, server_side=True)
    served = Issuer(f"https://127.0.0.1:{server.server_port}", authority.path)
    served.rotate("first")
    served.go.set()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield served
    finally:
        served.go.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def oidc_provider(**users: Mapping[str, object]) -> Iterator[str]:
    """Run a whole OIDC provider, which people can sign in to as these users with their claims; yield its issuer."""
    port = free_port()
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "oidc_provider_mock",
        "--port",
        str(port),
        "--require-nonce",
        "true",
    ]
    for sub, claims in users.items():
        command += ["--user-claims", json.dumps({"sub": sub, **claims})]
    url = f"http://127.0.0.1:{port}"
    with spawn(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: _listens(port) or process.poll() is not None)
        yield url


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

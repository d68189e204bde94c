"""A real nginx with the configuration of deploy/one-host/."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from helm.generate import ROOT
from marquee.v1.recognizer_pb2_grpc import RecognizerServiceStub
from tests.support.processes import free_port, run, spawn, wait_until

FILE = ROOT / "deploy" / "one-host" / "nginx.conf"


@dataclass(frozen=True)
class Nginx:
    """A running nginx with the project's configuration."""

    port: int
    certificate: bytes

    def channel(self) -> grpc.Channel:
        """Return a channel with TLS."""
        credentials = grpc.ssl_channel_credentials(self.certificate)
        options = [("grpc.max_send_message_length", 64 << 20), ("grpc.enable_retries", 0)]
        return grpc.secure_channel(f"localhost:{self.port}", credentials, options)

    def refusal(self, call: Callable[[RecognizerServiceStub], object]) -> tuple[grpc.StatusCode, str]:
        """Return the code and message of a call that must fail."""
        with self.channel() as channel, pytest.raises(grpc.RpcError) as failed:
            call(RecognizerServiceStub(channel))
        return failed.value.code(), failed.value.details() or ""


@contextmanager
def running(folder: Path, gateway: str) -> Iterator[Nginx]:
    """Run nginx in front of the gateway at host:port, with its files in `folder`; skip the test if nginx is missing."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/bin")
    if program is None:
        pytest.skip("nginx is missing: apt-get install nginx-core")
    port = free_port()
    _write_files(folder, port, gateway)
    with spawn([program, "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]) as process:
        wait_until(lambda: (folder / "pid").exists() or process.poll() is not None)
        assert process.poll() is None, (folder / "error.log").read_text()
        yield Nginx(port, (folder / "fullchain.pem").read_bytes())


def _write_files(folder: Path, port: int, gateway: str) -> None:
    _certificate(folder)
    (folder / "callers.conf").write_text('"Bearer open-sesame" tests;\n')
    (folder / "marquee.conf").write_text(_adapted(FILE.read_text(), folder, port, gateway))
    own = f"pid {folder}/pid; error_log {folder}/error.log; daemon off; events {{}}\n"
    bodies = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(f"{own}http {{\n{bodies}include {folder}/marquee.conf;\n}}\n")


def _adapted(text: str, folder: Path, port: int, gateway: str) -> str:
    """Return the project's configuration, adapted to the test's folder, port and gateway."""
    text = text.replace("/etc/nginx/marquee/", f"{folder}/").replace("/var/log/nginx/", f"{folder}/")
    text = text.replace("    listen [::]:443 ssl http2;\n", "").replace("listen 443", f"listen 127.0.0.1:{port}")
    return text.replace("server 127.0.0.1:50051", f"server {gateway}")


def _certificate(folder: Path) -> None:
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    keys = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{folder}/privkey.pem"]
    command = ["openssl", "req", "-x509", "-days", "2", "-out", f"{folder}/fullchain.pem", *names, *keys]
    run(command).check_returncode()

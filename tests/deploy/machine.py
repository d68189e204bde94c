"""One machine as docs/one-host.md sets it up: real servers and a real nginx, with the files of deploy/one-host/."""

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
import httpx
import pytest
import trustme
from dotenv import dotenv_values

from helm.generate import ROOT
from local.stack import free_ports
from tests.deploy import manual
from tests.support.processes import PATIENCE, run, serving, spawn, wait_until

PAGE = ROOT / "docs" / "one-host.md"
_FILES = Path("deploy/one-host")
_MODEL = "/opt/marquee/models/svm/people.skops"
_DROP_INS = {"gateway": "token.conf", "web": "page.conf"}
_PORTS = (443, 8080, *range(50051, 50055), *range(9464, 9469))
_FOLDERS = (
    *("etc/systemd/system", "etc/logrotate.d", "etc/nginx/conf.d", "etc/nginx/sites-enabled"),
    *("etc/letsencrypt/live/localhost", "bin"),
    *(f"run/credentials/marquee@{name}.service" for name in _DROP_INS),
    *("var/lib/marquee/svm", "var/log/marquee/gateway", "var/log/marquee/web", "var/log/nginx"),
)
_PROGRAMS = {
    "certbot": 'while [ "$1" != --deploy-hook ]; do shift; done\nbash -c "$2"',
    "chgrp": "",
    "groupadd": "",
    "install": 'exec /usr/bin/install $(printf "%s\\n" "$@" | sed "/^-g$/,/^marquee$/d")',
    "marquee": f'exec {sys.executable} -m marquee "$@"',
    "nginx": "",
    "systemctl": "",
}
"""What stands in for programs of the page: no group is made, nothing is started, and certbot calls its hook alone."""


class Machine:
    """A machine below the folder, with ports of its own, on which the page's commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ports = {str(port): str(own) for port, own in zip(_PORTS, free_ports(len(_PORTS)), strict=True)}
        self._authority = trustme.CA()
        self._life = ExitStack()
        self._servers: dict[str, subprocess.Popen[bytes]] = {}
        for name in _FOLDERS:
            (folder / name).mkdir(parents=True)
        for name, text in _PROGRAMS.items():
            (folder / "bin" / name).write_text(f"#!/bin/bash\n{text}\n")
            (folder / "bin" / name).chmod(0o755)
        for source in filter(Path.is_file, (ROOT / _FILES).rglob("*")):
            copy = folder / source.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(self.place(source.read_text()))
        self.renew()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._life.close()

    def place(self, text: str) -> str:
        """Return the text with the machine's own paths and ports."""
        text = re.sub(rf"(?<=[:= ])({'|'.join(self._ports)})\b", lambda match: self._ports[match[0]], text)
        text = text.replace(_MODEL, str(ROOT / "models" / "svm" / "demo.skops"))
        return re.sub(r"(?<![\w$])/(etc|var|run)/", rf"{self.folder}/\1/", text)

    def port(self, number: int) -> int:
        """Return the machine's own port for one of the page."""
        return int(self._ports[str(number)])

    def follow(self, beginning: str, **environment: str) -> str:
        """Run the page's block that begins so; return what it prints."""
        (block,) = [one for one in manual.blocks(PAGE) if one.startswith(beginning)]
        return self.shell(block, **environment)

    def shell(self, commands: str, **environment: str) -> str:
        """Run commands as on the machine; return what they print."""
        own = {
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOST": "localhost",
            "RENEWED_LINEAGE": f"{self.folder}/etc/letsencrypt/live/localhost",
            "MARQUEE_CA": f"{self.folder}/ca.pem",
        }
        command = ["bash", "-euo", "pipefail", "-c", self.place(commands)]
        done = run(command, cwd=self.folder, env=os.environ | own | environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def renew(self) -> bytes:
        """Put a new certificate where certbot keeps it; return it."""
        issued = self._authority.issue_cert("localhost")
        folder = self.folder / "etc/letsencrypt/live/localhost"
        issued.private_key_pem.write_to_path(folder / "privkey.pem")
        issued.cert_chain_pems[0].write_to_path(folder / "fullchain.pem")
        self._authority.cert_pem.write_to_path(self.folder / "ca.pem")
        return issued.cert_chain_pems[0].bytes()

    def start(self, name: str) -> None:
        """Start a server as its unit does, and wait until it listens; with plaintext gRPC, until it serves."""
        if name in _DROP_INS:
            self._load_credentials(name)
        environment = {key: value or "" for key, value in dotenv_values(self._etc(f"{name}.env")).items()}
        log = self._life.enter_context((self.folder / f"{name}.log").open("ab"))
        command = [sys.executable, "-m", f"services.{name}"]
        process = self._life.enter_context(spawn(command, env=os.environ | environment, stderr=log))
        port = None if "MARQUEE_TLS_CERT" in environment else environment.get("MARQUEE_PORT")
        is_ready = (lambda: serving(f"localhost:{port}")) if port else (lambda: self._listens(name))
        wait_until(lambda: process.poll() is not None or is_ready())
        assert process.poll() is None, self.log(name)
        self._servers[name] = process

    def restart(self, name: str) -> None:
        """Stop a server and start it again."""
        self._servers[name].terminate()
        self._servers[name].wait(PATIENCE)
        self.start(name)

    def start_nginx(self) -> None:
        """Start nginx."""
        program = installed("nginx", "nginx-core")
        own, pid = self.folder / "nginx.conf", self.folder / "nginx.pid"
        own.write_text(self._nginx_configuration(pid))
        process = self._life.enter_context(spawn([program, "-e", f"{self.folder}/error.log", "-c", own]))
        wait_until(lambda: pid.exists() or process.poll() is not None)
        assert process.poll() is None, (self.folder / "error.log").read_text()

    def browser(self, port: int = 443, **options: Any) -> httpx.Client:
        """Return an HTTP client that trusts the machine's certificate, at nginx or at another port of the page."""
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        return httpx.Client(
            base_url=f"https://localhost:{self.port(port)}", verify=context, timeout=PATIENCE, **options
        )

    def channel(self, port: int = 443) -> grpc.Channel:
        """Return a channel with TLS to a port of the page."""
        credentials = grpc.ssl_channel_credentials((self.folder / "ca.pem").read_bytes())
        options = [("grpc.max_send_message_length", 64 << 20), ("grpc.enable_retries", 0)]
        return grpc.secure_channel(f"localhost:{self.port(port)}", credentials, options)

    def log(self, server: str) -> list[dict[str, Any]]:
        """Return the lines that the server has logged."""
        return _lines(self.folder / f"{server}.log")

    def audit(self) -> list[dict[str, Any]]:
        """Return the lines of the gateway's audit log."""
        return _lines(self.folder / "var/log/marquee/gateway/audit.log")

    def _etc(self, name: str) -> Path:
        return self.folder / "etc/marquee" / name

    def _listens(self, name: str) -> bool:
        return any(line["event"] == "listening" for line in self.log(name))

    def _load_credentials(self, server: str) -> None:
        """Give the server what its unit's drop-in names, as systemd does when it starts the unit."""
        unit = f"marquee@{server}.service"
        drop_in = (self.folder / f"etc/systemd/system/{unit}.d/{_DROP_INS[server]}").read_text()
        for name, path in re.findall(r"^LoadCredential=(\w+):(\S+)$", drop_in, re.MULTILINE):
            shutil.copy(path, self.folder / "run/credentials" / unit / name)

    def _nginx_configuration(self, pid: Path) -> str:
        """Return Debian's configuration around the project's, on the loopback alone."""
        user = "user root; " if os.geteuid() == 0 else ""  # nobody may write into this folder
        own = f"{user}pid {pid}; error_log {self.folder}/error.log; daemon off; events {{}}"
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        bodies = (f"{kind}_temp_path {self.folder}/{kind};" for kind in kinds)
        placed = (self.folder / "etc/nginx/conf.d/marquee.conf").read_text()
        placed = re.sub(r" *listen \[::\]:.*\n", "", placed).replace("listen ", "listen 127.0.0.1:")
        return "\n".join((own, "http {", *bodies, placed, "}\n"))


def installed(program: str, package: str) -> str:
    """Return where a program of the system is; skip the test if it is missing."""
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip(f"{program} is missing: apt-get install {package}")
    return path


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return a file's lines, which are JSON except for those of gRPC's core."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

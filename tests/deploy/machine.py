"""One machine as docs/one-host.md sets it up: real servers and a real nginx, with the files of deploy/one-host/."""

import json
import os
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Mapping
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
from local import ports
from tests.support import pages
from tests.support.pages import Block
from tests.support.processes import PATIENCE, run, serving, spawn, wait_until

PAGE = ROOT / "docs" / "one-host.md"
VERSION = "v2"
"""A later version than the one that is installed."""
LEFT_OUT = {
    "venvs/svm/bin/python -m services.svm.train people": "it needs people; tests/unit/svm/train has some",
    "grpcurl ": "Debian has no grpcurl",
    "export REGION=": "it makes AWS's objects; its commands are compared with AWS's own descriptions",
}
"""Beginnings of the page's blocks that tests do not type, and why."""
_VALUES = {
    "HOST": "localhost",
    "REPOSITORY": "/srv/marquee.git",
    "RECOGNIZERS": '"svm rekognition keras"',
    "S3_ALLOWED": "my-pictures/incoming/",
    "REGION": "eu-west-1",
    "DAILY_USD": "7.5",
    "VERSION": VERSION,
}
"""What is the reader's on the page."""
_CLONED = ("marquee", "services", "models", "deploy", "requirements", "helm/marquee/files", "pyproject.toml")
_PORTS = (443, 8080, *range(50051, 50055), *range(9464, 9469))
_FOLDERS = (
    *("etc/systemd/system", "etc/logrotate.d", "etc/nginx/conf.d", "etc/nginx/sites-enabled", "root", "srv", "opt"),
    *("etc/letsencrypt/live/localhost", "bin", "usr/local/bin"),
    *("var/lib/marquee/svm", "var/log/marquee/gateway", "var/log/marquee/web", "var/log/nginx"),
)
_PROGRAMS = {
    "apt-get": "",
    "certbot": 'while [ "$1" != --deploy-hook ]; do shift; done\nbash -c "$2"',
    "chgrp": "",
    "groupadd": "",
    "install": 'exec /usr/bin/install $(printf "%s\\n" "$@" | sed "/^-g$/,/^marquee$/d")',
    "npm": f'mkdir -p services/web && ln -sfn "{ROOT}/services/web/node_modules" services/web/',
    "pip": 'for last; do :; done; test -e "${last%[*}"',
    "python": 'if [ "$2" = pip ]; then exec pip "$@"; fi\nexec PYTHON "$@"',
    "python3": 'mkdir -p "$3/bin"\nln -sf "$(command -v python)" "$(command -v marquee)" "$3/bin/"',
    "marquee": 'exec PYTHON -m marquee "$@"',
    "systemctl": 'echo "$*" >> "$(dirname "$0")/systemctl.log"',
}
"""What stands in for programs: nothing is installed, no group is made, and certbot calls its hook alone.

What systemctl is asked for, the machine does after the block.
"""
_NOT_RUN = ("marquee@keras", "tensorflow-serving", "nginx")
"""Units that the machine does not run as units: two need Docker."""


class Machine:
    """A machine below the folder, with ports of its own, on which the page's commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ports = {str(port): str(own) for port, own in zip(_PORTS, ports.take(len(_PORTS)), strict=True)}
        self._authority = trustme.CA()
        self._life = ExitStack()
        self._servers: dict[str, subprocess.Popen[bytes]] = {}
        self._nginx: subprocess.Popen[bytes] | None = None
        self._token = ""
        self._variables = folder / "variables.sh"
        self._variables.touch()
        for name in _FOLDERS:
            (folder / name).mkdir(parents=True)
        for name, text in _PROGRAMS.items():
            pages.add_program(folder / "bin" / name, text.replace("PYTHON", sys.executable))
        self._add_nginx()
        self._make_repository()
        self.renew()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._life.close()

    def place(self, text: str) -> str:
        """Return the text with the machine's own paths and ports."""
        text = re.sub(r"https://\$HOST(?!:)", "https://$HOST:443", text)
        text = re.sub(rf"(?<=[:= ])({'|'.join(self._ports)})\b", lambda match: self._ports[match[0]], text)
        return re.sub(r"(?<![\w$}])/(etc|var|run|opt|root|srv|usr/local)/", rf"{self.folder}/\1/", text)

    def port(self, number: int) -> int:
        """Return the machine's own port for one of the page."""
        return int(self._ports[str(number)])

    def read(self, *headings: str) -> None:
        """Type all blocks of the page under these headings, by default all of it, but those in LEFT_OUT."""
        for block in pages.blocks(PAGE, "sh", "console"):
            if (not headings or block.heading in headings) and not reason(block):
                self.type(block)

    def follow(self, beginning: str, **environment: str) -> str:
        """Type the page's block that begins so; return what it prints."""
        (block,) = [block for block in pages.blocks(PAGE) if block.text.startswith(beginning)]
        return self.type(block, **environment)

    def type(self, block: Block, **environment: str) -> str:
        """Type the block's commands; return what they print, which must be what the page shows if it does."""
        printed = ""
        for step in block.steps:
            output = self.shell(self._answer(step.command, environment), **environment).replace(str(self.folder), "")
            differs = pages.difference(step.output, output) if step.output is not None else ""
            assert not differs, f"{step.command}\n{differs}\n\n{output}"
            printed += output
            self._token = next(iter(re.findall(r"^mq_\S+$", output, re.MULTILINE)), self._token)
        return printed

    def _answer(self, command: str, environment: Mapping[str, str]) -> str:
        """Return the command with what a reader fills in: own values, and the last token where it waits for one."""
        command = re.sub(r"^(export (\w+)=)\S.*(?=  # yours)", _own_value, command, flags=re.MULTILINE)
        waits = re.compile(r"^read -rs (\w+)$", re.MULTILINE)
        return waits.sub(
            lambda match: f"{match[1]}={environment.get(match[1], self._token)}\n{_known(match[1])}", command
        )

    def shell(self, commands: str, **environment: str) -> str:
        """Run commands as on the machine, in one shell with those before; return what they print."""
        cloned = self.folder / "opt/marquee"
        own = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
        kept = f". {self._variables}; trap 'export -p > {self._variables}' EXIT\n"
        command = ["bash", "-euo", "pipefail", "-c", kept + own + self.place(commands)]
        folder = cloned if cloned.exists() else self.folder
        printed = self._run(command, folder, self._environment())
        self._obey()
        return printed

    def _run(self, command: list[str], folder: Path, environment: dict[str, str]) -> str:
        done = run(command, cwd=folder, env=environment, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def _environment(self) -> dict[str, str]:
        own = {
            "PATH": f"{self.folder}/bin:{self.folder}/usr/local/bin:{os.environ['PATH']}",
            "RENEWED_LINEAGE": f"{self.folder}/etc/letsencrypt/live/localhost",
            "MARQUEE_CA": f"{self.folder}/ca.pem",
            "AWS_ACCESS_KEY_ID": "as the role",
            "AWS_SECRET_ACCESS_KEY": "as the role",
        }
        return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | own

    def _add_nginx(self) -> None:
        """Put an nginx there that reads Debian's configuration around the project's."""
        program = installed("nginx", "nginx-core")
        user = "user root; " if os.geteuid() == 0 else ""  # nobody may write into this folder
        own = f"{user}pid {self.folder}/nginx.pid; error_log {self.folder}/error.log; daemon off; events {{}}"
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        bodies = (f"{kind}_temp_path {self.folder}/{kind};" for kind in kinds)
        include = f"include {self.folder}/etc/nginx/conf.d/*.conf;"
        (self.folder / "nginx.conf").write_text("\n".join((own, "http {", *bodies, include, "}\n")))
        command = f'exec {program} -e {self.folder}/error.log -c {self.folder}/nginx.conf "$@"'
        pages.add_program(self.folder / "bin" / "nginx", command)

    def _make_repository(self) -> None:
        """Make the repository that is cloned: this project, with the machine's paths and ports, on the loopback."""
        place = self.folder / "srv/marquee.git"
        names = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *_CLONED], cwd=ROOT).stdout
        for name in filter(None, names.split("\0")):
            copy = place / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_file():
                shutil.copy(ROOT / name, copy)
            if name.startswith("deploy/one-host/"):
                text = re.sub(r" *listen \[::\]:.*\n", "", self.place(copy.read_text()))
                copy.write_text(re.sub(r"listen (?=\d)", "listen 127.0.0.1:", text))
        git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
        for arguments in (
            ["init", "--quiet"],
            ["add", "--all", "--force"],
            ["commit", "--quiet", "--message=v1"],
            ["tag", VERSION],
        ):
            run([*git, *arguments], cwd=place).check_returncode()

    def _obey(self) -> None:
        """Do what systemctl was asked for."""
        log = self.folder / "bin/systemctl.log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        for verb, *units in map(shlex.split, lines):
            if verb == "reload" and units == ["nginx"]:
                self._reload_nginx()
            for unit in self._named(units) if verb in ("enable", "restart") else ():
                self._restart(unit.removeprefix("marquee@"))

    def _named(self, units: list[str]) -> list[str]:
        if units == ["marquee@*"]:
            return [f"marquee@{name}" for name in self._servers]
        return [unit for unit in units if unit not in _NOT_RUN and not unit.startswith("--")]

    def _restart(self, name: str) -> None:
        """Stop a server if it runs, and start it as its unit says."""
        if running := self._servers.pop(name, None):
            running.terminate()
            running.wait(PATIENCE)
        self.start(name)

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
        unit = (self.folder / "etc/systemd/system/marquee@.service").read_text().replace("%i", name)
        says = dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))
        self._load_credentials(name)
        environment = {key: value or "" for key, value in dotenv_values(says["EnvironmentFile"]).items()}
        environment |= dict(pair.split("=") for pair in says["Environment"].split())
        if name == "web" and "MARQUEE_TLS_CERT" in environment:
            environment["MARQUEE_WEB_GATEWAY_CA"] = str(self.folder / "ca.pem")  # certbot's is a public one
        log = self._life.enter_context((self.folder / f"{name}.log").open("ab"))
        everything = self._environment() | environment
        process = self._life.enter_context(
            spawn(says["ExecStart"].split(), cwd=Path(says["WorkingDirectory"]), env=everything, stderr=log)
        )
        port = None if "MARQUEE_TLS_CERT" in environment else environment.get("MARQUEE_PORT")
        before = self._listened(name)
        is_ready = (lambda: serving(f"localhost:{port}")) if port else (lambda: self._listened(name) > before)
        wait_until(lambda: process.poll() is not None or is_ready())
        assert process.poll() is None, self.log(name)
        self._servers[name] = process

    def _reload_nginx(self) -> None:
        """Start nginx, or let the one that runs read its files again."""
        if self._nginx:
            self._nginx.send_signal(signal.SIGHUP)
            return
        pid = self.folder / "nginx.pid"
        self._nginx = self._life.enter_context(spawn([self.folder / "bin/nginx"]))
        wait_until(lambda: (pid.exists() and pid.read_text()) or (self._nginx and self._nginx.poll() is not None))
        assert self._nginx.poll() is None, (self.folder / "error.log").read_text()

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

    def _listened(self, name: str) -> int:
        return sum(line["event"] == "listening" for line in self.log(name))

    def _load_credentials(self, server: str) -> None:
        """Give the server what its unit's drop-ins name, as systemd does when it starts the unit."""
        unit = f"marquee@{server}.service"
        own = self.folder / "run/credentials" / unit
        own.mkdir(parents=True, exist_ok=True)
        for drop_in in (self.folder / f"etc/systemd/system/{unit}.d").glob("*.conf"):
            for name, path in re.findall(r"^LoadCredential=(\w+):(\S+)$", drop_in.read_text(), re.MULTILINE):
                shutil.copy(path, own / name)


def reason(block: Block) -> str:
    """Return why the block is left out, "" if it is typed."""
    return next((why for beginning, why in LEFT_OUT.items() if block.text.startswith(beginning)), "")


def _known(name: str) -> str:
    """Return a command that waits until the gateway knows the token in the variable."""
    call = 'MARQUEE_TOKEN="$0" marquee recognizers --address "https://$HOST"'
    return f"timeout {PATIENCE} bash -c 'until {call}; do sleep 0.2; done' \"${name}\" >/dev/null 2>&1"


def _own_value(match: re.Match[str]) -> str:
    """Return the line with this machine's value. Raises KeyError if the page asks for one that is not known here."""
    return match[1] + _VALUES[match[2]]


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

"""Somebody who follows pages: in a checkout, with a terminal, and more terminals for what goes on running."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.pages import Block, Step, Terminal, add_program, blocks, difference, outside_make, terminal
from tests.support.processes import PATIENCE, ROOT, free_port, spawn, train_python, wait_until

_SYSTEMS = ("python -m local ", "make demo")
_PORTS = ("9000", "9474", "50053")
"""Ports that commands of the pages name; a test has free ones."""
_OWN = {".git", ".local", ".venv", ".venv-train", "docs", "models", "dist", "build"}
"""What a checkout does not have from this one, or has a copy of."""


class Reader:
    """Types the pages' commands; those that download only where nothing is installed."""

    def __init__(
        self, folder: Path, files: Path, life: ExitStack, environment: Mapping[str, str], *, installs: bool = False
    ) -> None:
        self.folder = folder
        self._files = files
        self._life = life
        self._given = environment
        self._installs = installs
        self._ports = {port: str(free_port()) for port in _PORTS}
        self._running: dict[str, tuple[subprocess.Popen[str], Path]] = {}

    def follow(self, page: Path) -> Iterator[tuple[Step, str]]:
        """Type the page's commands, each with what it prints."""
        place = self.folder if self.folder.exists() else self.folder.parent
        with terminal(place, self._new(page.stem), **self._environment()) as shell:
            for block in blocks(page, "sh", "console"):
                if "install" in block.marks and not self._installs:
                    continue
                if "background" in block.marks:
                    yield block.steps[-1], self._usual(self._start(block))
                else:
                    yield from ((step, self._type(shell, step)) for step in block.steps)
        self._end(lambda command: not command.startswith(_SYSTEMS))

    def _type(self, shell: Terminal, step: Step) -> str:
        code, printed = shell.type(self._own(step.command))
        assert code == 0 or (step.output or "").strip() not in ("", "…"), (
            f"$ {step.command}\nexit code {code}\n{printed}"
        )
        return self._usual(printed)

    def _start(self, block: Block) -> str:
        """Run the block's commands in a terminal of their own, unless they do already; return what they print.

        There is one whole system at a time.
        """
        key = block.steps[-1].command
        if key not in self._running:
            if key.startswith(_SYSTEMS):
                self._end(lambda other: other.startswith(_SYSTEMS))
            self._running[key] = self._spawn(block)
        return self._running[key][1].read_text("utf-8")

    def _spawn(self, block: Block) -> "tuple[subprocess.Popen[str], Path]":
        log, commands = self._new("log"), "\n".join(self._own(step.command) for step in block.steps)
        process = self._life.enter_context(
            spawn(
                ["bash", "-c", f"{{ set -e\n{commands}\n}} >{shlex.quote(str(log))} 2>&1"],
                cwd=self.folder,
                env=outside_make() | self._environment(),
                text=True,
            )
        )
        ready = f"{(block.steps[-1].output or '').rstrip()}\n…\n"
        wait_until(lambda: process.poll() is not None or not difference(ready, self._usual(_text(log))), 3 * PATIENCE)
        assert process.poll() is None, f"{commands}\n{_text(log)}"
        return process, log

    def _end(self, which: Callable[[str], bool]) -> None:
        """Press Ctrl-C in the terminals of these commands."""
        for command in [command for command in self._running if which(command)]:
            process, _ = self._running.pop(command)
            os.killpg(process.pid, signal.SIGINT)
            process.wait(PATIENCE)

    def _new(self, name: str) -> Path:
        return self._files / f"{len(list(self._files.iterdir()))}-{name}"

    def _environment(self) -> dict[str, str]:
        kept = {"AWS_EC2_METADATA_DISABLED": "true", "COLUMNS": "128", "XDG_STATE_HOME": str(self._files / "state")}
        return kept | dict(self._given)

    def _own(self, command: str) -> str:
        pattern = rf"(?<=[:= ])({'|'.join(self._ports)})\b"
        command = re.sub(pattern, lambda match: self._ports[match[0]], command)
        page = re.search(r"Open (http://\S+)", self._printed())
        return command.replace("http://127.0.0.1:8080", page[1]) if page else command

    def _usual(self, printed: str) -> str:
        for usual, own in self._ports.items():
            printed = printed.replace(f":{own}", f":{usual}")
        return printed.replace(f"{self.folder}/", "")

    def _printed(self) -> str:
        return "".join(_text(log) for command, (_, log) in self._running.items() if command.startswith(_SYSTEMS))


def _text(path: Path) -> str:
    return path.read_text("utf-8", "replace") if path.exists() else ""


@contextmanager
def reader(folder: Path) -> Iterator[Reader]:
    """Make a checkout below the folder, with programs that stand for those that `make` installs; yield its Reader.

    What goes on running ends afterwards.
    """
    checkout, files = folder / "marquee", folder / "files"
    files.mkdir(parents=True)
    _check_out(checkout)
    path = f"{checkout / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {"HOME": str(files), "PATH": path, "PYTHONPATH": str(checkout)}
    with ExitStack() as life:
        yield Reader(checkout, files, life, environment)


@contextmanager
def newcomer(folder: Path) -> Iterator[Reader]:
    """Yield a Reader in an empty folder, with none of this environment's packages, who installs what pages say.

    Its `git clone "$REPOSITORY"` clones this repository; the AWS CLI alone is the tests'.
    """
    files, programs = folder / "files", folder / "programs"
    files.mkdir(parents=True)
    _aws(programs / "aws")
    outside = [part for part in os.environ["PATH"].split(os.pathsep) if not part.startswith(sys.prefix)]
    environment = {
        "PATH": os.pathsep.join([str(programs), *outside]),
        "PYTHONPATH": "",
        "REPOSITORY": str(ROOT),
        "VIRTUAL_ENV": "",
    }
    with ExitStack() as life:
        yield Reader(folder / "marquee", files, life, environment, installs=True)


def _check_out(folder: Path) -> None:
    folder.mkdir()
    for path in ROOT.iterdir():
        if path.name not in _OWN:
            (folder / path.name).symlink_to(path)
    for name in ("docs", "models"):  # what pages write into
        (folder / name).mkdir()
        for path in (ROOT / name).iterdir():
            (folder / name / path.name).symlink_to(path)
    (folder / "dist").mkdir()
    (folder / "dist/marquee-lambda.zip").write_bytes(_EMPTY_ZIP)
    python = shlex.quote(sys.executable)
    add_program(folder / ".venv/bin/python", f'exec {python} "$@"')
    add_program(folder / ".venv/bin/marquee", f'exec {python} -m marquee "$@"')
    _aws(folder / ".venv/bin/aws")
    add_program(folder / ".venv-train/bin/python", f'exec {shlex.quote(train_python())} "$@"')
    (folder / ".venv/bin/activate").write_text(f'PATH="{folder}/.venv/bin:$PATH"\n')


_EMPTY_ZIP = b"PK\x05\x06" + bytes(18)
"""Stands for the function's package, which `make lambda` downloads parts of."""


def _aws(path: Path) -> None:
    root, python = shlex.quote(str(ROOT)), shlex.quote(sys.executable)
    add_program(path, f'PYTHONPATH={root} exec {python} -m tests.support.awscli "$@"')

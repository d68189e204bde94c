"""Write into the pages what their commands print, and the picture that the README shows, from a run of the demo.

usage: PYTHONPATH=. python docs/outputs.py [--check]

Starts the demo in an empty folder and types the console blocks of PAGES there. An output stays as it is unless it
differs by more than times, dates, ports or .05 of a score; so does the picture, unless something in it moved. Blocks
of Python and shell are run, too, but those marked `example` or `install`. With --check nothing is written, and exits
with what differs.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageChops

from tests.support.pages import Block, Step, Terminal, blocks, difference, terminal
from tests.support.processes import PATIENCE, free_port, spawn, wait_until

_DOCS = Path(__file__).resolve().parent
_ROOT = _DOCS.parent
PAGES = (_ROOT / "README.md", *(_DOCS / f"{name}.md" for name in ("command", "enroll", "client")))
PICTURE = _DOCS / "both.png"
_DEMO = "make demo"
_READY = "Ctrl-C stops everything."
_RELOADED = '"what": "configuration"'
"""In the gateway's log, once it has read its file again."""
_CODES = (0, 1)
"""Exit codes of commands that did their work, also where a picture was refused."""
_LEFT_OUT = {"example", "install"}
_BIN = Path(sys.executable).parent
_SEEN = 48
"""Difference of a channel, of 255, in an eighth of the picture's size: less is another version of Pillow's."""


@dataclass(frozen=True)
class Run:
    """The running demo: what it has printed, a terminal in its folder, and the ports that it was given."""

    folder: Path
    printed: str
    terminal: Terminal
    ports: dict[str, str]
    """By those that the pages name."""

    def prints(self, command: str) -> str:
        """Return what the command prints, with the addresses and paths of the pages. Exits if it fails."""
        code, text = (0, self.printed) if command == _DEMO else self.terminal.type(command)
        if code not in _CODES or "Traceback" in text:
            sys.exit(f"$ {command}\nexit code {code}\n{text}")
        for usual, port in self.ports.items():
            text = text.replace(f":{port}", f":{usual}")
        lines = text.replace(str(_BIN), ".venv/bin").replace(f"{self.folder}/", "").splitlines()
        return "\n".join(line.rstrip() for line in lines).strip("\n")

    def follow(self, block: Block) -> None:
        """Run the block of Python or shell. Exits if it fails."""
        text = block.text
        for usual, port in self.ports.items():
            text = text.replace(f":{usual}", f":{port}")
        script = self.folder / "block.py"
        script.write_text(text, "utf-8")
        code, printed = self.terminal.type(f"python {script.name}" if block.language == "python" else text)
        if code:
            sys.exit(f"{block}\n{printed}")


def main() -> None:
    """Write the pages and the picture; with --check exit with what differs."""
    with TemporaryDirectory() as folder, _demo(Path(folder)) as run:
        faults = [fault for page in PAGES for fault in _follow(page, run)]
        faults += _draw(run.folder / PICTURE.name)
    if faults and "--check" in sys.argv[1:]:
        sys.exit("\n\n".join([*faults, "Run `make docs`."]))


@contextmanager
def _demo(folder: Path) -> Iterator[Run]:
    """Run the demo with its files below the folder. It starts where its models are, as `make demo` does."""
    ports = {"50051": str(free_port()), "8080": str(free_port())}
    state, log = folder / ".local", folder / ".log"
    command = [sys.executable, "-m", "local", "--demo", "--state", state, "--port", ports["50051"]]
    inactive = os.environ | {"PATH": _path_without(_BIN)}  # as for whoever has just cloned
    with (
        log.open("w") as output,
        spawn([*command, "--web-port", ports["8080"]], stdout=output, env=inactive) as process,
    ):
        wait_until(lambda: _READY in log.read_text() or process.poll() is not None, 2 * PATIENCE)
        environment = {
            "COLUMNS": "128",
            "MARQUEE_ADDRESS": f"localhost:{ports['50051']}",
            "PATH": f"{_BIN}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(_ROOT),
        }
        with terminal(folder, folder / ".typed", **environment) as shell:
            _forget(folder / ".local" / "gateway.yaml")
            shell.type('marquee() { python -m marquee "$@"; }; curl() { command curl --fail "$@"; }')
            yield Run(folder, log.read_text(), shell, ports)
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)


def _forget(gateway: Path) -> None:
    """Turn the cache off: a page shows what its reader gets, who has not just read the others."""
    gateway.write_text(json.dumps(json.loads(gateway.read_text("utf-8")) | {"cache": {"mib": 0}}), "utf-8")
    log = gateway.parent / "logs" / "gateway.log"
    wait_until(lambda: _RELOADED in log.read_text("utf-8"), PATIENCE)


def _path_without(folder: Path) -> str:
    return os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if Path(part) != folder)


def _follow(page: Path, run: Run) -> Iterator[str]:
    """Write the page anew where it differs, unless only asked to check; yield what differed."""
    text = page.read_text("utf-8")
    for block in blocks(page, "console", "python", "sh"):
        if block.language != "console":
            if not _LEFT_OUT.intersection(block.marks):
                run.follow(block)
            continue
        fresh, faults = _typed(block, run)
        yield from (f"{block}\n{fault}" for fault in faults)
        if faults:
            text = text.replace(block.text, fresh)
    if "--check" not in sys.argv[1:]:
        page.write_text(text, "utf-8")


def _typed(block: Block, run: Run) -> tuple[str, list[str]]:
    """Return the block as it prints now, and what is different about that."""
    steps, faults = [], []
    for step in block.steps:
        printed = run.prints(step.command)
        if differs := difference(step.output or "", printed):
            faults.append(f"$ {step.command}\n{differs}")
            printed = f"…\n{printed}" if (step.output or "").startswith("…\n") else printed
            steps.append(Step(step.command, printed))
        else:
            steps.append(step)
    return "\n\n".join(f"$ {step.command}\n{(step.output or '').strip(chr(10))}" for step in steps) + "\n", faults


def _draw(drawn: Path) -> Iterator[str]:
    """Keep the picture that the README's command drew, if it shows something else than the one that is kept."""
    fresh = Image.open(drawn).convert("RGB")
    if PICTURE.exists() and _looks_like(Image.open(PICTURE).convert("RGB"), fresh):
        return
    yield f"{PICTURE.relative_to(_ROOT)} is not what the README's command draws."
    if "--check" not in sys.argv[1:]:
        fresh.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(PICTURE, optimize=True)


def _looks_like(one: Image.Image, other: Image.Image) -> bool:
    small = [picture.resize((picture.width // 8, picture.height // 8)) for picture in (one, other)]
    return one.size == other.size and max(high for _, high in ImageChops.difference(*small).getextrema()) < _SEEN


if __name__ == "__main__":
    main()

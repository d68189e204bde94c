"""Pages of Markdown as tests follow them: their blocks, the commands in these, and a terminal to type them into.

The first word after a fence is the block's language, the others are marks, which GitHub does not show. A `sh` block is
one piece of shell. In a `console` block a line that begins with "$ " is a command, "> " continues it, and the lines
below are its output. Marks that the tests know:

- `aws`: calls AWS. The tests compare it with AWS's own description of its services, and run it against the stand-ins.
- `background`: goes on running in a terminal of its own, and is ready once it has printed what the page shows.
- `example`: needs what only its reader has; no test runs it.
- `install`: downloads; only the journey from an empty environment types it.
- a path: the block is the file's text, or in `diff` the lines of it that change.
"""

import difflib
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Self

from tests.support.processes import PATIENCE, run, spawn, wait_until

_FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,}|~{3,}) *(?P<info>[^\n`]*)\n(?P<text>.*?)^ *(?P=fence) *$", re.MULTILINE | re.DOTALL
)
_HEADING = re.compile(r"^#+ +(.*?) *#*$", re.MULTILINE)
_ENDS = ("|", ";", ")", "&")
_MAKE = {"MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"}


@dataclass(frozen=True)
class Step:
    """A command, and what it prints according to the page: None if the page does not say."""

    command: str
    output: str | None = None


@dataclass(frozen=True)
class Block:
    """A fenced block, its first line's number, and the heading under which it stands."""

    page: Path
    line: int
    heading: str
    language: str
    marks: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        """Return where the block is and how it begins, as a test's id."""
        return f"{self.page.name}:{self.line} {self.text.partition(chr(10))[0][:40]}"

    @property
    def steps(self) -> Sequence[Step]:
        """The block's commands: one in `sh`, those after "$ " in `console`, none in other languages."""
        if self.language == "console":
            return list(_typed(self.text.splitlines()))
        return [Step(self.text)] if self.language in ("sh", "bash") else []


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return the page's blocks in these languages, all of them if none is named. One without a language has ""."""
    text = page.read_text("utf-8")
    return [block for block in _blocks(page, text) if not languages or block.language in languages]


def _blocks(page: Path, text: str) -> Iterator[Block]:
    for match in _FENCE.finditer(text):
        before = text[: match.start()]
        headings = _HEADING.findall(_FENCE.sub("", before))
        language, *marks = match["info"].split() or [""]
        content = re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
        yield Block(page, before.count("\n") + 1, headings[-1] if headings else "", language, tuple(marks), content)


def _typed(lines: Sequence[str]) -> Iterator[Step]:
    command: list[str] = []
    output: list[str] = []
    for line in lines:
        if line.startswith("$ "):
            if command:
                yield Step("\n".join(command), "\n".join(output))
            command, output = [line[2:]], []
        elif not output and command and (line[:2] in ("> ", ">") or command[-1].endswith("\\")):
            command.append(line.removeprefix(">").removeprefix(" ") if line.startswith(">") else line)
        else:
            output.append(line)
    if command:
        yield Step("\n".join(command), "\n".join(output))


def calls(shell: str, program: str) -> list[str]:
    """Return every call of the program in the shell's text, even within another command, up to its end."""
    joined = re.sub(r" *\\\n *", " ", shell)
    places = re.finditer(rf"(?:^|[(;|&] *|do |then |! ){re.escape(program)} (?=\S)", joined, re.MULTILINE)
    starts = (match.end() - len(program) - 1 for match in places)
    return [_first(joined[start:]) for start in starts]


def _first(text: str) -> str:
    """Return the text up to an unquoted line end, pipe, semicolon or closing parenthesis."""
    quote, depth = "", 0
    for place, character in enumerate(text):
        if quote:
            quote = "" if character == quote and text[place - 1] != "\\" else quote
        elif character in "\"'":
            quote = character
        elif character == "(":
            depth += 1
        elif character == ")" and depth:
            depth -= 1
        elif character == "\n" or character in _ENDS:
            return text[:place].strip()
    return text.strip()


def check_shell(text: str) -> None:
    """Check that Bash parses the text without errors."""
    done = run(["bash", "-n", "-c", text])
    assert (done.returncode, done.stderr) == (0, ""), text


def add_program(path: Path, text: str, interpreter: str = "/bin/bash") -> None:
    """Write a program that stands in for one that a page calls."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{interpreter}\n{text}\n")
    path.chmod(0o755)


_TOLERANCE = 0.05
"""How far a score may be from the page's; a confidence of 0 to 100 by as many hundredths of it."""
_VARY = (
    (re.compile(r"\x1b\[[0-9;]*[A-Za-z]"), ""),
    (re.compile(r"([━─═│┃┏┓┡┩└┘┠┨╇┳┻])\1+"), r"\1"),
    (re.compile(r"[ \t]+"), " "),
    (re.compile(r" $", re.MULTILINE), ""),
    (re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?)?"), "DATE"),
    (re.compile(r"\b(127\.0\.0\.1|localhost):\d+"), r"\1:PORT"),
    (re.compile(r"\b[0-9a-f]{8}(?:-?[0-9a-f]{4,}){0,4}\b"), "HEX"),
    (re.compile(r"\b\d+(?:\.\d+)? (ms|s|seconds|KB|MB|MiB)\b"), r"N \1"),
    (re.compile(r"\b(ok|partial|error|timeout|shed|skipped) +\d+\b"), r"\1 N"),
    (re.compile(r"│ \d+ │$", re.MULTILINE), "│ N │"),
)
"""What differs from run to run, and what takes its place: colours, widths, dates, ports, digests, times."""
_PARTS = re.compile(r"(^…\n|…|(?<![$\d])-?\d+\.\d+)", re.MULTILINE)


def difference(expected: str, printed: str) -> str:
    """Return how a command's output differs from the page's, "" if it does not.

    "…" on the page stands for anything, alone in a line for any lines. Scores may differ by .05; dates, times, ports,
    digests and the widths of tables do not count.
    """
    wanted, got = (_plain(text) for text in (expected, printed))
    parts = _PARTS.split(wanted)
    match = re.fullmatch("".join(map(_pattern, parts)), got, re.DOTALL)
    scores = [float(part) for part in parts if _is_score(part)]
    if match and all(map(_is_near, scores, map(float, match.groups()))):
        return ""
    return "\n".join(difflib.unified_diff(wanted.splitlines(), got.splitlines(), "page", "printed", lineterm=""))


def _plain(text: str) -> str:
    for pattern, replacement in _VARY:
        text = pattern.sub(replacement, text)
    return text.strip("\n") + "\n"


def _pattern(part: str) -> str:
    if part == "…\n":
        return r"(?:[^\n]*\n)*?"
    if part == "…":
        return r"[^\n]*?"
    return r"(-?\d+\.\d+)" if _is_score(part) else re.escape(part)


def _is_score(part: str) -> bool:
    return bool(re.fullmatch(r"-?\d+\.\d+", part))


def _is_near(expected: float, printed: float) -> bool:
    return abs(expected - printed) <= _TOLERANCE * max(1, abs(expected)) + 1e-9


class Terminal:
    """A Bash in which a page's commands are typed one after another, so that variables and the folder stay."""

    def __init__(self, process: "subprocess.Popen[str]", files: Path) -> None:
        self._process = process
        self._files = files
        self._numbers = count()

    def type(self, command: str) -> tuple[int, str]:
        """Run the command to its end; return its exit code and what it printed, errors included."""
        step = self._files / str(next(self._numbers))
        step.write_text(command + "\n")
        output, code = step.with_suffix(".out"), step.with_suffix(".code")
        file, out, new, done = (shlex.quote(str(path)) for path in (step, output, step.with_suffix(".new"), code))
        line = f". {file} </dev/null >{out} 2>&1; echo $? >{new}; mv {new} {done}"
        print(line, file=self._process.stdin, flush=True)
        wait_until(lambda: code.exists() or self._process.poll() is not None, 5 * PATIENCE)
        assert code.exists(), f"the shell ended: {command}\n{output.read_text()}"
        return int(code.read_text()), output.read_text("utf-8")

    def follow(self, step: Step) -> str:
        """Type the step's command; return what it printed, which must be what the page shows, if it shows anything."""
        code, printed = self.type(step.command)
        assert code == 0 or step.output, f"{step.command}\nexit code {code}\n{printed}"
        if step.output is not None:
            differs = difference(step.output, printed)
            assert not differs, f"{step.command}\n{differs}\n\n{printed}"
        return printed

    def __enter__(self) -> Self:
        return self


def outside_make() -> dict[str, str]:
    """Return the environment without what `make test` adds to it: a `make` in it is as quiet as a reader's."""
    return {name: value for name, value in os.environ.items() if name not in _MAKE}


@contextmanager
def terminal(folder: Path, files: Path, **environment: str) -> Iterator[Terminal]:
    """Open a Terminal in the folder, which keeps its own files in another; whatever it started ends with it."""
    files.mkdir(parents=True, exist_ok=True)
    bash = ["bash", "--noprofile", "--norc"]
    with spawn(bash, cwd=folder, env=outside_make() | environment, stdin=subprocess.PIPE, text=True) as process:
        yield Terminal(process, files)

"""What a page of the manual tells people to type."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.support.processes import run

_NOBODY_THERE = re.compile(r"127\.0\.0\.1:9\b.*(refused|did you specify)")


def blocks(page: Path, language: str = "sh") -> list[str]:
    """The page's blocks in a language: shell commands."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def commands(page: Path, program: str) -> list[str]:
    """Every call of the program, also inside another command, up to what ends it."""
    found = re.findall(rf"(?:^|[(;|] *|do ){program} [^\n]*", "\n".join(blocks(page)), re.MULTILINE)
    return [_first(each[each.index(program) :]) for each in found]


def check_shell(block: str) -> None:
    """Bash reads the block without finding fault."""
    checked = run(["bash", "-n", "-c", block])
    assert (checked.returncode, checked.stderr) == (0, ""), block


def check_kubectl(command: str) -> None:
    """Kubectl knows subcommand and flags: all it misses is a cluster. Skips the test where it is missing."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is missing: apt-get install kubernetes-client")
    asked = [kubectl, *shlex.split(command)[1:], "--server=http://127.0.0.1:9", "--request-timeout=2s"]
    done = run(asked)
    assert done.returncode == 0 or _NOBODY_THERE.search(done.stderr), (command, done.stderr)


def _first(text: str) -> str:
    """The text up to a pipe, a semicolon or a closing parenthesis that stands in no quotes."""
    quote = ""
    for place, character in enumerate(text):
        if quote:
            quote = "" if character == quote and text[place - 1] != "\\" else quote
        elif character in "\"'":
            quote = character
        elif character in "|;)":
            return text[:place].strip()
    return text.strip()

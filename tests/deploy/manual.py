"""The commands on a page of the manual."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.support.processes import run

_NO_SERVER = re.compile(r"127\.0\.0\.1:9\b.*(refused|did you specify)")


def blocks(page: Path, language: str = "sh") -> list[str]:
    """Return the page's code blocks in a language, shell by default."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def commands(page: Path, program: str) -> list[str]:
    """Return every call of the program, even within another command, up to its end."""
    matches = re.findall(rf"(?:^|[(;|] *|do ){program} [^\n]*", "\n".join(blocks(page)), re.MULTILINE)
    return [_first(each[each.index(program) :]) for each in matches]


def check_shell(block: str) -> None:
    """Check that Bash parses the block without errors."""
    done = run(["bash", "-n", "-c", block])
    assert (done.returncode, done.stderr) == (0, ""), block


def check_kubectl(command: str) -> None:
    """Check that kubectl accepts the command and only lacks a cluster; skip the test if kubectl is missing."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is missing: apt-get install kubernetes-client")
    arguments = [kubectl, *shlex.split(command)[1:], "--server=http://127.0.0.1:9", "--request-timeout=2s"]
    done = run(arguments)
    assert done.returncode == 0 or _NO_SERVER.search(done.stderr), (command, done.stderr)


def _first(text: str) -> str:
    """Return the text up to an unquoted pipe, semicolon or closing parenthesis."""
    quote = ""
    for place, character in enumerate(text):
        if quote:
            quote = "" if character == quote and text[place - 1] != "\\" else quote
        elif character in "\"'":
            quote = character
        elif character in "|;)":
            return text[:place].strip()
    return text.strip()

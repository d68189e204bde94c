"""The commands on a page of the manual."""

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.support import pages
from tests.support.processes import run

_NO_SERVER = re.compile(r"127\.0\.0\.1:9\b.*(refused|did you specify)|no objects passed to apply")


def blocks(page: Path, language: str = "sh") -> list[str]:
    """Return the page's code blocks in a language, shell by default."""
    return [block.text for block in pages.blocks(page, language)]


def commands(page: Path, program: str) -> list[str]:
    """Return every call of the program, even within another command, up to its end."""
    return pages.calls("\n".join(blocks(page)), program)


def check_kubectl(command: str) -> None:
    """Check that kubectl accepts the command and only lacks a cluster; skip the test if kubectl is missing.

    Files that lie elsewhere are not fetched.
    """
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is missing: apt-get install kubernetes-client")
    words = (os.devnull if word.startswith("https://") else word for word in shlex.split(command)[1:])
    arguments = [kubectl, *words, "--server=http://127.0.0.1:9", "--request-timeout=2s"]
    done = run(arguments)
    assert done.returncode == 0 or _NO_SERVER.search(done.stderr), (command, done.stderr)

"""Tests of the `marquee` command as a process."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.client import Peer, serving, two_people
from tests.support.processes import ROOT, run

WITHOUT_TYPER = "import sys; sys.modules['typer'] = None; from marquee.__main__ import main; main()"


def _marquee(
    *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name != "MARQUEE_ADDRESS"}
    environment = {**inherited, "PYTHONPATH": str(ROOT), **(env or {})}
    return run([sys.executable, "-m", "marquee", *arguments], cwd=cwd or ROOT, env=environment)


def test_help_documents_exit_codes() -> None:
    """The output of --help lists the exit codes for scripts."""
    result = _marquee("recognize", "--help")
    assert result.returncode == 0
    assert "3  the server is unreachable\n" in result.stdout


def test_help_loads_nothing_heavy() -> None:
    """The command starts quickly with --help: it loads neither gRPC nor Pillow."""
    loaded = _marquee("recognize", "--help", env={"PYTHONPROFILEIMPORTTIME": "1"}).stderr
    assert "typer" in loaded
    assert [
        name for name in ("grpc", "PIL", "numpy", "boto3") if re.search(rf"\| +{name}$", loaded, re.MULTILINE)
    ] == []


@pytest.mark.parametrize("arguments", [(), ("recognize",)])
def test_without_arguments_there_is_help(arguments: tuple[str, ...]) -> None:
    """The help is on standard error, line by line as with --help."""
    result = _marquee(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.rstrip() == _marquee(*arguments, "--help").stdout.rstrip()


def test_version() -> None:
    """The option --version prints the version that stands in pyproject.toml."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert _marquee("--version").stdout == f"marquee {version}\n"


def test_without_the_extra_it_says_what_to_install() -> None:
    """Without the extra `cli`, the command says how to install it, without a traceback."""
    result = run([sys.executable, "-c", WITHOUT_TYPER])
    assert result.returncode == 1
    assert result.stderr.endswith("pip install 'marquee[cli]'\n")
    assert result.stderr.count("\n") == 1


def test_dotenv_sets_the_address_unless_the_environment_does(tmp_path: Path) -> None:
    """The `.env` file in the working directory is read; the environment takes precedence."""
    (tmp_path / "a.jpg").write_bytes(b"picture")
    with serving(Peer(answer=two_people())) as peer:
        (tmp_path / ".env").write_text(f"MARQUEE_ADDRESS={peer.address}\n")
        assert _marquee("recognize", "a.jpg", cwd=tmp_path).returncode == 0
        assert _marquee("recognize", "a.jpg", cwd=tmp_path, env={"MARQUEE_ADDRESS": "127.0.0.1:1"}).returncode == 3

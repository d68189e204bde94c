"""The environment with TensorFlow, in which trainer and converter run."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import ROOT, run


def train_python() -> str:
    """Return its Python; skip the test if it does not exist."""
    python = os.environ.get("MARQUEE_TRAIN_PYTHON") or ROOT / ".venv-train/bin/python"
    if not Path(python).exists():
        pytest.skip(f"{python} is not there: `make train-env` makes it, MARQUEE_TRAIN_PYTHON names another")
    return str(python)


def run_module(module: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m MODULE ARGUMENTS` there."""
    command = [train_python(), "-m", module, *map(str, arguments)]
    return run(command, env=os.environ | environment)

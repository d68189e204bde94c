"""The environment with TensorFlow, in which trainer and converter run."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def train_python() -> str:
    """Return its Python; skip the test if it does not exist."""
    python = os.environ.get("MARQUEE_TRAIN_PYTHON") or ROOT / ".venv-train/bin/python"
    if not Path(python).exists():
        pytest.skip(f"{python} is not there: `make train-env` makes it, MARQUEE_TRAIN_PYTHON names another")
    return str(python)


def run_module(module: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `python -m MODULE ARGUMENTS` there."""
    command = [train_python(), "-m", module, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)

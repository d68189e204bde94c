"""The environment that has TensorFlow: what trainer and converter run in."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def train_python() -> str:
    """Its Python; skips the test where it is not there."""
    python = os.environ.get("MARQUEE_TRAIN_PYTHON") or ROOT / ".venv-train/bin/python"
    if not Path(python).exists():
        pytest.skip(f"{python} is not there: `make train-env` makes it, MARQUEE_TRAIN_PYTHON names another")
    return str(python)


def run_module(module: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs `python -m MODULE ARGUMENTS` there."""
    command = [train_python(), "-m", module, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)

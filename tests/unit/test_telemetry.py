"""No library reports to its makers."""

import os
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT, run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "call",
    [
        "from services.runtime.images.session import onnxruntime; onnxruntime()",
        "import local.tf_serving.models.onnx",
    ],
)
def test_onnxruntime_reports_nothing(call: str, tmp_path: Path) -> None:
    """What loads onnxruntime keeps it from telling Microsoft of the machine: no identifier is written."""
    unset = {"CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "XDG_CACHE_HOME"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    command = [sys.executable, "-c", call]
    run(command, env=environment | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}).check_returncode()
    assert list(tmp_path.rglob("*")) == []

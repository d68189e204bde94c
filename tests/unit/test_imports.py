"""Each image and the Lambda function have every package that their code imports."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from services.names import SERVICES
from tests.support.processes import ROOT, run

pytestmark = pytest.mark.slow

_LAMBDA = "services.rekognition.lambda_function"
_IN_LAMBDA_RUNTIME = {"boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"}
_HOOK = """
import importlib, sys
from importlib.metadata import packages_distributions
locked, module = set(sys.argv[2].split(",")), sys.argv[1]
owners = packages_distributions()

class Hook:
    def find_spec(self, name, path=None, target=None):
        names = {owner.lower().replace("_", "-").replace(".", "-") for owner in owners.get(name.partition(".")[0], ())}
        if names and not names & locked:
            raise ModuleNotFoundError(f"{name} of {sorted(names)} is in no lock file of {module}", name=name)

sys.meta_path.insert(0, Hook())
importlib.import_module(module)
"""


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_imports_what_its_image_has(service: str) -> None:
    """A service's entry point needs only the packages in its lock file."""
    _import(f"services.{service}.__main__", _locked(f"requirements/{service}.txt"))


def test_the_fetcher_imports_what_its_image_has() -> None:
    """The fetcher, an init container, needs only the packages of the Keras image."""
    _import("services.keras.fetch.__main__", _locked("requirements/keras.txt"))


def test_keras_finds_faces_with_what_its_image_for_faces_has() -> None:
    """The detector needs only the packages of the Keras image for networks that look at faces."""
    _import("services.runtime.images.detector", _locked("requirements/keras-faces.txt"))


def test_the_launcher_imports_what_its_image_has() -> None:
    """The launcher needs only the packages of the stand-ins' image, which is locked for the whole local system."""
    _import("local.__main__", _locked("requirements/local.txt"))


def test_the_lambda_function_imports_what_its_package_has() -> None:
    """The Lambda function passes pictures by reference, so it needs no NumPy, Pillow or gRPC."""
    script = (ROOT / "deploy/lambda/package").read_text()
    packed = set(re.findall(r'^packages="([^"]+)"', script, re.MULTILINE)[0].split())
    _import(_LAMBDA, packed | _IN_LAMBDA_RUNTIME)
    refused = _run(_LAMBDA, (packed | _IN_LAMBDA_RUNTIME) - {"pydantic"})
    assert "pydantic" in refused.stderr


def _import(module: str, locked: set[str]) -> None:
    result = _run(module, locked)
    assert result.returncode == 0, result.stderr


def _run(module: str, locked: set[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _HOOK, module, ",".join(locked | {"marquee"})]
    return run(command)


def _locked(path: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9][a-z0-9.-]*)==", Path(ROOT / path).read_text(), re.MULTILINE))

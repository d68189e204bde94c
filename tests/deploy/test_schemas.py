"""Tests that files and rendered objects for operators fit what the operators themselves define."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from helm.generate import ROOT
from tests.deploy import charts, option_sets, schemas

pytestmark = pytest.mark.slow

_EKS = ROOT / "deploy" / "eks"


@pytest.mark.parametrize("file", [*option_sets.FILES, _EKS / "values.yaml"], ids=lambda path: path.stem)
def test_rendered_objects_fit_their_definitions(file: Path) -> None:
    """Operators define every field of the custom objects that the chart renders."""
    objects = charts.render(option_sets.values(file))
    custom = [each for each in objects if schemas.is_defined(each["apiVersion"])]
    assert [
        (each["kind"], each["metadata"]["name"], faults) for each in custom if (faults := schemas.faults(each))
    ] == []


@pytest.mark.parametrize("file", ["issuer.yaml", "karpenter.yaml"])
def test_files_fit_their_definitions(file: str) -> None:
    """Operators define every field of the objects that docs/eks.md applies."""
    objects = list(YAML(typ="safe", pure=True).load_all(_EKS / file))
    assert [faults for each in objects if (faults := schemas.faults(each))] == []


def test_faults_are_found() -> None:
    """Unknown fields, missing ones and wrong types are told with their place."""
    spec = {"isCA": "yes", "secretNam": "ca"}
    certificate = {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "spec": spec}
    told = "\n".join(schemas.faults(certificate))
    assert all(part in told for part in ("'secretNam' was unexpected", "'secretName' is a required", "$.spec.isCA"))

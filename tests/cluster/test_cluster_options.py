"""Tests of every option of the chart against the API server, which changes nothing."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from helm.generate import CHART, ROOT
from tests.cluster import cluster
from tests.deploy.option_sets import FILES

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]
_NAMESPACE = f"{cluster.NAMESPACE}-options"
_VALUES = [*FILES, CHART / "values.yaml", cluster.LOCAL, ROOT / "deploy" / "eks" / "values.yaml"]


@pytest.fixture(scope="module")
def served() -> Iterator[set[str]]:
    """Return the versions of the API in a namespace that admits only restricted pods."""
    with cluster.namespaced(_NAMESPACE):
        yield set(cluster.run("kubectl", "api-versions").split())


@pytest.mark.parametrize("file", _VALUES, ids=lambda path: path.stem)
def test_api_server_accepts_the_options(file: Path, served: set[str]) -> None:
    """Each object that it knows passes the API server's validation without a warning: pods are restricted, too."""
    options = (f"--values={file}", f"--namespace={_NAMESPACE}", "--kube-version=1.34.0")
    text = cluster.run("helm", "template", cluster.RELEASE, str(CHART), *options)
    objects = [each for each in YAML(typ="safe", pure=True).load_all(text) if each]
    known = [each for each in objects if each["apiVersion"] in served]
    command = ("apply", "--dry-run=server", "--warnings-as-errors", "--filename=-")
    items = json.dumps({"apiVersion": "v1", "kind": "List", "items": known})
    output = cluster.kubectl(*command, stdin=items, namespace=_NAMESPACE)
    assert output.count("(server dry run)") == len(known)


@pytest.mark.parametrize("file", _VALUES, ids=lambda path: path.stem)
def test_helm_finds_no_fault(file: Path) -> None:
    """`helm lint --strict` passes with the options."""
    cluster.run("helm", "lint", "--strict", str(CHART), f"--values={file}")

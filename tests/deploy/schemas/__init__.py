"""What the readers of our files accept: eksctl's schema, and the custom resource definitions of operators.

go.mod names the modules that hold them. `make test` downloads them, with what the examples in Go are built of, so that
tests need no network. After a change of go.mod: `go mod download MODULE…`, with each of its modules, writes go.sum.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from tests.support.processes import run

Object = dict[str, Any]

_HERE = Path(__file__).parent
_DEFINITIONS = {
    "github.com/aws/karpenter-provider-aws": "pkg/apis/crds/karpenter.k8s.aws_*.yaml",
    "github.com/cert-manager/cert-manager": "deploy/crds/*.yaml",
    "github.com/kedacore/keda/v2": "config/crd/bases/*.yaml",
    "github.com/prometheus-operator/prometheus-operator": "example/prometheus-operator-crd/*.yaml",
    "sigs.k8s.io/aws-load-balancer-controller": "config/crd/*/*.k8s.aws_*.yaml",
    "sigs.k8s.io/gateway-api": "config/crd/standard/gateway.networking.k8s.io_*.yaml",
    "sigs.k8s.io/karpenter": "pkg/apis/crds/karpenter.sh_*.yaml",
}
"""Module → its definitions, of which each kind has one."""
_CHARTS = {
    "aws-load-balancer-controller": "sigs.k8s.io/aws-load-balancer-controller helm/aws-load-balancer-controller",
    "cert-manager": "github.com/cert-manager/cert-manager deploy/charts/cert-manager",
    "karpenter": "github.com/aws/karpenter-provider-aws charts/karpenter",
}
"""Chart → the module that has it, and where."""


def faults(custom: Object) -> list[str]:
    """Return what the definition of a custom object says against it, unknown fields included.

    Rules in CEL (`x-kubernetes-validations`) are not read. Raises KeyError if no module defines the kind.
    """
    return _faults(_definition(custom["apiVersion"], custom["kind"]), custom)


def is_defined(api_version: str) -> bool:
    """Return whether a module here defines the group, rather than Kubernetes itself."""
    return any(_paths(api_version.partition("/")[0]))


def eksctl_faults(config: Object) -> list[str]:
    """Return what eksctl's schema says against a ClusterConfig."""
    return _faults(json.loads((_eksctl() / "assets/schema.json").read_text("utf-8")), config)


def eksctl_versions() -> set[str]:
    """Return the versions of Kubernetes that eksctl has a name for."""
    return set(re.findall(r"\tVersion1_\d+ += \"([\d.]+)\"", (_eksctl() / "types.go").read_text("utf-8")))


def chart_values(chart: str) -> Object:
    """Return the default values of a chart. Raises KeyError if no module has it."""
    module, _, place = _CHARTS[chart].partition(" ")
    return dict(YAML(typ="safe").load(_folders()[module] / place / "values.yaml"))


def _eksctl() -> Path:
    return _folders()["github.com/weaveworks/eksctl"] / "pkg/apis/eksctl.io/v1alpha5"


def _faults(schema: Object, value: Object) -> list[str]:
    errors = Draft202012Validator(schema).iter_errors(value)
    return [f"{error.json_path}: {error.message}" for error in errors]


@cache
def _definition(api_version: str, kind: str) -> Object:
    group, _, version = api_version.partition("/")
    for path in _paths(group):
        text = path.read_text("utf-8")
        if f"\n    kind: {kind}\n" in text:
            definition = YAML(typ="safe").load(text)
            (schema,) = (each["schema"] for each in definition["spec"]["versions"] if each["name"] == version)
            return dict(_strict(schema["openAPIV3Schema"]))
    raise KeyError(f"{api_version} {kind}")


def _paths(group: str) -> Iterator[Path]:
    for module, pattern in _DEFINITIONS.items():
        yield from (path for path in _folders()[module].glob(pattern) if path.name.startswith(f"{group}_"))


def _strict(schema: Any) -> Any:
    """Return the schema without leave for fields that it does not know, which an API server would drop or refuse."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(value) for key, value in schema.items()}
    is_closed = "properties" in strict and not strict.get("x-kubernetes-preserve-unknown-fields")
    return {"additionalProperties": False, **strict} if is_closed else strict


@cache
def _folders() -> dict[str, Path]:
    """Return module → its folder in Go's cache."""
    command = [str(Path(sys.executable).with_name("go")), "mod", "download", "-json"]
    done = run(command, cwd=_HERE, env=os.environ | {"GOPROXY": "off", "GOFLAGS": "-mod=readonly"})
    assert done.returncode == 0, f"`make test` downloads them:\n{done.stdout}{done.stderr}"
    return {each["Path"]: Path(each["Dir"]) for each in _each(done.stdout)}


def _each(text: str) -> Iterator[Object]:
    """Yield the JSON objects that follow one another in a text."""
    while text := text.lstrip():
        each, end = json.JSONDecoder().raw_decode(text)
        yield each
        text = text[end:]

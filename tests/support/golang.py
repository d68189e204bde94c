"""Programs in Go, built of a bare copy of the protos without network: those of examples/, and more beside them."""

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.support.processes import ROOT, run

CONTRACT = "contract.binpb"
"""The protos, compiled, in the folder of a build."""
_BIN = Path(sys.executable).parent


def build(folder: Path, sources: Path | None = None, packages: str = "./...") -> Path:
    """Generate Go from the protos, build the programs below `folder`, and return where they are.

    `sources` has more programs for the module of examples/go, in a folder each.
    """
    shutil.copytree(ROOT / "examples" / "go", folder / "go", ignore=shutil.ignore_patterns("marquee", "bin"))
    shutil.copytree(ROOT / "protos" / "marquee", folder / "protos" / "marquee")
    if sources is not None:
        shutil.copytree(sources, folder / "go" / sources.name)
    _run(folder, sys.executable, "-m", "grpc_tools.protoc", "-Iprotos", f"-I{_googleapis()}", *_protoc(folder))
    _run(folder / "go", _BIN / "buf", "generate", f"../{CONTRACT}", "--path", "marquee/v1")
    _run(folder / "go", _BIN / "go", "build", "-o", "bin/", packages)
    return folder / "go" / "bin"


def _protoc(folder: Path) -> list[str]:
    sources = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.proto"))
    return ["--include_imports", "--include_source_info", f"--descriptor_set_out={CONTRACT}", *sources]


def _googleapis() -> Path:
    """Return the folder below which google/rpc/status.proto lies."""
    spec = find_spec("google.rpc")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]).parents[1]


def _run(folder: Path, *command: str | Path) -> None:
    path = f"{_BIN}{os.pathsep}{os.environ['PATH']}"
    done = run(command, cwd=folder, env=os.environ | {"PATH": path, "GOPROXY": "off", "GOFLAGS": "-mod=readonly"})
    assert done.returncode == 0, done.stderr

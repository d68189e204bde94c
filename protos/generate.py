"""Generates marquee/v1 from the protos, or checks that it is what they generate, and lints them.

usage: python protos/generate.py [--check]
"""

import filecmp
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = Path("marquee/v1")
FLAGS = ("--python_out", "--grpc_python_out", "--mypy_out", "--mypy_grpc_out")


def main() -> None:
    """Generates into the tree, or with --check beside it."""
    if "--check" not in sys.argv[1:]:
        generate(ROOT)
        return
    with tempfile.TemporaryDirectory() as folder:
        lint(Path(folder) / "contract.binpb")
        generate(Path(folder))
        changed = differences(Path(folder) / OUT, ROOT / OUT)
    if changed:
        sys.exit(f"{', '.join(changed)}: not what the protos generate. Run `make proto`.")


def generate(root: Path) -> None:
    """Writes the modules below root."""
    protoc(*(f"{flag}={root}" for flag in FLAGS))


def lint(image: Path) -> None:
    """Lets buf look at the contract; exits with its findings."""
    protoc("--include_imports", "--include_source_info", f"--descriptor_set_out={image}")
    command = [tool("buf"), "lint", str(image), "--config", "buf.yaml", "--path", str(OUT)]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:  # noqa: S603 - our own arguments
        sys.exit("buf found faults in the contract.")


def differences(fresh: Path, committed: Path) -> list[str]:
    """The names of generated files that differ or are missing."""
    names = [path.name for path in fresh.iterdir()]
    _, mismatch, missing = filecmp.cmpfiles(fresh, committed, names, shallow=False)
    return sorted(mismatch + missing)


def protoc(*arguments: str) -> None:
    """Runs protoc on all protos; google.rpc's come with googleapis-common-protos."""
    sources = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("protos/marquee/v1/*.proto"))
    plugins = [f"--plugin=protoc-gen-{name}={tool(f'protoc-gen-{name}')}" for name in ("mypy", "mypy_grpc")]
    include = ["-Iprotos", f"-I{_googleapis()}"]
    command = [sys.executable, "-m", "grpc_tools.protoc", *include, *plugins, *arguments, *sources]
    subprocess.run(command, cwd=ROOT, check=True, stderr=subprocess.DEVNULL)  # noqa: S603 - our own arguments


def tool(name: str) -> str:
    """A program of this virtual environment."""
    return str(Path(sys.executable).parent / name)


def _googleapis() -> str:
    spec = find_spec("google.rpc")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("googleapis-common-protos is not installed")
    return str(Path(next(iter(spec.submodule_search_locations))).parent.parent)


if __name__ == "__main__":
    main()

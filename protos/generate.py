"""Generate Python from the protos, or check that the committed files are what they generate, and lint the contract.

usage: python protos/generate.py [--check]
"""

import filecmp
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from tensorflow_serving.apis import model_pb2

ROOT = Path(__file__).resolve().parent.parent
CONTRACT = (Path("marquee/v1"), Path("marquee/library/v1"))
FOLDERS = (*CONTRACT, Path("local/tf_serving/messages"))
"""Folders below protos/, and those below the root that their Python goes to."""
FLAGS = ("--python_out", "--grpc_python_out", "--mypy_out", "--mypy_grpc_out")


def main() -> None:
    """Generate into the tree; with --check only compare."""
    if "--check" not in sys.argv[1:]:
        generate(ROOT)
        return
    with tempfile.TemporaryDirectory() as temporary:
        lint(Path(temporary) / "contract.binpb")
        generate(Path(temporary))
        changed = [name for folder in FOLDERS for name in differences(Path(temporary) / folder, ROOT / folder)]
    if changed:
        sys.exit(f"{', '.join(changed)}: not what the protos generate. Run `make proto`.")


def generate(root: Path) -> None:
    """Write the modules below root."""
    for folder in FOLDERS:
        protoc([folder], *(f"{flag}={root}" for flag in FLAGS))


def lint(image: Path) -> None:
    """Lint the contract with buf; exit with its findings."""
    protoc(CONTRACT, "--include_imports", "--include_source_info", f"--descriptor_set_out={image}")
    paths = [argument for folder in CONTRACT for argument in ("--path", str(folder))]
    command = [tool("buf"), "lint", str(image), "--config", "buf.yaml", *paths]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:  # noqa: S603 - our own arguments
        sys.exit("buf found faults in the contract.")


def differences(fresh: Path, committed: Path) -> list[str]:
    """Return the names of generated files that differ or are missing."""
    names = [path.name for path in fresh.iterdir()]
    _, mismatch, missing = filecmp.cmpfiles(fresh, committed, names, shallow=False)
    return sorted(mismatch + missing)


def protoc(folders: Iterable[Path], *arguments: str) -> None:
    """Run protoc on the folders' protos; those of other packages are imported from what is installed."""
    files = (path for folder in folders for path in (ROOT / "protos" / folder).glob("*.proto"))
    sources = sorted(str(path.relative_to(ROOT)) for path in files)
    plugins = [f"--plugin=protoc-gen-{name}={tool(f'protoc-gen-{name}')}" for name in ("mypy", "mypy_grpc")]
    with tempfile.NamedTemporaryFile(suffix=".binpb") as imports:
        imports.write(_tensorflow_serving())
        imports.flush()
        include = ["-Iprotos", f"-I{_googleapis()}", f"--descriptor_set_in={imports.name}"]
        command = [sys.executable, "-m", "grpc_tools.protoc", *include, *plugins, *arguments, *sources]
        subprocess.run(command, cwd=ROOT, check=True, stderr=subprocess.DEVNULL)  # noqa: S603 - our own arguments


def tool(name: str) -> str:
    """Return the path of a program of this virtual environment."""
    return str(Path(sys.executable).parent / name)


def _googleapis() -> str:
    spec = find_spec("google.rpc")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("googleapis-common-protos is not installed")
    return str(Path(next(iter(spec.submodule_search_locations))).parent.parent)


def _tensorflow_serving() -> bytes:
    """Return tensorflow_serving/apis/model.proto, which its package holds in compiled form only."""
    file = FileDescriptorProto.FromString(model_pb2.DESCRIPTOR.serialized_pb)
    return FileDescriptorSet(file=[file]).SerializeToString()


if __name__ == "__main__":
    main()
